// What the user adds to an initramfs besides drivers: files, symlinks and directories, each program
// with what it needs to run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct ExtraEntry {
  std::string path;    // relative, without "." or ".." parts
  uint32_t mode = 0;   // type and permissions, as in stat(2): a file, directory or symlink
  ByteVector bytes;    // a file's content, or where a symlink leads to
  std::string reason;  // "--add /bin/busybox", "needed by bin/busybox"
};

// `specs` are SRC[:DST] of --add; SRC and DST are absolute; DST is SRC where it is not given, and
// ends in '/' to mean "in this directory". Directories are taken whole. An ELF program or library
// brings its interpreter and libraries (DT_NEEDED, as ld.so(8) finds them below `root`: RPATH,
// RUNPATH, $ORIGIN, /etc/ld.so.conf, default directories), a script its interpreter, a symlink what
// it leads to. What is not there, leads out of the root, or leads in a circle is an error that names
// it and who asked for it. Entries come parents first, each path once, sorted by path.
// Bounds: 20,000 entries, 1 GiB.
Result<std::vector<ExtraEntry>> collect_extras(const UniqueFd& root,
                                               std::span<const std::string> specs);

}  // namespace curlingiron
