// XXH3, 64 bits: finds faults of a disk or a wire, does not prove against an attacker.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace curlingiron {

uint64_t xxh3(ConstBytes bytes);

class Xxh3 {
 public:
  Xxh3();
  Xxh3(Xxh3&&) noexcept;
  ~Xxh3();
  void update(ConstBytes bytes);
  uint64_t value() const;  // of what was fed so far; feeding may go on

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
