#include "host/next_system.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/settings.h"
#include "host/options.h"
#include "sys/file.h"
#include "sys/memory.h"
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

Result<void> load(const NextSystem& next) {
  UniqueFd root = TRY(open_root("/"));
  // The kernel reads its signature out of the file, wherever that lies.
  UniqueFd kernel =
      next.kernel_bytes.empty()
          ? TRY_CONTEXT(concat("/", next.kernel.path), open_at(root, next.kernel.path, O_RDONLY))
          : TRY(memory_file("kernel", next.kernel_bytes));
  UniqueFd initramfs = TRY(memory_file("initramfs", next.initramfs));
  return kexec_load(kernel, initramfs, std::string(next.command_line))
      .with_context(concat(next.name, " cannot be loaded"));
}

// The service manager stops services and unmounts first, so that an ssh session ends cleanly.
Result<void> leave_for_loaded() {
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

}  // namespace

Result<void> check_machine(const UniqueFd& root) {
  // The first PID namespace has this number (include/uapi/linux/nsfs.h, PROC_PID_INIT_INO).
  constexpr std::string_view kFirst = "pid:[4026531836]";
  if (!exists(root, "sys/block")) {
    return Error(
        "/sys is not mounted here, so this machine's disks cannot be seen; run it on the machine "
        "itself, or mount it with \"mount -t sysfs sysfs /sys\"");
  }
  if (!exists(root, "proc/self/exe")) {
    return Error(
        "/proc is not mounted here; run it on the machine itself, or mount it with \"mount -t proc "
        "proc /proc\"");
  }
  // A kernel without such namespaces has one.
  Result<std::string> processes = read_link(root, "proc/self/ns/pid");
  if (processes.ok() && processes.value() != kFirst) {
    return Error(
        "this is a container (a PID namespace of its own), which has no machine to replace; run it "
        "on the host");
  }
  Result<std::string> disabled = read_line(root, "proc/sys/kernel/kexec_load_disabled");
  if (disabled.ok() && disabled.value() == "1") {
    return Error(
        "kexec is switched off until the next restart (kernel.kexec_load_disabled=1); restart this "
        "machine without that setting, then try again");
  }
  return {};
}

Result<void> check_memory(const UniqueFd& root, const NextSystem& next) {
  uint64_t kernel = next.kernel_bytes.size();
  if (kernel == 0) {
    kernel = TRY_CONTEXT(concat("/", next.kernel.path), file_status(root, next.kernel.path)).size;
  }
  uint64_t initramfs = next.initramfs.size();
  uint64_t loaded = next.kernel.memory_size + initramfs;
  std::string beside = " to be loaded beside this system; ";
  // More than half of it is EINVAL (kernel/kexec_core.c, sanity_check_segment_list).
  if (uint64_t total = total_memory(); loaded > total / 2) {
    return Error(concat("this machine has ", format_size(total), " of memory, and ", next.name,
                        " with its kernel needs ", format_size(2 * loaded), beside,
                        "give the machine more memory meanwhile"));
  }
  // Both files as they are handed over, and as the kernel reads them.
  uint64_t needed = loaded + kernel + 2 * initramfs;
  if (uint64_t available = available_memory_with_swap(); needed > available) {
    return Error(concat("of this machine's memory ", format_size(available), " are free, and ",
                        next.name, " with its kernel needs ", format_size(needed), beside,
                        "stop services that use much of it, then try again"));
  }
  return {};
}

std::string next_command_line(const UniqueFd& root, const std::string& last) {
  static constexpr std::string_view kKept[] = {
      "console=",  "earlycon", "earlyprintk=", "acpi",         "pci",       "noapic",
      "nolapic",   "iommu",    "intel_iommu=", "amd_iommu=",   "nomodeset", "mem=",
      "memmap=",   "video=",   "efi",          "nvme_core.",   "libata.",   "quiet",
      "loglevel=", "debug",    "usbcore.",     "clocksource=", "tsc=",      "nosmp",
      "maxcpus=",  "irqpoll",  "reboot="};
  std::vector<std::string> words;
  std::vector<std::string> own = split_command_line(last);
  Result<std::string> running = read_text(root, "proc/cmdline");
  if (running.ok()) {
    for (const std::string& word : split_command_line(running.value())) {
      bool kept = std::ranges::any_of(
          kKept, [&](std::string_view begin) { return word.starts_with(begin); });
      if (kept && std::ranges::find(own, word) == own.end()) append_unique(words, word);
    }
  }
  auto says = [&](std::string_view begin) {
    auto begins = [&](const std::string& word) { return word.starts_with(begin); };
    return std::ranges::any_of(words, begins) || std::ranges::any_of(own, begins);
  };
  // A framebuffer console takes seconds for what the kernel says while it starts.
  if (!says("quiet") && !says("loglevel=") && !says("debug")) words.emplace_back("loglevel=4");
  // A console that the kernel chose by itself (ACPI SPCR, a device tree) is named, so that it is
  // kept.
  Result<std::string> active = read_line(root, "sys/class/tty/console/active");
  if (!says("console=") && active.ok()) {
    for (std::string_view name : split_blank(active.value())) {
      words.push_back(concat("console=", name));
    }
  }
  std::string line;
  for (const std::string& word : words) {
    // split_command_line() dropped the quotes; a word that is quoted as a whole means the same.
    std::string_view quote = word.find_first_of(" \t") != std::string::npos ? "\"" : "";
    line += concat(quote, word, quote, " ");
  }
  return concat(line, last);
}

Result<void> try_to_load(const NextSystem& next) {
  TRY(load(next));
  return kexec_unload();
}

Result<void> load_and_leave(const NextSystem& next, const std::function<void()>& before_leaving) {
  TRY(load(next));
  before_leaving();
  Result<void> left = leave_for_loaded();
  if (!left.ok()) {
    Result<void> unloaded = kexec_unload();
    if (!unloaded.ok())
      log_warning(concat(next.name, " stays loaded until the next boot"), unloaded.error());
  }
  return left;
}

int end_of_replacing(const Result<int>& result) {
  if (result.ok()) return result.value();
  log_error(concat(result.error().message(), "; nothing was changed"));
  return kExitFailed;
}

void note_in_kernel_log(std::string_view line) {
  Result<UniqueFd> kernel_log = open_path("/dev/kmsg", O_WRONLY);
  if (!kernel_log.ok()) return;
  (void)write_all(kernel_log.value(), as_bytes(concat("<5>curlingiron: ", line, "\n")));
}

}  // namespace curlingiron
