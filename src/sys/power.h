// The machine as a whole: restart, halt, kexec (reboot(2), kexec_file_load(2)).
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace curlingiron {

enum class Leave { Restart, PowerOff, Halt, Kexec };

// sync(2), then reboot(2). Returns only when the kernel refused.
Error leave(Leave how);
// reboot(2) without sync(2), which may hang. A driver that hangs can hold up the kernel's orderly
// restart, too: then, kRestartPatience later, the emergency restart (sysrq b) follows.
inline constexpr Duration kRestartPatience = 60s;
Error restart_at_once();
// Of process 1: SIGTERM restarts this machine from now on, SIGUSR2 powers it off, SIGUSR1 halts it,
// as busybox's reboot, poweroff and halt ask for. Other programs are asked to end before, and have
// kEndPatience for it. Called once.
inline constexpr Duration kEndPatience = 5s;
Result<void> leave_on_signals();
// Ctrl-Alt-Del no longer restarts the machine (reboot(2), LINUX_REBOOT_CMD_CAD_OFF).
void ignore_ctrl_alt_del();
// uname(2).
struct KernelName {
  std::string release;  // "6.1.0-56-amd64"
  std::string machine;  // "x86_64"
};
Result<KernelName> kernel_name();
bool is_root();

// kexec_file_load(2): kernel and initramfs are read-only descriptors.
// The error says which of lockdown, signature, kexec_load_disabled or a missing feature it was.
Result<void> kexec_load(const UniqueFd& kernel, const UniqueFd& initramfs,
                        const std::string& command_line);
// Forgets a loaded kernel (KEXEC_FILE_UNLOAD).
Result<void> kexec_unload();

}  // namespace curlingiron
