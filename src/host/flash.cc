#include "host/flash.h"

#include <fcntl.h>

#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/flash_plan.h"
#include "host/image.h"
#include "sys/file.h"
#include "sys/power.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

Result<UniqueFd> memory_file(const std::string& name, ConstBytes bytes) {
  UniqueFd file = TRY_CONTEXT(name, create_memory_file(name));
  TRY_CONTEXT(name, write_all(file, bytes));
  // The writable descriptor must be gone before the kernel takes the file.
  return reopen_read_only(file);
}

Result<void> load_installer(const FlashPlan& plan) {
  UniqueFd root = TRY(open_root("/"));
  UniqueFd kernel =
      TRY_CONTEXT(concat("/", plan.kernel.path), open_at(root, plan.kernel.path, O_RDONLY));
  UniqueFd initramfs = TRY(memory_file("initramfs", plan.initramfs.bytes));
  return kexec_load(kernel, initramfs, plan.command_line)
      .with_context("the installer cannot be loaded");
}

// For who looks after the old system is back: the kernel's log is what its journal keeps.
void note_in_journal(const FlashPlan& plan) {
  Result<UniqueFd> kernel_log = open_path("/dev/kmsg", O_WRONLY);
  if (!kernel_log.ok()) return;
  std::string line = concat(
      "<5>curlingiron: flash: /dev/", plan.disk.name, " is to be replaced by ", plan.source,
      "; the installer starts now. If this system starts again, it did not get as far as the "
      "disk: its reason was on the console\n");
  (void)write_all(kernel_log.value(), as_bytes(line));
}

// The last that a person at an ssh session sees.
std::string what_to_expect(const FlashPlan& plan) {
  std::optional<Duration> time = expected_time(plan);
  std::string in = time ? concat(", in about ", format_duration(*time)) : "";
  const Settings& settings = plan.settings;
  std::string goal;
  switch (settings.after) {
    case AfterSuccess::Reboot: goal = concat("comes back as ", plan.source, in); break;
    case AfterSuccess::PowerOff:
      goal = concat("goes off with ", plan.source, " on its disk", in);
      break;
    case AfterSuccess::Halt: goal = concat("halts with ", plan.source, " on its disk", in); break;
  }
  std::string held =
      settings.on_failure == AfterFailure::Hold || settings.on_failure == AfterFailure::Shell
          ? "then it waits for somebody at its console"
          : "then its disk does not boot";
  return concat(
      "the installer is loaded; this machine goes down now and ", goal,
      ". If this system answers again, nothing was written; a step that gets nowhere ends after ",
      format_duration(settings.deadline),
      ". If nothing answers for much longer than all of it should take, it failed while it wrote: ",
      held);
}

// The service manager stops services and unmounts first, so that an ssh session ends cleanly.
Result<void> leave_for_installer() {
  UniqueFd root = TRY(open_root("/"));
  if (exists(root, "run/systemd/system") && program_exists("systemctl")) {
    // What it says of a session bus that is not there is nobody's concern.
    int status = TRY(run_quiet_on_success({"systemctl", "kexec"}));
    if (status == 0) return {};
    return Error(concat("systemctl kexec ended with status ", status,
                        "; see `journalctl -b`, then try again"));
  }
  // Without one: file systems read-only in one step (sysrq u), then jump.
  Result<void> read_only = write_existing(root, "proc/sysrq-trigger", "u");
  if (!read_only.ok()) log_warning("file systems stay writable until the jump", read_only.error());
  return leave(Leave::Kexec);
}

// Loads the installer and leaves. Any later restart of a machine with a loaded kernel may jump into
// it (systemctl reboot does): what fails or is interrupted must not leave it loaded.
Result<void> load_and_leave(const FlashPlan& plan) {
  TRY(load_installer(plan));
  log_info(what_to_expect(plan));
  note_in_journal(plan);
  Result<void> left = leave_for_installer();
  if (!left.ok()) {
    Result<void> unloaded = kexec_unload();
    if (!unloaded.ok())
      log_warning("the installer stays loaded until the next boot", unloaded.error());
  }
  return left;
}

Result<int> run_flash(const FlashOptions& options) {
  if (!is_root()) return Error("only root can reimage this machine; run it with sudo");
  FlashPlan plan = TRY(make_flash_plan(options));
  std::string text = describe(plan);
  std::fwrite(text.data(), 1, text.size(), stderr);
  for (const std::string& warning : plan.initramfs.warnings) log_warning(warning);
  if (!options.dry_run && !options.yes && !TRY(confirm_overwrite(plan.disk.path()))) {
    return Error("not confirmed");
  }
  HeldSignals until_done;
  if (options.dry_run) {
    TRY(load_installer(plan));
    TRY(kexec_unload());
    log_info(
        "dry run: all of it is there, and the kernel accepts the installer; without --dry-run, "
        "this "
        "machine would now go down and start it; nothing was changed");
    return kExitDone;
  }
  TRY(load_and_leave(plan));
  return kExitDone;
}

}  // namespace

int flash(const FlashOptions& options) {
  Result<int> result = run_flash(options);
  if (result.ok()) return result.value();
  // The jump does not come back: what came back left all as it was.
  log_error(concat(result.error().message(), "; nothing was changed"));
  return kExitFailed;
}

}  // namespace curlingiron
