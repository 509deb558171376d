// An image on its way from a URL to a disk: download, digest, decoder, digest, with its first bytes
// proven before anybody writes. The transport runs on a thread of its own.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "base/units.h"
#include "io/decode.h"
#include "io/digest.h"
#include "io/source.h"
#include "net/http_source.h"

namespace curlingiron {

// How much of the raw image is looked at before anything is written.
inline constexpr uint64_t kImageHead = 1_MiB;

// Hashing costs time on machines without SHA instructions: only what will be compared is computed.
struct WantedDigests {
  bool served = false;  // of the file as served
  bool image = false;   // of the raw image
};

class ImageDownload {
 public:
  // The server has answered, the format is known, and the image's head is decoded.
  static Result<std::unique_ptr<ImageDownload>> open(const Url& url, const HttpOptions& options,
                                                     WantedDigests wanted,
                                                     std::optional<Time> deadline);
  ~ImageDownload();

  // The first bytes of the raw image, up to kImageHead; valid until image() is read.
  ConstBytes head() const;
  Format format() const;
  // The raw image has at least that many bytes, where anything is known beforehand: a raw file's
  // length, or what the first zstd frame says of itself.
  std::optional<uint64_t> least_image_size() const;
  HttpSource& http();
  // What the download failed with for good, known before image() comes to it.
  std::optional<Error> failure() const;
  // Bytes of the file that were decoded so far: behind what was downloaded, and what progress
  // means. Readable from another thread.
  uint64_t consumed() const;
  // The raw image from its first byte.
  Source& image();

  // After image() was read to its end; wanted ones only.
  ByteVector served_digest();
  ByteVector image_digest();

 private:
  struct State;
  explicit ImageDownload(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
