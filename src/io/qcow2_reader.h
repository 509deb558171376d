// Reads the data of a qcow2 file in the order of its disk, so that the file is asked for long runs.
#pragma once

#include <array>
#include <memory>

#include "io/qcow2_map.h"

namespace curlingiron {

class Qcow2Reader {
 public:
  enum class Order {
    Any,     // a local file: reads within a run may go back and forth
    Strict,  // a server: each run is read from its begin to its end; what comes too early is held
  };
  // Memory with Strict: 1 MiB.
  Qcow2Reader(RandomSource& file, Qcow2Map& map, Order order)
      : file_(file), map_(map), order_(order) {}

  // The bytes from `host` on, which hold the data of the disk from `guest` on.
  Result<void> read(uint64_t guest, uint64_t host, bool packed, MutableBytes into);

 private:
  Result<void> start_run(uint64_t guest);
  Result<void> read_in_order(uint64_t guest, uint64_t host, bool packed, MutableBytes into);
  Result<void> pass_to(uint64_t host);
  uint8_t* held_bytes(size_t index);

  RandomSource& file_;
  Qcow2Map& map_;
  Order order_;
  Qcow2RunPlace::Range run_;
  Qcow2RunPlace place_;
  std::array<std::unique_ptr<uint8_t[]>, Qcow2RunPlace::kRanges> held_;
};

}  // namespace curlingiron
