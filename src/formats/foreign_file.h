// Files that are no disk images, known by their first bytes, so that a message can name what came
// in the image's place and what to do about it. The signatures are those that each format's
// specification or its own reader gives; file(1) knows most of them by the same.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace curlingiron {

struct ForeignFile {
  std::string_view name;    // with its article: "a rar archive"
  std::string_view advice;  // what to do: "unpack it and serve the disk image in it"
};

// How much find_foreign_file() wants to see; less where the file ends before.
inline constexpr size_t kForeignBytes = size_t{33} << 10;

// `begin`: from the file's first byte on. A disk image may begin like one of these (an MBR's boot
// code is anything): ask first whether it has a partition table or a file system.
std::optional<ForeignFile> find_foreign_file(ConstBytes begin);

// A kernel to be started by a boot loader. Those for x86 end their first sector with a boot
// sector's mark, so this one is asked before anything else.
std::optional<ForeignFile> find_kernel(ConstBytes begin);

// Text of any kind (ASCII, UTF-8, Latin, UTF-16 by its byte order mark or its zeros): an error
// page, JSON, a list of digests, a key, a pointer to the file that was meant. Zeros may follow it.
std::optional<ForeignFile> find_text(ConstBytes begin);

}  // namespace curlingiron
