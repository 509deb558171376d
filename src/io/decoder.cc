#include "io/decoder.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace curlingiron {

namespace {

// A level, and the mark of a block or of the stream's end, 48 bits each.
bool is_bzip2_rest(ConstBytes after) {
  bool mark =
      has(after, 1, "\x31\x41\x59\x26\x53\x59") || has(after, 1, "\x17\x72\x45\x38\x50\x90");
  return mark && after[0] >= '1' && after[0] <= '9';
}

}  // namespace

bool is_bzip2_head(ConstBytes head) {
  return has(head, 0, kBzip2Magic) && is_bzip2_rest(head.subspan(kBzip2Magic.size()));
}

bool is_skippable_magic(ConstBytes bytes) {
  return has(bytes, 1, "\x2a\x4d\x18") && (bytes[0] & 0xf0) == 0x50;
}

ConstBytes after_skippable_frames(ConstBytes head) {
  ByteReader in(head);
  while (is_skippable_magic(in.rest())) {
    Result<uint32_t> length = in.skip(4).ok() ? in.le32() : Error("truncated");
    if (!length.ok() || !in.skip(length.value()).ok()) return {};
  }
  return in.rest();
}

namespace {

// How a stream begins: a magic, and bytes after it of which some values cannot be.
struct StreamHead {
  Format format;
  std::string_view magic;
  size_t length;  // with what comes after the magic
  bool (*fits)(ConstBytes after);
};

constexpr StreamHead kStreamHeads[] = {
    // RFC 1952, 2.3: flags, time, extra flags, operating system.
    {Format::Gzip, kGzipMagic, 10,
     [](ConstBytes after) {
       bool known_system = after[6] <= 13 || after[6] == 255;
       return (after[0] & 0xe0) == 0 && (after[5] & 0xf9) == 0 && known_system;
     }},
    {Format::Bzip2, kBzip2Magic, kBzip2HeadBytes, is_bzip2_rest},
    {Format::Xz, kXzMagic, 8, [](ConstBytes after) { return after[0] == 0 && after[1] < 16; }},
    {Format::Zstd, kZstdMagic, 5, [](ConstBytes after) { return (after[0] & 8) == 0; }},
    {Format::Lz4, kLz4Magic, 5, [](ConstBytes after) { return after[0] >> 6 == 1; }},
};

// Whether what follows a stream is another one: one that stands anywhere in it, or right after the
// zeros a damaged one, with one byte of its magic wrong.
class StreamSearch {
 public:
  explicit StreamSearch(Format format) {
    for (const StreamHead& head : kStreamHeads) {
      if (head.format == format) head_ = &head;
    }
  }

  bool seen_other_than_zeros() const { return other_; }

  // Pieces in their order. True: it is.
  bool add(ConstBytes piece) {
    if (!other_) {
      auto first = std::find_if(piece.begin(), piece.end(), [](uint8_t byte) { return byte != 0; });
      other_ = first != piece.end();
      if (!other_ || head_ == nullptr) return false;
      // The magic's own first byte may be what is zero now.
      auto zeros = static_cast<size_t>(first - piece.begin());
      begin_bytes_ = zeros == 0 ? 0 : 1;
      held_.assign(begin_bytes_, 0);
      piece = piece.subspan(zeros);
    }
    if (head_ == nullptr) return false;
    held_.insert(held_.end(), piece.begin(), piece.end());
    ConstBytes all(held_);
    if (!judged_begin_ && all.size() >= head_->length + begin_bytes_) {
      judged_begin_ = true;
      for (size_t at = 0; at <= begin_bytes_; ++at) {
        if (is_head(all.subspan(at), 1)) return true;
      }
    }
    for (size_t at = 0; at + head_->length <= all.size(); ++at) {
      const void* next = std::memchr(all.data() + at, static_cast<uint8_t>(head_->magic[0]),
                                     all.size() - head_->length + 1 - at);
      if (next == nullptr) break;
      at = static_cast<size_t>(static_cast<const uint8_t*>(next) - all.data());
      if (is_head(all.subspan(at), 0)) return true;
    }
    // What may be a head's beginning comes again; and the first bytes, until they are judged.
    size_t kept = head_->length - 1;
    if (judged_begin_ && held_.size() > kept) {
      held_.erase(held_.begin(), held_.end() - static_cast<ptrdiff_t>(kept));
    }
    return false;
  }

 private:
  bool is_head(ConstBytes bytes, size_t wrong) const {
    if (bytes.size() < head_->length) return false;
    size_t different = 0;
    for (size_t i = 0; i < head_->magic.size(); ++i) {
      if (bytes[i] != static_cast<uint8_t>(head_->magic[i])) ++different;
    }
    return different <= wrong && head_->fits(bytes.subspan(head_->magic.size()));
  }

  const StreamHead* head_ = nullptr;  // null: a format whose files have one stream
  bool other_ = false;                // than zeros
  bool judged_begin_ = false;
  size_t begin_bytes_ = 0;
  ByteVector held_;
};

}  // namespace

Result<bool> CompressedInput::refill() {
  size_t kept = std::min(begin_, kGiveBack);
  if (begin_ != kept) {
    std::copy(buffer_.get() + begin_ - kept, buffer_.get() + end_, buffer_.get());
    end_ -= begin_ - kept;
    begin_ = kept;
  }
  size_t n = TRY(inner_.read({buffer_.get() + end_, kBuffer - end_}));
  end_ += n;
  received_ += n;
  return n != 0;
}

Result<void> CompressedInput::require(size_t count) {
  while (rest().size() < count) {
    if (!TRY(refill())) break;
  }
  return {};
}

Result<size_t> Decoder::read(MutableBytes into) {
  if (failure_) return *failure_;
  Result<size_t> n = decode(into);
  if (!n.ok()) failure_ = n.error();
  return n;
}

Error Decoder::truncated(uint64_t position) const {
  return Error(concat("the ", format_name(format_), " stream ends too early, at compressed byte ",
                      position, "; the file is incomplete"));
}

Error Decoder::damaged(std::string_view why, uint64_t position) const {
  return Error(concat("the ", format_name(format_), " stream is damaged near compressed byte ",
                      position, " (", why, "); get the file again, or check the original"));
}

Error Decoder::garbage_after_end(uint64_t position) const {
  std::string_view name = format_name(format_);
  return Error(concat("bytes that are not ", name, " follow the end of the ", name,
                      " stream near compressed byte ", position,
                      "; the file is not what it should be"));
}

Result<void> Decoder::pass_over_rest(bool checked, uint64_t end, ConstBytes taken) {
  uint64_t most = checked ? limits_.most_after_checked : limits_.most_after_unchecked;
  StreamSearch search(format_);
  bool another = search.add(taken);
  do {
    another = another || search.add(input_.rest());
    input_.take(input_.rest().size());
    bool too_many = search.seen_other_than_zeros() && input_.position() - end > most;
    if (another || too_many) break;
  } while (TRY(input_.refill()));
  if (another) {
    return Error(concat("what follows the end of the ", format_name(format_),
                        " stream at compressed byte ", end,
                        " is another one, damaged or out of its place; get the file again, or "
                        "check the original"));
  }
  if (search.seen_other_than_zeros() && input_.position() - end > most) {
    return garbage_after_end(end);
  }
  if (!search.seen_other_than_zeros()) return {};
  log_warning_once(concat(plural(input_.position() - end, "byte", "bytes"),
                          " after the end of the ", format_name(format_),
                          " stream are passed over"));
  return {};
}

uint64_t decoder_memory(const DecodeLimits& limits) {
  return limits.memory > kBesideDecoder ? limits.memory - kBesideDecoder : 0;
}

}  // namespace curlingiron
