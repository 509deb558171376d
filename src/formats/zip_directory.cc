#include "formats/zip_directory.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kEnd = "PK\x05\x06";
constexpr std::string_view kEnd64 = "PK\x06\x06";
constexpr std::string_view kLocator64 = "PK\x06\x07";
constexpr std::string_view kCentral = "PK\x01\x02";
constexpr size_t kEndBytes = 22;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kEnd64Bytes =
    56;  // without its extensible part, of which nothing is known to be in use
constexpr uint16_t kZip64Field = 1;
constexpr uint16_t kOnes16 = 0xffff;
constexpr uint32_t kOnes32 = 0xffffffff;
constexpr uint64_t kModulo = uint64_t{1} << 32;

struct EndRecord {
  uint64_t disk = 0;
  uint64_t directory_disk = 0;
  uint64_t entries_here = 0;
  uint64_t entries = 0;
  uint64_t length = 0;
  uint64_t directory = 0;
};

size_t number16(ConstBytes bytes, size_t at) {
  return bytes[at] | static_cast<size_t>(bytes[at + 1]) << 8;
}

// With its comment.
size_t end_record_length(ConstBytes tail, size_t at) { return kEndBytes + number16(tail, at + 20); }

// A comment may hold what looks like another: first of all those that end with the file.
std::optional<size_t> find_end_record(ConstBytes tail) {
  if (tail.size() < kEndBytes) return std::nullopt;
  for (bool ends_file : {true, false}) {
    for (size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
      if (!has(tail, at, kEnd)) continue;
      size_t end = at + end_record_length(tail, at);
      if (ends_file ? end == tail.size() : end < tail.size()) return at;
    }
  }
  return std::nullopt;
}

Result<EndRecord> parse_end(ConstBytes bytes) {
  ByteReader in(bytes);
  TRY(in.skip(kEnd.size()));
  EndRecord record;
  record.disk = TRY(in.le16());
  record.directory_disk = TRY(in.le16());
  record.entries_here = TRY(in.le16());
  record.entries = TRY(in.le16());
  record.length = TRY(in.le32());
  record.directory = TRY(in.le32());
  return record;
}

// Its place is what the locator says, or right before the locator where bytes stand before the
// archive. Nowhere: what looks like a locator may be the end of the last name.
std::optional<size_t> find_end64(ConstBytes tail, size_t locator, uint64_t tail_begin) {
  uint64_t place = ByteReader(tail.subspan(locator + 8)).le64().value();
  bool inside = place >= tail_begin && place - tail_begin <= locator;
  size_t said = inside ? static_cast<size_t>(place - tail_begin) : locator;
  for (size_t at : {said, locator - std::min(locator, kEnd64Bytes)}) {
    if (has(tail, at, kEnd64)) return at;
  }
  return std::nullopt;
}

Result<EndRecord> parse_end64(ConstBytes bytes) {
  ByteReader record(bytes);
  TRY(record.skip(kEnd64.size() + 8 + 2 + 2));  // its own length, versions
  EndRecord end;
  end.disk = TRY(record.le32());
  end.directory_disk = TRY(record.le32());
  end.entries_here = TRY(record.le64());
  end.entries = TRY(record.le64());
  end.length = TRY(record.le64());
  end.directory = TRY(record.le64());
  return end;
}

// Of the disks that the locator names: where the end record is, and how many there are.
bool is_split(ConstBytes locator) {
  return ByteReader(locator.subspan(4)).le32().value() != 0 ||
         ByteReader(locator.subspan(16)).le32().value() > 1;
}

// Whether no field of the old record leaves it to its twin.
bool is_complete(const EndRecord& record) {
  return record.disk != kOnes16 && record.directory_disk != kOnes16 &&
         record.entries_here != kOnes16 && record.entries != kOnes16 && record.length != kOnes32 &&
         record.directory != kOnes32;
}

// Whether the old record's field says the same, or only that the other one has it.
bool agrees(uint64_t narrow, uint64_t wide, uint64_t ones) {
  return narrow == wide || narrow == ones;
}

bool agree(const EndRecord& narrow, const EndRecord& wide) {
  return agrees(narrow.disk, wide.disk, kOnes16) &&
         agrees(narrow.directory_disk, wide.directory_disk, kOnes16) &&
         agrees(narrow.entries_here, wide.entries_here, kOnes16) &&
         agrees(narrow.entries, wide.entries, kOnes16) &&
         agrees(narrow.length, wide.length, kOnes32) &&
         agrees(narrow.directory, wide.directory, kOnes32);
}

// The values of the zip64 extra field (4.5.3) for those that are all ones, in their order.
Result<void> apply_zip64(ConstBytes extra, ZipEntry& entry) {
  ByteReader in(extra);
  while (in.rest().size() >= 4) {
    uint16_t id = TRY(in.le16());
    ConstBytes data = TRY(in.take(TRY(in.le16())));
    if (id != kZip64Field || data.empty()) continue;
    ByteReader wide(data);
    for (uint64_t* value : {&entry.size, &entry.compressed, &entry.offset}) {
      if (*value == kOnes32) *value = TRY(wide.le64());
    }
    entry.wide = true;
    break;
  }
  return {};
}

// What both kinds of headers have, in the same order.
struct Header {
  ZipEntry entry;
  uint16_t name = 0;   // bytes
  uint16_t extra = 0;  // bytes
};

Result<Header> parse_common(ByteReader& in) {
  Header header;
  TRY(in.skip(2));  // the version that unpacks it: flags and method say more
  header.entry.flags = TRY(in.le16());
  header.entry.method = TRY(in.le16());
  TRY(in.skip(4));  // time and date
  header.entry.crc = TRY(in.le32());
  header.entry.compressed = TRY(in.le32());
  header.entry.size = TRY(in.le32());
  header.name = TRY(in.le16());
  header.extra = TRY(in.le16());
  return header;
}

}  // namespace

bool ZipEntry::holds_nothing() const {
  // Of just 4 GiB, modulo, nothing is left, either.
  constexpr uint64_t kEmptyCompressed = 64;
  bool empty = size == 0 && compressed < kEmptyCompressed && !sizes_follow();
  return empty || name.ends_with('/') || name.starts_with("__MACOSX/");
}

size_t zip_local_length(ConstBytes header) {
  return kZipLocalBytes + number16(header, 26) + number16(header, 28);
}

size_t zip_central_length(ConstBytes header) {
  return kZipCentralBytes + number16(header, 28) + number16(header, 30) + number16(header, 32);
}

Result<ZipEntry> parse_zip_local(ConstBytes bytes) {
  ByteReader in(bytes);
  TRY(in.skip(4));
  Header header = TRY(parse_common(in));
  header.entry.name = as_text(TRY(in.take(header.name)));
  TRY(apply_zip64(TRY(in.take(header.extra)), header.entry));
  return std::move(header.entry);
}

Result<ZipEntry> parse_zip_central(ConstBytes bytes) {
  ByteReader in(bytes);
  TRY(in.skip(kCentral.size() + 2));  // the version that made it
  Header header = TRY(parse_common(in));
  TRY(in.skip(2 + 2 + 2 + 4));  // the comment's length, disk, attributes
  header.entry.offset = TRY(in.le32());
  header.entry.name = as_text(TRY(in.take(header.name)));
  TRY(apply_zip64(TRY(in.take(header.extra)), header.entry));
  return std::move(header.entry);
}

Result<ZipEnd> find_zip_end(ConstBytes tail, uint64_t size) {
  std::optional<size_t> at = find_end_record(tail);
  if (!at)
    return Error("the zip archive has no directory at its end: it is cut off, or bytes follow it");
  Error split("the zip archive is one part of a split archive; join its parts (\"zip -s 0\")");
  EndRecord record = TRY(parse_end(tail.subspan(*at)));
  uint64_t after = tail.size() - *at - end_record_length(tail, *at);
  uint64_t tail_begin = size - tail.size();
  uint64_t directory_end = tail_begin + *at;
  ZipEnd end;
  if (*at >= kLocator64Bytes && has(tail, *at - kLocator64Bytes, kLocator64)) {
    size_t locator = *at - kLocator64Bytes;
    std::optional<size_t> at64 = find_end64(tail, locator, tail_begin);
    if (at64) {
      if (is_split(tail.subspan(locator))) return split;
      EndRecord wide = TRY_CONTEXT("the zip archive", parse_end64(tail.subspan(*at64)));
      if (!agree(record, wide))
        return Error("the zip archive's two end records contradict each other");
      record = wide;
      end.wide = true;
    } else if (!is_complete(record)) {
      return Error("the zip archive's zip64 end record is not where it should be");
    }
  }
  if (record.disk != 0 || record.directory_disk != 0 || record.entries_here != record.entries) {
    return split;
  }
  if (record.entries > kMostZipEntries || record.length > kMostZipDirectory) {
    return Error(concat("the zip archive has more than ", kMostZipEntries,
                        " entries or a directory of more than 1 MiB; "
                        "serve the disk image alone"));
  }
  end.after = after;
  end.entries = record.entries;
  end.length = record.length;
  end.directory = record.directory;
  if (!end.wide) {
    // It ends where the end record begins; what is written of its place is the remainder.
    if (end.length > directory_end)
      return Error("the zip archive's directory is longer than the archive");
    uint64_t place = directory_end - end.length;
    if (place % kModulo == end.directory) end.directory = place;
  }
  if (end.directory > directory_end || end.length > directory_end - end.directory) {
    return Error("the zip archive's directory reaches past its end record");
  }
  return end;
}

Result<std::vector<ZipEntry>> parse_zip_directory(ConstBytes bytes, const ZipEnd& end) {
  ByteReader in(bytes);
  std::vector<ZipEntry> entries;
  Error damaged("the zip archive's directory is damaged");
  while (has(in.rest(), 0, kCentral)) {
    if (entries.size() == kMostZipEntries) break;
    if (in.rest().size() < kZipCentralBytes) return damaged;
    Result<ConstBytes> header = in.take(zip_central_length(in.rest()));
    if (!header.ok()) return damaged;
    Result<ZipEntry> entry = parse_zip_central(header.value());
    if (!entry.ok()) return damaged;
    if (entry.value().offset >= end.directory) {
      return Error(concat("the zip archive's directory is damaged: \"",
                          printable(entry.value().name, 100),
                          "\" is said to begin after the last file's end"));
    }
    entries.push_back(std::move(entry.value()));
  }
  if (entries.size() != end.entries) {
    return Error(concat("the zip archive's directory is damaged: it has ", entries.size(), " of ",
                        end.entries, " entries"));
  }
  return entries;
}

}  // namespace curlingiron
