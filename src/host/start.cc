#include "host/start.h"

#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/carried_network.h"
#include "host/flash.h"
#include "host/given_payload.h"
#include "host/image.h"
#include "host/next_system.h"
#include "host/plan_lines.h"
#include "host/settings.h"
#include "sys/clock.h"
#include "sys/power.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

struct StartPlan {
  GivenPayload given;
  CarriedNetwork network;
  ProvenCards cards;
  Initramfs initramfs;
  std::string command_line;
};

Result<StartPlan> make_plan(const UniqueFd& root, const StartOptions& options, GivenPayload given,
                            const CheckedSettings& checked) {
  StartPlan plan;
  plan.given = std::move(given);
  plan.network = TRY(choose_network(root, options.network, checked.settings,
                                    plan.given.contents.settings.network));
  std::string config = checked.config;
  // A machine whose battery clock is wrong but that asked a time server passes a right clock on.
  config += TRY(format_setting("time-floor", concat(wall_clock_seconds())));
  plan.initramfs = TRY(equip_payload(plan.given, checked, config, plan.network.config, {}));
  plan.cards =
      TRY(prove_cards(root, plan.network.cards, plan.initramfs.index, MadeWhere::Elsewhere));
  plan.command_line = next_command_line(root, plan.given.bootable.command_line);
  return plan;
}

NextSystem next_system(const StartPlan& plan) {
  return {"the payload", plan.given.kernel, plan.given.bootable.kernel, plan.initramfs.bytes,
          plan.command_line};
}

std::string describe(const StartPlan& plan) {
  std::string text = "This starts, in place of the running system,\n";
  add_line(text, "payload", plan.given.path);
  add_line(text, "kernel", plan.given.kernel.release);
  add_line(text, "initramfs", format_size(plan.initramfs.bytes.size()));
  add_network(text, plan.cards.shown, plan.network);
  if (!plan.cards.usable) {
    add_line(text, "", "no Ethernet card has a carrier: nobody can reach it over the network");
  }
  text += "It writes to no disk before somebody says what to install (docs/starting.md)\n";
  return text;
}

// It knows what to install where: that has a plan of its own.
FlashOptions as_flash(const StartOptions& options) {
  FlashOptions flash;
  flash.payload = options.payload;
  flash.settings = options.settings;
  flash.network = options.network;
  flash.dry_run = options.dry_run;
  flash.yes = options.yes;
  return flash;
}

Result<int> run_start(const StartOptions& options) {
  if (!is_root()) return Error("only root can replace the running system; run it with sudo");
  UniqueFd root = TRY(open_root("/"));
  TRY(check_machine(root));
  GivenPayload given = TRY(read_payload(options.payload));
  CheckedSettings checked = TRY(check_settings(options.settings, given.contents.settings));
  if (check_complete(checked.settings).ok()) return flash(as_flash(options));
  StartPlan plan = TRY(make_plan(root, options, std::move(given), checked));
  TRY(check_memory(root, next_system(plan)));
  std::string text = describe(plan);
  std::fwrite(text.data(), 1, text.size(), stderr);
  if (!options.dry_run && !options.yes &&
      !TRY(confirm("This system goes down, and with it all that runs here.", {"yes"}))) {
    return Error("not confirmed");
  }
  HeldSignals until_done;
  if (options.dry_run) {
    TRY(try_to_load(next_system(plan)));
    log_info("dry run: the kernel accepts the payload; nothing was changed");
    return kExitDone;
  }
  TRY(load_and_leave(next_system(plan), [&] {
    log_info("the payload is loaded; this system goes down now. A restart brings it back");
    note_in_kernel_log(concat("start: ", options.payload, " starts now"));
  }));
  return kExitDone;
}

}  // namespace

int start(const StartOptions& options) { return end_of_replacing(run_start(options)); }

}  // namespace curlingiron
