// A zip archive with one disk image in it (PKWARE's APPNOTE.TXT 6.3.10), decoded from front to
// back: what the local headers say is believed only where the central directory at the end says the
// same.
#include <algorithm>
#include <array>
#include <vector>

#include "base/advice.h"
#include "formats/disk_image.h"
#include "formats/foreign_file.h"
#include "formats/zip_directory.h"
#include "io/adapters.h"
#include "io/decoder.h"
#include "io/inflate.h"

namespace curlingiron {
namespace {

constexpr std::string_view kLocalHeader = kZipLocalMagic;
constexpr std::string_view kDescriptor = "PK\x07\x08";
// In front of the first entry: the mark of an archive that was split and joined again, or that was
// made to be split and did not need it (8.5.3 and 8.5.4).
constexpr std::string_view kSplitMarks[] = {"PK\x07\x08", "PK00"};
constexpr std::string_view kExtraDataRecord = "PK\x06\x08";
constexpr std::string_view kCentralHeader = "PK\x01\x02";
constexpr std::string_view kZip64End = "PK\x06\x06";
constexpr std::string_view kZip64Locator = "PK\x06\x07";
constexpr std::string_view kEnd = "PK\x05\x06";
constexpr size_t kSignature = 4;

constexpr uint16_t kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;
constexpr uint16_t kPatch = 1 << 5;
constexpr uint32_t kIn64 = 0xffffffff;  // the value is in the zip64 end record
constexpr uint16_t kIn64Short = 0xffff;

// Beside the image. Folders and files are remembered until the central directory names them.
constexpr uint64_t kMostSideBytes = 16_MiB;
// A file that is as small as this, and does not begin as a disk does, is a checksum or a signature.
constexpr size_t kSmallFile = 64_KiB;

std::string method_name(uint16_t method) {
  switch (method) {
    case 9: return "deflate64";
    case 12: return "bzip2";
    case 14: return "lzma";
    case 93: return "zstd";
    case 95: return "xz";
    case 98: return "ppmd";
    case 99: return "AES encryption";
    default: return concat("method ", method);
  }
}

// Sizes and offsets of old packers are modulo 2^32.
bool says(uint64_t field, uint64_t value, bool wide) {
  return field == value || (!wide && field == (value & 0xffffffff));
}

// One that was read.
struct Entry : ZipEntry {
  bool listed = false;  // the central directory has named it
};

// The bytes of one entry after the other, with what they come to.
class ZipData : public Decoder {
 public:
  ZipData(Source& inner, const DecodeLimits& limits)
      : Decoder(Format::Zip, inner, limits, Extent::File) {}

 protected:
  // At input().position(). `stored`: bytes, of what is not packed.
  void begin_data(uint16_t method, uint64_t stored) {
    method_ = method;
    stored_ = stored;
    begin_ = input().position();
    crc_ = 0;
    size_ = 0;
    data_ended_ = false;
    inflater_.reset();
  }

  Result<size_t> decode_data(MutableBytes into) {
    size_t produced = 0;
    if (method_ == kZipStored) {
      uint64_t left = stored_ - size_;
      if (left != 0 && input().empty() && !TRY(input().refill())) return truncated();
      produced =
          static_cast<size_t>(std::min<uint64_t>({left, into.size(), input().rest().size()}));
      std::copy_n(input().rest().data(), produced, into.data());
      input().take(produced);
      data_ended_ = produced == left;
    } else {
      if (input().empty() && !inflater_.output_pending() && !TRY(input().refill())) {
        return truncated();
      }
      Result<size_t> n = inflater_.decode(input(), into);
      if (!n.ok()) return damaged(n.error().message());
      produced = n.value();
      data_ended_ = inflater_.ended();
    }
    crc_ = deflate_crc32(crc_, into.first(produced));
    size_ += produced;
    return produced;
  }

  bool data_ended() const { return data_ended_; }
  uint32_t crc() const { return crc_; }  // of what was decoded
  uint64_t size() const { return size_; }
  uint64_t packed() { return input().position() - begin_; }

 private:
  Inflater inflater_;
  uint16_t method_ = 0;
  uint64_t stored_ = 0;
  uint64_t begin_ = 0;
  uint32_t crc_ = 0;
  uint64_t size_ = 0;
  bool data_ended_ = false;
};

// The one entry that the directory, which was read before, has for the image. What else there is
// (gaps, entries that were taken out, names that are written in two ways) is nobody's business.
class ZipEntryDecoder final : public ZipData {
 public:
  ZipEntryDecoder(Source& inner, const DecodeLimits& limits)
      : ZipData(inner, limits), entry_(*limits.entry) {}

 protected:
  Result<size_t> decode(MutableBytes into) override {
    if (state_ == State::Before) TRY(begin());
    while (state_ == State::Inside) {
      size_t produced = TRY(decode_data(into));
      if (data_ended()) TRY(end());
      if (produced != 0) return produced;
    }
    return size_t{0};
  }

 private:
  enum class State { Before, Inside, After };

  Result<void> pass_over(uint64_t count) {
    while (count != 0) {
      if (input().empty() && !TRY(input().refill())) return truncated();
      auto piece = static_cast<size_t>(std::min<uint64_t>(count, input().rest().size()));
      input().take(piece);
      count -= piece;
    }
    return {};
  }

  Result<void> begin() {
    TRY(pass_over(entry_.offset));
    TRY(input().require(kZipLocalBytes));
    if (input().rest().size() < kZipLocalBytes) return truncated();
    if (!has(input().rest(), 0, kZipLocalMagic)) {
      return damaged("no file is where the directory says");
    }
    TRY(pass_over(zip_local_length(input().rest())));
    begin_data(entry_.method, entry_.compressed);
    state_ = State::Inside;
    return {};
  }

  Result<void> end() {
    if (packed() != entry_.compressed) return damaged("a wrong compressed length");
    if (!says(entry_.size, size(), entry_.wide)) return damaged("a wrong length");
    if (entry_.crc != crc()) return damaged("a wrong checksum");
    do {
      input().take(input().rest().size());
    } while (TRY(input().refill()));
    state_ = State::After;
    return {};
  }

  ZipEntry entry_;
  State state_ = State::Before;
};

class ZipDecoder final : public ZipData {
 public:
  using ZipData::ZipData;

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      switch (state_) {
        case State::Ended: return size_t{0};
        case State::BetweenEntries: TRY(next_record()); continue;
        case State::Unjudged: TRY(judge_entry()); continue;
        case State::InSideFile: TRY(pass_over_entry()); continue;
        case State::InImage: break;
      }
      if (head_given_ < head_.size()) {
        size_t n = std::min(into.size(), head_.size() - head_given_);
        std::copy_n(head_.data() + head_given_, n, into.data());
        head_given_ += n;
        return n;
      }
      if (complete_) {
        head_ = ByteVector();
        state_ = State::BetweenEntries;
        continue;
      }
      size_t produced = TRY(decode_entry(into));
      if (produced != 0) return produced;
    }
  }

 private:
  enum class State { BetweenEntries, Unjudged, InSideFile, InImage, Ended };

  // A header that begins with `fixed` bytes, as long as they say.
  Result<ByteVector> take_header(size_t fixed, size_t (*length)(ConstBytes)) {
    ByteVector header = TRY(take(fixed));
    size_t whole = length(header);
    return take(whole, std::move(header));
  }

  // `count` bytes, `bytes` the first of them, however the input is cut.
  Result<ByteVector> take(size_t count, ByteVector bytes = {}) {
    bytes.reserve(count);
    while (bytes.size() < count) {
      if (input().empty() && !TRY(input().refill())) return truncated();
      ConstBytes piece =
          input().rest().first(std::min(input().rest().size(), count - bytes.size()));
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      input().take(piece.size());
    }
    return bytes;
  }

  Result<bool> comes(std::string_view signature) {
    TRY(input().require(kSignature));
    return has(input().rest(), 0, signature);
  }

  Result<void> next_record() {
    if (input().position() == 0) TRY(pass_over_split_mark());
    if (TRY(comes(kLocalHeader))) return begin_entry();
    if (TRY(comes(kCentralHeader)) || TRY(comes(kEnd)) || TRY(comes(kExtraDataRecord))) {
      return read_directory();
    }
    if (input().rest().size() < kSignature) return truncated();
    return damaged("neither a file nor the directory follows");
  }

  Result<void> pass_over_split_mark() {
    for (std::string_view mark : kSplitMarks) {
      if (!TRY(comes(mark))) continue;
      input().take(kSignature);
      return {};
    }
    return {};
  }

  Result<void> begin_entry() {
    uint64_t offset = input().position();
    Result<ZipEntry> entry = parse_zip_local(TRY(take_header(kZipLocalBytes, zip_local_length)));
    if (!entry.ok()) return damaged("a wrong extra field");
    current_ = Entry{std::move(entry).value()};
    current_.offset = offset;
    if (entries_.size() == kMostZipEntries) {
      return Error(concat("the zip archive has more than ", kMostZipEntries,
                          " entries; serve the disk image alone"));
    }
    TRY(check_zip_entry(current_));
    // It has no size but that of what is decoded.
    if (current_.method == kZipStored && current_.sizes_follow() && !current_.name.ends_with('/')) {
      return Error(concat("\"", printable(current_.name, 100),
                          "\" in the zip archive is stored without its size in front; "
                          "make the archive from a file, not from a pipe"));
    }
    complete_ = false;
    begin_data(current_.method, current_.size);
    state_ = current_.holds_nothing() ? State::InSideFile : State::Unjudged;
    return {};
  }

  bool is_wanted() const {
    if (limits().member_offset) return current_.offset == *limits().member_offset;
    // Another one of that name may come with other folders: which of them, the directory would say.
    return current_.name == limits().member;
  }

  // By the one that is wanted; else by its first bytes, which are kept for it.
  Result<void> judge_entry() {
    head_.resize(kDiskImageBytes);
    head_given_ = 0;
    size_t filled = 0;
    while (!complete_ && filled < head_.size()) {
      filled += TRY(decode_entry(MutableBytes(head_).subspan(filled)));
    }
    head_.resize(filled);
    std::string shown = printable(current_.name, 100);
    std::string other;
    if (!is_chosen_by_name()) other = zip_side_file(head_, complete_, limits().any_content);
    if (is_chosen_by_name() ? !is_wanted() : !other.empty()) {
      if (is_chosen_by_name() && is_zip_member(current_.name, limits().member)) {
        nearly_wanted_ = shown;
      }
      // Of several, the largest may be what was meant.
      if (!other.empty() && (passed_over_.empty() || filled > passed_over_bytes_)) {
        passed_over_ = concat("\"", shown, "\" is ", other);
        passed_over_bytes_ = filled;
      }
      head_ = ByteVector();
      state_ = complete_ ? State::BetweenEntries : State::InSideFile;
      return {};
    }
    if (!image_name_.empty()) {
      return Error(concat("the zip archive has several disk images, \"", image_name_, "\" and \"",
                          shown, "\"; choose one with ", as_typed("member=NAME"),
                          ", or serve it alone"));
    }
    image_name_ = shown.empty() ? "(no name)" : shown;
    state_ = State::InImage;
    return {};
  }

  Result<void> pass_over_entry() {
    std::array<uint8_t, 16384> unwanted;
    while (!complete_) {
      TRY(decode_entry(unwanted));
      bool image_may_come = image_name_.empty() && !is_chosen_by_name();
      if (size() <= kMostSideBytes || !image_may_come) continue;
      return Error(concat("\"", printable(current_.name, 100),
                          "\" in the zip archive is larger than ", format_size(kMostSideBytes),
                          " and no disk image",
                          passed_over_.empty() ? "" : concat(" (", passed_over_, ")"),
                          "; serve the disk image alone"));
    }
    state_ = State::BetweenEntries;
    return {};
  }

  bool is_chosen_by_name() const { return limits().member_offset || !limits().member.empty(); }

  Result<size_t> decode_entry(MutableBytes into) {
    size_t produced = TRY(decode_data(into));
    if (current_.wide && !current_.sizes_follow() && size() > current_.size) {
      return damaged("a wrong length");
    }
    if (data_ended()) TRY(end_entry());
    return produced;
  }

  Result<void> end_entry() {
    uint64_t compressed = packed();
    if (current_.sizes_follow()) {
      TRY(read_descriptor(compressed));
    } else {
      if (!says(current_.size, size(), current_.wide)) return damaged("a wrong length");
      if (!says(current_.compressed, compressed, current_.wide)) {
        return damaged("a wrong compressed length");
      }
      if (current_.crc != crc()) return damaged("a wrong checksum");
    }
    current_.crc = crc();
    current_.size = size();
    current_.compressed = compressed;
    entries_.push_back(current_);
    complete_ = true;
    return {};
  }

  // 4.3.9: with or without a signature, with sizes of 32 or 64 bits: the one that fits what was
  // decoded, and after which the archive goes on.
  Result<void> read_descriptor(uint64_t compressed) {
    constexpr size_t kLongest = kSignature + 4 + 8 + 8 + 2;
    TRY(input().require(kLongest));
    for (bool with_signature : {true, false}) {
      for (bool wide : {false, true}) {
        ByteWriter expected;
        if (with_signature) expected.append(kDescriptor);
        expected.le32(crc());
        for (uint64_t size : {compressed, size()}) {
          if (wide) {
            expected.le64(size);
          } else {
            expected.le32(static_cast<uint32_t>(size));
          }
        }
        size_t length = expected.size();
        expected.append("PK");
        if (!has(input().rest(), 0, expected.bytes())) continue;
        input().take(length);
        return {};
      }
    }
    if (input().rest().size() < kLongest) {
      input().take(input().rest().size());
      return truncated();
    }
    return damaged("a wrong checksum or length");
  }

  // 4.3.12 to 4.3.16: it must name what was read, and end the stream.
  Result<void> read_directory() {
    if (image_name_.empty()) return no_image();
    if (TRY(comes(kExtraDataRecord))) {
      return Error("the zip archive is encrypted; serve it unencrypted");
    }
    uint64_t begin = input().position();
    size_t count = 0;
    while (TRY(comes(kCentralHeader))) {
      TRY(read_central_header());
      ++count;
    }
    uint64_t length = input().position() - begin;
    if (count != entries_.size()) return damaged_or_cut("files missing in the directory");
    bool zip64 = TRY(comes(kZip64End));
    if (zip64) TRY(read_zip64_end(begin, length));
    if (!TRY(comes(kEnd))) return damaged_or_cut("no end of the directory");
    input().take(kSignature);
    ByteVector end = TRY(take(18));
    ByteReader in(end);
    bool fits = true;
    // Of disks: this one's number and the directory's; of entries: on this disk, and on all.
    for (size_t value : {size_t{0}, size_t{0}, count, count}) {
      uint16_t narrow = TRY(in.le16());
      fits &= narrow == value || (zip64 && narrow == kIn64Short);
    }
    for (uint64_t value : {length, begin}) {
      uint32_t narrow = TRY(in.le32());
      fits &= says(narrow, value, false) || (zip64 && narrow == kIn64);
    }
    if (!fits) return damaged("a directory that does not fit its end record");
    TRY(take(TRY(in.le16())));  // a comment
    TRY(pass_over_rest(true, input().position()));
    state_ = State::Ended;
    return {};
  }

  Error no_image() const {
    if (!limits().member.empty()) {
      return Error(
          concat("the zip archive has no file \"", printable(limits().member, 100), "\" in it; ",
                 nearly_wanted_.empty()
                     ? concat("check ", as_typed("member=NAME"))
                     : concat("pass ", as_typed(concat("member=\"", nearly_wanted_, "\"")))));
    }
    if (passed_over_.empty()) {
      return Error("the zip archive has no file in it; serve the disk image itself");
    }
    return Error(concat("the zip archive has no disk image in it: ", passed_over_));
  }

  Error damaged_or_cut(std::string_view why) {
    return input().rest().size() < kSignature ? truncated() : damaged(why);
  }

  Result<void> read_central_header() {
    Result<ZipEntry> header =
        parse_zip_central(TRY(take_header(kZipCentralBytes, zip_central_length)));
    if (!header.ok()) return damaged("a wrong extra field");
    const ZipEntry& central = header.value();
    auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return !entry.listed && entry.name == central.name && entry.method == central.method &&
             entry.crc == central.crc && says(central.offset, entry.offset, central.wide) &&
             says(central.compressed, entry.compressed, central.wide) &&
             says(central.size, entry.size, central.wide);
    });
    if (known == entries_.end()) {
      return damaged(concat("the directory says something else of \"", printable(central.name, 100),
                            "\" than was found"));
    }
    known->listed = true;
    return {};
  }

  Result<void> read_zip64_end(uint64_t directory, uint64_t directory_length) {
    constexpr uint64_t kFixed = 44;
    constexpr uint64_t kLongest = 4_KiB;  // with an extensible data sector
    uint64_t own_offset = input().position();
    input().take(kSignature);
    ByteVector length_bytes = TRY(take(8));
    uint64_t length = TRY(ByteReader(length_bytes).le64());
    if (length < kFixed || length > kLongest) return damaged("a wrong zip64 end record");
    ByteVector record = TRY(take(static_cast<size_t>(length)));
    ByteReader in(record);
    TRY(in.skip(2 + 2));  // versions
    bool fits = TRY(in.le32()) == 0 && TRY(in.le32()) == 0;
    for (uint64_t value : std::initializer_list<uint64_t>{entries_.size(), entries_.size(),
                                                          directory_length, directory}) {
      fits &= TRY(in.le64()) == value;
    }
    if (!TRY(comes(kZip64Locator))) return damaged_or_cut("no zip64 locator");
    input().take(kSignature);
    ByteVector locator = TRY(take(16));
    ByteReader at(locator);
    fits &= TRY(at.le32()) == 0 && TRY(at.le64()) == own_offset && TRY(at.le32()) == 1;
    if (!fits) return damaged("a directory that does not fit its zip64 end record");
    return {};
  }

  Entry current_;
  bool complete_ = false;         // all of it was decoded, and is as its checksum says
  ByteVector head_;               // its first bytes, decoded to be judged
  size_t head_given_ = 0;         // of the image's
  std::string image_name_;        // fit for a message; empty until the image's entry
  std::string nearly_wanted_;     // has that name below a folder
  std::string passed_over_;       // a file that is none: "\"a.vmdk\" is a VMware disk (vmdk); ..."
  size_t passed_over_bytes_ = 0;  // that were looked at of it
  std::vector<Entry> entries_;
  State state_ = State::BetweenEntries;
};

}  // namespace

std::string zip_side_file(ConstBytes begin, bool whole, bool any_content) {
  if (find_disk_image(begin)) return {};
  if (std::optional<ForeignFile> kernel = find_kernel(begin)) return std::string(kernel->name);
  if (std::optional<ForeignFile> file = find_foreign_file(begin)) {
    return concat(file->name, "; ", file->advice);
  }
  Format format = sniff(begin);
  if (format == Format::Qcow2) return "a qcow2 disk; unpack the archive and serve that";
  if (format != Format::Raw) {
    return concat(format_name(format), "; unpack the archive and serve that");
  }
  if (whole && begin.size() <= kSmallFile) return "too small for a disk image";
  if (any_content) return {};
  return concat("nothing that is known to be a disk; pass ", as_typed("boot=any"),
                " if a machine boots it as it is");
}

Result<void> check_zip_entry(const ZipEntry& entry) {
  std::string shown = concat("\"", printable(entry.name, 100), "\" in the zip archive is ");
  if ((entry.flags & kEncrypted) != 0) {
    return Error(concat(shown, "encrypted; serve it unencrypted"));
  }
  if ((entry.flags & kPatch) != 0) {
    return Error(concat(shown, "a patch, not a file; serve the disk image itself"));
  }
  if (entry.method == kZipStored || entry.method == kZipDeflated) return {};
  return Error(concat(shown, "compressed with ", method_name(entry.method),
                      ", which this program cannot decode; make it with \"zip\", or serve the "
                      "image as gzip, xz or zstd"));
}

bool is_zip_member(std::string_view entry, std::string_view wanted) {
  return entry == wanted || entry.substr(entry.rfind('/') + 1) == wanted;
}

Opened open_zip(Source& inner, const DecodeLimits& limits) {
  if (limits.entry) {
    return std::unique_ptr<MemberSource>(std::make_unique<ZipEntryDecoder>(inner, limits));
  }
  return std::unique_ptr<MemberSource>(std::make_unique<ZipDecoder>(inner, limits));
}

ByteVector zip_entry_head(const ZipEntry& entry, ConstBytes packed) {
  if (entry.method == kZipStored) {
    return {packed.begin(), packed.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(
                                                 {packed.size(), entry.size, kDiskImageBytes}))};
  }
  ByteVector head;
  if (entry.method != kZipDeflated) return head;
  MemorySource memory(packed);
  CompressedInput input(memory);
  Inflater inflater;
  head.resize(kDiskImageBytes);
  size_t filled = 0;
  while (filled < head.size() && !inflater.ended()) {
    if (input.empty() && !inflater.output_pending()) {
      Result<bool> more = input.refill();
      if (!more.ok() || !more.value()) break;
    }
    Result<size_t> n = inflater.decode(input, MutableBytes(head).subspan(filled));
    if (!n.ok()) break;
    filled += n.value();
  }
  head.resize(filled);
  return head;
}

std::optional<uint64_t> zip_size_hint(ConstBytes head) {
  while (has(head, 0, kLocalHeader) && head.size() >= kZipLocalBytes) {
    size_t length = zip_local_length(head);
    if (length > head.size()) break;
    Result<ZipEntry> entry = parse_zip_local(head.first(length));
    if (!entry.ok() || entry.value().sizes_follow()) break;
    ConstBytes packed = head.subspan(length);
    bool whole = entry.value().compressed <= packed.size();
    if (whole) packed = packed.first(static_cast<size_t>(entry.value().compressed));
    if (!entry.value().holds_nothing() &&
        zip_side_file(zip_entry_head(entry.value(), packed), whole, false).empty()) {
      return entry.value().size;
    }
    if (!whole) break;
    head = head.subspan(length + packed.size());
  }
  return std::nullopt;
}

}  // namespace curlingiron
