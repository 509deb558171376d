// Where a shell is looked for, and programs by a shell, and what a system in memory to log in to
// consists of: the builder and /init agree on it.
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

// What build --rescue adds. The SSH server is there only with it.
inline constexpr const char* kBusybox = "/usr/bin/busybox";
inline constexpr const char* kSshServer = "/usr/sbin/dropbear";
inline constexpr const char* kSshKeyMaker = "/usr/bin/dropbearkey";
inline constexpr const char* kAuthorizedKeys = "/root/.ssh/authorized_keys";
// Started there, where --add brought it; it need not end.
inline constexpr const char* kRescueProgram = "/etc/rescue-start";

// PATH in the initramfs; the builder finds `#!/usr/bin/env PROGRAM` by it.
inline constexpr const char* kProgramPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace curlingiron
