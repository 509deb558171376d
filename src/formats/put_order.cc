#include "formats/put_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kMagic("CIPUT1\n\0", 8);
constexpr uint32_t kPermissions = 07777;

enum class Tag : uint8_t { Put = 'P', Directory = 'D', File = 'F', Link = 'L' };

Tag tag_of(PutEntry::Kind kind) {
  switch (kind) {
    case PutEntry::Kind::Directory: return Tag::Directory;
    case PutEntry::Kind::File: return Tag::File;
    case PutEntry::Kind::Link: return Tag::Link;
  }
  __builtin_unreachable();
}

Result<std::string_view> take_text(ByteReader& in) {
  uint16_t size = TRY(in.le16());
  return as_text(TRY(in.take(size)));
}

void append_text(ByteWriter& out, std::string_view text) {
  out.le16(static_cast<uint16_t>(text.size()));
  out.append(text);
}

bool is_name(std::string_view text) {
  return is_plain_path(text) && text.size() <= kLongestPutPath &&
         text.find('\0') == std::string_view::npos;
}

Error damaged() { return Error("what is to be put is damaged, or of another version"); }

Result<void> check_put(const Put& put) {
  bool has_name = is_name(put.name) && put.name.find('/') == std::string_view::npos;
  if (put.partition.empty() || put.partition.size() > kLongestPutPath || !is_put_path(put.path) ||
      !has_name)
    return damaged();
  return {};
}

// The entries of one put, as they come: each right after its directory, or what lies in that.
class Entries {
 public:
  Result<void> check(const PutEntry& entry) {
    if (std::exchange(is_first_, false)) {
      if (!entry.path.empty()) return damaged();
    } else {
      if (!is_name(entry.path)) return damaged();
      size_t slash = entry.path.rfind('/');
      std::string_view parent = slash == std::string_view::npos ? "" : entry.path.substr(0, slash);
      while (!directories_.empty() && directories_.back() != parent) directories_.pop_back();
      if (directories_.empty()) return damaged();
    }
    if (entry.kind == PutEntry::Kind::Directory) directories_.push_back(entry.path);
    std::string_view target = as_text(entry.bytes);
    bool leads_nowhere = target.empty() || target.size() > kLongestPutPath ||
                         target.find('\0') != std::string_view::npos;
    if (entry.kind == PutEntry::Kind::Link && leads_nowhere) return damaged();
    return {};
  }

 private:
  bool is_first_ = true;
  std::vector<std::string_view> directories_;  // that are open, each in the one before it
};

Result<Put> take_put(ByteReader& in) {
  Put put;
  put.partition = TRY(take_text(in));
  put.path = TRY(take_text(in));
  put.name = TRY(take_text(in));
  put.uid = TRY(in.le32());
  put.gid = TRY(in.le32());
  TRY(check_put(put));
  return put;
}

Result<PutEntry> take_entry(ByteReader& in, Tag tag) {
  PutEntry entry;
  entry.path = TRY(take_text(in));
  if (tag == Tag::Link) {
    entry.kind = PutEntry::Kind::Link;
    entry.bytes = as_bytes(TRY(take_text(in)));
    return entry;
  }
  entry.kind = tag == Tag::File ? PutEntry::Kind::File : PutEntry::Kind::Directory;
  entry.mode = TRY(in.le16());
  if ((entry.mode & ~kPermissions) != 0) return damaged();
  if (tag == Tag::File) {
    uint32_t size = TRY(in.le32());
    entry.bytes = TRY(in.take(size));
  }
  return entry;
}

}  // namespace

uint64_t Put::bytes() const {
  return std::accumulate(
      entries.begin(), entries.end(), uint64_t{0},
      [](uint64_t sum, const PutEntry& entry) { return sum + entry.bytes.size(); });
}

uint64_t PutOrder::bytes() const {
  return std::accumulate(puts.begin(), puts.end(), uint64_t{0},
                         [](uint64_t sum, const Put& put) { return sum + put.bytes(); });
}

size_t PutOrder::files() const {
  size_t count = 0;
  for (const Put& put : puts) {
    count += static_cast<size_t>(std::ranges::count_if(put.entries, [](const PutEntry& entry) {
      return entry.kind != PutEntry::Kind::Directory;
    }));
  }
  return count;
}

bool is_put_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > kLongestPutPath) return false;
  if (path.find('\0') != std::string_view::npos) return false;
  if (path == "/") return true;
  path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  return is_plain_path(path);
}

Result<PutOrder> parse_put_order(ConstBytes archive) {
  ByteReader in(archive);
  if (as_text(TRY(in.take(kMagic.size()))) != kMagic) return damaged();
  PutOrder order;
  uint8_t replace = TRY(in.u8());
  if (replace > 1) return damaged();
  order.replace = replace == 1 ? ReplaceFiles::Yes : ReplaceFiles::No;
  Entries entries;
  size_t count = 0;  // of entries; there are no more puts than these
  auto is_complete = [&] { return order.puts.empty() || !order.puts.back().entries.empty(); };
  while (!in.at_end()) {
    Tag tag{TRY(in.u8())};
    switch (tag) {
      case Tag::Put:
        if (!is_complete()) return damaged();
        order.puts.push_back(TRY(take_put(in)));
        entries = {};
        continue;
      case Tag::Directory:
      case Tag::File:
      case Tag::Link: break;
      default: return damaged();
    }
    if (order.puts.empty() || ++count > kMostPutEntries) return damaged();
    PutEntry entry = TRY(take_entry(in, tag));
    TRY(entries.check(entry));
    order.puts.back().entries.push_back(entry);
  }
  if (!is_complete()) return damaged();
  return order;
}

Result<ByteVector> format_put_order(const PutOrder& order) {
  size_t entries = 0;
  for (const Put& put : order.puts) entries += put.entries.size();
  if (entries > kMostPutEntries) {
    return Error(concat(entries, " files and directories are to be put, and at most ",
                        kMostPutEntries, " can be; pack them into an archive, or put fewer"));
  }
  if (order.bytes() > kLargestPutOrder) {
    return Error(concat("more than ", format_size(kLargestPutOrder),
                        ", which is all that can be put: it travels in memory"));
  }
  ByteWriter out;
  out.append(kMagic);
  out.u8(order.replace == ReplaceFiles::Yes ? 1 : 0);
  for (const Put& put : order.puts) {
    TRY(check_put(put));
    Entries checked;
    for (const PutEntry& entry : put.entries) TRY(checked.check(entry));
    out.u8(static_cast<uint8_t>(Tag::Put));
    for (std::string_view text : {put.partition, put.path, put.name}) append_text(out, text);
    out.le32(put.uid);
    out.le32(put.gid);
    for (const PutEntry& entry : put.entries) {
      out.u8(static_cast<uint8_t>(tag_of(entry.kind)));
      append_text(out, entry.path);
      if (entry.kind == PutEntry::Kind::Link) {
        append_text(out, as_text(entry.bytes));
        continue;
      }
      out.le16(static_cast<uint16_t>(entry.mode));
      if (entry.kind == PutEntry::Kind::Directory) continue;
      out.le32(static_cast<uint32_t>(entry.bytes.size()));
      out.append(entry.bytes);
    }
  }
  ByteVector archive = std::move(out).bytes();
  if (archive.size() > kLargestPutOrder + 1_MiB) return Error("more than can be put");
  TRY(parse_put_order(archive));
  return archive;
}

}  // namespace curlingiron
