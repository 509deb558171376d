#include "host/coverage.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "sys/file.h"
#include "sys/uevent.h"

namespace curlingiron {
namespace {

constexpr std::string_view kDevices = "sys/devices";

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string> modaliases_of(const UniqueFd& root, const std::string& device) {
  std::vector<std::string> found;
  Result<std::string> own = read_line(root, concat(device, "/modalias"));
  if (own.ok() && !own.value().empty()) found.push_back(own.value());
  std::string announced = read_uevent_modalias(root, concat(device, "/uevent"));
  if (!announced.empty() && (found.empty() || announced != found.front()))
    found.push_back(std::move(announced));
  return found;
}

// What will be in the kernel once /init has seen the chain: what is loaded at start, what the
// modaliases lead to, and all that these need.
std::set<std::string> loaded_for(const std::vector<DrivenDevice>& chain, const ModuleIndex& index) {
  ModuleLookup lookup(index);
  std::set<std::string> loaded;
  auto load = [&](const std::string& name) {
    loaded.insert(name);
    if (const IndexedModule* module = lookup.find(name)) {
      loaded.insert(module->dependencies.begin(), module->dependencies.end());
    }
  };
  for (const std::string& name : index.load) load(name);
  for (const DrivenDevice& device : chain) {
    for (const std::string& modalias : device.modaliases) {
      for (const std::string& name : lookup.modules_for(modalias)) load(name);
    }
  }
  return loaded;
}

}  // namespace

Result<std::vector<DrivenDevice>> driven_devices(const UniqueFd& root, const std::string& device) {
  if (!device.starts_with(concat(kDevices, "/"))) {
    return Error(concat(printable(device), ": not a device below /", kDevices));
  }
  std::vector<DrivenDevice> chain;
  for (std::string path = device; path.size() > kDevices.size(); path.resize(path.rfind('/'))) {
    // DEVICE/driver/module is a link to /sys/module/NAME.
    Result<std::string> module = read_link(root, concat(path, "/driver/module"));
    if (module.ok()) chain.push_back({path, last_part(module.value()), modaliases_of(root, path)});
  }
  return chain;
}

Result<std::vector<DrivenDevice>> devices_behind(const UniqueFd& root, const std::string& device) {
  std::vector<DrivenDevice> chain = TRY(driven_devices(root, device));
  if (!device.starts_with(concat(kDevices, "/virtual/"))) return chain;
  for (const std::string& name : TRY(list_directory(root, device))) {
    Result<FileStatus> status = file_status(root, concat(device, "/", name), FollowLinks::No);
    if (!status.ok() || status.value().type != FileType::SymbolicLink || name == "subsystem") {
      continue;
    }
    Result<std::string> target = real_path(concat("/", device, "/", name));
    if (!target.ok() || !target.value().starts_with(concat("/", kDevices, "/"))) continue;
    std::vector<DrivenDevice> more = TRY(driven_devices(root, target.value().substr(1)));
    chain.insert(chain.end(), more.begin(), more.end());
  }
  return chain;
}

Result<void> check_covered(const std::string& what, const std::vector<DrivenDevice>& chain,
                           const ModuleIndex& index, MadeWhere made) {
  std::set<std::string> loaded = loaded_for(chain, index);
  ModuleLookup lookup(index);
  for (const DrivenDevice& device : chain) {
    if (loaded.contains(device.module)) continue;
    if (std::ranges::binary_search(index.builtin, device.module)) continue;
    std::string whose =
        concat(what, ": its driver ", device.module, " (of ", last_part(device.path), ")");
    if (lookup.find(device.module) == nullptr && made == MadeWhere::Elsewhere) {
      return Error(concat(whose, " is not in the payload for kernel ", index.release,
                          "; build it with --profile all, or with --module ", device.module));
    }
    if (lookup.find(device.module) == nullptr) {
      return Error(concat(
          whose, " is not in the initramfs, as the modules found in lib/modules/", index.release,
          " lack it or do not name this device (",
          device.modaliases.empty() ? "which has no modalias" : join(device.modaliases, ", "),
          "); install the complete package of the running kernel, or pass --module ",
          device.module));
    }
    return Error(concat(whose,
                        " is in the initramfs, but no modalias of the device leads to it: it "
                        "was bound by hand here, and would not be there"));
  }
  return {};
}

}  // namespace curlingiron
