#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "host/flash_plan.h"
#include "host/plan_lines.h"

namespace curlingiron {
namespace {

// "vda2: 20.0 GiB, ext4, mounted on /", and what lies on it by way of layers on lines of its own.
void add_part(const DiskPart& part, std::string& text) {
  constexpr size_t kDeeper = 2;
  std::string line = concat(part.name, ": ", format_size(part.size));
  if (!part.content.empty()) line += concat(", ", part.content);
  std::vector<std::string> layered;
  for (const std::string& use : part.uses) {
    if (!is_plain_use(use)) {
      layered.push_back(use);
    } else if (use == part.content) {
      line += ", in use";  // swap
    } else {
      line += concat(", ", use);
    }
  }
  if (part.content.empty() && part.uses.empty()) line += ", no file system that is known";
  add_line(text, "", line, 0, kDeeper);
  for (const std::string& use : layered) add_line(text, "", use, kDeeper, kDeeper);
}

bool firmware_starts_new(const FlashPlan& plan) {
  return plan.firmware && plan.firmware->starts_new_system();
}

void add_staying(const FlashPlan& plan, const StayingDisk& other, bool running, std::string& text) {
  add_line(text, "stays", concat("/dev/", other.disk.describe()));
  std::vector<std::string> shared = shared_layers(plan.parts, other.parts);
  if (!shared.empty()) {
    add_line(text, "",
             concat("what lies on both disks loses its part on ", plan.disk.path(), ": ",
                    join(shared, ", ")));
  }
  if (running && !firmware_starts_new(plan) &&
      std::ranges::any_of(other.parts, &DiskPart::holds_root)) {
    add_line(text, "",
             concat("this system runs from it, too: the firmware may start this system again, "
                    "unless it is told to start from ",
                    plan.disk.path()));
  }
}

void add_disk(const FlashPlan& plan, std::string& text) {
  add_line(text, "disk", concat("/dev/", plan.disk.describe()));
  bool running = std::ranges::any_of(plan.parts, &DiskPart::holds_root);
  std::string_view elsewhere =
      firmware_starts_new(plan)
          ? "this system's root is not on it"
          : "this system's root is not on it: the firmware may start this system again, "
            "unless it is told to start from that disk";
  add_line(text, "", running ? "this system runs from it" : elsewhere);
  add_line(text, "", concat("the installer finds it by ", plan.identity));
  if (plan.parts.empty()) add_line(text, "", "nothing that is known lies on it");
  for (const DiskPart& part : plan.parts) add_part(part, text);
  for (const StayingDisk& other : plan.others) add_staying(plan, other, running, text);
}

std::string describe_firmware(const FirmwarePlan& firmware) {
  std::string line = firmware.gets_entry
                         ? "gets an entry for the new system, first in its boot order"
                         : "gets no entry: the image has no EFI system partition";
  if (!firmware.why_unknown.empty()) {
    return concat(line, "; its old entries cannot be read here (", firmware.why_unknown, ")");
  }
  if (firmware.dead == 0) return line;
  return concat(line, "; ",
                plural(firmware.dead, "old entry of this disk is", "old entries of this disk are"),
                " removed");
}

std::string after_failure(AfterFailure how) {
  switch (how) {
    case AfterFailure::Hold:
      return "the disk holds no system, and this machine stays up until somebody looks at its "
             "console (onfail=hold)";
    case AfterFailure::Reboot:
      return "the disk holds no system, and this machine restarts (onfail=reboot)";
    case AfterFailure::PowerOff:
      return "the disk holds no system, and this machine goes off (onfail=poweroff)";
    case AfterFailure::Shell:
      return "the disk holds no system, and a shell waits on the console (onfail=shell)";
  }
  __builtin_unreachable();
}

}  // namespace

std::optional<Duration> expected_time(const FlashPlan& plan) {
  // Two restarts: of the installer's kernel, and of the machine with its firmware.
  constexpr Duration kRestarts = 60s;
  if (!plan.served_size || plan.per_mebibyte == Duration::zero()) return std::nullopt;
  return kRestarts + plan.per_mebibyte * static_cast<int64_t>(*plan.served_size / 1_MiB + 1);
}

std::string describe(const FlashPlan& plan) {
  std::string text = "This replaces everything on\n";
  add_disk(plan, text);
  text += "with\n";
  add_line(text, "image", plan.source);
  for (const std::string& mirror : plan.mirrors) add_line(text, "", concat("or ", mirror));
  add_line(text, "", plan.source_detail);
  if (!plan.proof_detail.empty()) add_line(text, "", plan.proof_detail);
  add_hand_over(text, plan.hand_over.lines());
  if (plan.firmware) add_line(text, "firmware", describe_firmware(*plan.firmware));
  text += "by starting\n";
  add_line(text, "kernel", concat(plan.kernel.release, " (/", plan.kernel.path, ")"));
  add_line(text, "initramfs",
           concat(format_size(plan.initramfs.bytes.size()), ", ",
                  plural(plan.initramfs.modules.size(), "module", "modules")));
  add_network(text, plan.cards, plan.network);
  if (!plan.given.empty()) add_line(text, "settings", join(plan.given, ", "));
  if (std::optional<Duration> time = expected_time(plan)) {
    add_line(text, "time",
             concat("about ", format_duration(*time), ", at the ",
                    format_rate(1_MiB, plan.per_mebibyte), " measured just now, with two restarts",
                    plan.is_proven_first ? "; the writing comes after it" : ""));
  }
  text += "If something fails\n";
  add_line(text, "before",
           concat("the first byte is written (at most ", format_duration(plan.settings.deadline),
                  " without progress): this system starts again, unchanged"));
  add_line(text, "after", concat("that: ", after_failure(plan.settings.on_failure)));
  return text;
}

}  // namespace curlingiron
