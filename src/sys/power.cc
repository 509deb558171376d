#include "sys/power.h"

#include <fcntl.h>
#include <linux/kexec.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "sys/file.h"
#include "sys/process.h"
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

// Of the signal's handler, which may only write: a pipe's end, to the thread that leaves.
int leave_request = -1;

void request_to_leave(int signal) {
  auto how = static_cast<uint8_t>(signal == SIGUSR2   ? Leave::PowerOff
                                  : signal == SIGUSR1 ? Leave::Halt
                                                      : Leave::Restart);
  [[maybe_unused]] ssize_t written = ::write(leave_request, &how, 1);
}

void leave_when_requested(const UniqueFd& requests) {
  uint8_t how = 0;
  Result<size_t> n = read_some(requests, {&how, 1});
  if (!n.ok() || n.value() == 0) return;
  Result<UniqueFd> root = open_root("/");
  if (root.ok()) {
    Result<std::vector<int>> others = other_programs(root.value());
    if (others.ok()) end_programs(others.value(), kEndPatience);
  }
  (void)leave(static_cast<Leave>(how));
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

Result<void> leave_on_signals() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return last_system_error("pipe");
  leave_request = ends[1];
  auto requests = std::make_shared<UniqueFd>(ends[0]);
  Thread leaving = TRY(Thread::start([requests] { leave_when_requested(*requests); }));
  static Thread kept = std::move(leaving);  // for as long as the machine is up
  struct sigaction action = {};
  action.sa_handler = request_to_leave;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGTERM, SIGUSR1, SIGUSR2}) ::sigaction(signal, &action, nullptr);
  return {};
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
