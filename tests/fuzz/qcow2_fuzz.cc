// A qcow2 file from a hostile server: tables, compressed clusters, and the two ways of reading it,
// which must agree.
#include <algorithm>
#include <cstdlib>

#include "base/units.h"
#include "io/qcow2.h"
#include "io/random.h"

namespace curlingiron {
namespace {

constexpr uint64_t kMostData = 8_MiB;
constexpr uint64_t kMostHoles = 1000;

// What a reading gave: a digest (as FNV-1a) of the data, and where it ended.
struct Reading {
  uint64_t digest = 0xcbf29ce484222325;
  uint64_t position = 0;
  bool failed = false;
};

Reading read_image(RandomSource& file, Qcow2Options::Fetch fetch) {
  Reading reading;
  Result<std::unique_ptr<Qcow2Source>> opened = Qcow2Source::open(file, {fetch});
  if (!opened.ok()) {
    reading.failed = true;
    return reading;
  }
  Qcow2Source& source = *opened.value();
  ByteVector piece(64_KiB);
  uint64_t data = 0;
  for (uint64_t holes = 0; data < kMostData && holes < kMostHoles; ++holes) {
    if (uint64_t zeros = source.zeros_ahead(); zeros != 0) {
      source.skip_zeros(zeros);
      reading.position += zeros;
      if (reading.position > source.virtual_size()) std::abort();
      continue;
    }
    Result<size_t> n = source.read(piece);
    if (!n.ok()) {
      reading.failed = true;
      if (source.read(piece).ok()) std::abort();  // An error stays.
      return reading;
    }
    if (n.value() > piece.size()) std::abort();
    if (n.value() == 0) {
      if (reading.position != source.virtual_size()) std::abort();
      return reading;
    }
    // A small hole may come as bytes, too: only what is not zero counts, with its place.
    for (size_t i = 0; i < n.value(); ++i) {
      if (piece[i] == 0) continue;
      reading.digest =
          (reading.digest ^ (reading.position + i) ^ uint64_t{piece[i]} << 56) * 0x100000001b3;
    }
    data += n.value();
    reading.position += n.value();
  }
  // Cut short by this target's own bounds: nothing to compare.
  reading.failed = true;
  return reading;
}

}  // namespace
}  // namespace curlingiron

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  MemoryRandomSource file(ConstBytes(data, size));
  Reading here = read_image(file, Qcow2Options::Fetch::InReader);
  // Threads take their time: with one in four inputs.
  if (size % 4 != 0) return 0;
  Reading there = read_image(file, Qcow2Options::Fetch::OnThread);
  if (here.failed || there.failed) return 0;
  if (here.position != there.position || here.digest != there.digest) std::abort();
  return 0;
}
