#include "host/build.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/machine.h"
#include "host/settings.h"
#include "sys/file.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

// The kernel's own word where an image is named; else the running one, if its modules are there;
// else the only one there is.
Result<std::string> choose_release(const UniqueFd& modules_root, const BuildOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  if (!options.kernel.empty()) return TRY(wanted_kernel_image(root, options.kernel)).release;
  std::vector<std::string> releases = TRY(ModuleTree::releases(modules_root));
  std::string running = TRY(kernel_name()).release;
  if (std::find(releases.begin(), releases.end(), running) != releases.end()) return running;
  if (releases.size() == 1) return releases.front();
  if (releases.empty()) {
    return Error(concat(options.modules_dir,
                        ": holds no lib/modules/RELEASE; unpack a kernel package there, or name "
                        "another with --modules-dir"));
  }
  return Error(concat(options.modules_dir, ": holds modules of ", join(releases, ", "),
                      "; say which with --kernel FILE"));
}

void print_summary(const BuildOptions& options, const std::string& release,
                   const Initramfs& initramfs) {
  if (!options.json) {
    std::printf("%s: for kernel %s\n%s", options.output.c_str(), release.c_str(),
                summarize(initramfs).c_str());
    return;
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const InitramfsPart& part : initramfs.parts)
    parts.push_back({{"path", part.path}, {"bytes", part.size}});
  nlohmann::ordered_json summary = {
      {"file", options.output},          {"release", release},
      {"bytes", initramfs.bytes.size()}, {"unpacked", initramfs.unpacked_size},
      {"modules", initramfs.modules},    {"parts", parts},
      {"warnings", initramfs.warnings}};
  std::printf("%s\n", summary.dump(2).c_str());
}

// One modalias a line, as sysfs shows them; blank lines and those that begin with '#' are skipped.
Result<std::vector<std::string>> read_hardware(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  constexpr size_t kLargest = 4_MiB;
  std::string text = TRY(read_text(root, TRY(real_path(file)), kLargest));
  std::vector<std::string> modaliases;
  for (std::string_view line : split(text, '\n')) {
    std::string_view modalias = trim(line);
    if (modalias.empty() || modalias.starts_with('#')) continue;
    if (modalias.find(':') == std::string_view::npos) {
      return Error(
          concat(file, ": \"", printable(modalias, 60),
                 "\" is no modalias; each line is one, as in /sys/bus/*/devices/*/modalias"));
    }
    modaliases.emplace_back(modalias);
  }
  if (modaliases.empty()) return Error(concat(file, ": holds no modalias"));
  return modaliases;
}

// Profiles, and the hardware that "host" stands for.
Result<void> choose_hardware(const UniqueFd& root, const BuildOptions& options,
                             InitramfsPlan& plan) {
  std::vector<std::string> names = options.profiles;
  if (names.empty() && options.modules.empty()) names.emplace_back("host");
  names.insert(names.end(), options.also.begin(), options.also.end());
  bool host = !options.hardware.empty();
  for (const std::string& name : names) {
    if (name == "host") {
      host = true;
    } else if (name != "none") {
      plan.profiles.push_back(TRY(parse_profile(name)));
    }
  }
  if (!host) return {};
  plan.modaliases = options.hardware.empty()
                        ? TRY(hardware_modaliases(root))
                        : TRY_CONTEXT("--hardware", read_hardware(options.hardware));
  return {};
}

Result<Compression> choose_compression(const UniqueFd& modules_root, const BuildOptions& options,
                                       const std::string& release) {
  if (!options.compression.empty()) return parse_compression(options.compression);
  if (!options.fast) return Compression::Xz;
  return quickest_compression(TRY(kernel_decompressors(modules_root, release)));
}

Result<void> run_build(const BuildOptions& options) {
  UniqueFd modules_root = TRY_CONTEXT(options.modules_dir, open_root(options.modules_dir));
  InitramfsPlan plan;
  CheckedSettings checked = TRY(check_settings(options.settings));
  plan.config = checked.config;
  plan.release = TRY(choose_release(modules_root, options));
  plan.compression = TRY(choose_compression(modules_root, options, plan.release));
  plan.effort = options.fast ? Effort::Fast : Effort::Best;

  UniqueFd root = TRY(open_root("/"));
  TRY(choose_hardware(root, options, plan));
  plan.omit = options.omit;
  plan.firmware = options.firmware;
  plan.extras = TRY(collect_added(root, options.add, checked.settings));
  plan.modules = options.modules;
  NetworkConfig network;
  if (!options.network.empty()) network = TRY(load_network(options.network));
  set_network(network, checked.settings, plan);
  plan.signatures = signatures_for(root, options.secure_boot);
  plan.init.assign(embedded_init().begin(), embedded_init().end());
  plan.ca_bundle = checked.ca_bundle;
  if (!checked.settings.insecure && plan.ca_bundle.empty()) {
    log_warning(
        "this machine has no CA bundle, so the installer can verify no https server; install "
        "ca-certificates, or pass --ca FILE");
  }
  plan.client_certificate = checked.client_certificate;

  Initramfs initramfs = TRY(build_initramfs(modules_root, plan));
  for (const std::string& warning : initramfs.warnings) log_warning(warning);
  // The archive holds the settings: credentials are for its owner alone.
  bool secret = !plan.client_certificate.empty() ||
                std::any_of(options.settings.set.begin(), options.settings.set.end(),
                            [](const std::string& setting) {
                              return is_secret_key(setting.substr(0, setting.find('=')));
                            });
  TRY(write_file_atomically(options.output, initramfs.bytes, secret ? 0600 : 0644));
  print_summary(options, plan.release, initramfs);
  return {};
}

}  // namespace

int build(const BuildOptions& options) {
  Result<void> result = run_build(options);
  if (result.ok()) return kExitDone;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
