#include "io/qcow2_map.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr uint64_t kL1Window = 1_MiB;

// Entry number `index`; within `table` by the caller's arithmetic, which is on our own numbers.
uint64_t entry_of(ConstBytes table, uint64_t index) {
  uint64_t value;
  std::memcpy(&value, table.data() + index * sizeof value, sizeof value);
  return __builtin_bswap64(value);
}

}  // namespace

size_t Qcow2RunPlace::holder(uint64_t offset) const {
  if (offset >= position_) return kRanges;
  size_t index = 0;
  while (index < kRanges && (offset < ranges_[index].begin || offset >= ranges_[index].end)) {
    ++index;
  }
  return index;
}

size_t Qcow2RunPlace::pass_to(uint64_t offset) {
  size_t index = next_gap_;
  next_gap_ = (next_gap_ + 1) % kTail;
  bool after_tail = ranges_[kTail].end == position_;
  ranges_[index] = {after_tail ? ranges_[kTail].begin : position_, offset};
  position_ = offset;
  return index;
}

void Qcow2RunPlace::read_to(uint64_t end, bool packed) {
  ranges_[kTail] = packed ? Range{end - std::min(kTailBytes, end - position_), end} : Range{};
  position_ = end;
}

Result<std::unique_ptr<Qcow2Map>> Qcow2Map::open(RandomSource& file) {
  ByteVector head(static_cast<size_t>(std::min(file.size(), kQcow2HeadBytes)));
  if (!head.empty()) {
    file.expect(0, head.size());
    TRY(file.read_at(0, head));
  }
  Qcow2Header header = TRY(parse_qcow2_header(head, file.size()));
  std::unique_ptr<Qcow2Map> map(new Qcow2Map(file, header));
  TRY(map->check_is_whole());
  if (header.virtual_size != 0) TRY(map->load_window(0));
  return map;
}

// The last cluster that is in use must begin within the file: one that was cut off while it was
// copied is found out here, not when the reader comes to what is missing. Counts that are stale, or
// that lie nowhere, say nothing.
Result<void> Qcow2Map::check_is_whole() {
  constexpr uint64_t kMostTable = 1_MiB;
  uint64_t size = file_.size();
  auto is_there = [&](uint64_t offset, uint64_t length) {
    return offset != 0 && offset < size && length <= size - offset;
  };
  uint64_t cluster = header_.cluster_size();
  uint64_t length = header_.refcount_bytes;
  if (header_.dirty || length > kMostTable || !is_there(header_.refcount_table, length)) return {};
  ByteVector table(static_cast<size_t>(length));
  if (table.empty()) return {};
  file_.expect(header_.refcount_table, length);
  TRY(file_.read_at(header_.refcount_table, table));
  std::optional<Qcow2LastEntry> last = qcow2_last_block(table);
  if (!last || last->offset % cluster != 0) return {};
  ByteVector block(static_cast<size_t>(cluster));
  uint64_t begin = last->offset;  // The counts themselves are in one.
  if (is_there(last->offset, cluster)) {
    file_.expect(last->offset, cluster);
    TRY(file_.read_at(last->offset, block));
    std::optional<uint64_t> used = qcow2_last_used(block, header_.refcount_order);
    // At most 2^17 entries of the table, 2^24 counts of a block and 2^21 bytes of a cluster.
    uint64_t counts = (cluster * 8) >> header_.refcount_order;
    if (used) begin = (last->index * counts + *used) * cluster;
  }
  if (begin < size || maps_what_is_there()) return {};
  return Error(concat("the qcow2 file ends at byte ", size,
                      ", but its last cluster begins at byte ", begin,
                      ": it is cut off; download it again"));
}

// A cluster may be counted, and nothing of the disk be in it: after a crash, or of a snapshot.
bool Qcow2Map::maps_what_is_there() {
  for (uint64_t guest = 0; guest < header_.virtual_size; guest = window_end_) {
    if (!load_window(guest).ok()) return false;
  }
  return true;
}

// Where the guest bytes begin that entry `l1_index` maps; the last entry may map more than there
// is.
uint64_t Qcow2Map::guest_of(uint64_t l1_index) const {
  return std::min(l1_index * header_.l2_coverage(), header_.virtual_size);
}

Result<uint64_t> Qcow2Map::l1_entry(uint64_t index) {
  uint64_t count = l1_bytes_.size() / 8;
  if (index < l1_first_ || index - l1_first_ >= count) {
    count = std::min(kL1Window / 8, header_.l1_entries - index);
    l1_bytes_.resize(static_cast<size_t>(count * 8));
    l1_first_ = index;
    uint64_t offset = header_.l1_offset + index * 8;
    file_.expect(offset, l1_bytes_.size());
    Result<void> read = file_.read_at(offset, l1_bytes_);
    if (!read.ok()) {
      l1_bytes_.clear();
      return read.error();
    }
  }
  return entry_of(l1_bytes_, index - l1_first_);
}

Result<void> Qcow2Map::load_window(uint64_t guest) {
  window_begin_ = window_end_ = 0;  // Nothing is known until all went well.
  TRY(find_tables(guest / header_.l2_coverage()));
  TRY(read_tables());
  for (const Table& table : tables_) TRY(check_table(table));
  window_end_ = guest_of(l1_end_);
  window_begin_ = guest_of(guest / header_.l2_coverage());
  return {};
}

// As many tables as the window takes, and the hole after the last of them.
Result<void> Qcow2Map::find_tables(uint64_t first) {
  tables_.clear();
  last_table_ = 0;
  size_t most = static_cast<size_t>(kQcow2TableWindow / header_.cluster_size());
  for (l1_end_ = first; l1_end_ < header_.l1_entries; ++l1_end_) {
    uint64_t host = TRY(parse_qcow2_l1_entry(header_, TRY(l1_entry(l1_end_))));
    if (host == 0) continue;
    if (tables_.size() == most) break;
    tables_.push_back({l1_end_, host, tables_.size()});
  }
  return {};
}

// In the order of the file, so that tables that are near to each other come in one run.
Result<void> Qcow2Map::read_tables() {
  size_t size = static_cast<size_t>(header_.cluster_size());
  table_bytes_.resize(tables_.size() * size);
  std::vector<Table> order = tables_;
  std::sort(order.begin(), order.end(),
            [](const Table& a, const Table& b) { return a.host < b.host; });
  for (size_t next = 0, run_end = 0; next < order.size(); ++next) {
    if (next == run_end) {
      while (++run_end < order.size() &&
             order[run_end].host - order[run_end - 1].host <= size + kQcow2SmallGap) {
      }
      file_.expect(order[next].host, order[run_end - 1].host + size - order[next].host);
    }
    MutableBytes slot(table_bytes_.data() + order[next].slot * size, size);
    TRY(file_.read_at(order[next].host, slot));
  }
  return {};
}

// Every cluster of the disk in it is valid, down to the file's end.
Result<void> Qcow2Map::check_table(const Table& table) {
  uint64_t end = guest_of(table.l1_index + 1);
  ConstBytes bytes = ConstBytes(table_bytes_)
                         .subspan(table.slot * static_cast<size_t>(header_.cluster_size()),
                                  static_cast<size_t>(header_.cluster_size()));
  uint64_t index = 0;
  for (uint64_t guest = guest_of(table.l1_index); guest < end; guest += header_.cluster_size()) {
    uint64_t entry = entry_of(bytes, index++);
    uint64_t bitmap = header_.extended_l2 ? entry_of(bytes, index++) : 0;
    if ((entry | bitmap) != 0) TRY(map_qcow2_entry(header_, entry, bitmap, guest));
  }
  return {};
}

const Qcow2Map::Table* Qcow2Map::table_of(uint64_t l1_index) {
  for (size_t near = last_table_; near < std::min(last_table_ + 2, tables_.size()); ++near) {
    if (tables_[near].l1_index == l1_index) {
      last_table_ = near;
      return &tables_[near];
    }
  }
  auto found = std::lower_bound(tables_.begin(), tables_.end(), l1_index,
                                [](const Table& t, uint64_t index) { return t.l1_index < index; });
  if (found == tables_.end() || found->l1_index != l1_index) return nullptr;
  last_table_ = static_cast<size_t>(found - tables_.begin());
  return &*found;
}

// Within the window, and no further than one cluster or one missing table.
Result<Qcow2Extent> Qcow2Map::entry_at(uint64_t guest) {
  uint64_t l1_index = guest / header_.l2_coverage();
  const Table* table = table_of(l1_index);
  if (table == nullptr) {
    return Qcow2Extent{Qcow2Extent::Kind::Zeros, guest_of(l1_index + 1) - guest, 0, 0};
  }
  ConstBytes bytes = ConstBytes(table_bytes_)
                         .subspan(table->slot * static_cast<size_t>(header_.cluster_size()),
                                  static_cast<size_t>(header_.cluster_size()));
  uint64_t index = guest % header_.l2_coverage() / header_.cluster_size();
  if (!header_.extended_l2) return map_qcow2_entry(header_, entry_of(bytes, index), 0, guest);
  return map_qcow2_entry(header_, entry_of(bytes, 2 * index), entry_of(bytes, 2 * index + 1),
                         guest);
}

Result<Qcow2Extent> Qcow2Map::at(uint64_t guest) {
  if (guest >= zeros_begin_ && guest < zeros_end_) {
    return Qcow2Extent{Qcow2Extent::Kind::Zeros, zeros_end_ - guest, 0, 0};
  }
  if (!holds(guest)) TRY(load_window(guest));
  Qcow2Extent extent = TRY(entry_at(guest));
  if (extent.kind != Qcow2Extent::Kind::Zeros) return extent;
  uint64_t end = guest + extent.length;
  while (end < window_end_) {
    Qcow2Extent next = TRY(entry_at(end));
    if (next.kind != Qcow2Extent::Kind::Zeros) break;
    end += next.length;
  }
  zeros_begin_ = guest;
  zeros_end_ = end;
  return Qcow2Extent{Qcow2Extent::Kind::Zeros, end - guest, 0, 0};
}

Result<Qcow2RunPlace::Range> Qcow2Map::run_from(uint64_t guest) {
  if (!holds(guest)) TRY(load_window(guest));
  Qcow2RunPlace::Range run;
  Qcow2RunPlace place;
  while (guest < window_end_) {
    Qcow2Extent extent = TRY(entry_at(guest));
    guest += extent.length;
    if (extent.kind == Qcow2Extent::Kind::Zeros) continue;
    uint64_t host = extent.host;
    uint64_t end = host + extent.host_length();
    if (run.end == 0) {
      run.begin = host;
      place = Qcow2RunPlace(host);
    }
    for (size_t held = place.holder(host); held != Qcow2RunPlace::kRanges && host < end;
         held = place.holder(host)) {
      host = std::min(end, place.range(held).end);
    }
    if (host == end) continue;
    if (host < place.position() || host - place.position() > kQcow2SmallGap) break;
    if (host != place.position()) place.pass_to(host);
    place.read_to(end, extent.kind == Qcow2Extent::Kind::Packed);
    run.end = end;
  }
  return run;
}

}  // namespace curlingiron
