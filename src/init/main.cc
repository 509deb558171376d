// /init: PID 1 of the initramfs. It proves that everything works, writes the image, proves that it
// is there, and restarts the machine into it.
#include "init/phases.h"
#include "sys/power.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

// Everything that was proven before the commit point, in the order in which it was.
struct Proven {
  Mounts mounts;
  Configuration configuration;
  std::unique_ptr<DeadMan> dead_man;
  DriversRunning drivers;
  Joined joined;
  ProvenSource source;
  ProvenDisk disk;
};

// A hang is noticed a little after the phases' own deadline: their message is the better one.
constexpr Duration kDeadManGrace = std::chrono::seconds(15);

// Runs one phase and says how it ended.
template <typename Phase>
auto run_phase(Journal& journal, std::string_view name, Phase phase) {
  journal.begin(name);
  auto evidence = phase();
  if (evidence.ok()) {
    journal.ok(name, evidence.value().facts());
  } else {
    journal.failed(name, evidence.error());
  }
  return evidence;
}

// Nothing is written in here.
Result<Proven> prove_everything(Journal& journal) {
  Proven proven;
  // Without /proc, /sys and /dev nothing can be seen.
  proven.mounts = TRY(run_phase(journal, "mounts", [] { return mount_kernel_file_systems(); }));
  journal.open_consoles(proven.mounts.root);

  // What is to be done, and whether this initramfs belongs to this kernel.
  proven.configuration =
      TRY(run_phase(journal, "config", [&] { return read_configuration(proven.mounts); }));

  // From here on a hang ends in the old system.
  proven.dead_man = TRY(DeadMan::start(journal, proven.configuration.deadline + kDeadManGrace));

  // Drivers go on loading behind the phases that follow.
  proven.drivers = TRY(run_phase(
      journal, "drivers", [&] { return load_drivers(proven.mounts, proven.configuration); }));
  proven.joined = TRY(run_phase(journal, "network", [&] {
    return join_network(proven.mounts, proven.configuration, proven.drivers);
  }));

  // The server is who it says it is, the image is there, and its first bytes make sense.
  proven.source = TRY(run_phase(journal, "source", [&] {
    return prove_source(proven.mounts, proven.configuration, proven.joined);
  }));

  // The disk is the one that was meant, nobody else uses it, and the image fits.
  proven.disk = TRY(run_phase(journal, "disk", [&] {
    return prove_disk(proven.mounts, proven.configuration, proven.drivers, proven.source);
  }));
  return proven;
}

// The old system is gone; the new one is there when this returns without an error.
Result<void> install_proven(Journal& journal, Proven& proven) {
  // The commit point: the old partition table goes, and with it the way back.
  journal.begin("install");
  Result<Committed> committed = commit(*proven.dead_man, proven.source, proven.disk);
  if (!committed.ok()) {
    journal.failed("install", committed.error());
    return committed.error();
  }

  // All but the first and last MiB: the disk cannot boot yet.
  Installed installed = TRY(run_phase(
      journal, "install", [&] { return install(journal, committed.value(), proven.source); }));

  // Digest and read-back first, then the withheld ends: from here on the disk can boot.
  Verified verified = TRY(run_phase(journal, "verify", [&] {
    return verify(journal, proven.configuration, committed.value(), proven.source, installed);
  }));
  TRY(run_phase(journal, "finish", [&] {
    return finish(proven.mounts, std::move(committed).value(), std::move(proven.disk), verified);
  }));
  return {};
}

Leave leave_for(AfterSuccess after) {
  switch (after) {
    case AfterSuccess::Reboot: return Leave::Restart;
    case AfterSuccess::PowerOff: return Leave::PowerOff;
    case AfterSuccess::Halt: return Leave::Halt;
  }
  return Leave::Restart;
}

std::string_view leave_name(Leave how) {
  switch (how) {
    case Leave::Restart: return "reboot";
    case Leave::PowerOff: return "poweroff";
    case Leave::Halt: return "halt";
    case Leave::Kexec: return "kexec";
  }
  return "reboot";
}

[[noreturn]] void leave_machine(Journal& journal, Leave how) {
  journal.ok("leave", {{"how", std::string(leave_name(how))}});
  journal.flush();
  // Everything written is on its medium already: no sync(2), which may hang on a disk of no
  // concern.
  Error refused = how == Leave::Restart ? restart_at_once() : leave(how);
  journal.failed("leave", refused);
  hold();
}

[[noreturn]] void after_failure(Journal& journal, AfterFailure policy) {
  switch (policy) {
    case AfterFailure::Reboot: leave_machine(journal, Leave::Restart);
    case AfterFailure::PowerOff: leave_machine(journal, Leave::PowerOff);
    case AfterFailure::Hold: break;
  }
  log_error(
      "the disk does not hold a whole system and will not boot; the machine stays up "
      "(onfail=hold). "
      "Mend the cause, then start this installer again");
  hold();
}

[[noreturn]] void run_boot() {
  Journal journal;
  set_log_sink(&journal);
  ignore_broken_pipes();

  Result<Proven> proven = prove_everything(journal);
  if (!proven.ok()) {
    log_error("nothing was written; the old system starts again");
    journal.flush_for_readers();
    leave_machine(journal, Leave::Restart);
  }

  AfterFailure policy = proven.value().configuration.settings.on_failure;
  Result<void> installed = install_proven(journal, proven.value());
  if (!installed.ok()) after_failure(journal, policy);

  proven.value().joined.network->leave();
  leave_machine(journal, leave_for(proven.value().configuration.settings.after));
}

}  // namespace
}  // namespace curlingiron

int main(int argc, char** argv) {
  // The kernel runs this program for request_module(), too: then it is not PID 1.
  if (!curlingiron::is_init_process()) return curlingiron::load_on_request(argc, argv);
  curlingiron::run_boot();
}
