#include "host/flash_plan.h"

#include <fcntl.h>

#include <algorithm>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/boot_mode.h"
#include "disk/preflight.h"
#include "host/coverage.h"
#include "host/image.h"
#include "host/settings.h"
#include "image/stream.h"
#include "net/capture/capture.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/memory.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

// What this machine must be for a flash, before anything is looked at.
Result<void> check_machine(const UniqueFd& root) {
  // The first PID namespace has this number (include/uapi/linux/nsfs.h, PROC_PID_INIT_INO).
  constexpr std::string_view kFirst = "pid:[4026531836]";
  if (!exists(root, "sys/block")) {
    return Error(
        "/sys is not mounted here, so this machine's disks cannot be seen; run it on the machine "
        "itself, or mount it with \"mount -t sysfs sysfs /sys\"");
  }
  Result<std::string> processes = read_link(root, "proc/self/ns/pid");
  if (!processes.ok()) {
    return Error(
        "/proc is not mounted here; run it on the machine itself, or mount it with \"mount -t proc "
        "proc /proc\"");
  }
  if (processes.value() != kFirst) {
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

// The kernel's name of a device node, which may have any other name in /dev.
std::string device_name(const UniqueFd& root, const std::string& path) {
  Result<FileStatus> status = file_status(root, path.substr(1));
  if (status.ok() && status.value().type == FileType::BlockDevice) {
    Result<std::string> link = read_link(root, concat("sys/dev/block/", status.value().device_major,
                                                      ":", status.value().device_minor));
    if (link.ok()) return link.value().substr(link.value().rfind('/') + 1);
  }
  return path.substr(path.rfind('/') + 1);
}

// What the user typed, as this machine's disks go: links in /dev/disk are followed.
Result<Disk> find_disk(const UniqueFd& root, const std::vector<Disk>& disks,
                       const std::string& typed) {
  Result<std::string> real = real_path(typed.starts_with("/") ? typed : concat("/dev/", typed));
  if (!real.ok()) return choose_disk(disks, typed);  // Its error lists those that are there.
  std::string path = std::move(real).value();
  std::string name = device_name(root, path);
  std::string kind = volume_kind(root, name);
  bool partition = exists(root, concat("sys/class/block/", name, "/partition"));
  if (partition) kind = "a partition";
  if (!kind.empty()) {
    std::vector<std::string> under = disks_under(root, name);
    for (std::string& disk : under) disk = concat("/dev/", disk);
    bool several = under.size() > 1;
    return Error(concat(typed, " is ", kind, several ? concat(" of ", join(under, " and ")) : "",
                        "; name ", several ? "one of these disks" : "the whole disk",
                        under.size() == 1 ? concat(", ", under.front()) : ""));
  }
  return choose_disk(disks, typed.starts_with("/") ? path : typed);
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

// At which rate it comes, read for a moment.
void measure_rate(ImageStream& image, FlashPlan& plan) {
  constexpr Duration kMoment = 1s;
  if (image.head().empty()) return;
  uint64_t before = image.downloaded();
  Time start = now();
  ByteVector chunk(1_MiB);
  while (now() - start < kMoment) {
    Result<size_t> n = image.image().read(chunk);
    if (!n.ok() || n.value() == 0) return;  // It is the installer that meets it.
  }
  uint64_t came = image.downloaded() - before;
  constexpr uint64_t kSample = 256_KiB;  // fewer say nothing
  if (came < kSample) return;
  auto per_byte = static_cast<double>((now() - start).count()) / static_cast<double>(came);
  plan.per_mebibyte = Duration(static_cast<int64_t>(per_byte * static_cast<double>(1_MiB)));
}

Result<ImageOrigin> origin_to_fetch(const Settings& settings) {
  ImageOrigin origin = TRY_CONTEXT("IMAGE", parse_origin(settings.sources));
  if (origin.kind != OriginKind::Http) {
    return Error(concat("IMAGE: ", origin.name(),
                        " is gone when this machine's memory is all there is; serve it by http or "
                        "https"));
  }
  return origin;
}

Result<void> prove_source(const UniqueFd& root, const ImageOrigin& origin,
                          const CheckedSettings& checked, FlashPlan& plan) {
  const Settings& settings = checked.settings;
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
  for (size_t i = 1; i < origin.mirrors.size(); ++i) {
    plan.mirrors.push_back(origin.mirrors[i].display());
  }
  plan.source_detail =
      concat(describe_image(*image, settings), ", for a disk of ", format_size(plan.disk.size));
  plan.proof = describe_proof(origin, settings);
  plan.served_size = image->served_size();
  if (image->served_size()) plan.memory_to_keep = image->memory_to_keep();
  measure_rate(*image, plan);
  return {};
}

// Whether the installer, on this machine, proves the image before it writes: it is told to, so that
// what the plan says holds.
Result<void> plan_proof(FlashPlan& plan) {
  if (plan.proof.empty()) {
    plan.proof_detail = concat("no digest is given (", as_typed("sha256=HEX"),
                               "): what is damaged in it may show only while it is written");
    return {};
  }
  // What the installer's kernel keeps for itself and its modules, beside what /init reckons with:
  // 35 MiB of 256, 43 of 512 were measured (Debian 12), and it reserves more where there is more.
  uint64_t total = total_memory();
  uint64_t installer = 64_MiB + total / 64;
  uint64_t room = total > installer ? total - installer : 0;
  bool fits = plan.memory_to_keep != 0 && plan.memory_to_keep <= room;
  ProveWhen wanted = plan.settings.prove;
  std::string total_text = format_size(total);
  // A file of unknown length is one that the installer tries to keep, where that is asked for.
  if (wanted == ProveWhen::First && !fits && plan.served_size) {
    return Error(concat(plan.source, ": ", format_size(*plan.served_size),
                        " with what the installer needs do not fit into this machine's memory of ",
                        total_text, ", so that it cannot be proven first; leave out ",
                        as_typed("prove=first")));
  }
  if (wanted == ProveWhen::First || (fits && wanted != ProveWhen::After)) {
    plan.is_proven_first = true;
    if (wanted != ProveWhen::First) plan.config += TRY(format_setting("prove", "first"));
    plan.proof_detail = concat(plan.served_size ? concat(format_size(*plan.served_size),
                                                         ", fits into this machine's memory")
                                                : "kept in this machine's memory as it comes",
                               ": compared with ", plan.proof, " before the first byte is written");
    return {};
  }
  std::string does_not_fit = concat(format_size(plan.served_size.value_or(0)),
                                    ", does not fit into this machine's memory of ", total_text);
  plan.proof_detail = concat(why_proven_after(plan.served_size, plan.settings, does_not_fit),
                             ": compared with ", plan.proof,
                             " after it is written; if it does not match, this machine will not "
                             "boot and stays up until somebody comes");
  return {};
}

// That the kernel can take in the installer beside this system, without ending other programs for
// it.
Result<void> check_memory(const UniqueFd& root, const FlashPlan& plan) {
  FileStatus kernel =
      TRY_CONTEXT(concat("/", plan.kernel.path), file_status(root, plan.kernel.path));
  uint64_t initramfs = plan.initramfs.bytes.size();
  uint64_t loaded = plan.kernel.memory_size + initramfs;
  std::string beside = " to be loaded beside this system; ";
  // More than half of it is EINVAL (kernel/kexec_core.c, sanity_check_segment_list).
  if (uint64_t total = total_memory(); loaded > total / 2) {
    return Error(concat("this machine has ", format_size(total),
                        " of memory, and the installer with its kernel needs ",
                        format_size(2 * loaded), beside, "give the machine more memory meanwhile"));
  }
  // Both files as they are handed over, and as the kernel reads them.
  uint64_t needed = loaded + kernel.size + 2 * initramfs;
  if (uint64_t available = available_memory_with_swap(); needed > available) {
    return Error(concat("of this machine's memory ", format_size(available),
                        " are free, and the installer with its kernel needs ", format_size(needed),
                        beside, "stop services that use much of it, then try again"));
  }
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

// Settings as they were given, but for what the plan shows elsewhere.
std::vector<std::string> given_settings(const std::string& config) {
  static constexpr std::string_view kElsewhere[] = {"src",  "sha256", "image-sha256",
                                                    "sums", "pubkey", "sig"};
  std::vector<std::string> given;
  for (std::string_view line : split(config, '\n')) {
    std::string_view key = line.substr(0, line.find('='));
    if (key.empty() || std::ranges::find(kElsewhere, key) != std::end(kElsewhere)) continue;
    given.push_back(is_secret_key(key) ? concat(key, "=(not shown)") : printable(line, 100));
  }
  return given;
}

}  // namespace

Result<FlashPlan> make_flash_plan(const FlashOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  TRY(check_machine(root));
  CheckedSettings checked = TRY(check_settings(options.settings));
  ImageOrigin origin = TRY(origin_to_fetch(checked.settings));

  FlashPlan plan;
  plan.settings = checked.settings;
  plan.given = given_settings(checked.config);
  if (!options.settings.ca.empty()) plan.given.push_back(concat("--ca ", options.settings.ca));
  std::vector<Disk> disks = TRY(list_disks(root));
  plan.disk = TRY(find_disk(root, disks, options.disk));
  if (plan.disk.read_only) return Error(concat(plan.disk.path(), ": is read-only"));
  // sda may be sdb in the next kernel: from here on the disk is known by what it is.
  plan.identity = TRY(identity_of(plan.disk, disks));
  plan.parts = parts_of(root, plan.disk.name);
  for (const Disk& disk : disks) {
    if (disk.name != plan.disk.name) plan.others.push_back({disk, parts_of(root, disk.name)});
  }

  KernelName running = TRY(kernel_name());
  plan.kernel = TRY(wanted_kernel_image(root, options.kernel));
  if (plan.kernel.release != running.release) {
    return Error(concat(
        "/", plan.kernel.path, ": is kernel ", plan.kernel.release, ", but ", running.release,
        " runs; restart this machine first, or name the running kernel's image by --kernel FILE"));
  }

  TRY(prove_source(root, origin, checked, plan));

  plan.config = checked.config;
  plan.config += TRY(format_setting("dst", plan.identity));
  KernelNetwork network = TRY_CONTEXT("network", read_kernel_network(root));
  TRY(choose_network(root, options, plan.settings, network, plan));
  // A machine whose battery clock is wrong but that asked a time server still passes a right clock
  // on.
  plan.config += TRY(format_setting("time-floor", concat(wall_clock_seconds())));

  TRY(plan_proof(plan));
  plan.initramfs = TRY(build_installer(root, options, checked, plan));
  TRY(check_memory(root, plan));
  TRY(prove_network(root, cards_of(network), plan));
  plan.command_line = next_command_line(root);
  return plan;
}

}  // namespace curlingiron
