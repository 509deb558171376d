// Files into the file systems of an image that is on its disk and does not boot yet, for /init and
// `write` alike. The kernel mounts each file system from the disk, by a loop device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "disk/choose.h"
#include "formats/disk_layout.h"
#include "formats/partition.h"
#include "formats/put_order.h"
#include "image/installation.h"
#include "sys/fd.h"

namespace curlingiron {

// The kernel's names of the file systems that may be in it: one where its type decides.
std::vector<std::string> file_systems_for(const Partition& partition);

// The partition of each put, as `layout` has them on this disk. `head`: the image's first bytes.
// Errors: no table, a word that means none or several, a file system that can be seen in `head` and
// is none of those above.
Result<std::vector<Partition>> place_puts(const PutOrder& order, ConstBytes head,
                                          const DiskLayout& layout, const Disk& disk);

struct PutReport {
  size_t files = 0;
  uint64_t bytes = 0;
  std::vector<std::string> notes;  // what the user has to know of it
};

class PutStep {
 public:
  // Touches nothing: opens the disk beside its writer, and finds out whether the kernel has what
  // it takes. `archive` is what format_put_order() made; it and nothing else is borrowed.
  static Result<PutStep> prepare(ConstBytes archive, ConstBytes head, const DiskLayout& layout,
                                 const Disk& disk, const std::string& path);

  // All of it is on the medium when this returns. What is there already is an error, unless it may
  // be replaced; parent directories are made as they are needed. Links on the way lead no further
  // than the file system's own root.
  Result<PutReport> run(const UnbootableImage& image) const;

 private:
  PutStep() = default;
  Result<void> run_on(const Partition& partition, PutReport& report) const;

  UniqueFd disk_;
  PutOrder order_;
  std::vector<Partition> places_;  // of each put
};

}  // namespace curlingiron
