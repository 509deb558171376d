#include "host/given_payload.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/kernel_image.h"
#include "forms/tree.h"
#include "forms/uki.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestKernel = 256_MiB;
constexpr size_t kLargestInitramfs = 1_GiB;

Result<Bootable> read_tree(const UniqueFd& tree) {
  Bootable payload;
  payload.kernel = TRY(read_file(tree, std::string(kTreeKernel), kLargestKernel));
  payload.initramfs = TRY(read_file(tree, std::string(kTreeInitramfs), kLargestInitramfs));
  std::string line = TRY(read_text(tree, std::string(kTreeCommandLine)));
  payload.command_line = std::string(trim(line));
  return payload;
}

Result<Bootable> read_bootable(const UniqueFd& root, const std::string& real, GivenPayload& given) {
  given.kernel.path = real.substr(1);
  FileStatus status = TRY(file_status(root, given.kernel.path));
  if (status.type == FileType::Directory) {
    given.kernel.path += concat("/", kTreeKernel);
    return read_tree(TRY(open_root(real)));
  }
  ByteVector file = TRY(read_file(root, given.kernel.path, kLargestKernel + kLargestInitramfs));
  return read_uki(file);
}

}  // namespace

Result<GivenPayload> read_payload(const std::string& path) {
  UniqueFd root = TRY(open_root("/"));
  GivenPayload given;
  given.path = path;
  std::string real = TRY(real_path(path));
  given.bootable = TRY_CONTEXT(path, read_bootable(root, real, given));
  ConstBytes kernel = given.bootable.kernel;
  KernelHeader header =
      TRY_CONTEXT(path, parse_kernel_image(kernel.first(std::min(kernel.size(), kKernelHeadSize))));
  if (header.architecture != KernelArchitecture::X86_64) {
    return Error(concat(path, ": its kernel is for another processor than x86-64"));
  }
  given.kernel.release = header.release;
  given.kernel.memory_size = header.memory_size;
  given.contents = TRY_CONTEXT(path, read_initramfs_contents(given.bootable.initramfs));
  const ModuleIndex& index = given.contents.index;
  if (index.release != header.release && !index.modules.empty()) {
    return Error(concat(path, ": its modules are for kernel ", index.release, ", its kernel is ",
                        header.release, "; build it again"));
  }
  return given;
}

void add_settings(const CheckedSettings& checked, const std::string& config,
                  const NetworkConfig& network, InitramfsPlan& build) {
  build.settings.config = config;
  set_network(network, checked.settings, build);
  // A plain URL may lead to an https one.
  build.settings.ca_bundle = checked.ca_bundle;
  build.settings.client_certificate = checked.client_certificate;
}

Result<Initramfs> equip_payload(GivenPayload& given, const CheckedSettings& checked,
                                const std::string& config, const NetworkConfig& network,
                                const HandOver& hand_over) {
  InitramfsPlan build;
  add_settings(checked, config, network, build);
  build.settings.seed = hand_over.seed.image;
  build.settings.put = hand_over.put.archive;
  Initramfs initramfs;
  initramfs.index = given.contents.index;
  for (const IndexedModule& module : initramfs.index.modules) {
    initramfs.modules.push_back(module.name);
  }
  auto has = [&](const std::string& module) {
    return std::ranges::find(initramfs.modules, module) != initramfs.modules.end() ||
           std::ranges::binary_search(initramfs.index.builtin, module);
  };
  for (const FileSystemWish& wish : hand_over.put.file_systems()) {
    if (has(std::string(kLoopModule)) && std::ranges::any_of(wish.any_of, has)) continue;
    return Error(concat(given.path, ": cannot mount what ", wish.reason,
                        " needs; build it with --module ", kLoopModule, " and --module ",
                        join(wish.any_of, " or ")));
  }
  for (const LinkModule& link : build.links) {
    if (has(link.module)) continue;
    return Error(concat(given.path, ": has no module ", link.module, " (", link.reason,
                        "); build it with --module ", link.module));
  }
  initramfs.unpacked_size =
      given.contents.unpacked_size + build.settings.seed.size() + build.settings.put.size();
  initramfs.bytes = TRY(replace_settings(given.bootable.initramfs, build.settings));
  given.bootable.initramfs = {};
  return initramfs;
}

}  // namespace curlingiron
