#include "net/join/floating_address.h"

#include <algorithm>

namespace curlingiron {

std::optional<FloatingAddress::Move> FloatingAddress::place(std::span<const Nic> nics,
                                                            bool searching, Time time) {
  auto is_holder = [&](const Nic& nic) { return nic.index == holder_; };
  auto holder = std::find_if(nics.begin(), nics.end(), is_holder);
  bool there = holder != nics.end();
  bool holds = there && holder->holds;
  // Before the source answers, and whenever it no longer does.
  if (holds && searching && !next_at_) next_at_ = time + kFloatingPatience;
  if (holds && searching && time < *next_at_) return std::nullopt;
  next_at_.reset();
  if (holds && !searching) return std::nullopt;
  // The next one by index, and after the last the first again.
  auto after = [&](const Nic& nic) { return !holder_ || nic.index > *holder_; };
  auto start = static_cast<size_t>(std::find_if(nics.begin(), nics.end(), after) - nics.begin());
  for (size_t i = 0; i < nics.size(); ++i) {
    const Nic& next = nics[(start + i) % nics.size()];
    if (!next.fit) continue;
    Move move;
    if (there && !is_holder(next)) move.from = holder->index;
    move.to = next.index;
    holder_ = next.index;
    next_at_ = time + kFloatingPatience;
    return move;
  }
  return std::nullopt;
}

}  // namespace curlingiron
