// Writes an image so that the disk is never bootable and wrong: the image's first and last MiB are
// withheld, the disk's first and last MiB are zeroed before anything else, and the withheld bytes
// are written only against the proof that everything between them is on the disk.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "formats/disk_layout.h"
#include "io/digest.h"
#include "io/source.h"
#include "sys/block_device.h"
#include "sys/fd.h"

namespace curlingiron {

inline constexpr uint64_t kHeldBack = 1_MiB;

// What the writer needs of a disk; a fake fits in a test. Offsets and lengths are multiples of
// geometry().logical_sector, and buffers are aligned to 4096 bytes. write(), zero() and read() are
// called from two threads at a time, on ranges that do not overlap.
class BlockTarget {
 public:
  virtual ~BlockTarget() = default;
  virtual BlockGeometry geometry() const = 0;
  virtual Result<void> write(uint64_t offset, ConstBytes bytes) = 0;
  virtual Result<void> zero(uint64_t offset, uint64_t length) = 0;
  virtual Result<void> read(uint64_t offset,
                            MutableBytes into) = 0;  // from the device, not a cache
  virtual Result<void> flush() = 0;                  // to the medium
};

// A block device opened O_DIRECT | O_EXCL; EBUSY says what the disk is in use for. Or a regular
// file of a fixed size (a virtual disk), O_DIRECT where its file system can.
Result<std::unique_ptr<BlockTarget>> open_block_device(const std::string& path);

struct WriterCounters {               // readable from another thread while the writer works
  std::atomic<uint64_t> received{0};  // bytes of the image
  std::atomic<uint64_t> zeroed{0};    // of these, bytes zeroed by the range
  std::atomic<uint64_t> verified{0};  // bytes read back
};

// prepare() -> [amend()] -> begin() -> copy() or write()... -> finish() -> [verify()] -> commit()
// -> [verify()]. Dropped between begin() and commit(), it leaves the disk without a partition
// table. commit() in two steps is write_ends() -> write_first_sector(), or withdraw(). After an
// error every call returns that error. Requests are aligned and large, carried out by threads of
// their own; runs of 256 KiB of zeros and more are zeroed by the range, never skipped. Memory: 9
// MiB, and 8 bytes per MiB of image (at most 16 MiB). An image that ends within a sector is padded
// with zeros to the sector's end.
class BlockWriter final : public Sink {
 public:
  // Touches nothing: buffers, threads, and a disk that is large enough (2 MiB at least). Errors of
  // the disk begin with `name`.
  static Result<std::unique_ptr<BlockWriter>> prepare(BlockTarget& target, std::string name = "");
  ~BlockWriter() override;

  // What the disk shall hold in the place of the image's bytes, and after its end: in the withheld
  // ends it is written with them, after the image's end with the withheld tail. Before begin().
  // Errors: not ascending, not whole sectors, outside of the disk.
  Result<void> amend(std::vector<DiskPatch> patches);

  // The commit point: zeroes the disk's first sector and flushes, then the first MiB and the last
  // two, flushes, and reads both ends back.
  Result<void> begin();
  // An image larger than the disk is an error at its first byte too many.
  Result<void> write(ConstBytes bytes) override;
  // All that is left in `image`, read straight into the disk's buffers; holes (zeros_ahead()) are
  // zeroed without being read. An error of the image comes back as it is. Mixes with write().
  Result<void> copy(Source& image);
  // All but the withheld bytes is on the medium.
  Result<void> finish() override;
  // Reads back all that was written so far and compares: an error names the first offset that
  // differs.
  Result<void> verify();
  // write_ends() and write_first_sector().
  Result<void> commit(VerifiedDigest proof);
  // Writes the withheld tail (the last 1 to 2 MiB of the image, and what was to come after its
  // end), flushes and checks it; then the head but for its first sector, flushes and checks it.
  // From here on others may change what lies on the disk, its first sector excepted: it boots
  // nothing yet, and it is not compared with the image any more, unless by verify(). A failure
  // takes head and tail away again, as far as the disk lets it.
  Result<void> write_ends(VerifiedDigest proof);
  // The first sector, which makes the disk bootable; flushed and checked. A failure likewise.
  Result<void> write_first_sector();
  // After write_ends(): takes head and tail away again, as the disk shall not boot after all.
  void withdraw();

  const WriterCounters& counters() const;
  uint64_t image_size() const;

 private:
  struct State;
  explicit BlockWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
