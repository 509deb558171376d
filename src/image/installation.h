// An image onto a disk, for /init and `write` alike. Each step is a function of what the one before
// it returned, so that a wrong order does not compile: nothing is made bootable that was not
// proven, nothing is proven that was not written.
//
//   BegunInstallation::begin -> copy -> prove -> [read_back] -> write_ends -> make_bootable
//
// Between the last two the disk holds all of the image but its first sector: what is to be changed
// on it is changed then. Image and writer outlive all of them. An error of any step means that the
// disk may have been touched and does not boot; another try takes another writer.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "disk/block_writer.h"
#include "image/stream.h"

namespace curlingiron {

// What was copied, for reports.
struct CopyReport {
  Duration took{};
  uint64_t image_size = 0;  // bytes, as those that follow
  uint64_t zeroed = 0;      // of the image, zeroed by the range
  uint64_t downloaded = 0;
  unsigned resumptions = 0;
};

// All of the image is on the medium but its first sector: the disk boots nothing yet. Dropped
// before it is made bootable, the disk loses the image's ends again.
class UnbootableImage {
 public:
  UnbootableImage(UnbootableImage&& other) noexcept
      : writer_(std::exchange(other.writer_, nullptr)) {}
  UnbootableImage& operator=(UnbootableImage&&) = delete;
  ~UnbootableImage();
  // From here on the disk can boot.
  Result<void> make_bootable() &&;

 private:
  friend class ProvenImage;
  explicit UnbootableImage(BlockWriter& writer) : writer_(&writer) {}
  BlockWriter* writer_;
};

// Every digest and signature that was asked for holds.
class ProvenImage {
 public:
  // The disk returns what was written; "readback" is then part of the proof.
  Result<void> read_back();
  // Writes the withheld ends, but for the first sector.
  Result<UnbootableImage> write_ends();
  // "sha256", "image-sha256", "sums", "signature", "readback"
  const std::vector<std::string>& proven_by() const { return proof_.by; }

 private:
  friend class CopiedImage;
  ProvenImage(BlockWriter& writer, ImageProof proof) : writer_(&writer), proof_(std::move(proof)) {}
  BlockWriter* writer_;
  ImageProof proof_;
};

// The whole image but its withheld ends is on the medium.
class CopiedImage {
 public:
  Result<ProvenImage> prove() const;
  const CopyReport& report() const { return report_; }

 private:
  friend class BegunInstallation;
  CopiedImage(ImageStream& image, BlockWriter& writer, CopyReport report)
      : image_(&image), writer_(&writer), report_(report) {}
  ImageStream* image_;
  BlockWriter* writer_;
  CopyReport report_;
};

// The disk's old partition table is gone.
class BegunInstallation {
 public:
  // The commit point.
  static Result<BegunInstallation> begin(ImageStream& image, BlockWriter& writer);
  Result<CopiedImage> copy() const;

 private:
  BegunInstallation(ImageStream& image, BlockWriter& writer) : image_(&image), writer_(&writer) {}
  ImageStream* image_;
  BlockWriter* writer_;
};

}  // namespace curlingiron
