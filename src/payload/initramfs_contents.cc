#include "payload/initramfs_contents.h"

#include <optional>
#include <string_view>

#include "base/text.h"
#include "formats/payload_layout.h"
#include "io/random.h"
#include "payload/initramfs_image.h"

namespace curlingiron {

Result<InitramfsContents> read_initramfs_contents(ConstBytes initramfs) {
  MemoryRandomSource file(initramfs);
  InitramfsReader reader(file);
  InitramfsContents contents;
  bool has_init = false;
  std::optional<std::string> index;
  InitramfsSettings& settings = contents.settings;
  auto read = [&](const PayloadFile& of) -> Result<ByteVector> {
    return reader.read_data(of.largest).with_context(of.path);
  };
  auto read_text_of = [&](const PayloadFile& of) -> Result<std::string> {
    ByteVector bytes = TRY(read(of));
    return std::string(as_text(bytes));
  };
  while (std::optional<ImageEntry> entry = TRY(reader.next())) {
    std::string_view path = plain_path(entry->path);
    if (path == kInitPath) has_init = true;
    if (path == kModuleIndexFile.path) index = TRY(read_text_of(kModuleIndexFile));
    if (path == kConfigFile.path) settings.config = TRY(read_text_of(kConfigFile));
    if (path == kNetworkFile.path) settings.network = TRY(read_text_of(kNetworkFile));
    if (path == kCaBundleFile.path) settings.ca_bundle = TRY(read(kCaBundleFile));
    if (path == kClientCertificateFile.path) {
      settings.client_certificate = TRY(read(kClientCertificateFile));
    }
    if (path == kPutFile.path) settings.put = TRY(read(kPutFile));
    if (path == kSeedFile.path) settings.seed = TRY(read(kSeedFile));
  }
  if (!has_init || !index) {
    return Error("an initramfs, but none of curlingiron's; make one with curlingiron build");
  }
  contents.index = TRY_CONTEXT(kModuleIndexFile.path, parse_module_index(*index));
  for (const ImageArchive& archive : reader.archives()) {
    contents.unpacked_size += archive.unpacked_size;
  }
  return contents;
}

}  // namespace curlingiron
