#include "host/write.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/advice.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/block_writer.h"
#include "disk/boot_mode.h"
#include "disk/choose.h"
#include "disk/preflight.h"
#include "formats/gpt.h"
#include "host/hand_over.h"
#include "host/image.h"
#include "host/in_use.h"
#include "host/plan_lines.h"
#include "host/settings.h"
#include "image/installation.h"
#include "image/put.h"
#include "net/capture/capture.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/power.h"
#include "sys/process.h"
#include "sys/terminal.h"
#include "sys/ticker.h"

namespace curlingiron {
namespace {

constexpr Duration kRefresh = 200ms;  // of the progress bar

// What will be overwritten.
struct WriteTarget {
  std::string path;
  Disk disk;
  std::vector<std::string> uses;
  bool is_file = false;  // a virtual disk in a regular file
};

// What has been done to the disk, for the words of an error.
enum class Stage { Nothing, Unbootable, Complete };

struct Outcome {
  CopyReport copied;
  Duration verifying{};
  std::vector<std::string> proven_by;
};

Result<WriteTarget> file_target(const UniqueFd& root, const std::string& path) {
  WriteTarget target;
  target.path = path;
  target.is_file = true;
  target.disk.name = path;
  UniqueFd file = TRY(open_path(path, O_RDONLY));
  target.disk.size = TRY(seek_end(file));
  if (target.disk.size % target.disk.logical_sector != 0) {
    return Error(concat("has ", target.disk.size,
                        " bytes, which are no whole number of sectors of ",
                        target.disk.logical_sector, "; make it larger with truncate(1)"));
  }
  target.uses = uses_of_file(root, TRY(real_path(path)));
  return target;
}

Result<WriteTarget> device_target(const UniqueFd& root, const std::string& path) {
  WriteTarget target;
  std::string real = TRY(real_path(path));
  target.path = real;
  std::string name = real.substr(real.rfind('/') + 1);
  target.uses = uses_of(parts_of(root, name));
  // A whole disk has a model and a serial number; a partition, a loop device or a volume has not.
  for (Disk& disk : TRY(list_disks(root))) {
    if (disk.path() == real) target.disk = std::move(disk);
  }
  if (target.disk.name.empty()) {
    UniqueFd device = TRY(open_path(real, O_RDONLY));
    BlockGeometry geometry = TRY(block_geometry(device));
    target.disk.name = name;
    target.disk.size = geometry.size;
    target.disk.logical_sector = geometry.logical_sector;
    target.disk.physical_sector = geometry.physical_sector;
    target.disk.read_only = TRY(is_read_only(device));
  }
  return target;
}

// DISK as it was typed: a path of a device or a file, or an identity of a disk.
Result<WriteTarget> find_target(const UniqueFd& root, const std::string& typed) {
  UniqueFd here = TRY(open_root("."));
  bool identity = typed == "only" || (typed.find(':') != std::string::npos && !exists(here, typed));
  if (identity) {
    Disk disk = TRY(choose_disk(TRY(list_disks(root)), typed));
    return device_target(root, disk.path());
  }
  Result<FileStatus> status = file_status(here, typed);
  if (!status.ok() && status.error().code() == ENOENT) {
    return Error(concat(printable(typed),
                        ": no such disk or file; see lsblk, or make a file for a virtual disk with "
                        "\"truncate -s SIZE FILE\""),
                 ENOENT);
  }
  if (!status.ok()) return status.error().with_context(printable(typed));
  switch (status.value().type) {
    case FileType::Regular: return file_target(root, typed).with_context(typed);
    case FileType::BlockDevice: return device_target(root, typed).with_context(typed);
    case FileType::Directory:
    case FileType::SymbolicLink:
    case FileType::CharacterDevice:
    case FileType::Other: break;
  }
  return Error(concat(printable(typed), ": neither a disk nor a file that could be a virtual one"));
}

Result<void> check_free(const WriteTarget& target) {
  if (target.disk.read_only) {
    return Error(concat(target.path, ": is write-protected; choose another disk"), EROFS);
  }
  if (target.uses.empty()) return {};
  return Error(concat(target.path, ": is in use (", join(target.uses, ", "),
                      "); unmount or detach it first, or replace the running system with "
                      "\"curlingiron flash\""),
               EBUSY);
}

// A file that is overwritten with itself is gone.
Result<void> check_is_another(const ImageOrigin& origin, const WriteTarget& target) {
  if (origin.kind != OriginKind::File) return {};
  Result<std::string> image = real_path(origin.path);
  Result<std::string> disk = real_path(target.path);
  if (!image.ok() || !disk.ok() || image.value() != disk.value()) return {};
  return Error(concat(target.path, ": is the image itself; name another disk"));
}

// When the image is proven, and what comes of one that is not the one that was meant.
std::string describe_rehearsal(const ImageStream& image, const ImageOrigin& origin,
                               const Settings& settings, const WriteTarget& target) {
  std::string by = describe_proof(origin, settings);
  if (by.empty()) return {};
  switch (image.rehearsal()) {
    case Rehearsal::Kept:
      return concat(image.served_size() ? "fits into memory" : "kept in memory as it comes",
                    ": proven by ", by, " before the first byte is written");
    case Rehearsal::ReadTwice:
      return concat("read twice: proven by ", by, " before the first byte is written");
    case Rehearsal::None: break;
  }
  return concat(why_proven_after(image.served_size(), settings, "does not fit into memory"),
                ": proven by ", by, " after it is written; if that fails, ", target.path,
                " holds no system");
}

void show(const WriteTarget& target, const std::string& source,
          const std::vector<std::string>& details, const std::vector<std::string>& hand_over) {
  std::string text = "This replaces everything on\n";
  if (target.is_file) {
    add_line(text, "file", concat(target.path, ": ", format_size(target.disk.size)));
  } else {
    std::string folder = target.path.substr(0, target.path.rfind('/') + 1);
    add_line(text, "disk", concat(folder, target.disk.describe()));
  }
  text += "with\n";
  add_line(text, "image", source);
  for (const std::string& detail : details) {
    if (!detail.empty()) add_line(text, "", detail);
  }
  add_hand_over(text, hand_over);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

// A line at the bottom of the terminal that is written over; nothing where there is no terminal.
class ProgressBar {
 public:
  // `waited_for`: what holds it up where it does not go on, for people.
  ProgressBar(std::string_view verb, std::function<uint64_t()> done, std::optional<uint64_t> total,
              std::function<std::string_view()> waited_for)
      : shown_(is_terminal(STDERR_FILENO)), start_(now()) {
    if (!shown_) return;
    ticker_.emplace(
        kRefresh, [this, verb, done = std::move(done), total, waited_for = std::move(waited_for)] {
          uint64_t so_far = done();
          std::string line =
              progress_bar(verb, so_far, total, now() - start_, terminal_columns(STDERR_FILENO),
                           stall_.look(so_far, waited_for(), now()));
          std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
        });
  }
  ~ProgressBar() {
    ticker_.reset();
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  bool shown_;
  Time start_;
  StallNote stall_;
  std::optional<Ticker> ticker_;
};

// Proves all of it before anything is written, where that can be, and returns how long it took.
Result<std::optional<Duration>> rehearse(ImageStream& image, const WriteTarget& target) {
  if (image.rehearsal() == Rehearsal::None) return std::optional<Duration>();
  Time start = now();
  {
    ProgressBar bar(
        "proving", [&] { return image.consumed(); }, image.total(),
        [&] { return image.waits_for("the decoder"); });
    TRY(image.rehearse(target.disk.size));
  }
  TRY(image.start_again());
  return std::optional(now() - start);
}

// From the first to the last byte. `stage` says what an error leaves on the disk.
Result<Outcome> write_image(ImageStream& image, BlockWriter& writer, const WriteTarget& target,
                            const Settings& settings, const PutStep* put,
                            InterruptWatch& interrupts, Stage& stage) {
  stage = Stage::Unbootable;
  std::string unbootable =
      concat("\ncurlingiron: interrupted; ", target.path, " holds no system now: write it again\n");
  interrupts.set_last_words(unbootable);
  BegunInstallation begun = TRY(BegunInstallation::begin(image, writer));
  CopiedImage copied = TRY([&] {
    ProgressBar bar(
        "writing", [&] { return image.consumed(); }, image.total(),
        [&] { return image.waits_for("the disk"); });
    return begun.copy();
  }());
  Time start = now();
  ProvenImage proven = TRY(copied.prove());
  if (settings.verify == Verify::ReadBack) {
    ProgressBar bar(
        "verifying", [&] { return writer.counters().verified.load(); }, writer.image_size(),
        [] { return std::string_view("the disk"); });
    TRY(proven.read_back());
  }
  // Half a partition table is worse than a moment's wait.
  interrupts.set_last_words(std::nullopt);
  UnbootableImage whole = TRY(proven.write_ends());
  if (put != nullptr) {
    // The kernel may take long for a file system, and what it holds is foreign.
    interrupts.set_last_words(unbootable);
    PutReport report = TRY_CONTEXT(target.path, put->run(whole));
    for (const std::string& note : report.notes) log_warning(note);
    interrupts.set_last_words(std::nullopt);
  }
  TRY(std::move(whole).make_bootable());
  stage = Stage::Complete;
  interrupts.set_last_words("\ncurlingiron: interrupted, but the image is complete\n");
  return Outcome{copied.report(), now() - start, proven.proven_by()};
}

void print_json(const nlohmann::ordered_json& object) {
  std::printf("%s\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void report(const WriteOptions& options, const WriteTarget& target, const std::string& source,
            const HandOver& hand_over, std::optional<Duration> proving, const Outcome& outcome) {
  if (options.json) {
    auto seconds = [](Duration duration) {
      return std::chrono::duration<double>(duration).count();
    };
    nlohmann::ordered_json result = {{"status", "ok"},
                                     {"image", source},
                                     {"disk", target.path},
                                     {"bytes", outcome.copied.image_size},
                                     {"zero", outcome.copied.zeroed},
                                     {"downloaded", outcome.copied.downloaded},
                                     {"resumed", outcome.copied.resumptions},
                                     {"seconds", seconds(outcome.copied.took)},
                                     {"proof_seconds", seconds(proving.value_or(0s))},
                                     {"verify_seconds", seconds(outcome.verifying)},
                                     {"proven_by", outcome.proven_by}};
    result.update(hand_over.as_json());
    print_json(result);
    return;
  }
  std::string proven = outcome.proven_by.empty()
                           ? "not verified"
                           : concat("verified in ", format_seconds(outcome.verifying), " s by ",
                                    join(outcome.proven_by, ", "));
  std::string first = proving ? concat("proven in ", format_seconds(*proving), " s, ") : "";
  std::printf("%s: %s%s written in %s s (%s), %s\n", target.path.c_str(), first.c_str(),
              format_size(outcome.copied.image_size).c_str(),
              format_seconds(outcome.copied.took).c_str(),
              format_rate(outcome.copied.image_size, outcome.copied.took).c_str(), proven.c_str());
}

std::string_view aftermath(Stage stage) {
  switch (stage) {
    case Stage::Nothing: return "nothing was written";
    case Stage::Unbootable: return "the disk holds no system now: write it again";
    case Stage::Complete: return "the image is complete";
  }
  __builtin_unreachable();
}

// That is all that this machine is told of: unlike /init, this makes no entry in its firmware
// (UEFI) and removes none. What is written here is a stick, or a disk that another machine is to
// start.
void show_partitions(const WriteTarget& target) {
  if (target.is_file) return;
  // Somebody may have opened the disk in this moment; he reads the table then.
  Result<UniqueFd> device = open_path(target.path, O_RDONLY);
  if (device.ok()) (void)reread_partition_table(device.value());
}

// A file has sectors of no size of its own: it is a disk of the kind that the image is for.
void take_sectors_of_image(ConstBytes head, WriteTarget& target) {
  if (target.is_file) target.disk.logical_sector = find_gpt_sector_size(head).value_or(512);
}

Result<HandOver> hand_over_of(const UniqueFd& root, const WriteOptions& options,
                              const Settings& settings, ConstBytes head, const Disk& disk) {
  NetworkConfig network;
  if (options.hand_over.keep_network) network = TRY(capture_network(root)).config;
  Seed seed =
      TRY(make_seed(root, options.hand_over, TakeFromHere::No, network, disk.logical_sector));
  PutFiles put = TRY(collect_puts(root, options.hand_over));
  if (!put.archive.empty() && !is_root()) {
    return Error("--put: only root can mount the image's file systems; run it with sudo");
  }
  return plan_hand_over(std::move(seed), std::move(put), head, settings, disk);
}

Result<void> run_write(const WriteOptions& options, Stage& stage) {
  CheckedSettings checked = TRY(check_settings(options.settings));
  const Settings& settings = checked.settings;
  UniqueFd root = TRY(open_root("/"));
  WriteTarget target = TRY(find_target(root, options.disk));
  TRY(check_free(target));
  // Before any other thread: the signals are for this one.
  std::unique_ptr<InterruptWatch> interrupts =
      TRY(InterruptWatch::start("\ncurlingiron: interrupted; nothing was written\n"));

  ImageOrigin origin = TRY_CONTEXT("IMAGE", parse_origin(settings.sources));
  TRY(check_is_another(origin, target));
  std::unique_ptr<ImageStream> image = TRY(open_image(origin, checked, ImageUse::Write));
  // The server has shown that it can: drops are retried without end, be it while a person decides.
  image->set_deadline(std::nullopt);
  take_sectors_of_image(image->head(), target);
  TRY(check_image_fits(image->head(), image->least_image_size(), target.disk));
  if (!settings.any_boot_mode && !target.is_file) {
    // A stick is for another machine; a disk that stays in this one may be, too: only a word.
    Result<void> boots =
        target.disk.removable ? Result<void>() : check_boots_here(root, image->head(), target.disk);
    if (!boots.ok()) log_info(concat("note: ", boots.error().message()));
  }
  HandOver hand_over = TRY(hand_over_of(root, options, settings, image->head(), target.disk));
  std::unique_ptr<BlockTarget> device = TRY(open_block_device(target.path));
  std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(*device, target.path));
  std::optional<PutStep> put;
  if (!hand_over.put.archive.empty()) {
    put = TRY_CONTEXT("--put", PutStep::prepare(hand_over.put.archive, image->head(),
                                                hand_over.layout, target.disk, target.path));
  }
  TRY(writer->amend(std::move(hand_over.layout.patches)));
  if (!options.json) {
    show(target, origin.name(),
         {describe_image(*image, settings), describe_rehearsal(*image, origin, settings, target)},
         hand_over.lines());
  }
  if (options.dry_run) {
    if (options.json) {
      nlohmann::ordered_json result = {
          {"status", "ok"}, {"dry_run", true}, {"image", origin.name()}, {"disk", target.path}};
      result.update(hand_over.as_json());
      print_json(result);
    }
    log_info("dry run: everything is there and fits; nothing was changed");
    return {};
  }
  // A plain file is written as cp and dd do: without a question.
  if (!options.yes && !target.is_file && !TRY(confirm_overwrite(target.path))) {
    return Error("not confirmed");
  }
  // Had the download failed for good meanwhile, this is the last moment at which that costs
  // nothing.
  if (std::optional<Error> failure = image->failure()) return *failure;
  std::optional<Duration> proving = TRY(rehearse(*image, target));
  Outcome outcome = TRY(
      write_image(*image, *writer, target, settings, put ? &*put : nullptr, *interrupts, stage));
  put.reset();
  writer.reset();
  device.reset();
  show_partitions(target);
  report(options, target, origin.name(), hand_over, proving, outcome);
  return {};
}

}  // namespace

int write(const WriteOptions& options) {
  Stage stage = Stage::Nothing;
  Result<void> result = run_write(options, stage);
  if (result.ok()) return kExitDone;
  log_error(concat(result.error().message(), "; ", aftermath(stage)));
  if (options.json) {
    nlohmann::ordered_json failure = {{"status", "failed"},
                                      {"reason", result.error().message()},
                                      {"disk_touched", stage != Stage::Nothing}};
    print_json(failure);
  }
  return kExitFailed;
}

}  // namespace curlingiron
