// /init: PID 1 of the initramfs. It proves that everything works, writes the image, proves that it
// is there, and restarts the machine into it.
#include <cstdlib>
#include <exception>

#include "init/open_settings.h"
#include "init/phases.h"
#include "init/rescue.h"
#include "init/rescue_system.h"
#include "sys/power.h"
#include "sys/process.h"

// Nothing is thrown in here, so nobody reads what the C++ library would say of it: its handler, and
// the demangler that it needs, are 1% of the initramfs.
void __gnu_cxx::__verbose_terminate_handler() { std::abort(); }

// The tables for exceptions are stripped (CMakeLists.txt). The start files would register them, and
// read a word where they were: it may lie on a page that is not there any more.
extern "C" void __wrap___register_frame_info(const void* /*begin*/, void* /*object*/) {}
extern "C" void* __wrap___deregister_frame_info(const void* /*begin*/) { return nullptr; }

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

// What is to be done. Nothing is written in here, as in prove_everything(); what was proven before
// a failure is left in `proven`.
Result<void> find_out(Journal& journal, Proven& proven) {
  // Without /proc, /sys and /dev nothing can be seen.
  proven.mounts = TRY(run_phase(journal, "mounts", [] { return mount_kernel_file_systems(); }));
  journal.open_consoles(proven.mounts.root);

  // What is to be done, and whether this initramfs belongs to this kernel.
  proven.configuration =
      TRY(run_phase(journal, "config", [&] { return read_configuration(proven.mounts); }));

  // From here on a hang ends in the old system.
  proven.dead_man = TRY(DeadMan::start(journal, proven.configuration.deadline + kDeadManGrace));

  // Drivers go on loading during the phases that follow.
  proven.drivers = TRY(run_phase(
      journal, "drivers", [&] { return load_drivers(proven.mounts, proven.configuration); }));

  // What to install where may have been left open.
  if (!check_complete(proven.configuration.settings).ok()) {
    TRY(run_phase(journal, "settings", [&] {
      return find_settings(*proven.dead_man, proven.mounts, proven.configuration, proven.drivers);
    }));
  }
  return {};
}

Result<void> prove_everything(Journal& journal, Proven& proven) {
  proven.joined = TRY(run_phase(journal, "network", [&] {
    return join_network(proven.mounts, proven.configuration, proven.drivers);
  }));

  // The server is who it says it is, the image is there, and its first bytes make sense.
  proven.source = TRY(run_phase(journal, "source", [&] {
    return prove_source(journal, *proven.dead_man, proven.configuration, proven.joined);
  }));

  // The disk is the one that was meant, nobody else uses it, and the image fits.
  proven.disk = TRY(run_phase(journal, "disk", [&]() -> Result<ProvenDisk> {
    ProvenDisk disk =
        TRY(prove_disk(proven.mounts, proven.configuration, proven.drivers, proven.source));
    // The download went on meanwhile. From here on it is retried without end; had it failed for
    // good, this is the last moment at which that costs nothing.
    proven.source.image->set_deadline(std::nullopt);
    if (std::optional<Error> failure = proven.source.image->failure()) return *failure;
    return disk;
  }));

  // All of the image is what was meant, where memory holds it.
  if (proven.source.image->rehearsal() != Rehearsal::None) {
    TRY(run_phase(journal, "proof", [&] {
      return prove_image(journal, *proven.dead_man, proven.configuration, proven.source,
                         proven.disk);
    }));
  }
  return {};
}

// The old system is gone; the new one is there when this returns without an error.
Result<void> install_proven(Journal& journal, Proven& proven) {
  // The commit point: the old partition table goes, and with it the way back.
  journal.begin("install");
  Result<BegunInstallation> begun = commit(*proven.dead_man, proven.source, proven.disk);
  if (!begun.ok()) {
    journal.failed("install", begun.error());
    return begun.error();
  }

  // All but the first and last MiB: the disk cannot boot yet.
  Installed installed = TRY(run_phase(
      journal, "install", [&] { return install(journal, begun.value(), proven.source); }));

  // Digest and read-back first, then the withheld ends, but for the first sector.
  Verified verified = TRY(run_phase(journal, "verify", [&] {
    return verify(journal, proven.configuration, installed, proven.disk);
  }));
  // What the user puts into its file systems, while the disk boots nothing yet.
  if (proven.disk.put) {
    TRY(run_phase(journal, "put", [&] { return put_files(proven.disk, verified); }));
  }

  // The first sector: from here on the disk can boot.
  TRY(run_phase(journal, "finish",
                [&] { return finish(proven.mounts, proven.disk, std::move(verified)); }));
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

// Before the commit point: every way leads back into the old system.
[[noreturn]] void after_unproven(Journal& journal, Proven& proven) {
  // The phases are over, and a shell may take its time.
  proven.dead_man.reset();
  if (proven.configuration.settings.on_failure == AfterFailure::Shell) {
    // Unattended machines must not stay away: somebody has to ask for it.
    Result<Rescue> rescue =
        offer_shell(journal, proven.mounts.root, {kShellPatience, "the old system starts again"});
    if (!rescue.ok()) log_error(rescue.error().message());
  }
  log_error("nothing was written; the old system starts again");
  journal.flush_for_readers();
  leave_machine(journal, Leave::Restart);
}

// After the commit point.
[[noreturn]] void after_failure(Journal& journal, Proven& proven) {
  switch (proven.configuration.settings.on_failure) {
    case AfterFailure::Reboot: leave_machine(journal, Leave::Restart);
    case AfterFailure::PowerOff: leave_machine(journal, Leave::PowerOff);
    case AfterFailure::Hold: break;
    case AfterFailure::Shell: {
      // A shell may want the disk.
      proven.disk.writer.reset();
      proven.disk.target.reset();
      log_error("the disk does not hold a whole system and will not boot");
      Result<Rescue> rescue = Rescue::Ended;
      while (rescue.ok() && rescue.value() == Rescue::Ended) {
        rescue = offer_shell(journal, proven.mounts.root, {std::nullopt, "the machine stays up"});
      }
      if (!rescue.ok()) log_error(rescue.error().message());
      break;
    }
  }
  log_error(
      "the disk does not hold a whole system and will not boot; the machine stays up "
      "(onfail=hold). Mend the cause, then write the image from a rescue system, or start an "
      "installer from the network or a stick");
  hold();
}

[[noreturn]] void run_boot() {
  Journal journal;
  set_log_sink(&journal);
  ignore_broken_pipes();

  Proven proven;
  if (!find_out(journal, proven).ok()) after_unproven(journal, proven);
  if (!check_complete(proven.configuration.settings).ok()) {
    // Nobody waits for anything any more.
    proven.dead_man.reset();
    run_rescue_system(journal, proven.mounts, proven.configuration);
  }
  if (!prove_everything(journal, proven).ok()) after_unproven(journal, proven);
  if (!install_proven(journal, proven).ok()) after_failure(journal, proven);

  proven.joined.network->leave();
  leave_machine(journal, leave_for(proven.configuration.settings.after));
}

}  // namespace
}  // namespace curlingiron

int main(int argc, char** argv) {
  // The kernel runs this program for request_module(), too: then it is not PID 1.
  if (!curlingiron::is_init_process()) return curlingiron::load_on_request(argc, argv);
  curlingiron::run_boot();
}
