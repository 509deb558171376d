// An image on its disk, with what is added to it (formats/disk_layout.h): for /init, `write` and
// the plan of `flash` alike.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "disk/choose.h"
#include "formats/disk_layout.h"
#include "formats/settings.h"

namespace curlingiron {

// `head`: the image's first bytes. `seed`: a file system of whole MiB; empty: none. It is among the
// patches, and its partition has an id of its own. Errors are those of plan_disk_layout().
Result<DiskLayout> place_image(ConstBytes head, const Settings& settings, const Disk& disk,
                               ConstBytes seed);

}  // namespace curlingiron
