#include "host/flash.h"

#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/flash_plan.h"
#include "host/image.h"
#include "host/next_system.h"
#include "sys/power.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

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
    TRY(try_to_load(next_system(plan)));
    log_info(
        "dry run: all of it is there, and the kernel accepts the installer; without --dry-run, "
        "this "
        "machine would now go down and start it; nothing was changed");
    return kExitDone;
  }
  TRY(load_and_leave(next_system(plan), [&] {
    log_info(what_to_expect(plan));
    note_in_kernel_log(concat("flash: /dev/", plan.disk.name, " is to be replaced by ", plan.source,
                              "; the installer starts now. If this system starts again, it did not "
                              "get as far as the disk: its reason was on the console"));
  }));
  return kExitDone;
}

}  // namespace

int flash(const FlashOptions& options) { return end_of_replacing(run_flash(options)); }

}  // namespace curlingiron
