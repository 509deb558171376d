#include "host/flash_plan.h"

#include <fcntl.h>

#include <algorithm>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/boot_entries.h"
#include "disk/boot_mode.h"
#include "disk/preflight.h"
#include "formats/payload_layout.h"
#include "host/given_payload.h"
#include "host/image.h"
#include "host/settings.h"
#include "image/stream.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/memory.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

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
  if (settings.sources.empty()) return Error("no image is given; name its URL, and then the disk");
  ImageOrigin origin = TRY_CONTEXT("IMAGE", parse_origin(settings.sources));
  if (origin.kind != OriginKind::Http) {
    return Error(concat("IMAGE: ", origin.name(),
                        " is gone when this machine's memory is all there is; serve it by http or "
                        "https"));
  }
  return origin;
}

// Returns the image's first bytes; none where they cannot be had before all of it.
Result<ByteVector> prove_source(const UniqueFd& root, const ImageOrigin& origin,
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
  ByteVector head(image->head().begin(), image->head().end());
  measure_rate(*image, plan);
  return head;
}

// What the new system is given of this machine, and how its partitions lie on the disk.
Result<void> plan_new_system(const UniqueFd& root, const FlashOptions& options, ConstBytes head,
                             FlashPlan& plan) {
  NetworkConfig network = plan.settings.network;
  network.complete_from(plan.network.config);
  Seed seed =
      TRY(make_seed(root, options.hand_over, TakeFromHere::Yes, network, plan.disk.logical_sector));
  PutFiles put = TRY(collect_puts(root, options.hand_over));
  if (head.empty()) {
    std::string why = "the image's partition table is not known before all of it was fetched";
    if (seed.is_asked_for) return Error(concat("the seed has no place: ", why, "; use --no-seed"));
    if (!put.archive.empty()) return Error(concat("--put: ", why));
    plan.hand_over.seed.notes = {concat("nothing of this machine is handed over: ", why)};
    return {};
  }
  plan.hand_over =
      TRY(plan_hand_over(std::move(seed), std::move(put), head, plan.settings, plan.disk));
  return {};
}

// As the installer will find it. `head`: of the image; empty where it is not known yet.
std::optional<FirmwarePlan> plan_firmware(const UniqueFd& root, ConstBytes head, const Disk& disk) {
  if (machine_boot_mode(root) != BootMode::Uefi) return std::nullopt;
  FirmwarePlan plan;
  std::vector<EfiPartition> after = efi_partitions(head, disk.logical_sector);
  plan.gets_entry = head.empty() || std::ranges::any_of(after, &EfiPartition::is_system);
  Result<BootEntries> entries = [&]() -> Result<BootEntries> {
    return read_boot_entries(*TRY(open_efi_variables(root, kEfiVariablesPath)));
  }();
  if (!entries.ok()) {
    plan.why_unknown = entries.error().message();
  } else if (entries.value().entries.empty() && entries.value().order.empty()) {
    plan.why_unknown = concat("/", kEfiVariablesPath, " is empty: is efivarfs mounted?");
  } else {
    plan.dead = dead_entries(entries.value(), read_efi_partitions(root, disk), after).size();
  }
  return plan;
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
  uint64_t installer = 64_MiB + total / 64 + 2 * plan.hand_over.put.archive.size();
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

// The initramfs for this machine.
Result<Initramfs> build_installer(const UniqueFd& root, const FlashOptions& options,
                                  const CheckedSettings& checked, const FlashPlan& plan) {
  InitramfsPlan build;
  build.init.assign(embedded_init().begin(), embedded_init().end());
  build.release = plan.kernel.release;
  build.modaliases = TRY(hardware_modaliases(root));
  for (const std::string& name : options.also) build.profiles.push_back(TRY(parse_profile(name)));
  build.modules = options.modules;
  build.extras = TRY(collect_added(root, options.add, checked.settings));
  build.for_uefi = machine_boot_mode(root) != BootMode::Bios;
  add_settings(checked, plan.config, plan.network.config, build);
  build.settings.seed = plan.hand_over.seed.image;
  build.settings.put = plan.hand_over.put.archive;
  build.file_systems = plan.hand_over.put.file_systems();
  build.signatures = signatures_for(root, false);
  // Built once and read once: quick matters here, small does not.
  std::optional<std::vector<Compression>> compressors =
      TRY(kernel_decompressors(root, plan.kernel.release));
  build.compression = quickest_compression(compressors);
  build.effort = Effort::Fast;
  return build_initramfs(root, build);
}

// The drivers of the disk are in it.
Result<void> prove_disk_covered(const UniqueFd& root, const FlashPlan& plan) {
  std::string device = TRY(real_path(concat("/sys/block/", plan.disk.name, "/device")));
  return check_covered(plan.disk.path(), TRY(devices_behind(root, device.substr(1))),
                       plan.initramfs.index, plan.made);
}

// This machine's kernel, or that of the payload.
Result<void> choose_kernel(const UniqueFd& root, const FlashOptions& options,
                           std::optional<GivenPayload>& given, FlashPlan& plan) {
  if (given) {
    plan.made = MadeWhere::Elsewhere;
    plan.kernel = given->kernel;
    plan.kernel_bytes = std::move(given->bootable.kernel);
    plan.command_line = next_command_line(root, given->bootable.command_line);
    return {};
  }
  KernelName running = TRY(kernel_name());
  plan.kernel = TRY(wanted_kernel_image(root, options.kernel));
  if (plan.kernel.release != running.release) {
    return Error(concat(
        "/", plan.kernel.path, ": is kernel ", plan.kernel.release, ", but ", running.release,
        " runs; restart this machine first, or name the running kernel's image by --kernel FILE"));
  }
  // What goes wrong before /init runs ends in the old system, too.
  plan.command_line = next_command_line(root, "panic=30 oops=panic");
  return {};
}

Result<std::string> read_config(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  std::string text = TRY_CONTEXT(
      file, read_text(root, TRY_CONTEXT(file, real_path(file)).substr(1), kConfigFile.largest));
  return concat("\n", text);
}

// The payload, and the settings that were built into it.
Result<std::optional<GivenPayload>> find_payload(const FlashOptions& options) {
  if (options.payload.empty()) return std::optional<GivenPayload>();
  bool builds = !options.kernel.empty() || !options.also.empty() || !options.modules.empty() ||
                !options.add.empty();
  if (builds) {
    return Error(
        "--payload is started as it is: leave out --kernel, --also, --module and --add, or give "
        "them to build");
  }
  return std::optional(TRY(read_payload(options.payload)));
}

// Settings as they were given, but for what the plan shows elsewhere.
std::vector<std::string> given_settings(const std::vector<SettingWord>& words) {
  static constexpr std::string_view kElsewhere[] = {"src",  "sha256", "image-sha256",
                                                    "sums", "pubkey", "sig"};
  std::vector<std::string> given;
  for (const auto& [key, value] : words) {
    bool elsewhere = std::ranges::find(kElsewhere, key) != std::end(kElsewhere);
    if (!elsewhere) given.push_back(shown_setting(key, value));
  }
  return given;
}

}  // namespace

Result<FlashPlan> make_flash_plan(const FlashOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  TRY(check_machine(root));
  std::optional<GivenPayload> given = TRY(find_payload(options));
  InitramfsSettings built_in;
  if (given) built_in = given->contents.settings;
  if (!options.config.empty()) built_in.config += TRY(read_config(options.config));
  CheckedSettings checked = TRY(check_settings(options.settings, built_in));
  ImageOrigin origin = TRY(origin_to_fetch(checked.settings));

  FlashPlan plan;
  plan.settings = checked.settings;
  plan.given = given_settings(TRY(split_config(checked.config)));
  if (!options.settings.ca.empty()) plan.given.push_back(concat("--ca ", options.settings.ca));
  std::vector<Disk> disks = TRY(list_disks(root));
  std::string wanted = options.disk.empty() ? checked.settings.destination : options.disk;
  if (wanted.empty()) {
    return Error(options.settings.sources.empty()
                     ? "no disk is given, and the image is there already; name it by --set dst=DISK"
                     : "no disk is given; name it after IMAGE");
  }
  plan.disk = TRY(find_disk(root, disks, wanted));
  if (plan.disk.read_only) return Error(concat(plan.disk.path(), ": is read-only"));
  // sda may be sdb in the next kernel: from here on the disk is known by what it is.
  plan.identity = TRY(identity_of(plan.disk, disks));
  plan.parts = parts_of(root, plan.disk.name);
  for (const Disk& disk : disks) {
    if (disk.name != plan.disk.name) plan.others.push_back({disk, parts_of(root, disk.name)});
  }

  TRY(choose_kernel(root, options, given, plan));
  ByteVector head = TRY(prove_source(root, origin, checked, plan));

  plan.config = checked.config;
  plan.config += TRY(format_setting("dst", plan.identity));
  plan.network = TRY(choose_network(root, options.network, plan.settings, built_in.network));
  TRY(plan_new_system(root, options, head, plan));
  plan.firmware = plan_firmware(root, head, plan.disk);
  // A machine whose battery clock is wrong but that asked a time server still passes a right clock
  // on.
  plan.config += TRY(format_setting("time-floor", concat(wall_clock_seconds())));

  TRY(plan_proof(plan));
  plan.initramfs =
      given ? TRY(equip_payload(*given, checked, plan.config, plan.network.config, plan.hand_over))
            : TRY(build_installer(root, options, checked, plan));
  TRY(prove_disk_covered(root, plan));
  TRY(check_memory(root, next_system(plan)));
  ProvenCards cards = TRY(prove_cards(root, plan.network.cards, plan.initramfs.index, plan.made));
  if (!cards.usable) {
    return Error("no Ethernet card with a carrier; the installer needs one to fetch the image");
  }
  plan.cards = std::move(cards.shown);
  return plan;
}

NextSystem next_system(const FlashPlan& plan) {
  return {"the installer", plan.kernel, plan.kernel_bytes, plan.initramfs.bytes, plan.command_line};
}

}  // namespace curlingiron
