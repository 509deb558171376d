// Files of this machine that are put into the new system's file systems (--put).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/partition.h"
#include "host/options.h"
#include "payload/initramfs.h"
#include "sys/fd.h"

namespace curlingiron {

// SRC:PARTITION:/path[:MODE[:UID[:GID]]]
struct PutWord {
  std::string source;            // a path of this machine
  std::string partition;         // as choose_partition() takes it
  std::string path;              // is_put_path()
  std::optional<uint32_t> mode;  // of files; directories may be entered where they may be read
  uint32_t uid = 0;
  uint32_t gid = 0;  // the same as uid where only that is given
};

// SRC may hold colons, the path must not. Errors say which part is wrong, and how it is written.
Result<PutWord> parse_put(std::string_view text);

// What is put where, with what has been read for it.
struct PutFiles {
  struct One {
    std::string source;
    std::string path;
    size_t files = 0;  // and links
    uint64_t bytes = 0;
    Partition partition;  // once it was placed
  };
  std::vector<One> ones;
  ByteVector archive;  // formats/put_order.h; empty: nothing is put

  // For the plan, a line each; without what is in the files.
  std::vector<std::string> lines() const;
  // What /init has to be able to mount.
  std::vector<FileSystemWish> file_systems() const;
};

// Reads all of it: files with their modes (but for set-id bits, as cp(1) does), directories whole,
// links in these as they are. Errors: what cannot be read, is neither of these, or is too much.
Result<PutFiles> collect_puts(const UniqueFd& root, const HandOverOptions& options);

}  // namespace curlingiron
