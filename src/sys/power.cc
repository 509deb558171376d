#include "sys/power.h"

#include <fcntl.h>
#include <linux/kexec.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "sys/file.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

unsigned reboot_command(Leave how) {
  switch (how) {
    case Leave::Restart: return RB_AUTOBOOT;
    case Leave::PowerOff: return RB_POWER_OFF;
    case Leave::Halt: return RB_HALT_SYSTEM;
    case Leave::Kexec: return RB_KEXEC;
  }
  return RB_AUTOBOOT;
}

std::string sysctl(const std::string& path) {
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return "";
  Result<std::string> value = read_line(root.value(), path);
  return value.ok() ? value.value() : "";
}

Error explain_kexec(int code) {
  switch (code) {
    case EPERM:
      if (sysctl("proc/sys/kernel/kexec_load_disabled") == "1") {
        return Error(
            "kexec is switched off until the next boot (kernel.kexec_load_disabled=1); reboot "
            "without "
            "the sysctl setting, then try again",
            code);
      }
      if (sysctl("sys/kernel/security/lockdown").find("[none]") == std::string::npos &&
          !sysctl("sys/kernel/security/lockdown").empty()) {
        return Error(
            "the kernel is locked down and takes only kernels signed by its distribution; boot the "
            "distribution's own kernel, or switch Secure Boot off",
            code);
      }
      return Error("not permitted to load a kernel; run as root, outside a container", code);
    case EKEYREJECTED:
    case EBADMSG:
    case ENODATA:
    case ENOKEY:
      return Error(
          "the kernel image has no signature that this kernel trusts (Secure Boot or lockdown); "
          "use the "
          "distribution's signed kernel",
          code);
    case ENOSYS:
      return Error(
          "this kernel has no kexec_file_load (CONFIG_KEXEC_FILE); boot a distribution kernel",
          code);
    case EBUSY: return Error("another kexec load is under way; wait for it and try again", code);
    case ENOEXEC: return Error("the kernel image is not one that kexec can start", code);
    case ENOMEM:
    case EADDRNOTAVAIL:
      return Error("not enough memory to hold a second kernel; stop services, then try again",
                   code);
    default: return system_error("kexec_file_load", code);
  }
}

// In a signal's handler: system calls alone.
void leave_on_signal(int signal) {
  Leave how = signal == SIGUSR2   ? Leave::PowerOff
              : signal == SIGUSR1 ? Leave::Halt
                                  : Leave::Restart;
  ::kill(-1, SIGTERM);  // all but process 1
  timespec grace{0, 500'000'000};
  ::nanosleep(&grace, nullptr);
  ::sync();
  ::reboot(static_cast<int>(reboot_command(how)));
}

}  // namespace

Error leave(Leave how) {
  ::sync();
  ::reboot(static_cast<int>(reboot_command(how)));
  return last_system_error("reboot");
}

Error restart_at_once() {
  auto force = [] {
    Result<UniqueFd> root = open_root("/");
    if (root.ok()) (void)write_existing(root.value(), "proc/sysrq-trigger", "b");
  };
  // It lives as long as the machine does: reboot(2) returns only when the kernel refused.
  Result<Thread> fallback = Thread::start([force] {
    (void)poll_items({}, kRestartPatience);
    force();
  });
  ::reboot(RB_AUTOBOOT);
  Error refused = last_system_error("reboot");
  if (!fallback.ok()) force();
  return refused;
}

void leave_on_signals() {
  struct sigaction action = {};
  action.sa_handler = leave_on_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGTERM, SIGUSR1, SIGUSR2}) ::sigaction(signal, &action, nullptr);
}

void ignore_ctrl_alt_del() { ::reboot(RB_DISABLE_CAD); }

Result<KernelName> kernel_name() {
  utsname name{};
  if (::uname(&name) != 0) return last_system_error("uname");
  return KernelName{name.release, name.machine};
}

bool is_root() { return ::geteuid() == 0; }

Result<void> kexec_load(const UniqueFd& kernel, const UniqueFd& initramfs,
                        const std::string& command_line) {
  long rc = ::syscall(SYS_kexec_file_load, kernel.get(), initramfs.get(), command_line.size() + 1,
                      command_line.c_str(), 0UL);
  if (rc != 0) return explain_kexec(errno);
  return {};
}

Result<void> kexec_unload() {
  long rc = ::syscall(SYS_kexec_file_load, -1, -1, 0UL, nullptr,
                      static_cast<unsigned long>(KEXEC_FILE_UNLOAD));
  if (rc != 0) return last_system_error("kexec unload");
  return {};
}

}  // namespace curlingiron
