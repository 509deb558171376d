#include "io/qcow2_reader.h"

#include <algorithm>
#include <cstring>

namespace curlingiron {

Result<void> Qcow2Reader::start_run(uint64_t guest) {
  run_ = TRY(map_.run_from(guest));
  place_ = Qcow2RunPlace(run_.begin);
  file_.expect(run_.begin, run_.end - run_.begin);
  return {};
}

Result<void> Qcow2Reader::read(uint64_t guest, uint64_t host, bool packed, MutableBytes into) {
  if (order_ == Order::Strict) return read_in_order(guest, host, packed, into);
  if (host < run_.begin || host + into.size() > run_.end) TRY(start_run(guest));
  return file_.read_at(host, into);
}

Result<void> Qcow2Reader::read_in_order(uint64_t guest, uint64_t host, bool packed,
                                        MutableBytes into) {
  while (!into.empty()) {
    if (size_t index = place_.holder(host); index != Qcow2RunPlace::kRanges) {
      const Qcow2RunPlace::Range& range = place_.range(index);
      size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), range.end - host));
      std::memcpy(into.data(), held_bytes(index) + (host - range.begin), n);
      host += n;
      into = into.subspan(n);
      continue;
    }
    uint64_t end = host + into.size();
    if (host < place_.position() || end > run_.end) TRY(start_run(guest));
    if (host > place_.position()) TRY(pass_to(host));
    TRY(file_.read_at(host, into));
    place_.read_to(end, packed);
    if (packed) {
      const Qcow2RunPlace::Range& tail = place_.range(Qcow2RunPlace::kTail);
      size_t n = static_cast<size_t>(tail.end - tail.begin);
      std::memcpy(held_bytes(Qcow2RunPlace::kTail), into.last(n).data(), n);
    }
    return {};
  }
  return {};
}

// Holds what lies between here and `host`.
Result<void> Qcow2Reader::pass_to(uint64_t host) {
  uint64_t from = place_.position();
  size_t index = place_.pass_to(host);
  const Qcow2RunPlace::Range& range = place_.range(index);
  size_t tail = static_cast<size_t>(from - range.begin);
  uint8_t* bytes = held_bytes(index);
  std::memcpy(bytes, held_bytes(Qcow2RunPlace::kTail), tail);
  return file_.read_at(from, {bytes + tail, static_cast<size_t>(host - from)});
}

uint8_t* Qcow2Reader::held_bytes(size_t index) {
  if (held_[index] == nullptr) {
    held_[index] = std::make_unique_for_overwrite<uint8_t[]>(
        static_cast<size_t>(kQcow2SmallGap + Qcow2RunPlace::kTailBytes));
  }
  return held_[index].get();
}

}  // namespace curlingiron
