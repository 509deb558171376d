// How long a test waits for what is to come soon: longer where the machine has other work, so that
// only what does not come fails.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "base/time.h"

namespace curlingiron {

// `usual` on a machine with nothing else to do.
inline Duration patience(Duration usual) {
  double load = 0;
  if (::getloadavg(&load, 1) != 1) return usual;
  double share = load / std::max(1U, std::thread::hardware_concurrency());
  // The average follows what runs within a minute: what has just begun is in it in part.
  return usual + usual * static_cast<int>(std::ceil(share));
}

}  // namespace curlingiron
