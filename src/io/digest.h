// Digests, behind one header so that the library underneath can be exchanged.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace curlingiron {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {  // FIPS 180-4
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  ~Sha256();
  void update(ConstBytes bytes);
  Sha256Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256Digest sha256(ConstBytes bytes);

// XXH3, 64 bits: finds faults of a disk or a wire, does not prove against an attacker.
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
