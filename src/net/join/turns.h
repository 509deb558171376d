// When a captured network yields to what the network offers now, and back. A machine without
// I/O.
//
// The network of the running system is set as it was. Where it does not lead to the source in
// kCapturedPatience, counted from the first carrier, everything else is tried as well, on every
// NIC. Both may be right then, and the source or a switch only slow: captured and learnt paths out
// take turns until the source answers.
#pragma once

#include <optional>

#include "base/time.h"

namespace curlingiron {

inline constexpr Duration kCapturedPatience = 12s;

class Turns {
 public:
  enum class Side { Captured, Learnt };
  struct Actions {
    bool try_everything = false;         // DHCP and routers, on every NIC
    std::optional<Side> preferred = {};  // whose turn begins
  };

  // `captured`: the configuration is that of a running system; nothing happens for others.
  Turns(bool captured, Time time);

  void on_carrier(Time time);  // of a NIC that is configured; the first one counts
  void on_found();             // the source answered
  Actions on_time(Time time);
  std::optional<Time> wake() const;  // when on_time() has something to do

  // A NIC that comes now is asked everything.
  bool tries_everything() const { return everything_; }
  // A captured path out yields to one that a server or router names.
  bool prefers_learnt() const { return everything_ && !found_ && side_ == Side::Learnt; }
  bool prefers_captured() const { return side_ == Side::Captured; }

 private:
  bool captured_;
  bool carrier_seen_ = false;
  bool everything_ = false;
  bool found_ = false;
  // Until everything is tried there is nothing learnt to prefer.
  Side side_ = Side::Learnt;
  std::optional<Time> everything_at_;
  std::optional<Time> turn_at_;
};

}  // namespace curlingiron
