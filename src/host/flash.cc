#include "host/flash.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/boot_mode.h"
#include "disk/choose.h"
#include "disk/in_use.h"
#include "disk/preflight.h"
#include "host/coverage.h"
#include "host/image.h"
#include "host/machine.h"
#include "host/settings.h"
#include "image/stream.h"
#include "net/capture/capture.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/power.h"
#include "sys/process.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// What was proven and made, in the order in which it is shown.
struct FlashPlan {
  Disk disk;
  std::string identity;
  std::vector<std::string> uses;  // "vda3 is mounted on /"
  std::string source;
  std::string source_detail;
  std::string proof;  // what the image is proven by; empty: nothing
  std::string served = "a file of unknown length";
  uint64_t memory_to_keep = 0;  // bytes; 0: the file's length is not known
  std::string proof_detail;     // when it is proven, and what comes of it
  KernelImage kernel;
  std::vector<std::string> cards;
  NetworkConfig network;   // as captured or of a file; empty: the settings describe one
  std::string network_of;  // for people: where it comes from
  std::string config;
  Initramfs initramfs;
  std::string command_line;
};

// What the user typed, as this machine's disks go: links in /dev/disk are followed.
Result<Disk> find_disk(const UniqueFd& root, const std::vector<Disk>& disks,
                       const std::string& typed) {
  if (!typed.starts_with("/")) return choose_disk(disks, typed);
  std::string path = TRY(real_path(typed));
  std::string name = path.substr(path.rfind('/') + 1);
  if (exists(root, concat("sys/class/block/", name, "/partition"))) {
    std::string parent = TRY(real_path(concat("/sys/class/block/", name, "/..")));
    return Error(concat(typed, " is a partition; name the whole disk, /dev/",
                        parent.substr(parent.rfind('/') + 1)));
  }
  return choose_disk(disks, path);
}

// Settings of the running kernel that the next one needs to find its hardware and its consoles.
std::string next_command_line(const UniqueFd& root) {
  static constexpr std::string_view kKept[] = {
      "console=",  "earlycon", "earlyprintk=", "acpi",         "pci",       "noapic",
      "nolapic",   "iommu",    "intel_iommu=", "amd_iommu=",   "nomodeset", "mem=",
      "memmap=",   "video=",   "efi",          "nvme_core.",   "libata.",   "quiet",
      "loglevel=", "debug",    "usbcore.",     "clocksource=", "tsc=",      "nosmp",
      "maxcpus=",  "irqpoll",  "reboot="};
  std::string line;
  bool console = false;
  Result<std::string> running = read_text(root, "proc/cmdline");
  if (running.ok()) {
    for (const std::string& word : split_command_line(running.value())) {
      for (std::string_view kept : kKept) {
        if (!word.starts_with(kept)) continue;
        // split_command_line() dropped the quotes; a word that is quoted as a whole means the same.
        std::string_view quote = word.find_first_of(" \t") != std::string::npos ? "\"" : "";
        line += concat(line.empty() ? "" : " ", quote, word, quote);
        console = console || word.starts_with("console=");
        break;
      }
    }
  }
  // A framebuffer console takes seconds for what the kernel says while it starts.
  bool says_level = line.find("quiet") != std::string::npos ||
                    line.find("loglevel=") != std::string::npos ||
                    line.find("debug") != std::string::npos;
  if (!says_level) line += concat(line.empty() ? "" : " ", "loglevel=4");
  // A console that the kernel chose by itself (ACPI SPCR, a device tree) is named, so that it is
  // kept.
  Result<std::string> active = read_line(root, "sys/class/tty/console/active");
  if (!console && active.ok()) {
    for (std::string_view name : split_blank(active.value())) {
      line += concat(line.empty() ? "" : " ", "console=", name);
    }
  }
  // What goes wrong before /init runs ends in the old system, too.
  line += " panic=30 oops=panic";
  return line;
}

Result<void> prove_source(const UniqueFd& root, const CheckedSettings& checked, FlashPlan& plan) {
  const Settings& settings = checked.settings;
  ImageOrigin origin = TRY_CONTEXT("IMAGE", parse_origin(settings.sources));
  if (origin.kind != OriginKind::Http) {
    return Error(concat("IMAGE: ", origin.name(),
                        " is gone when this machine's memory is all there is; serve it by http or "
                        "https"));
  }
  std::unique_ptr<ImageStream> image = TRY(open_image(origin, checked, ImageUse::Inspect));
  if (!image->head().empty()) {
    TRY(check_image_fits(image->head(), image->least_image_size(), plan.disk));
    if (!settings.any_boot_mode) TRY(check_boots_here(root, image->head(), plan.disk));
  } else if (image->least_image_size() > plan.disk.size) {
    return Error(concat(plan.disk.path(), ": ", format_size(plan.disk.size),
                        " is smaller than the image of ", format_size(*image->least_image_size()),
                        "; choose a larger disk"));
  }
  plan.source = origin.name();
  plan.source_detail = describe_image(*image, settings);
  plan.proof = describe_proof(settings);
  if (image->served_size()) {
    plan.memory_to_keep = image->memory_to_keep();
    plan.served = format_size(*image->served_size());
  }
  return {};
}

// Whether the installer, on this machine, proves the image before it writes: it is told to, so that
// what the plan says holds.
Result<void> plan_proof(const Settings& settings, FlashPlan& plan) {
  if (plan.proof.empty()) return {};
  // What the installer's kernel takes with its modules, beside what /init reckons with.
  constexpr uint64_t kInstaller = 64_MiB;
  uint64_t total = total_memory();
  uint64_t room = total > kInstaller ? total - kInstaller : 0;
  bool fits = plan.memory_to_keep != 0 && plan.memory_to_keep <= room;
  if (settings.prove == ProveWhen::First && !fits) {
    return Error(concat(plan.source, ": ", plan.served,
                        " and what the installer needs do not fit "
                        "into this machine's memory of ",
                        format_size(total),
                        ", so that it cannot be proven first; leave out prove=first"));
  }
  if (fits && settings.prove != ProveWhen::After) {
    if (settings.prove != ProveWhen::First) plan.config += TRY(format_setting("prove", "first"));
    plan.proof_detail = concat(plan.served, ", fits into this machine's memory: proven by ",
                               plan.proof, " before the first byte is written");
    return {};
  }
  plan.proof_detail = concat(
      settings.prove == ProveWhen::After ? "prove=stream" : plan.served,
      settings.prove == ProveWhen::After ? "" : " does not fit into this machine's memory",
      ": compared with ", plan.proof,
      " after it is written; if it does not match, this machine will not boot and stays up until "
      "somebody comes");
  return {};
}

// "eth0 (e1000), 52:54:00:12:34:56, no carrier"
std::string describe_card(const UniqueFd& root, const Link& card) {
  Result<std::string> driver =
      read_link(root, concat("sys/class/net/", card.name, "/device/driver"));
  std::string name = driver.ok() ? driver.value().substr(driver.value().rfind('/') + 1) : "?";
  return concat(card.name, " (", name, "), ", format_mac(card.permanent_mac.value_or(card.mac)),
                card.carrier ? "" : ", no carrier");
}

Result<void> prove_network(const UniqueFd& root, const std::vector<Link>& cards, FlashPlan& plan) {
  bool usable = false;
  for (const Link& card : cards) {
    std::string sysfs = concat("/sys/class/net/", card.name);
    Result<std::string> device = real_path(concat(sysfs, "/device"));
    if (!device.ok()) continue;
    std::vector<DrivenDevice> chain = TRY(driven_devices(root, device.value().substr(1)));
    // A PHY hangs beside its card, on a bus of its own.
    if (Result<std::string> phy = real_path(concat(sysfs, "/phydev")); phy.ok()) {
      std::vector<DrivenDevice> more = TRY(driven_devices(root, phy.value().substr(1)));
      chain.insert(chain.end(), more.begin(), more.end());
    }
    Result<void> covered = check_covered(card.name, chain, plan.initramfs);
    if (!covered.ok() && card.carrier) return covered;
    plan.cards.push_back(describe_card(root, card));
    usable = usable || (covered.ok() && card.carrier);
  }
  if (!usable)
    return Error("no Ethernet card with a carrier; the installer needs one to fetch the image");
  return {};
}

// The user's file or settings, else what this machine has.
Result<void> choose_network(const UniqueFd& root, const FlashOptions& options,
                            const Settings& settings, const KernelNetwork& state, FlashPlan& plan) {
  if (settings.network.says_how()) {
    if (!options.network.empty()) {
      return Error("--network and --set both give a network; give one of them");
    }
    plan.network_of = "set up as --set says";
    return {};
  }
  if (!options.network.empty()) {
    plan.network = TRY(load_network(options.network));
    plan.network_of = concat("set up as in ", options.network);
    return {};
  }
  CapturedNetwork captured = config_of(state, read_resolver_files(root));
  for (const std::string& note : captured.notes) log_info(note);
  TRY_CONTEXT("the network as captured", check_network_config(captured.config));
  plan.network = std::move(captured.config);
  plan.network_of = "set up as on this machine now:";
  return {};
}

// The initramfs for this machine, proven to hold the disk's drivers.
Result<Initramfs> build_installer(const UniqueFd& root, const FlashOptions& options,
                                  const CheckedSettings& checked, const FlashPlan& plan) {
  InitramfsPlan build;
  build.init.assign(embedded_init().begin(), embedded_init().end());
  build.release = plan.kernel.release;
  build.modaliases = TRY(hardware_modaliases(root));
  for (const std::string& name : options.also) build.profiles.push_back(TRY(parse_profile(name)));
  build.modules = options.modules;
  build.extras = TRY(collect_added(root, options.add, checked.settings));
  build.config = plan.config;
  set_network(plan.network, checked.settings, build);
  // A plain URL may lead to an https one.
  build.ca_bundle = checked.ca_bundle;
  build.client_certificate = checked.client_certificate;
  build.signatures = signatures_for(root, false);
  // Built once and read once: quick matters here, small does not.
  std::optional<std::vector<Compression>> compressors =
      TRY(kernel_decompressors(root, plan.kernel.release));
  build.compression = quickest_compression(compressors);
  build.effort = Effort::Fast;
  Initramfs initramfs = TRY(build_initramfs(root, build));
  std::string device = TRY(real_path(concat("/sys/block/", plan.disk.name, "/device")));
  TRY(check_covered(plan.disk.path(), TRY(devices_behind(root, device.substr(1))), initramfs));
  return initramfs;
}

Result<FlashPlan> make_plan(const FlashOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  CheckedSettings checked = TRY(check_settings(options.settings));
  const Settings& settings = checked.settings;

  FlashPlan plan;
  std::vector<Disk> disks = TRY(list_disks(root));
  plan.disk = TRY(find_disk(root, disks, options.disk));
  if (plan.disk.read_only) return Error(concat(plan.disk.path(), ": is read-only"));
  // sda may be sdb in the next kernel: from here on the disk is known by what it is.
  plan.identity = TRY(identity_of(plan.disk, disks));
  plan.uses = uses_of(root, plan.disk.name);

  TRY(prove_source(root, checked, plan));

  KernelName running = TRY(kernel_name());
  plan.kernel = TRY(wanted_kernel_image(root, options.kernel));
  if (plan.kernel.release != running.release) {
    return Error(
        concat(plan.kernel.path, ": is kernel ", plan.kernel.release, ", but ", running.release,
               " runs; reboot into it first, or name the running kernel's image with --kernel"));
  }

  plan.config = checked.config;
  plan.config += TRY(format_setting("dst", plan.identity));
  KernelNetwork network = TRY_CONTEXT("network", read_kernel_network(root));
  TRY(choose_network(root, options, settings, network, plan));
  // A machine whose battery clock is wrong but that asked a time server still passes a right clock
  // on.
  plan.config += TRY(format_setting("time-floor", concat(wall_clock_seconds())));

  TRY(plan_proof(settings, plan));
  plan.initramfs = TRY(build_installer(root, options, checked, plan));
  TRY(prove_network(root, cards_of(network), plan));
  plan.command_line = next_command_line(root);
  return plan;
}

void show(const FlashPlan& plan) {
  std::string text = concat("This replaces everything on\n  disk      /dev/", plan.disk.describe(),
                            "\n            known to the installer as ", plan.identity, "\n");
  for (const std::string& use : plan.uses) text += concat("            ", use, "\n");
  text += concat("with\n  image     ", plan.source, "\n            ", plan.source_detail, "\n");
  if (!plan.proof_detail.empty()) text += concat("            ", plan.proof_detail, "\n");
  text += concat("by starting\n  kernel    ", plan.kernel.release, " (/", plan.kernel.path,
                 ")\n  initramfs ", format_size(plan.initramfs.bytes.size()), ", ",
                 plan.initramfs.modules.size(), " modules\n");
  for (const std::string& card : plan.cards) text += concat("  network   ", card, "\n");
  text += concat("            ", plan.network_of, "\n");
  std::string network = describe_network(plan.network);
  for (std::string_view line : split(network, '\n')) {
    if (!line.empty()) text += concat("            ", line, "\n");
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
}

Result<UniqueFd> memory_file(const std::string& name, ConstBytes bytes) {
  UniqueFd file = TRY_CONTEXT(name, create_memory_file(name));
  TRY_CONTEXT(name, write_all(file, bytes));
  // The writable descriptor must be gone before the kernel takes the file.
  return reopen_read_only(file);
}

Result<void> load_installer(const FlashPlan& plan) {
  UniqueFd root = TRY(open_root("/"));
  UniqueFd kernel = TRY_CONTEXT(plan.kernel.path, open_at(root, plan.kernel.path, O_RDONLY));
  UniqueFd initramfs = TRY(memory_file("initramfs", plan.initramfs.bytes));
  return kexec_load(kernel, initramfs, plan.command_line)
      .with_context("the installer cannot be loaded");
}

// The service manager stops services and unmounts first, so that an ssh session ends cleanly.
Result<void> leave_for_installer() {
  UniqueFd root = TRY(open_root("/"));
  if (exists(root, "run/systemd/system") && program_exists("systemctl")) {
    int status = TRY(run_program({"systemctl", "kexec"}));
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
  FlashPlan plan = TRY(make_plan(options));
  show(plan);
  for (const std::string& warning : plan.initramfs.warnings) log_warning(warning);
  if (!options.dry_run && !options.yes && !TRY(confirm_overwrite(plan.disk.path()))) {
    return Error("not confirmed; nothing was changed");
  }
  HeldSignals until_done;
  if (options.dry_run) {
    TRY(load_installer(plan));
    TRY(kexec_unload());
    log_info("dry run: the kernel accepts the installer; nothing was changed");
    return kExitDone;
  }
  log_info(concat("this machine goes down now and comes back as ", plan.source));
  TRY(load_and_leave(plan));
  return kExitDone;
}

}  // namespace

int flash(const FlashOptions& options) {
  Result<int> result = run_flash(options);
  if (result.ok()) return result.value();
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
