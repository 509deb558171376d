// What differs between two initramfs images, as the kernel would unpack them: however they are
// packed, in whatever order. Times and inode numbers do not count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/source.h"
#include "payload/initramfs_image.h"

namespace curlingiron {

struct DiffEntry {
  std::string path;  // plain_path()
  ImageEntry entry;
  ByteVector digest;  // SHA-256 of a file's data
};

// Lines of a text that are in one of the two only.
struct LineChange {
  bool added = false;  // only in the second
  std::string line;    // secrets are left out
};

struct ChangedEntry {
  DiffEntry first;
  DiffEntry second;
  bool type = false;         // a file became a symlink
  bool permissions = false;  // or owner
  bool content = false;      // or a symlink's target, or a device's numbers
  // Of a short text that anyone may read, and of our own settings and index; empty: not a text, too
  // much, or not to be shown.
  std::vector<LineChange> lines;
};

struct ImageDiff {
  std::vector<DiffEntry> only_first;  // sorted by path, as the others
  std::vector<DiffEntry> only_second;
  std::vector<ChangedEntry> changed;
  uint64_t same = 0;  // entries that are equal

  bool equal() const { return only_first.empty() && only_second.empty() && changed.empty(); }
};

// An error says which of the two it is of, by these names.
Result<ImageDiff> diff_images(RandomSource& first, RandomSource& second,
                              const std::string& first_name, const std::string& second_name);

}  // namespace curlingiron
