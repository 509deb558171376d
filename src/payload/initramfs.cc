#include "payload/initramfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/text.h"
#include "base/units.h"
#include "formats/cpio.h"
#include "formats/elf.h"
#include "formats/module_index.h"
#include "formats/payload_layout.h"
#include "payload/driver_rules.h"
#include "payload/firmware.h"
#include "payload/module_file.h"
#include "payload/parallel.h"

// formats/payload_layout.h says what is where. With xz, /init is an archive of its own after the
// rest: the kernel unpacks one after the other, and each is packed with what suits it.

namespace curlingiron {
namespace {

constexpr std::string_view kEfiVariableModule = "efivarfs";

struct LoadedModule {
  std::string name;
  ByteVector bytes;
  std::vector<std::string> firmware;  // patterns
  std::string warning;                // empty: none
};

struct ModuleChoice {
  std::vector<std::string> modules;  // in an order that loads
  std::vector<std::string> load;     // at start, whatever the hardware
  std::vector<IndexedReason> roots;  // what is there for its own sake, and why
};

Error unknown_module(const ModuleTree& tree, const std::string& name) {
  return Error(concat(printable(name), ": no such module for kernel ", tree.release(),
                      "; see modules.dep in ", tree.directory()));
}

// Devices announce themselves by aliases such as "pci:v…"; "net-pf-17" or "devname:loop-control" is
// asked for by the kernel or by programs.
bool drives_hardware(const ModuleTree& tree, const std::string& module) {
  std::vector<IndexedAlias> aliases = tree.aliases_of({module});
  return std::any_of(aliases.begin(), aliases.end(), [](const IndexedAlias& alias) {
    return alias.pattern.find(':') != std::string::npos && !alias.pattern.starts_with("devname:");
  });
}

// The modules that a plan asks for, closed over what each of them needs.
class Chooser {
 public:
  Chooser(const UniqueFd& root, const ModuleTree& tree, const InitramfsPlan& plan)
      : root_(root), tree_(tree), plan_(plan) {
    for (const std::string& name : plan.omit) omitted_.insert(normalize_module_name(name));
  }

  Result<ModuleChoice> choose() && {
    for (const std::string& name : plan_.omit) {
      if (!tree_.covers(name)) return unknown_module(tree_, name);
    }
    for (const std::string& name : always_needed(tree_)) add(name, "always", AtStart::Yes);
    // Loaded when it is mounted.
    if (plan_.for_uefi && !tree_.path_of(kEfiVariableModule).empty()) {
      add(std::string(kEfiVariableModule), "boot entries of UEFI");
    }
    TRY(add_named());
    TRY(add_links());
    TRY(add_file_systems());
    TRY(add_hardware());
    for (Profile profile : plan_.profiles) {
      for (const std::string& name : TRY(profile_modules(root_, tree_, profile))) {
        add(name, concat("profile ", profile_name(profile)));
      }
    }
    // A companion may bring others that have companions.
    Closure closure;
    for (size_t before = 0; before != roots_.size();) {
      before = roots_.size();
      closure = close_over(tree_, roots_);
      // Of those that may be the reason, one that is there for its own sake is the better one.
      std::vector<std::string> whose = roots_;
      whose.insert(whose.end(), closure.modules.begin(), closure.modules.end());
      for (const Companion& companion : companions_of(tree_, whose)) {
        add(companion.module, concat("companion of ", companion.of));
      }
    }
    TRY(check_omitted(closure));
    for (const std::string& name : closure.load_after) append_unique(choice_.load, name);
    choice_.modules = std::move(closure.modules);
    return std::move(choice_);
  }

 private:
  enum class AtStart { No, Yes };

  void add(const std::string& module, std::string reason, AtStart at_start = AtStart::No) {
    if (omitted_.contains(module)) return;
    if (at_start == AtStart::Yes) append_unique(choice_.load, module);
    if (!known_.insert(module).second) return;
    roots_.push_back(module);
    choice_.roots.push_back({module, std::move(reason)});
  }

  // Drivers are loaded for hardware that is there; what no device would ask for, at start.
  Result<void> add_named() {
    for (const std::string& name : plan_.modules) {
      if (!tree_.covers(name)) return unknown_module(tree_, name);
      for (const std::string& module : tree_.resolve(name)) {
        add(module, concat("--module ", name),
            drives_hardware(tree_, module) ? AtStart::No : AtStart::Yes);
      }
    }
    return {};
  }

  // The kernel asks for them by rtnl-link-vlan, rtnl-link-bond.
  Result<void> add_links() {
    for (const LinkModule& link : plan_.links) {
      if (!tree_.covers(link.module))
        return unknown_module(tree_, link.module).with_context(link.reason);
      for (const std::string& module : tree_.resolve(link.module)) add(module, link.reason);
    }
    return {};
  }

  // Mounted by loop devices. The kernel asks for file systems by fs-xfs, and for what some of them
  // need when they mount, by the module's name.
  Result<void> add_file_systems() {
    for (const FileSystemWish& wish : plan_.file_systems) {
      bool has_one = false;
      for (const std::string& name : wish.any_of) {
        if (!tree_.covers(name)) continue;
        has_one = true;
        for (const std::string& module : tree_.resolve(name)) add(module, wish.reason);
        for (std::string_view needed : needed_to_mount(name)) {
          for (const std::string& module : tree_.resolve(needed)) add(module, wish.reason);
        }
      }
      if (!has_one) {
        return Error(concat(wish.reason, ": kernel ", tree_.release(), " has none of ",
                            join(wish.any_of, ", ")));
      }
      if (!tree_.covers(kLoopModule)) {
        return unknown_module(tree_, std::string(kLoopModule)).with_context(wish.reason);
      }
      for (const std::string& module : tree_.resolve(kLoopModule)) {
        add(module, wish.reason, AtStart::Yes);
      }
    }
    return {};
  }

  Result<void> add_hardware() {
    if (plan_.modaliases.empty()) return {};
    UniqueFd directory =
        TRY_CONTEXT(tree_.directory(), open_at(root_, tree_.directory(), O_RDONLY | O_DIRECTORY));
    std::unordered_set<std::string> judged;  // A module may have to be unpacked for it.
    for (const std::string& modalias : plan_.modaliases) {
      for (const std::string& module : tree_.resolve(modalias)) {
        if (known_.contains(module) || !judged.insert(module).second) continue;
        bool belongs =
            TRY_CONTEXT(tree_.directory(), belongs_in_installer(directory, tree_.path_of(module)));
        if (belongs) add(module, modalias);
      }
    }
    return {};
  }

  Result<void> check_omitted(const Closure& closure) const {
    for (const std::string& name : closure.modules) {
      if (!omitted_.contains(name)) continue;
      for (const std::string& other : closure.modules) {
        std::vector<std::string> needs = tree_.load_order_before(other);
        if (std::find(needs.begin(), needs.end(), name) == needs.end()) continue;
        return Error(concat(name, ": cannot be left out, as ", other, " needs it; --omit ", other,
                            " too, or neither"));
      }
    }
    return {};
  }

  const UniqueFd& root_;
  const ModuleTree& tree_;
  const InitramfsPlan& plan_;
  std::unordered_set<std::string> omitted_;
  std::unordered_set<std::string> known_;
  std::vector<std::string> roots_;
  ModuleChoice choice_;
};

Result<void> check_module(const ModuleInfo& info, std::string_view path,
                          const std::string& release) {
  // weak-updates: built for an earlier kernel with the same interfaces, by the distribution's word.
  bool weak = path.starts_with("weak-updates/");
  if (info.release() != release && !weak) {
    return Error(concat("is for kernel ", printable(info.release(), 80), ", not for ", release,
                        "; reinstall the kernel's modules or run depmod"));
  }
  auto machine = static_cast<uint16_t>(ElfMachine::X86_64);
  if (info.machine != machine) {
    return Error(
        concat("is for ", machine_name(info.machine), ", not for ", machine_name(machine)));
  }
  return {};
}

Result<LoadedModule> load_module(const UniqueFd& directory, const ModuleTree& tree,
                                 const std::string& name, Signatures signatures) {
  std::string path(tree.path_of(name));
  LoadedModule module;
  module.name = name;
  module.bytes = TRY(read_plain_file(directory, path));
  ModuleInfo info = TRY_CONTEXT(path, read_module_info(module.bytes));
  TRY_CONTEXT(path, check_module(info, path, tree.release()));
  module.firmware = std::move(info.firmware);
  if (signatures == Signatures::Keep) return module;
  Result<ByteVector> stripped = strip_module(module.bytes);
  if (stripped.ok()) {
    module.bytes = std::move(stripped).value();
  } else {
    module.warning = concat(path, ": not stripped: ", stripped.error().message());
  }
  return module;
}

Result<std::vector<LoadedModule>> load_modules(const UniqueFd& root, const ModuleTree& tree,
                                               const std::vector<std::string>& names,
                                               Signatures signatures) {
  UniqueFd directory =
      TRY_CONTEXT(tree.directory(), open_at(root, tree.directory(), O_RDONLY | O_DIRECTORY));
  std::vector<LoadedModule> modules(names.size());
  auto load_one = [&](size_t i) -> Result<void> {
    modules[i] = TRY(load_module(directory, tree, names[i], signatures));
    return {};
  };
  TRY_CONTEXT(tree.directory(), for_each_in_parallel(names.size(), load_one));
  return modules;
}

ModuleIndex make_index(const ModuleTree& tree, const ModuleChoice& choice) {
  ModuleIndex index;
  index.release = tree.release();
  // Only what stands before a module in the one order that loads: no circle of softdeps is left.
  std::unordered_set<std::string> names;
  for (const std::string& name : choice.modules) {
    std::vector<std::string> before = tree.load_order_before(name);
    std::erase_if(before, [&](const std::string& other) { return !names.contains(other); });
    index.modules.push_back({name, concat(kModuleFolder, "/", name, ".ko"), std::move(before)});
    names.insert(name);
  }
  std::sort(index.modules.begin(), index.modules.end(),
            [](const IndexedModule& a, const IndexedModule& b) { return a.name < b.name; });
  index.aliases = tree.aliases_of(names);
  index.load = choice.load;
  index.reasons = choice.roots;
  return index;
}

struct CollectedFirmware {
  std::vector<FirmwareFile> files;  // sorted by name, each once
  std::vector<IndexedReason> reasons;
};

Result<CollectedFirmware> collect_firmware(const UniqueFd& root, const ModuleTree& tree,
                                           const std::vector<LoadedModule>& modules,
                                           const std::vector<std::string>& named,
                                           std::vector<std::string>& warnings) {
  std::map<std::string, FirmwareFile> files;
  CollectedFirmware collected;
  auto take = [&](std::vector<FirmwareFile> found, const std::string& reason) {
    for (FirmwareFile& file : found) {
      std::string name = file.name;
      if (!files.emplace(name, std::move(file)).second) continue;
      collected.reasons.push_back({concat(kFirmwareFolder, "/", name), reason});
    }
  };
  for (const std::string& pattern : named) {
    std::vector<FirmwareFile> found = TRY(find_firmware(root, tree.release(), pattern));
    if (found.empty()) {
      return Error(concat(printable(pattern), ": no such firmware; looked in ",
                          join(firmware_folders(tree.release()), ", ")));
    }
    take(std::move(found), concat("--firmware ", pattern));
  }
  for (const LoadedModule& module : modules) {
    std::vector<std::string> missing;
    for (const std::string& pattern : module.firmware) {
      std::vector<FirmwareFile> found = TRY(find_firmware(root, tree.release(), pattern));
      if (found.empty()) missing.push_back(pattern);
      take(std::move(found), concat("firmware of ", module.name));
    }
    if (missing.empty()) continue;
    std::string_view more = missing.size() > 1 ? ", ..." : "";
    warnings.push_back(concat(module.name, ": ", missing.size(), " of its ", module.firmware.size(),
                              " firmware files are not installed (", printable(missing.front(), 80),
                              more, "); most devices work without"));
  }
  for (auto& [name, file] : files) collected.files.push_back(std::move(file));
  return collected;
}

// An archive that remembers what it holds.
class Archive {
 public:
  explicit Archive(std::vector<InitramfsPart>& parts) : parts_(parts) {}

  Result<void> directory(const std::string& path, uint32_t permissions = 0755) {
    made_.insert(path);
    return cpio_.add_directory(path, permissions);
  }
  // The directories above `path`, where they are not there yet.
  Result<void> parents_of(std::string_view path) {
    for (size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      std::string parent(path.substr(0, slash));
      if (!made_.insert(parent).second) continue;
      TRY(cpio_.add_directory(parent));
    }
    return {};
  }
  Result<void> file(const PayloadFile& own, ConstBytes bytes) {
    if (bytes.size() > own.largest) {
      return Error(concat("/", own.path, " would have ", bytes.size(),
                          " bytes; /init reads at most ", own.largest));
    }
    return file(own.path, own.mode, bytes);
  }

  Result<void> file(const std::string& path, uint32_t permissions, ConstBytes bytes) {
    TRY(parents_of(path));
    TRY(cpio_.add_file(path, permissions, bytes));
    parts_.push_back({path, bytes.size()});
    return {};
  }
  // The directories of the initramfs itself may be named again.
  Result<void> extra(const ExtraEntry& entry) {
    TRY(parents_of(entry.path));
    if (S_ISDIR(entry.mode)) {
      return made_.insert(entry.path).second ? cpio_.add_directory(entry.path, entry.mode)
                                             : Result<void>();
    }
    if (S_ISLNK(entry.mode)) return cpio_.add_symlink(entry.path, as_text(entry.bytes));
    return file(entry.path, entry.mode, entry.bytes);
  }
  Result<void> console() {
    TRY(directory("dev"));
    return cpio_.add_character_device("dev/console", 0600, 5, 1);
  }
  ByteVector finish() && { return std::move(cpio_).finish(); }

 private:
  CpioWriter cpio_;
  std::unordered_set<std::string> made_;
  std::vector<InitramfsPart>& parts_;
};

struct PayloadFiles {
  std::string index;
  std::vector<LoadedModule> modules;
  std::vector<FirmwareFile> firmware;
};

// An empty file says the same to /init as none.
enum class EmptyFiles { LeaveOut, Write };

Result<void> add_settings(Archive& archive, const InitramfsSettings& settings, EmptyFiles empty) {
  auto add = [&](const PayloadFile& file, ConstBytes bytes) -> Result<void> {
    if (bytes.empty() && empty == EmptyFiles::LeaveOut) return {};
    return archive.file(file, bytes);
  };
  TRY(archive.file(kConfigFile, as_bytes(settings.config)));
  TRY(add(kNetworkFile, as_bytes(settings.network)));
  TRY(add(kCaBundleFile, settings.ca_bundle));
  TRY(add(kClientCertificateFile, settings.client_certificate));
  TRY(add(kSeedFile, settings.seed));
  return add(kPutFile, settings.put);
}

Result<void> add_settings_and_modules(Archive& archive, const InitramfsPlan& plan,
                                      const PayloadFiles& contents) {
  TRY(archive.console());
  for (const char* path : {"etc", "proc", "run", "sys"}) TRY(archive.directory(path));
  TRY(archive.directory("tmp", 01777));
  TRY(add_settings(archive, plan.settings, EmptyFiles::LeaveOut));
  TRY(archive.file(kModuleIndexFile, as_bytes(contents.index)));
  for (const FirmwareFile& file : contents.firmware) {
    TRY(archive.file(concat(kFirmwareFolder, "/", file.name), 0644, file.bytes));
  }
  for (const LoadedModule& module : contents.modules) {
    TRY(archive.file(concat(kModuleFolder, "/", module.name, ".ko"), 0644, module.bytes));
  }
  for (const ExtraEntry& entry : plan.extras) TRY(archive.extra(entry));
  return {};
}

struct Segment {
  std::string name;
  ByteVector archive;
  Contents contents;
};

// Packs the segments at the same time: the bytes do not depend on it.
Result<void> pack(const std::vector<Segment>& segments, const InitramfsPlan& plan,
                  Initramfs& initramfs) {
  std::vector<ByteVector> packed(segments.size());
  auto pack_one = [&](size_t i) -> Result<void> {
    packed[i] =
        TRY(compress(segments[i].archive, plan.compression, plan.effort, segments[i].contents));
    return {};
  };
  TRY(for_each_in_parallel(segments.size(), pack_one));
  for (size_t i = 0; i < segments.size(); ++i) {
    const ByteVector& bytes = packed[i];
    initramfs.unpacked_size += segments[i].archive.size();
    initramfs.segments.push_back({segments[i].name, segments[i].archive.size(), bytes.size()});
    initramfs.bytes.insert(initramfs.bytes.end(), bytes.begin(), bytes.end());
  }
  return {};
}

Result<void> check_kernel_unpacks(const std::optional<KernelConfig>& config,
                                  const InitramfsPlan& plan) {
  if (!config.has_value()) return {};
  if (!config->built_in("BLK_DEV_INITRD")) {
    return Error(concat("kernel ", plan.release,
                        " cannot start from an initramfs (CONFIG_BLK_DEV_INITRD is not set)"));
  }
  std::string_view option = kernel_option(plan.compression);
  if (option.empty() || config->built_in(option)) return {};
  return Error(concat("kernel ", plan.release, " cannot unpack ",
                      compression_name(plan.compression), " (CONFIG_", option,
                      " is not set); choose another --compress"));
}

}  // namespace

Result<Initramfs> build_initramfs(const UniqueFd& modules_root, const InitramfsPlan& plan) {
  TRY_CONTEXT("/init", check_executable(plan.init, ElfMachine::X86_64));
  std::optional<KernelConfig> config = TRY(find_kernel_config(modules_root, plan.release));
  TRY(check_kernel_unpacks(config, plan));
  ModuleTree tree = TRY(ModuleTree::load(modules_root, plan.release));

  Initramfs initramfs;
  Signatures signatures = plan.signatures;
  if (config.has_value() && config->built_in("MODULE_SIG_FORCE")) signatures = Signatures::Keep;
  ModuleChoice choice = TRY(Chooser(modules_root, tree, plan).choose());
  PayloadFiles files;
  files.modules = TRY(load_modules(modules_root, tree, choice.modules, signatures));
  for (const LoadedModule& module : files.modules) {
    if (!module.warning.empty()) initramfs.warnings.push_back(module.warning);
  }
  CollectedFirmware firmware =
      TRY(collect_firmware(modules_root, tree, files.modules, plan.firmware, initramfs.warnings));
  files.firmware = std::move(firmware.files);
  initramfs.index = make_index(tree, choice);
  std::vector<IndexedReason>& reasons = initramfs.index.reasons;
  reasons.insert(reasons.end(), firmware.reasons.begin(), firmware.reasons.end());
  for (const ExtraEntry& entry : plan.extras) {
    // A record is words in a line; a path that is none goes without.
    if (printable(entry.path) != entry.path || entry.path.find(' ') != std::string::npos) continue;
    reasons.push_back({entry.path, printable(entry.reason)});
  }
  if (plan.says_builtin) initramfs.index.builtin = tree.builtin();
  files.index = format_module_index(initramfs.index);
  initramfs.modules = choice.modules;

  bool apart =
      plan.compression == Compression::Xz && config.has_value() && config->built_in("XZ_DEC_X86");
  std::vector<Segment> segments;
  Archive first(initramfs.parts);
  TRY(add_settings_and_modules(first, plan, files));
  if (apart) {
    segments.push_back({"modules and settings", std::move(first).finish(), Contents::Modules});
    Archive second(initramfs.parts);
    TRY(second.file("init", 0755, plan.init));
    segments.push_back({"/init", std::move(second).finish(), Contents::X86Program});
  } else {
    TRY(first.file("init", 0755, plan.init));
    segments.push_back({"everything", std::move(first).finish(), Contents::Modules});
  }
  TRY(pack(segments, plan, initramfs));
  return initramfs;
}

Result<ByteVector> replace_settings(ConstBytes initramfs, const InitramfsSettings& settings) {
  std::vector<InitramfsPart> parts;
  Archive archive(parts);
  TRY(add_settings(archive, settings, EmptyFiles::Write));
  ByteVector bytes(initramfs.begin(), initramfs.end());
  bytes.resize((bytes.size() + 3) / 4 * 4);  // where the kernel looks for the next archive
  ByteVector added = std::move(archive).finish();
  bytes.insert(bytes.end(), added.begin(), added.end());
  return bytes;
}

}  // namespace curlingiron
