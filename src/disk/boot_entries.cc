#include "disk/boot_entries.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

constexpr char kBootOrder[] = "BootOrder";

bool holds(const std::vector<uint16_t>& numbers, uint16_t number) {
  return std::ranges::find(numbers, number) != numbers.end();
}

bool has(const std::vector<EfiPartition>& partitions, const EfiPartition& wanted) {
  return std::ranges::any_of(
      partitions, [&](const EfiPartition& partition) { return partition.is_same_as(wanted); });
}

// The firmware does with it what it would do with `wanted`.
bool starts_the_same(const EfiLoadOption& option, const EfiLoadOption& wanted) {
  if (!option.is_active || option.has_data || !option.partition) return false;
  const EfiPartition& there = *option.partition;
  const EfiPartition& here = *wanted.partition;
  return there.table == here.table && there.signature == here.signature &&
         there.number == here.number && there.first_sector == here.first_sector &&
         equal_ignoring_case(option.loader, wanted.loader);
}

// The first number that no variable and no place in the order has.
std::optional<uint16_t> free_number(const BootEntries& entries) {
  for (uint32_t number = 0; number <= 0xffff; ++number) {
    auto candidate = static_cast<uint16_t>(number);
    bool taken = holds(entries.order, candidate) || holds(entries.others, candidate) ||
                 std::ranges::find(entries.entries, candidate, &BootEntries::Entry::number) !=
                     entries.entries.end();
    if (!taken) return candidate;
  }
  return std::nullopt;
}

// What changes, one variable at a time.
class Change {
 public:
  Change(EfiVariables& variables, const BootEntries& entries, const BootEntryWish& wish)
      : variables_(variables),
        entries_(entries),
        wish_(wish),
        dead_(dead_entries(entries, wish.before, wish.after)) {}

  Result<BootEntryChange> run() && {
    TRY(choose_number());
    Result<void> first = put_first();
    if (!first.ok() && first.error().code() == ENOSPC && !dead_.empty()) {
      TRY(remove_dead());
      first = put_first();
    }
    TRY(std::move(first));
    TRY(remove_dead());
    return change_;
  }

 private:
  Result<void> choose_number() {
    if (!wish_.entry) return {};
    for (const BootEntries::Entry& entry : entries_.entries) {
      if (!starts_the_same(entry.option, *wish_.entry)) continue;
      change_.entry = entry.number;
      is_there_ = true;
      return {};
    }
    change_.entry = free_number(entries_);
    if (!change_.entry) return Error("all of the firmware's 65,536 boot entries are in use");
    return {};
  }

  Result<void> put_first() {
    if (change_.entry && !is_there_) {
      TRY(variables_.write(boot_entry_name(*change_.entry), format_load_option(*wish_.entry)));
      is_there_ = true;
    }
    std::vector<uint16_t> order;
    if (change_.entry) order.push_back(*change_.entry);
    for (uint16_t number : entries_.order) {
      if (!holds(dead_, number) && number != change_.entry) order.push_back(number);
    }
    // An order without a number would be none: the firmware then makes one of its own.
    if (order.empty() || order == entries_.order) return {};
    return variables_.write(kBootOrder, format_boot_order(order));
  }

  Result<void> remove_dead() {
    for (; change_.removed < dead_.size(); ++change_.removed) {
      TRY(variables_.remove(boot_entry_name(dead_[change_.removed])));
    }
    return {};
  }

  EfiVariables& variables_;
  const BootEntries& entries_;
  const BootEntryWish& wish_;
  std::vector<uint16_t> dead_;
  bool is_there_ = false;  // the new entry
  BootEntryChange change_;
};

}  // namespace

Result<BootEntries> read_boot_entries(EfiVariables& variables) {
  BootEntries found;
  for (const std::string& name : TRY(variables.names())) {
    std::optional<uint16_t> number = boot_entry_number(name);
    if (!number) continue;
    Result<EfiLoadOption> option = [&]() -> Result<EfiLoadOption> {
      return parse_load_option(TRY(variables.read(name)));
    }();
    if (option.ok()) {
      found.entries.push_back({*number, std::move(option).value()});
      continue;
    }
    found.others.push_back(*number);
    found.notes.push_back(
        concat("the firmware's ", name, " cannot be read and stays: ", option.error().message(),
               "; \"efibootmgr -B -b ", std::string_view(name).substr(4), "\" removes it"));
  }
  Result<ByteVector> order = variables.read(kBootOrder);
  if (!order.ok() && order.error().code() != ENOENT) return order.error();
  if (order.ok()) found.order = parse_boot_order(order.value());
  if (order.ok() && order.value().size() % 2 != 0) {
    found.notes.emplace_back(
        "the firmware's BootOrder has an odd length: its last byte is passed over");
  }
  return found;
}

std::vector<EfiPartition> read_efi_partitions(const UniqueFd& root, const Disk& disk) {
  Result<UniqueFd> device = open_at(root, concat("dev/", disk.name), O_RDONLY);
  ByteVector head(std::min<uint64_t>(disk.size, 1_MiB));
  if (!device.ok() || !pread_exact(device.value(), head, 0).ok()) return {};
  return efi_partitions(head, disk.logical_sector);
}

std::vector<uint16_t> dead_entries(const BootEntries& entries,
                                   const std::vector<EfiPartition>& before,
                                   const std::vector<EfiPartition>& after) {
  std::vector<uint16_t> dead;
  for (const BootEntries::Entry& entry : entries.entries) {
    const std::optional<EfiPartition>& partition = entry.option.partition;
    if (partition && has(before, *partition) && !has(after, *partition)) {
      dead.push_back(entry.number);
    }
  }
  return dead;
}

Result<BootEntryChange> change_boot_entries(EfiVariables& variables, const BootEntries& entries,
                                            const BootEntryWish& wish) {
  return Change(variables, entries, wish).run();
}

}  // namespace curlingiron
