// An image on its way to a disk: from http(s), a file or standard input, through digest and
// decoder, with its first bytes proven before anybody writes. The transport runs on a thread of its
// own.
//
// Memory: 32 MiB and the decoder's own window, blocks and threads (io/decode.h). An image that is
// rehearsed is held as it is served and, where there is room, as it is decoded. A qcow2 image from
// where its bytes cannot be had in any order (standard input, a server without Range, or one whose
// file is to be proven by a digest of the whole) is held in memory as it is served, if it fits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/units.h"
#include "formats/settings.h"
#include "image/origin.h"
#include "image/proofs.h"
#include "io/decode.h"
#include "io/source.h"
#include "net/http/options.h"

namespace curlingiron {

// How much of the raw image is looked at before anything is written.
inline constexpr uint64_t kImageHead = 1_MiB;

enum class ImageUse {
  Write,
  Inspect,  // only looked at, before another system fetches it: its digest is not computed
};

// How it is read.
struct ImageReading {
  ImageUse use = ImageUse::Write;
  std::string member;        // of a zip archive (DecodeLimits::member)
  bool any_content = false;  // it need not be known to be a disk (image/check.h)
  ProveWhen prove = ProveWhen::FirstIfItFits;
  // Told how much of a file that open() itself holds in memory is there, which can take long.
  std::function<void(uint64_t bytes)> on_held = {};
};

// How all of an image is read and proven before the first byte of it is written.
enum class Rehearsal {
  None,       // it is not: nothing is to be proven, or what is does not fit into memory
  Kept,       // the file as served is kept in memory
  ReadTwice,  // a file of this machine
};

class ImageStream {
 public:
  // The server has answered, lists and signatures are checked, the format is known, the file's end
  // was read where it can be and says something (io/ending.h), the image's head is decoded and is a
  // disk's. When the deadline passes later on, the download ends: lift it in time with
  // set_deadline(). It does not hold for what has to be held in memory as a whole.
  static Result<std::unique_ptr<ImageStream>> open(const ImageOrigin& origin,
                                                   const HttpOptions& http,
                                                   const ImageProofs& proofs,
                                                   std::optional<Time> deadline,
                                                   const ImageReading& reading = {});
  ~ImageStream();

  // The first bytes of the raw image, up to kImageHead; valid until image() is read. Empty where
  // Inspect would have to hold the whole file for them.
  ConstBytes head() const;
  Format format() const;
  // Bytes of the file as served, where they are known.
  std::optional<uint64_t> served_size() const;
  // The raw image has at least that many bytes, or just as many, where anything is known
  // beforehand: a raw file's length, what the compressed head says of itself, or the file's end.
  std::optional<uint64_t> least_image_size() const;
  std::optional<uint64_t> exact_image_size() const;
  // What that is known by: "the index at its end". Where nothing is known, why not.
  std::string size_known_by() const;
  std::string tls() const;  // "TLSv1.3"; empty: none
  Rehearsal rehearsal() const;
  // Bytes of memory that a machine must have for Rehearsal::Kept of this file, where its length is
  // known.
  uint64_t memory_to_keep() const;
  // Unless Rehearsal::None: reads the image to its end, writes nothing, and proves it. An image of
  // more than `most` bytes is an error.
  Result<void> rehearse(uint64_t most);
  uint64_t rehearsed() const;  // bytes of the image so far; from any thread
  // After rehearse(): what is read now begins at the first byte again; nothing is asked of a server
  // any more. No other thread may look on.
  Result<void> start_again();
  // The raw image from its first byte.
  Source& image();
  // What the transport failed with for good, known before image() comes to it.
  std::optional<Error> failure() const;
  // For retries of the transport (HttpSource::set_deadline).
  void set_deadline(std::optional<Time> deadline);

  // What progress means: bytes that went through the decoder, of how many; of a qcow2 disk, bytes
  // of the disk. These are readable from another thread.
  uint64_t consumed() const;
  // What it waits for, where it does not go on: "the server", "standard input", where all that came
  // was taken; else `taker`, what takes it: "the disk". From any thread.
  std::string_view waits_for(std::string_view taker) const;
  std::optional<uint64_t> total() const;
  uint64_t downloaded() const;
  unsigned resumptions() const;

  // After image() was read to its end, which was `image_size` bytes: no disk ends within a sector,
  // and the digests and signatures asked for hold.
  Result<ImageProof> prove(uint64_t image_size);

 private:
  struct State;
  explicit ImageStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
