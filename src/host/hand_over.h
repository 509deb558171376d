// What the new system gets besides its image: its partitions on this disk, a seed, and files.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "disk/choose.h"
#include "formats/disk_layout.h"
#include "formats/settings.h"
#include "host/put.h"
#include "host/seed.h"

namespace curlingiron {

struct HandOver {
  Seed seed;
  DiskLayout layout;
  PutFiles put = {};  // placed
  // For the plan, a line each.
  std::vector<std::string> lines() const;
  // The same for programs: "layout", "seed", "put" and "notes", of which each is there where there
  // is something to say. Nothing secret.
  nlohmann::ordered_json as_json() const;
};

// `head`: the image's first bytes. A seed that was not asked for is left out where it has no place,
// and a note says so; one that was is an error.
// What is put has a partition, or that is an error.
Result<HandOver> plan_hand_over(Seed seed, PutFiles put, ConstBytes head, const Settings& settings,
                                const Disk& disk);

}  // namespace curlingiron
