// What the user adds to an initramfs besides drivers: files, symlinks and directories, each program
// with what it needs to run.
#pragma once

#include <cstdint>
#include <optional>
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
  std::string reason;  // "--add /bin/busybox", "needed by /usr/bin/busybox"
};

// `specs` are SRC[:DST] of --add; SRC and DST are absolute; DST is SRC where it is not given, and
// ends in '/' to mean "in this directory". Directories are taken whole. An ELF program or library
// brings its interpreter and libraries (DT_NEEDED, as ld.so(8) finds them below `root`: RPATH,
// RUNPATH, $ORIGIN, /etc/ld.so.conf, default directories), an executable script its interpreter
// (of `#!/usr/bin/env PROGRAM` the program, too), a symlink what it leads to. What dlopen(3) loads
// is for --add. What is not there, leads out of the root, or leads in a circle is an error that
// names it and who asked for it, as is a path that is the initramfs' own, or wanted twice with
// different content. What --add puts somewhere goes before what the root has there: with
// /bin/busybox:/bin/sh no script brings another shell.
//
// Links of the root's directories (bin -> usr/bin) are kept, so that everything is found under each
// of its names; lib is always a directory (lib/modules), and holds links instead. Set-id bits are
// dropped. /etc/ld.so.cache is made where glibc's loader needs it. Entries come parents first, each
// path once, sorted by path, whatever the order of specs and directories.
// Bounds: 20,000 entries, 1 GiB.
Result<std::vector<ExtraEntry>> collect_extras(const UniqueFd& root,
                                               std::span<const std::string> specs);

// The shell that /init would start for onfail=shell (formats/rescue_shell.h); nullopt: none is
// there.
std::optional<std::string> find_rescue_shell(std::span<const ExtraEntry> extras);

}  // namespace curlingiron
