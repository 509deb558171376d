// Initramfs images as the kernel reads them, whoever made them: cpio archives one after the other,
// plain or compressed, zeros between them, a boot configuration at the end
// (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c,
// Documentation/admin-guide/bootconfig.rst).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "formats/cpio.h"
#include "io/decode.h"
#include "io/member.h"
#include "io/source.h"

namespace curlingiron {

// What an image may hold, so that one made to harm ends as an error.
struct ImageLimits {
  uint64_t unpacked = 2_GiB;  // of all archives
  uint64_t entries = 1'000'000;
  uint64_t names = 64_MiB;  // paths and symlink targets
  size_t archives = 4'096;
};

struct ImageEntry {
  std::string path;    // foreign bytes, as the archive has them: "./etc/x", "etc/x"
  uint32_t mode = 0;   // type and permissions, as in stat(2)
  uint64_t size = 0;   // of a file's data; of a symlink's target
  std::string target;  // of a symlink
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t head_size = 0;  // bytes of the unpacked archive before and after the data
  size_t archive = 0;      // index into archives()
};

// A cpio archive, or all that one compressed stream holds.
struct ImageArchive {
  Format format = Format::Raw;  // Raw: not compressed
  uint64_t offset = 0;          // in the file
  uint64_t padding_before = 0;  // zeros before it
  uint64_t packed_size = 0;     // bytes of the file
  uint64_t unpacked_size = 0;
  uint64_t entries = 0;
};

// The path below the root: without "./" and "/" at its start; "" is the root itself.
std::string_view plain_path(std::string_view path);

// What a file is whose first bytes are `head`, for a message: "a Linux kernel (6.1.0-56-amd64)".
std::string describe_file(ConstBytes head);

// The entries in the order in which the kernel unpacks them. Memory: the decoder's window and a
// buffer, however large the image. Errors stay: what is no initramfs (and what it is instead), a
// damaged or truncated stream, bytes that are no archive after one, more than the limits.
class InitramfsReader {
 public:
  // `file` must outlive the reader.
  explicit InitramfsReader(RandomSource& file, ImageLimits limits = {});
  ~InitramfsReader();

  // The next entry; what was not read of the last one is passed over. nullopt: the proven end.
  Result<std::optional<ImageEntry>> next();
  // The data of the last entry, in order; 0 at its end. A symlink's target was read already.
  Result<size_t> read(MutableBytes into);
  // All of it; more than `limit` bytes is an error.
  Result<ByteVector> read_data(uint64_t limit);

  // Those that were begun, complete at the end.
  const std::vector<ImageArchive>& archives() const { return archives_; }
  // Known at the end: zeros after the last archive, and the boot configuration after these.
  uint64_t trailing_padding() const { return padding_; }
  uint64_t boot_config_size() const { return file_.size() - end_; }

 private:
  Result<void> find_boot_config();
  Result<void> skip_zeros();
  Result<bool> begin_archive();
  Result<void> open_stream(Format format);
  Result<std::optional<ImageEntry>> next_in_archive();
  Result<ImageEntry> take_entry(const CpioEntry& header);
  void end_archive();
  Result<std::optional<ImageEntry>> next_entry();
  std::string where() const;

  bool is_raw() const { return member_ == nullptr; }
  ConstBytes buffered() const { return ConstBytes(buffer_).subspan(used_); }
  Result<bool> refill();
  Result<ConstBytes> take(size_t count);
  Result<void> discard(uint64_t count);
  void consume(size_t count);

  RandomSource& file_;
  ImageLimits limits_;
  std::optional<Error> failure_;
  bool started_ = false;
  uint64_t position_ = 0;  // in the file, where no archive is open
  uint64_t end_ = 0;       // of the archives
  uint64_t padding_ = 0;   // zeros since the last archive

  // The open archive.
  std::unique_ptr<Source> range_;  // its bytes in the file, and all after
  std::unique_ptr<MemberSource> member_;
  CpioParser parser_;
  bool open_ = false;
  ByteVector buffer_;  // unpacked
  size_t used_ = 0;    // of the buffer
  uint64_t data_left_ = 0;
  uint64_t padding_left_ = 0;  // after the data

  std::vector<ImageArchive> archives_;
  uint64_t unpacked_ = 0;  // of all archives
  uint64_t entries_ = 0;
  uint64_t names_ = 0;
};

}  // namespace curlingiron
