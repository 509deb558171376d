#include "host/hand_over.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "formats/put_order.h"
#include "image/placement.h"
#include "image/put.h"

namespace curlingiron {
namespace {

std::string describe_last(const DiskLayout::LastPartition& last) {
  std::string name = concat("partition ", last.number, ": ", format_size(last.size_before));
  if (last.grows()) {
    return concat(name, ", grows to ", format_size(last.size),
                  "; the file system in it grows when the new system grows it");
  }
  constexpr uint64_t kWorthIt = 64_MiB;
  if (last.free_after < kWorthIt) return {};
  return concat(name, ", stays; --grow gives it the ", format_size(last.free_after), " after it");
}

}  // namespace

std::vector<std::string> HandOver::lines() const {
  std::vector<std::string> lines;
  if (layout.backup_moves)
    lines.emplace_back("the partition table's backup moves to the disk's end");
  if (layout.last) {
    std::string last = describe_last(*layout.last);
    if (!last.empty()) lines.push_back(std::move(last));
  }
  if (layout.seed_offset) {
    lines.push_back(concat("partition ", layout.seed_number, ": ", format_size(seed.image.size()),
                           ", added for the new system's cloud-init, with"));
    for (const std::string& line : seed.shown) lines.push_back(concat("  ", line));
  }
  for (std::string& line : put.lines()) lines.push_back(std::move(line));
  for (const std::string& note : layout.notes) lines.push_back(note);
  for (const std::string& note : seed.notes) lines.push_back(note);
  return lines;
}

nlohmann::ordered_json HandOver::as_json() const {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  if (layout.backup_moves) all["layout"]["backup_table"] = "at the disk's end";
  if (layout.last && layout.last->grows()) {
    all["layout"]["grown"] = {{"partition", layout.last->number},
                              {"bytes_before", layout.last->size_before},
                              {"bytes", layout.last->size}};
  }
  if (layout.seed_offset) {
    all["seed"] = {{"partition", layout.seed_number},
                   {"offset", *layout.seed_offset},
                   {"bytes", seed.image.size()},
                   {"holds", seed.shown}};
  }
  for (const PutFiles::One& one : put.ones) {
    all["put"].push_back({{"source", one.source},
                          {"partition", one.partition.number},
                          {"path", one.path},
                          {"files", one.files},
                          {"bytes", one.bytes}});
  }
  for (const auto* notes : {&layout.notes, &seed.notes}) {
    for (const std::string& note : *notes) all["notes"].push_back(note);
  }
  return all;
}

Result<HandOver> plan_hand_over(Seed seed, PutFiles put, ConstBytes head, const Settings& settings,
                                const Disk& disk) {
  HandOver hand_over{std::move(seed), {}, std::move(put)};
  Result<DiskLayout> layout = place_image(head, settings, disk, hand_over.seed.image);
  if (!layout.ok() && !hand_over.seed.image.empty() && !hand_over.seed.is_asked_for) {
    std::string why = layout.error().message();
    hand_over.seed = {};
    hand_over.seed.notes = {concat("nothing of this machine is handed over: ", why)};
    layout = place_image(head, settings, disk, {});
  }
  hand_over.layout = TRY(std::move(layout));
  if (hand_over.put.archive.empty()) return hand_over;
  PutOrder order = TRY_CONTEXT("--put", parse_put_order(hand_over.put.archive));
  std::vector<Partition> places =
      TRY_CONTEXT("--put", place_puts(order, head, hand_over.layout, disk));
  for (size_t i = 0; i < places.size(); ++i) {
    hand_over.put.ones[i].partition = std::move(places[i]);
  }
  return hand_over;
}

}  // namespace curlingiron
