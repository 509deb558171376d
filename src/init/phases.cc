#include "init/phases.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <functional>

#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/boot_entries.h"
#include "disk/boot_mode.h"
#include "disk/preflight.h"
#include "formats/payload_layout.h"
#include "image/placement.h"
#include "image/wanted.h"
#include "init/inventory.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/mount.h"
#include "sys/power.h"
#include "sys/ticker.h"

namespace curlingiron {
namespace {

// Hardware that has not shown itself by then is waited for by the phases that need it.
constexpr Duration kDriversPatience = 30s;
// USB disks show themselves a second or two after their drivers; some card readers never do.
constexpr Duration kLateDiskPatience = 10s;

// True for identities that no disk that shows itself later can share.
bool names_one_disk_for_good(std::string_view wanted) {
  static constexpr std::string_view kLasting[] = {"serial:", "wwn:", "by-path:", "by-id:"};
  return std::any_of(std::begin(kLasting), std::end(kLasting),
                     [&](std::string_view prefix) { return wanted.starts_with(prefix); });
}

// The battery clock, where the kernel has not taken it for its own by itself.
std::optional<int64_t> battery_clock(const UniqueFd& root) {
  Result<std::string> taken = read_line(root, "sys/class/rtc/rtc0/hctosys");
  Result<std::string> time = read_line(root, "sys/class/rtc/rtc0/since_epoch");
  if (!time.ok() || (taken.ok() && taken.value() == "1")) return std::nullopt;
  Result<uint64_t> seconds = parse_u64(time.value());
  if (!seconds.ok()) return std::nullopt;
  return static_cast<int64_t>(seconds.value());
}

// Until a clock is right, certificates look expired or not yet valid.
void set_clock(const UniqueFd& root, const Settings& settings) {
  int64_t wanted = wall_clock_seconds();
  if (std::optional<int64_t> battery = battery_clock(root)) wanted = std::max(wanted, *battery);
  wanted = std::max<int64_t>(wanted, CURLINGIRON_BUILD_TIME);
  if (settings.time_floor) wanted = std::max(wanted, *settings.time_floor);
  if (settings.time) wanted = *settings.time;
  if (wanted == wall_clock_seconds()) return;
  Result<void> result = set_wall_clock(wanted);
  if (!result.ok()) log_warning("clock", result.error());
}

}  // namespace

size_t count_devices(const UniqueFd& root, const std::string& directory) {
  Result<std::vector<std::string>> names = list_directory(root, directory);
  if (!names.ok()) return 0;
  return static_cast<size_t>(
      std::count_if(names.value().begin(), names.value().end(), [&](const std::string& name) {
        return exists(root, concat(directory, "/", name, "/device"));
      }));
}

Result<Mounts> mount_kernel_file_systems() {
  TRY(mount_kernel_fs("devtmpfs", "/dev"));
  TRY(mount_kernel_fs("proc", "/proc"));
  TRY(mount_kernel_fs("sysfs", "/sys"));
  Mounts mounts{TRY_CONTEXT("/", open_root("/"))};
  // A panic restarts the machine; until the commit point an oops is a reason to go back, too.
  Result<void> panic = write_existing(mounts.root, "proc/sys/kernel/panic", "30");
  if (!panic.ok()) log_warning("a kernel panic will not restart the machine", panic.error());
  Result<void> oops = write_existing(mounts.root, "proc/sys/kernel/panic_on_oops", "1");
  if (!oops.ok()) log_warning("a kernel oops will not restart the machine", oops.error());
  return mounts;
}

Facts Mounts::facts() const { return {}; }

namespace {

// The network that was put into the initramfs, which settings win over.
Result<void> read_network(const UniqueFd& root, Settings& settings) {
  if (settings.network.says_how() || !exists(root, kNetworkFile.path)) return {};
  std::string text = TRY(read_text(root, kNetworkFile.path, kNetworkFile.largest));
  settings.network.complete_from(TRY_CONTEXT(kNetworkFile.path, parse_network_config(text)));
  return {};
}

}  // namespace

namespace {

// Who is trusted, and who this machine is.
Result<ImageAccess> read_certificates(const UniqueFd& root, const Settings& settings) {
  ByteVector bundle;
  if (!settings.insecure && exists(root, kCaBundleFile.path)) {
    bundle = TRY(read_file(root, kCaBundleFile.path, kCaBundleFile.largest));
  }
  ByteVector client;
  if (exists(root, kClientCertificateFile.path)) {
    client = TRY(read_file(root, kClientCertificateFile.path, kClientCertificateFile.largest));
  }
  return read_access(bundle, client);
}

}  // namespace

Result<Configuration> read_configuration(const Mounts& mounts) {
  Configuration configuration;
  std::string command_line = TRY(read_text(mounts.root, "proc/cmdline"));
  TRY(apply_command_line(command_line, configuration.settings));
  if (exists(mounts.root, kConfigFile.path)) {
    // Read second: what the file says wins over the public command line.
    std::string config = TRY(read_text(mounts.root, kConfigFile.path, kConfigFile.largest));
    TRY(apply_config(config, configuration.settings));
  }
  TRY(read_network(mounts.root, configuration.settings));
  if (exists(mounts.root, kSeedFile.path)) {
    configuration.seed = TRY(read_file(mounts.root, kSeedFile.path, kSeedFile.largest));
    // Once is enough for the memory, and for secrets.
    TRY(remove_file(mounts.root, kSeedFile.path));
  }
  if (exists(mounts.root, kPutFile.path)) {
    configuration.put = TRY(read_file(mounts.root, kPutFile.path, kPutFile.largest));
    TRY(remove_file(mounts.root, kPutFile.path));
  }
  if (configuration.settings.debug) set_log_level(LogLevel::Debug);
  configuration.access = TRY_CONTEXT("certificates of the initramfs",
                                     read_certificates(mounts.root, configuration.settings));
  configuration.deadline = now() + configuration.settings.deadline;
  set_clock(mounts.root, configuration.settings);

  std::string index = TRY(read_text(mounts.root, kModuleIndexFile.path, kModuleIndexFile.largest));
  ModuleIndex modules = TRY_CONTEXT(kModuleIndexFile.path, parse_module_index(index));
  KernelName kernel = TRY(kernel_name());
  if (modules.release != kernel.release && !modules.modules.empty()) {
    return Error(concat("this initramfs holds modules for kernel ", modules.release, ", but ",
                        kernel.release,
                        " runs; start the kernel it was built for, or build it for this one"));
  }
  configuration.modules = std::make_unique<const ModuleIndex>(std::move(modules));
  return configuration;
}

Facts Configuration::facts() const {
  return {{"kernel", modules->release}, {"deadline", format_seconds(settings.deadline)}};
}

Result<DriversRunning> load_drivers(const Mounts& mounts, const Configuration& configuration) {
  DriversRunning running;
  running.drivers = TRY(Drivers::start(mounts.root, *configuration.modules));
  auto enough = [&] {
    running.nics = count_devices(mounts.root, "sys/class/net");
    running.disks = count_devices(mounts.root, "sys/block");
    return running.nics != 0 || running.drivers->settled();
  };
  running.drivers->wait_until(enough, std::min(configuration.deadline, now() + kDriversPatience));
  return running;
}

Facts DriversRunning::facts() const {
  return {{"loaded", concat(drivers->loaded())}, {"nics", concat(nics)}, {"disks", concat(disks)}};
}

Result<NetworkOrder> network_order(const Configuration& configuration) {
  const Settings& settings = configuration.settings;
  NetworkOrder order;
  order.config = settings.network;
  order.hostname = settings.hostname;
  order.mtu = settings.mtu;
  if (!settings.sources.empty()) {
    order.sources = TRY_CONTEXT("curlingiron.src", parse_origin(settings.sources)).mirrors;
  }
  order.http = http_options(settings, configuration.access);
  return order;
}

Result<Joined> join_network(const Mounts& mounts, const Configuration& configuration,
                            const DriversRunning& running) {
  NetworkOrder order = TRY(network_order(configuration));
  Result<std::unique_ptr<Network>> network =
      Network::join(mounts.root, std::move(order), configuration.deadline);
  if (network.ok()) {
    return Joined{std::move(network).value()};
  }
  Result<std::vector<Disk>> disks = list_disks(mounts.root);
  std::span<const Disk> found =
      disks.ok() ? std::span<const Disk>(disks.value()) : std::span<const Disk>();
  log_info(describe_hardware(mounts.root, found));
  if (count_devices(mounts.root, "sys/class/net") != 0) return network.error();
  auto ask = [&](std::string_view modalias) { return running.drivers->answer(modalias); };
  std::string why = explain_missing(mounts.root, Kind::Nic, found, ask);
  if (why.empty()) why = "no device on any bus looks like one";
  return Error(concat(network.error().message(), ": ", why), network.error().code());
}

Facts Joined::facts() const {
  const Connection& connection = network->connection();
  Facts facts = {
      {"if", connection.interface}, {"addr", connection.address}, {"via", connection.via}};
  if (!connection.gateway.empty()) facts.push_back({"gw", connection.gateway});
  if (!connection.nameservers.empty()) facts.push_back({"dns", join(connection.nameservers, ",")});
  return facts;
}

namespace {

// What goes on, for a line a second. Its functions are called from another thread.
struct Watched {
  std::string_view verb;               // "writing"
  std::optional<uint64_t> total = {};  // bytes
  // Bytes; nullopt: it has not begun, and there is nothing to say.
  std::function<std::optional<uint64_t>()> done;
  // What holds it up where it does not go on.
  std::function<std::string_view()> waits_for = [] { return std::string_view("the disk"); };
  // Looks on, too.
  std::function<void(uint64_t done)> look = [](uint64_t) {};
};

// Says how far it is for as long as this lives.
class ProgressLines {
 public:
  ProgressLines(Journal& journal, Watched watched)
      : journal_(journal), watched_(std::move(watched)), ticker_(1s, [this] { say(); }) {}

 private:
  void say() {
    std::optional<uint64_t> done = watched_.done();
    if (!done) return;
    std::string stall = stall_.look(*done, watched_.waits_for(), now());
    journal_.progress(progress_line(watched_.verb, *done, watched_.total, now() - start_, stall));
    watched_.look(*done);
  }

  Journal& journal_;
  Watched watched_;
  Time start_ = now();
  StallNote stall_;
  Ticker ticker_;  // last: it calls say()
};

// Puts the deadline off while an image comes, for as long as it comes at all quickly: one that
// drips would hold the machine for days.
class Postponement {
 public:
  Postponement(DeadMan& dead_man, Duration deadline) : dead_man_(dead_man), deadline_(deadline) {}

  Time renew() {
    Time next = now() + deadline_;
    dead_man_.put_off(next + kDeadManGrace);
    return next;
  }

  // The new deadline, where so much has come since the last one.
  std::optional<Time> look(uint64_t bytes) {
    constexpr int64_t kLeastRate = 16 << 10;  // bytes a second
    int64_t least =
        std::chrono::duration_cast<std::chrono::seconds>(deadline_).count() * kLeastRate;
    if (bytes - seen_ < static_cast<uint64_t>(least)) return std::nullopt;
    seen_ = bytes;
    return renew();
  }

 private:
  DeadMan& dead_man_;
  Duration deadline_;
  uint64_t seen_ = 0;
};

}  // namespace

Result<ProvenSource> prove_source(Journal& journal, DeadMan& dead_man,
                                  const Configuration& configuration, const Joined& joined) {
  const Settings& settings = configuration.settings;
  ProvenSource source;
  ImageOrigin origin = TRY_CONTEXT("curlingiron.src", parse_origin(settings.sources));
  source.name = origin.name();
  ImageAccess access = configuration.access;
  access.paths = joined.network.get();
  {
    std::atomic<uint64_t> held = 0;
    access.on_held = [&](uint64_t bytes) { held = bytes; };
    Postponement postponement(dead_man, settings.deadline);
    ProgressLines lines(
        journal, {.verb = "holding",
                  .done = [&] { return held == 0 ? std::nullopt : std::optional<uint64_t>(held); },
                  .waits_for = [] { return std::string_view("the server"); },
                  .look = [&](uint64_t bytes) { (void)postponement.look(bytes); }});
    source.image = TRY(open_wanted_image(origin, settings, access, configuration.deadline));
  }
  if (!is_vouched_for(origin, settings)) {
    log_warning(concat(source.name, ": ", why_not_vouched_for(settings)));
  }
  return source;
}

Facts ProvenSource::facts() const {
  Facts facts = {{"url", name}, {"format", std::string(format_name(image->format()))}};
  if (image->served_size()) facts.push_back({"bytes", concat(*image->served_size())});
  if (!image->tls().empty()) facts.push_back({"tls", image->tls()});
  return facts;
}

Result<ProvenDisk> prove_disk(const Mounts& mounts, const Configuration& configuration,
                              const DriversRunning& running, const ProvenSource& source) {
  // "only", a size or sda can mean another disk once all of them are there.
  bool lasting = names_one_disk_for_good(configuration.settings.destination);
  std::vector<Disk> disks;
  Result<Disk> chosen = Error("");
  auto choose = [&] {
    Result<std::vector<Disk>> listed = list_disks(mounts.root);
    if (!listed.ok()) {
      chosen = listed.error();
      return false;
    }
    disks = std::move(listed).value();
    chosen = choose_disk(disks, configuration.settings.destination);
    return chosen.ok() && (lasting || running.drivers->settled());
  };
  auto choose_when_all_are_there = [&] {
    return choose() && (lasting || !storage_on_its_way(mounts.root));
  };
  // A card reader that never shows a disk is not waited for until the deadline.
  Time deadline = configuration.deadline;
  bool certain = running.drivers->wait_until(choose_when_all_are_there,
                                             std::min(deadline, now() + kLateDiskPatience)) ||
                 running.drivers->wait_until(choose, deadline);
  log_info(describe_hardware(mounts.root, disks));
  if (chosen.ok() && !certain) {
    return Error(
        concat(printable(configuration.settings.destination),
               ": drivers were still loading at the deadline, so another disk may be meant; "
               "name it by serial:, wwn: or by-path:"));
  }
  if (!chosen.ok()) {
    auto ask = [&](std::string_view modalias) { return running.drivers->answer(modalias); };
    std::string why = explain_missing(mounts.root, Kind::Disk, disks, ask);
    if (why.empty() && disks.empty()) why = "no device on any bus looks like one";
    if (why.empty()) return chosen.error();
    return Error(concat(chosen.error().message(), "; ", why), chosen.error().code());
  }
  ProvenDisk proven;
  proven.disk = std::move(chosen).value();
  TRY(check_image_fits(source.image->head(), source.image->least_image_size(), proven.disk));
  DiskLayout layout = TRY(
      place_image(source.image->head(), configuration.settings, proven.disk, configuration.seed));
  for (const std::string& note : layout.notes) log_info(note);
  if (!configuration.settings.any_boot_mode) {
    TRY(check_boots_here(mounts.root, source.image->head(), proven.disk));
  }
  proven.target = TRY(open_block_device(proven.disk.path()));
  proven.writer = TRY(BlockWriter::prepare(*proven.target, proven.disk.name));
  if (!configuration.put.empty()) {
    proven.put = TRY(PutStep::prepare(configuration.put, source.image->head(), layout, proven.disk,
                                      proven.disk.path()));
  }
  TRY(proven.writer->amend(std::move(layout.patches)));
  proven.layout = std::move(layout);
  // Nothing knows of them any more when it is time for the firmware's entries.
  proven.partitions = read_efi_partitions(mounts.root, proven.disk);
  return proven;
}

Facts ProvenDisk::facts() const {
  Facts facts = {{"disk", disk.name}, {"size", concat(disk.size)}};
  if (!disk.model.empty()) facts.push_back({"model", disk.model});
  if (!disk.serial.empty()) facts.push_back({"serial", disk.serial});
  if (layout.backup_moves) facts.push_back({"table", "moved"});
  if (layout.last && layout.last->grows()) {
    facts.push_back({"grown", concat(layout.last->number)});
    facts.push_back({"to", concat(layout.last->size)});
  }
  if (layout.seed_offset) facts.push_back({"seed", concat(layout.seed_number)});
  return facts;
}

Result<RehearsedImage> prove_image(Journal& journal, DeadMan& dead_man,
                                   const Configuration& configuration, ProvenSource& source,
                                   const ProvenDisk& disk) {
  ImageStream& image = *source.image;
  Time start = now();
  {
    Postponement postponement(dead_man, configuration.settings.deadline);
    image.set_deadline(postponement.renew());
    auto put_off = [&](uint64_t consumed) {
      // Much of an image may come out of few bytes.
      constexpr uint64_t kOfImage = 64;
      uint64_t come = consumed + image.rehearsed() / kOfImage;
      if (std::optional<Time> next = postponement.look(come)) image.set_deadline(*next);
    };
    ProgressLines lines(journal, {.verb = "proving",
                                  .total = image.total(),
                                  .done = [&] { return image.consumed(); },
                                  .waits_for = [&] { return image.waits_for("the decoder"); },
                                  .look = put_off});
    TRY(image.rehearse(disk.disk.size));
  }
  uint64_t fetched = image.downloaded();
  TRY(image.start_again());
  return RehearsedImage{fetched, now() - start};
}

Facts RehearsedImage::facts() const {
  return {{"bytes", concat(bytes)}, {"seconds", format_seconds(took)}};
}

Result<BegunInstallation> commit(DeadMan& dead_man, ProvenSource& source, ProvenDisk& disk) {
  dead_man.disarm();
  // From here on a new try is worth more than a way back: an oops in a driver that is not ours, or
  // keys on a console, shall not end the install.
  Result<UniqueFd> root = open_root("/");
  if (root.ok()) (void)write_existing(root.value(), "proc/sys/kernel/panic_on_oops", "0");
  ignore_ctrl_alt_del();
  return BegunInstallation::begin(*source.image, *disk.writer);
}

Result<Installed> install(Journal& journal, const BegunInstallation& begun,
                          const ProvenSource& source) {
  const ImageStream& image = *source.image;
  ProgressLines lines(journal, {.verb = "writing",
                                .total = image.total(),
                                .done = [&] { return image.consumed(); },
                                .waits_for = [&] { return image.waits_for("the disk"); }});
  return Installed{TRY(begun.copy())};
}

Facts Installed::facts() const {
  const CopyReport& report = image.report();
  return {{"bytes", concat(report.image_size)},
          {"zero", concat(report.zeroed)},
          {"downloaded", concat(report.downloaded)},
          {"resumed", concat(report.resumptions)},
          {"seconds", format_seconds(report.took)},
          {"rate", format_rate(report.image_size, report.took)}};
}

Result<Verified> verify(Journal& journal, const Configuration& configuration,
                        const Installed& installed, const ProvenDisk& disk) {
  Time start = now();
  ProvenImage proven = TRY(installed.image.prove());
  if (configuration.settings.verify == Verify::ReadBack) {
    ProgressLines lines(journal, {.verb = "verifying",
                                  .total = installed.image.report().image_size,
                                  .done = [&] { return disk.writer->counters().verified.load(); }});
    TRY(proven.read_back());
  }
  UnbootableImage whole = TRY(proven.write_ends());
  const std::vector<std::string>& by = proven.proven_by();
  return Verified{now() - start, by.empty() ? "none" : join(by, ","), std::move(whole)};
}

Facts Verified::facts() const { return {{"by", proof}, {"seconds", format_seconds(took)}}; }

Result<FilesPut> put_files(const ProvenDisk& disk, const Verified& verified) {
  FilesPut files{TRY_CONTEXT(disk.disk.name, disk.put->run(verified.image))};
  for (const std::string& note : files.report.notes) log_warning(note);
  return files;
}

Facts FilesPut::facts() const {
  return {{"files", concat(report.files)}, {"bytes", concat(report.bytes)}};
}

Result<Finished> finish(const Mounts& mounts, ProvenDisk& disk, Verified verified) {
  TRY(std::move(verified.image).make_bootable());
  // The kernel reads no partitions of a disk that somebody holds for himself.
  disk.put.reset();
  disk.writer.reset();
  disk.target.reset();
  // Partitions show the table that is on the disk now; a plain file system has none.
  Result<UniqueFd> device = open_at(mounts.root, concat("dev/", disk.disk.name), O_RDONLY);
  Result<void> reread =
      device.ok() ? reread_partition_table(device.value()) : Result<void>(device.error());
  if (!reread.ok())
    log_warning(concat(disk.disk.name, ": partitions not read again"), reread.error());
  Finished finished;
  Result<std::vector<std::string>> entries =
      list_directory(mounts.root, concat("sys/block/", disk.disk.name));
  if (entries.ok()) {
    finished.partitions = static_cast<size_t>(
        std::count_if(entries.value().begin(), entries.value().end(),
                      [&](const std::string& name) { return name.starts_with(disk.disk.name); }));
  }
  finished.firmware = tell_firmware(mounts.root, disk.disk, std::move(disk.partitions));
  return finished;
}

Facts Finished::facts() const {
  Facts facts = {{"partitions", concat(partitions)}};
  if (firmware.entry) facts.push_back({"entry", boot_entry_name(*firmware.entry)});
  if (firmware.is_known) facts.push_back({"removed", concat(firmware.removed)});
  return facts;
}

}  // namespace curlingiron
