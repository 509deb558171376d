#include "init/firmware.h"

#include <fcntl.h>

#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "disk/boot_entries.h"
#include "disk/boot_loader.h"
#include "disk/boot_mode.h"
#include "sys/efi_variables.h"
#include "sys/mount.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// A slow firmware takes a second for each variable that it writes.
constexpr Duration kPatience = 60s;
constexpr std::string_view kDescription = "Installed by curlingiron";

// The loader on the first EFI system partition that has one.
Result<EfiLoadOption> find_entry(const UniqueFd& root, const Disk& disk,
                                 const std::vector<EfiPartition>& partitions) {
  UniqueFd device = TRY(open_at(root, concat("dev/", disk.name), O_RDONLY));
  std::string_view architecture = firmware_architecture(root);
  std::string why = "the image has no EFI system partition";
  for (const EfiPartition& partition : partitions) {
    if (!partition.is_system) continue;
    // Not by the partition's own device: its node may not be there yet.
    uint64_t begin = partition.first_sector * disk.logical_sector;
    auto find = [&]() -> Result<std::string> {
      FatReader reader = TRY(FatReader::open([&](uint64_t offset, MutableBytes into) {
        return pread_exact(device, into, begin + offset);
      }));
      return find_boot_loader(reader, architecture);
    };
    Result<std::string> loader = find();
    if (loader.ok()) {
      return EfiLoadOption{.description = std::string(kDescription),
                           .partition = partition,
                           .loader = std::move(loader).value()};
    }
    why = concat("its EFI system partition (", partition.number, "): ", loader.error().message());
  }
  return Error(why);
}

// What is done on a thread of its own: it may never come back from the firmware, and then it keeps
// all of this.
struct Attempt {
  std::unique_ptr<EfiVariables> variables;
  BootEntryWish wish;
  Thread thread;
  std::mutex mutex;
  std::condition_variable done;
  std::optional<Result<BootEntryChange>> outcome;
  std::vector<std::string> notes;

  Result<BootEntryChange> change() {
    BootEntries entries = TRY(read_boot_entries(*variables));
    notes = entries.notes;
    return change_boot_entries(*variables, entries, wish);
  }

  void run() {
    Result<BootEntryChange> result = change();
    std::lock_guard lock(mutex);
    outcome = std::move(result);
    done.notify_all();
  }
};

Result<BootEntryChange> change_in_time(std::unique_ptr<Attempt> attempt) {
  attempt->thread = TRY(Thread::start([raw = attempt.get()] { raw->run(); }));
  {
    std::unique_lock lock(attempt->mutex);
    if (!attempt->done.wait_for(lock, kPatience, [&] { return attempt->outcome.has_value(); })) {
      lock.unlock();
      (void)attempt.release();
      return Error("the firmware does not answer");
    }
  }
  attempt->thread.join();
  for (const std::string& note : attempt->notes) log_warning(note);
  return *attempt->outcome;
}

Result<BootEntryChange> change_entries(const UniqueFd& root, BootEntryWish wish) {
  TRY(mount_kernel_fs("efivarfs", concat("/", kEfiVariablesPath)));
  auto attempt = std::make_unique<Attempt>();
  attempt->variables = TRY(open_efi_variables(root, kEfiVariablesPath));
  attempt->wish = std::move(wish);
  return change_in_time(std::move(attempt));
}

}  // namespace

FirmwareChange tell_firmware(const UniqueFd& root, const Disk& disk,
                             std::vector<EfiPartition> before) {
  FirmwareChange told;
  if (machine_boot_mode(root) != BootMode::Uefi) return told;
  BootEntryWish wish{std::move(before), read_efi_partitions(root, disk), {}};
  Result<EfiLoadOption> entry = find_entry(root, disk, wish.after);
  if (entry.ok()) {
    wish.entry = std::move(entry).value();
  } else {
    log_warning(concat("the firmware gets no entry for the new system: ", entry.error().message(),
                       "; if the machine starts something else, choose the disk in its boot menu"));
  }
  Result<BootEntryChange> changed = change_entries(root, std::move(wish));
  if (changed.ok()) {
    told = {true, changed.value().entry, changed.value().removed};
  } else {
    log_warning(concat("the firmware's boot entries are not changed, or not all of them: ",
                       changed.error().message(),
                       "; most machines start the new system without one. If this one does not, "
                       "choose the disk in its boot menu, and put the entries right by efibootmgr "
                       "in the new system"));
  }
  return told;
}

}  // namespace curlingiron
