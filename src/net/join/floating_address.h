// Which NIC has the address that may be any NIC's: one after the other, until the source answers. A
// machine without I/O.
#pragma once

#include <optional>
#include <span>

#include "base/time.h"

namespace curlingiron {

// An address is tried on each NIC for so long.
inline constexpr Duration kFloatingPatience = 5s;

class FloatingAddress {
 public:
  struct Nic {
    int index = 0;
    bool fit = false;    // it may have the address: it has a carrier
    bool holds = false;  // it has the address, and a carrier
  };
  struct Move {
    std::optional<int> from;  // a NIC that is still there
    int to = 0;
  };

  // `nics` by index, ascending. `searching`: the source does not answer. Returns where the address
  // goes now; nullopt: it stays.
  std::optional<Move> place(std::span<const Nic> nics, bool searching, Time time);
  std::optional<Time> wake() const { return next_at_; }
  // Who has it, or had it last; nullopt: nobody yet.
  std::optional<int> holder() const { return holder_; }

 private:
  std::optional<int> holder_;
  std::optional<Time> next_at_;
};

}  // namespace curlingiron
