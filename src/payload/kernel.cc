#include "payload/kernel.h"

#include <fcntl.h>

#include <cerrno>

#include "base/text.h"
#include "base/units.h"
#include "formats/kernel_image.h"
#include "payload/module_file.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxConfig = 4_MiB;

Result<ByteVector> read_head(const UniqueFd& root, const std::string& path, size_t size) {
  UniqueFd file = TRY(open_at(root, path, O_RDONLY));
  ByteVector head(size);
  size_t filled = 0;
  while (filled < size) {
    size_t n = TRY(read_some(file, MutableBytes(head).subspan(filled)));
    if (n == 0) break;
    filled += n;
  }
  head.resize(filled);
  return head;
}

Result<std::optional<KernelConfig>> read_config(const UniqueFd& root, const std::string& path) {
  Result<ByteVector> file = read_file(root, path, kMaxConfig);
  if (!file.ok() && file.error().code() == ENOENT) return std::optional<KernelConfig>();
  ByteVector packed = TRY(std::move(file));
  ByteVector text = TRY_CONTEXT(path, decompress_whole(std::move(packed), kMaxConfig));
  return std::optional(TRY_CONTEXT(path, KernelConfig::parse(as_text(text))));
}

}  // namespace

Result<KernelImage> read_kernel_image(const UniqueFd& root, const std::string& path) {
  std::string shown = concat("/", path);
  ByteVector head = TRY_CONTEXT(shown, read_head(root, path, kKernelHeadSize));
  KernelHeader header = TRY_CONTEXT(shown, parse_kernel_image(head));
  switch (header.architecture) {
    case KernelArchitecture::X86_64: break;
    case KernelArchitecture::X86_32:
      return Error(concat(shown, ": a 32-bit x86 kernel; choose a 64-bit one (amd64)"));
    case KernelArchitecture::Arm64:
      return Error(concat(shown, ": an arm64 kernel; this program is for x86-64"));
  }
  return KernelImage{path, header.release, header.memory_size};
}

Result<std::optional<KernelConfig>> find_kernel_config(const UniqueFd& root,
                                                       const std::string& release) {
  const std::string paths[] = {concat("boot/config-", release),
                               concat("lib/modules/", release, "/config"),
                               concat("usr/lib/modules/", release, "/config")};
  for (const std::string& path : paths) {
    std::optional<KernelConfig> config = TRY(read_config(root, path));
    if (config.has_value()) return config;
  }
  Result<std::string> running = read_line(root, "proc/sys/kernel/osrelease");
  if (running.ok() && running.value() == release) return read_config(root, "proc/config.gz");
  return std::optional<KernelConfig>();
}

Result<std::optional<std::vector<Compression>>> kernel_decompressors(const UniqueFd& root,
                                                                     const std::string& release) {
  std::optional<KernelConfig> config = TRY(find_kernel_config(root, release));
  if (!config.has_value()) return std::optional<std::vector<Compression>>();
  std::vector<Compression> known;
  for (Compression compression :
       {Compression::Xz, Compression::Zstd, Compression::Gzip, Compression::None}) {
    std::string_view option = kernel_option(compression);
    if (option.empty() || config->built_in(option)) known.push_back(compression);
  }
  return std::optional(std::move(known));
}

}  // namespace curlingiron
