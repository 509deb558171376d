// Where a shell is looked for, and programs by a shell: the builder and /init agree on it.
#pragma once

namespace curlingiron {

struct ShellCommand {
  const char* path;
  const char* argument;  // nullptr: none
};
// The first that is there is taken.
inline constexpr ShellCommand kShells[] = {
    {"/bin/sh", nullptr},   {"/usr/bin/sh", nullptr},   {"/bin/bash", nullptr},
    {"/bin/busybox", "sh"}, {"/usr/bin/busybox", "sh"},
};

// PATH in the initramfs; the builder finds `#!/usr/bin/env PROGRAM` by it.
inline constexpr const char* kProgramPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace curlingiron
