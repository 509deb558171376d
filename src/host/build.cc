#include "host/build.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/host.h"
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
  if (options.json) {
    nlohmann::ordered_json parts = nlohmann::ordered_json::array();
    for (const InitramfsPart& part : initramfs.parts)
      parts.push_back({{"path", part.path}, {"bytes", part.size}});
    nlohmann::ordered_json summary = {
        {"file", options.output},          {"release", release},
        {"bytes", initramfs.bytes.size()}, {"unpacked", initramfs.unpacked_size},
        {"modules", initramfs.modules},    {"parts", parts},
        {"warnings", initramfs.warnings}};
    std::printf("%s\n", summary.dump(2).c_str());
    return;
  }
  std::printf("%s: %zu bytes (%s), %s unpacked, %zu modules for %s\n", options.output.c_str(),
              initramfs.bytes.size(), format_size(initramfs.bytes.size()).c_str(),
              format_size(initramfs.unpacked_size).c_str(), initramfs.modules.size(),
              release.c_str());
}

Result<void> run_build(const BuildOptions& options) {
  UniqueFd modules_root = TRY_CONTEXT(options.modules_dir, open_root(options.modules_dir));
  InitramfsPlan plan;
  CheckedSettings checked = TRY(check_settings(options.settings));
  plan.config = checked.config;
  plan.release = TRY(choose_release(modules_root, options));
  plan.compression = TRY(parse_compression(options.compression));
  plan.effort = options.fast ? Effort::Fast : Effort::Best;

  UniqueFd root = TRY(open_root("/"));
  bool host_profile = options.profiles.empty() && options.modules.empty();
  if (host_profile) plan.modaliases = TRY(hardware_modaliases(root));
  plan.modules = options.modules;
  plan.signatures = signatures_for(root, options.secure_boot);
  plan.init.assign(embedded_init().begin(), embedded_init().end());
  if (!checked.settings.insecure) plan.ca_bundle = TRY(load_ca_bundle(options.settings.ca));
  plan.client_certificate = TRY(load_client_certificate(options.settings.certificate));

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
