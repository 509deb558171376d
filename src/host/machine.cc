#include "host/machine.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "formats/payload_layout.h"
#include "sys/file.h"
#include "sys/power.h"

extern "C" {
extern const uint8_t curlingiron_init_begin[];
extern const uint8_t curlingiron_init_end[];
extern const uint8_t curlingiron_unpack_begin[];
extern const uint8_t curlingiron_unpack_end[];
}

namespace curlingiron {

ConstBytes embedded_init() { return {curlingiron_init_begin, curlingiron_init_end}; }

ConstBytes embedded_unpacker() { return {curlingiron_unpack_begin, curlingiron_unpack_end}; }

Result<KernelImage> running_kernel_image(const UniqueFd& root, const std::string& release) {
  const std::string places[] = {
      concat("boot/vmlinuz-", release),
      concat("boot/kernel-", release),
      concat("lib/modules/", release, "/vmlinuz"),
      concat("usr/lib/modules/", release, "/vmlinuz"),
      "boot/vmlinuz-linux",
      "boot/vmlinuz",
      "vmlinuz",
  };
  std::string tried;
  for (const std::string& place : places) {
    if (!exists(root, place)) {
      tried += concat(tried.empty() ? "/" : ", /", place);
      continue;
    }
    Result<KernelImage> image = read_kernel_image(root, place);
    if (image.ok() && image.value().release == release) return image;
    tried += concat(tried.empty() ? "/" : ", /", place,
                    image.ok() ? concat(" (which is ", image.value().release, ")")
                               : " (not readable as a kernel)");
  }
  return Error(
      concat("no image of the running kernel ", release, " found (looked for ", tried,
             "); if the kernel was upgraded since this system started, restart this machine "
             "and try again; else name the image by --kernel FILE"));
}

Result<OwnKernel> find_own_kernel(std::string_view name) {
  static constexpr std::string_view kNames[] = {"vm", "metal"};
  if (std::ranges::find(kNames, name) == std::end(kNames)) {
    return Error(concat(kOwnKernel, printable(name, 40), ": there are ours:vm and ours:metal"));
  }
  std::string program = TRY(real_path("/proc/self/exe"));
  std::string folder = program.substr(0, program.rfind('/'));
  const std::string places[] = {concat(folder, "/kernel/", name),
                                concat(folder, "/../../kernel/", name),
                                concat("/usr/lib/curlingiron/kernel/", name)};
  for (const std::string& place : places) {
    Result<UniqueFd> root = open_root(place);
    if (!root.ok()) continue;
    OwnKernel kernel;
    kernel.root = TRY(real_path(place));
    kernel.release = TRY_CONTEXT(place, read_line(root.value(), "release"));
    return kernel;
  }
  return Error(concat(kOwnKernel, name,
                      ": is not there; make it in the source tree, with scripts/kernel ", name));
}

Result<KernelImage> wanted_kernel_image(const UniqueFd& root, const std::string& path) {
  if (path.starts_with(kOwnKernel)) {
    OwnKernel own = TRY(find_own_kernel(std::string_view(path).substr(kOwnKernel.size())));
    return read_kernel_image(root, concat(own.root.substr(1), "/boot/vmlinuz-", own.release));
  }
  if (!path.empty()) return read_kernel_image(root, TRY(real_path(path)).substr(1));
  KernelName running = TRY(kernel_name());
  return running_kernel_image(root, running.release);
}

std::optional<std::string> system_ca_bundle(const UniqueFd& root) {
  static constexpr const char* kPlaces[] = {
      "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch, Gentoo
      "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
      "/etc/ssl/ca-bundle.pem",                             // openSUSE
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7
      "/etc/ssl/cert.pem",                                  // Alpine
  };
  for (const char* place : kPlaces) {
    if (exists(root, place)) return place;
  }
  return std::nullopt;
}

Compression quickest_compression(const std::optional<std::vector<Compression>>& known) {
  if (!known) return Compression::Gzip;
  for (Compression candidate : {Compression::Zstd, Compression::Gzip, Compression::Xz}) {
    if (std::find(known->begin(), known->end(), candidate) != known->end()) return candidate;
  }
  return Compression::None;
}

Result<std::vector<ExtraEntry>> collect_added(const UniqueFd& root,
                                              const std::vector<std::string>& specs,
                                              const Settings& settings) {
  std::vector<ExtraEntry> extras = TRY_CONTEXT("--add", collect_extras(root, specs));
  if (settings.on_failure == AfterFailure::Shell && !find_rescue_shell(extras)) {
    log_warning("onfail=shell: no shell is added; give --add /bin/busybox:/bin/sh");
  }
  return extras;
}

Signatures signatures_for(const UniqueFd& root, bool keep) {
  if (keep) return Signatures::Keep;
  Result<std::string> enforce = read_line(root, "sys/module/module/parameters/sig_enforce");
  if (enforce.ok() && enforce.value() == "Y") return Signatures::Keep;
  Result<std::string> lockdown = read_line(root, "sys/kernel/security/lockdown");
  if (lockdown.ok() && lockdown.value().find("[none]") == std::string::npos)
    return Signatures::Keep;
  return Signatures::Strip;
}

}  // namespace curlingiron
