#include "image/stream.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "formats/gpt.h"
#include "formats/qcow2.h"
#include "image/check.h"
#include "io/adapters.h"
#include "io/ending.h"
#include "io/qcow2.h"
#include "io/random.h"
#include "io/sparse.h"
#include "io/vhd.h"
#include "net/http/file.h"
#include "net/http/source.h"
#include "sys/clock.h"
#include "sys/memory.h"

namespace curlingiron {
namespace {

// What a staged file must leave free: the pipeline, the decoder and the kernel's own needs.
constexpr uint64_t kBesideStaged = 96_MiB;
constexpr size_t kChunk = 1_MiB;
// The windows of these may be that large, where a file that is kept leaves them room.
constexpr uint64_t kLargeWindow = 128_MiB;
// What may follow a stream that its own checksums cover: as much, or a hundredth of the file.
constexpr uint64_t kMostAfterEnd = 1_MiB;
// For the file's end a server has that long; what it says is only needed earlier, not at all.
constexpr Duration kEndingPatience = 10s;

// With the image's name, where it has none: what comes of a server has its host, or a URL.
Error named(const Error& error, const ImageOrigin& origin) {
  std::string_view text = error.message();
  auto says = [&](const Url& url) { return text.starts_with(concat(url.host, ":")); };
  bool is_named = text.starts_with(origin.name()) || text.starts_with("http:") ||
                  text.starts_with("https:") || std::ranges::any_of(origin.mirrors, says);
  return is_named ? error : error.with_context(origin.name());
}

// What is read of an image, and its errors named.
class NamingSource final : public Source {
 public:
  NamingSource(Source& inner, const ImageOrigin& origin) : inner_(inner), origin_(origin) {}
  Result<size_t> read(MutableBytes into) override {
    Result<size_t> n = inner_.read(into);
    if (!n.ok()) return named(n.error(), origin_);
    return n;
  }
  uint64_t zeros_ahead() override { return inner_.zeros_ahead(); }
  void skip_zeros(uint64_t count) override { inner_.skip_zeros(count); }

 private:
  Source& inner_;
  const ImageOrigin& origin_;
};

// Whether the disk's own partition table ends it just before a footer of a fixed VHD: only what is
// not packed shows the footer itself.
bool leaves_room_for_footer(ConstBytes head, uint64_t size) {
  if (head.size() < 2 * kLeastSector) return false;
  Result<GptHeader> table = parse_gpt_header(head.subspan(kLeastSector, kLeastSector));
  return table.ok() && table.value().other_sector < size / kLeastSector &&
         (table.value().other_sector + 1) * kLeastSector + kVhdFooter == size;
}

// What a decoder needs beside a file that is kept in memory.
uint64_t beside_kept(Format format) {
  bool large = format == Format::Xz || format == Format::Zstd;
  return kBesideStaged + (large ? kLargeWindow : 0);
}

// What has no end mark of its own, or none that a checksum covers, must be proven otherwise where
// the server says nothing of its end.
bool proves_its_end(Format format) {
  switch (format) {
    case Format::Gzip:
    case Format::Xz:
    case Format::Bzip2:
    case Format::Zstd:
    case Format::Zip: return true;
    default: return false;
  }
}

}  // namespace

// Pull-through, from the wire (first member) to the raw image (last): each stands on the one before
// it.
struct ImageStream::State {
  State(const ImageOrigin& from, const HttpOptions& options, const ImageReading& how)
      : origin(from), http_options(options), reading(how), name(from.name()) {}

  Result<void> open_transport(std::optional<Time> deadline);
  Result<void> open_stream();
  Result<void> open_image(std::optional<Time> deadline);
  Result<void> open_decoded(ConstBytes magic, std::optional<Time> deadline);
  Result<std::unique_ptr<RandomSource>> open_for_ending();
  Result<void> read_end(const DecodeLimits& limits, std::optional<Time> deadline);
  Result<std::unique_ptr<Source>> open_qcow2(std::optional<Time> deadline);
  Result<void> open_random_access(std::optional<Time> deadline);
  Result<void> stage(std::string_view why);
  void close_stream();
  Result<void> choose_rehearsal();
  uint64_t room_beside() const;
  Result<std::unique_ptr<SparseCopy>> begin_copy() const;
  Result<void> start_again();
  // What is read is what was proven: out of memory, which nobody else writes to.
  bool is_settled() const { return again.valid() && (copied || rehearsal == Rehearsal::Kept); }

  ImageOrigin origin;
  HttpOptions http_options;
  ImageReading reading;
  std::string name;
  bool proven = false;  // a digest or a signature will say whether the image is the one meant
  std::optional<ServedProofs> proofs;  // of the file as served
  std::unique_ptr<HttpSource> http;    // null: a file
  std::unique_ptr<Source> local;
  std::unique_ptr<RandomSource> at_end;  // standard input, where it is a file
  std::optional<uint64_t> served_size;
  std::string tls;
  Rehearsal rehearsal = Rehearsal::None;
  uint64_t most_kept = 0;  // of the file as served, in memory
  UniqueFd original;       // a file of this machine, as it was opened first
  UniqueFd again;          // where the rehearsal is over: the file, to be read once more
  std::unique_ptr<KeepingSource> kept;
  // Where there is room for it, what was decoded is kept, too, and the file need not be again.
  UniqueFd copy;
  std::unique_ptr<SparseFileSource> copied;
  ImageProof rehearsed;                      // what proved it
  std::atomic<uint64_t> rehearsed_size = 0;  // of the image
  uint64_t downloaded_before = 0;            // it
  unsigned resumptions_before = 0;
  std::unique_ptr<ReadAheadSource> ahead;
  std::unique_ptr<CountingSource> consumed;
  std::unique_ptr<PeekSource> file;

  // A qcow2 disk is read out of one of these instead.
  std::unique_ptr<HttpFile> http_file;
  std::unique_ptr<FileRandomSource> random;  // a file, or what was staged
  UniqueFd staged;                           // the same, where it is read once more
  Qcow2Source* disk = nullptr;               // the decoder

  std::unique_ptr<Source> unpacked;
  std::unique_ptr<Source> decoder;
  std::optional<MessageDigest> image_digest;
  std::optional<ByteVector> expected_image;
  std::unique_ptr<DigestSource> hashed;
  std::unique_ptr<NamingSource> named_image;
  std::unique_ptr<PeekSource> image;

  Format format = Format::Raw;
  ConstBytes head;
  // Of the image's size; known_by: what says so, or why nothing does.
  Ending ending;
  std::string known_by;
  bool end_is_judged = false;  // whether it is within a sector
};

Result<void> ImageStream::State::open_transport(std::optional<Time> deadline) {
  switch (origin.kind) {
    case OriginKind::Http: {
      http = TRY(HttpSource::open(origin.mirrors, http_options, deadline));
      served_size = http->answer().length;
      tls = http->answer().tls;
      return {};
    }
    case OriginKind::File: {
      UniqueFd fd = TRY_CONTEXT(name, open_path(origin.path, O_RDONLY));
      served_size = TRY_CONTEXT(name, rewound_size(fd));
      original = TRY_CONTEXT(name, duplicate(fd));
      local = std::make_unique<FileSource>(std::move(fd));
      return {};
    }
    case OriginKind::StandardInput: {
      Result<UniqueFd> other = reopen_standard_input();
      if (other.ok()) {
        Result<std::unique_ptr<FileRandomSource>> whole =
            FileRandomSource::open(std::move(other).value());
        if (whole.ok()) at_end = std::move(whole).value();
      }
      if (at_end != nullptr) served_size = at_end->size();
      local = std::make_unique<FileSource>(TRY_CONTEXT(name, standard_input()));
      return {};
    }
  }
  __builtin_unreachable();
}

Result<void> ImageStream::State::open_stream() {
  Source& transport = http != nullptr ? static_cast<Source&>(*http) : *local;
  ahead = TRY(ReadAheadSource::start(is_settled() ? transport : proofs->attach(transport)));
  consumed = std::make_unique<CountingSource>(*ahead);
  file = std::make_unique<PeekSource>(*consumed);
  return {};
}

void ImageStream::State::close_stream() {
  // A read that waits for a dead server ends now: the read-ahead thread is joined after this.
  if (http != nullptr) http->set_deadline(now());
  file.reset();
  consumed.reset();
  ahead.reset();
  proofs->detach();
  http.reset();
  local.reset();
}

Result<void> ImageStream::State::open_image(std::optional<Time> deadline) {
  TRY(open_stream());
  Result<ConstBytes> first = file->peek(kSniffBytes);
  if (!first.ok()) return named(first.error(), origin);
  ConstBytes magic = first.value();
  if (magic.empty()) return Error("the file is empty").with_context(name);
  format = sniff(magic);
  if (http != nullptr && !http->answer().marks_its_end && !proven && !proves_its_end(format)) {
    return Error(
        concat(name,
               ": the server says neither how long the file is nor where it ends, so that a "
               "cut would look like its end; pass ",
               as_typed("sha256=HEX"),
               ", or serve it with "
               "Content-Length"));
  }
  if (!reading.member.empty() && format != Format::Zip) {
    return Error(concat(name, ": is ", format_name(format),
                        " and no zip archive, so that it holds no \"",
                        printable(reading.member, 100), "\"; leave out ", as_typed("member=NAME")));
  }
  if (!again.valid()) TRY(choose_rehearsal());
  if (format == Format::Qcow2) {
    decoder = TRY(open_qcow2(deadline));
    known_by = "its header";
  } else {
    TRY(open_decoded(magic, deadline));
  }
  Source* top = decoder.get();
  if (top == nullptr) return {};  // Nothing is known of the disk but its size.
  if (expected_image && !is_settled()) {
    image_digest.emplace(DigestKind::Sha256);
    hashed = std::make_unique<DigestSource>(*top, *image_digest);
    top = hashed.get();
  }
  named_image = std::make_unique<NamingSource>(*top, origin);
  image = std::make_unique<PeekSource>(*named_image);
  head = TRY(image->peek(kImageHead));
  if (head.empty()) return Error("the image is empty").with_context(name);
  if (unpacked != nullptr && format != Format::Raw && ending.least_size &&
      leaves_room_for_footer(head, *ending.least_size)) {
    *ending.least_size -= kVhdFooter;
    ending.exact_size.reset();
  }
  if (reading.any_content) return {};
  std::string_view what = origin.kind == OriginKind::Http ? "what the server sent" : "the file";
  TRY_CONTEXT(name, check_is_disk(head, format == Format::Raw ? what : "what is inside it"));
  // A footer that may follow a raw image is a sector, too.
  std::optional<uint64_t> size = format == Format::Raw ? served_size : ending.exact_size;
  if (head.size() < kImageHead) size = head.size();  // all of it
  if (size) TRY_CONTEXT(name, check_ends_with_sector(*size, proven));
  end_is_judged = size.has_value();
  return {};
}

Result<void> ImageStream::State::open_decoded(ConstBytes magic, std::optional<Time> deadline) {
  DecodeLimits limits = machine_limits();
  Source* packed = file.get();
  if (rehearsal == Rehearsal::Kept && !again.valid()) {
    limits.memory = std::max(limits.memory, most_kept) - most_kept;
    kept = TRY(KeepingSource::start(*file, most_kept));
    packed = kept.get();
  }
  limits.member = reading.member;
  limits.any_content = reading.any_content;
  limits.most_after_checked = std::max(kMostAfterEnd, served_size.value_or(0) / 100);
  if (proven) limits.most_after_checked = limits.most_after_unchecked = UINT64_MAX;
  std::optional<uint64_t> hint = decoded_size_hint(format, magic);
  TRY_CONTEXT(name, read_end(limits, deadline));
  limits.entry = ending.entry;
  limits.member_offset = ending.member_offset;
  // The first file of a zip archive need not be the image.
  bool of_image = format != Format::Zip || (limits.member.empty() && !ending.least_size);
  if (hint && of_image && hint > ending.least_size.value_or(0)) {
    ending.least_size = hint;
    known_by = "its header";
  }
  unpacked = TRY_CONTEXT(name, open_decoder(format, *packed, limits));
  decoder = std::make_unique<VhdFooterSource>(*unpacked);
  return {};
}

// The file once more, to be read from its end; null, with the reason in known_by, where it cannot
// be.
Result<std::unique_ptr<RandomSource>> ImageStream::State::open_for_ending() {
  if (again.valid()) {
    return std::unique_ptr<RandomSource>(TRY(FileRandomSource::open(TRY(duplicate(again)))));
  }
  switch (origin.kind) {
    case OriginKind::File: {
      known_by = "a pipe shows its end last";
      if (!served_size) return std::unique_ptr<RandomSource>();
      UniqueFd fd = TRY(open_path(origin.path, O_RDONLY));
      return std::unique_ptr<RandomSource>(TRY(FileRandomSource::open(std::move(fd))));
    }
    case OriginKind::StandardInput: {
      known_by = "standard input shows its end last";
      return std::move(at_end);
    }
    case OriginKind::Http: break;
  }
  known_by = "the server does not serve the file's end alone (Range)";
  if (!served_size || http->answer().ranges == RangeSupport::None) {
    return std::unique_ptr<RandomSource>();
  }
  Result<std::unique_ptr<HttpFile>> opened =
      HttpFile::open(origin.mirrors, http_options, now() + kEndingPatience);
  if (!opened.ok()) {
    if (opened.error().code() != kNoRanges) {
      log_debug(concat(name, ": asking for its end: ", opened.error().message()));
      known_by = "the server did not send the file's end";
    }
    return std::unique_ptr<RandomSource>();
  }
  if (opened.value()->size() != *served_size) {
    known_by = "the server has another file meanwhile";
    return std::unique_ptr<RandomSource>();
  }
  return std::unique_ptr<RandomSource>(std::move(opened).value());
}

// What can be known is known before the first byte is written.
Result<void> ImageStream::State::read_end(const DecodeLimits& limits,
                                          std::optional<Time> deadline) {
  if (!has_ending(format)) {
    known_by = concat(format_name(format), " does not say it");
    return {};
  }
  // The download goes on meanwhile, and what time its end takes does not count for it.
  Time began = now();
  auto extend = [&](Duration more) {
    if (http != nullptr && deadline) http->set_deadline(*deadline + more);
  };
  extend(kEndingPatience);
  std::unique_ptr<RandomSource> end = TRY(open_for_ending());
  if (end == nullptr) {
    extend(now() - began);
    // A raw file's length is its image's, but for a footer.
    if (format == Format::Raw && served_size) {
      ending.least_size = *served_size > kVhdFooter ? *served_size - kVhdFooter : *served_size;
    }
    log_info(concat(name, ": what the file's end says shows only while it is written: ", known_by));
    return {};
  }
  Result<Ending> read = read_ending(format, *end, limits);
  extend(now() - began);
  if (!read.ok() && read.error().code() == kUnreadable) {
    known_by = read.error().message();
    log_info(concat(name, ": ", known_by));
    return {};
  }
  ending = TRY(std::move(read));
  known_by = ending.known_by.empty() ? concat(format_name(format), " does not say it")
                                     : std::string(ending.known_by);
  return {};
}

Result<std::unique_ptr<Source>> ImageStream::State::open_qcow2(std::optional<Time> deadline) {
  TRY(open_random_access(deadline));
  if (http_file == nullptr && random == nullptr) return std::unique_ptr<Source>();
  Qcow2Options options;
  RandomSource* from = http_file.get();
  if (from == nullptr) {
    from = random.get();
    options.fetch = Qcow2Options::Fetch::InReader;
  }
  Result<std::unique_ptr<Qcow2Source>> opened = Qcow2Source::open(*from, options);
  if (!opened.ok()) return named(opened.error(), origin);
  disk = opened.value().get();
  ending.exact_size = ending.least_size = disk->virtual_size();
  return std::unique_ptr<Source>(std::move(opened).value());
}

// The way to the bytes of a qcow2 image in any order that needs the least memory.
Result<void> ImageStream::State::open_random_access(std::optional<Time> deadline) {
  bool is_file = again.valid() || (origin.kind == OriginKind::File && served_size);
  if (is_file) {
    if (proofs->any() && !is_settled()) {  // Hashed once, then read again.
      ByteVector chunk(kChunk);
      while (TRY(file->read(chunk)) != 0) continue;
    }
    close_stream();
    UniqueFd fd = TRY_CONTEXT(name, duplicate(again.valid() ? again : original));
    random = TRY_CONTEXT(name, FileRandomSource::open(std::move(fd)));
    return {};
  }
  if (rehearsal == Rehearsal::Kept) return stage("it is proven before anything is written");
  switch (origin.kind) {
    case OriginKind::File: return stage("a pipe");
    case OriginKind::StandardInput: return stage("standard input");
    case OriginKind::Http: break;
  }
  if (proofs->any() && reading.use == ImageUse::Write)
    return stage("a digest of the file as served is wanted");
  if (http->answer().ranges == RangeSupport::None) return stage("a server without Range");
  close_stream();
  // The whole file can be had, as was seen: where its parts cannot, half of the time is left for
  // it.
  std::optional<Time> half;
  if (deadline) half = now() + (*deadline - now()) / 2;
  Result<std::unique_ptr<HttpFile>> opened = HttpFile::open(origin.mirrors, http_options, half);
  if (opened.ok()) {
    http_file = std::move(opened).value();
    http_file->set_deadline(deadline);
    return {};
  }
  if (opened.error().code() != kNoRanges) {
    log_info(concat(name, ": cannot be read in parts: ", opened.error().message()));
  }
  TRY(open_transport(deadline));
  TRY(open_stream());
  return stage("a server without Range");
}

// Reads the whole file into memory: `why` it has to be there.
Result<void> ImageStream::State::stage(std::string_view why) {
  uint64_t available = available_memory();
  uint64_t room = available > kBesideStaged ? available - kBesideStaged : 0;
  auto too_large = [&](std::string_view size) {
    return Error(concat(name, ": a qcow2 image has to be held in memory here (", why, "), but ",
                        size, " do not fit into ", format_size(room),
                        "; serve it with Range, prove it by ", as_typed("image-sha256=HEX"),
                        ", or convert it with "
                        "\"qemu-img convert -O raw\" and compress it"),
                 ENOMEM);
  };
  if (served_size && *served_size > room) return too_large(format_size(*served_size));
  if (reading.use == ImageUse::Inspect) {
    ConstBytes start = TRY(file->peek(kQcow2HeadBytes));
    Qcow2Header header = TRY_CONTEXT(
        name, parse_qcow2_header(start, served_size.value_or(std::numeric_limits<int64_t>::max())));
    ending.exact_size = ending.least_size = header.virtual_size;
    return {};
  }
  // The server has answered: what it takes from here on is a matter of its speed.
  if (http != nullptr) http->set_deadline(std::nullopt);
  log_info(concat(name, ": a qcow2 image is held in memory (", why, ")"));
  UniqueFd memory = TRY(create_memory_file("image"));
  ByteVector chunk(kChunk);
  for (uint64_t size = 0;;) {
    size_t n = TRY(file->read(chunk));
    if (n == 0) break;
    size += n;
    if (size > room) return too_large(concat("more than ", format_size(room)));
    TRY_CONTEXT(name, write_all(memory, ConstBytes(chunk).first(n)));
    if (reading.on_held) reading.on_held(size);
  }
  if (http != nullptr) {
    downloaded_before = http->delivered();
    resumptions_before = http->resumptions();
  }
  close_stream();
  if (rehearsal == Rehearsal::Kept) staged = TRY(duplicate(memory));
  random = TRY_CONTEXT(name, FileRandomSource::open(std::move(memory)));
  return {};
}

// Whether all of it is read and proven once before anything is written.
Result<void> ImageStream::State::choose_rehearsal() {
  if (!proven || reading.use != ImageUse::Write || reading.prove == ProveWhen::After) return {};
  if (origin.kind == OriginKind::File && served_size) {
    rehearsal = Rehearsal::ReadTwice;
    return {};
  }
  uint64_t room = room_beside();
  bool fits = served_size ? *served_size <= room : room != 0;
  if (reading.prove == ProveWhen::First && !fits) {
    return Error(
        concat(name, ": it was to be proven before anything is written (prove=first), but ",
               served_size ? format_size(*served_size) : "a file of unknown length",
               served_size ? " do" : " does", " not fit into memory, of which ", format_size(room),
               " can be had for it; pass ", as_typed("prove=stream"), " to prove it afterwards"),
        ENOMEM);
  }
  // Of unknown length, it is tried where nothing else will do.
  if (!fits || (!served_size && reading.prove != ProveWhen::First)) return {};
  rehearsal = Rehearsal::Kept;
  most_kept = served_size.value_or(room);
  return {};
}

// What is free of memory when the decoder and the rest have what they need; nothing where that is
// not known.
uint64_t ImageStream::State::room_beside() const {
  uint64_t available = available_memory();
  uint64_t beside = beside_kept(format);
  return available != UINT64_MAX && available > beside ? available - beside : 0;
}

// Of what is decoded, where a second time would cost anything; null: there is no room.
Result<std::unique_ptr<SparseCopy>> ImageStream::State::begin_copy() const {
  uint64_t room = room_beside();
  if (format == Format::Raw || room <= most_kept) return std::unique_ptr<SparseCopy>();
  return SparseCopy::start(room - most_kept);
}

// From the first byte of what was read once.
Result<void> ImageStream::State::start_again() {
  if (http != nullptr) {
    downloaded_before = http->delivered();
    resumptions_before = http->resumptions();
  } else if (disk == nullptr) {
    downloaded_before = consumed->count();
  }
  bool is_decoded = copy.valid();
  if (is_decoded) {
    again = std::move(copy);
  } else if (rehearsal == Rehearsal::ReadTwice) {
    again = std::move(original);
  } else {
    again = staged.valid() ? std::move(staged) : TRY(kept->take());
  }
  head = {};
  image.reset();
  named_image.reset();
  hashed.reset();
  decoder.reset();
  unpacked.reset();
  disk = nullptr;
  random.reset();
  kept.reset();
  staged.reset();
  close_stream();
  if (is_decoded) {
    copied = TRY(SparseFileSource::open(TRY(duplicate(again))));
    image = std::make_unique<PeekSource>(*copied);
    return {};
  }
  local = TRY_CONTEXT(name, SparseFileSource::open(TRY(duplicate(again))));
  return open_image(std::nullopt);
}

Result<std::unique_ptr<ImageStream>> ImageStream::open(const ImageOrigin& origin,
                                                       const HttpOptions& http,
                                                       const ImageProofs& proofs,
                                                       std::optional<Time> deadline,
                                                       const ImageReading& reading) {
  std::unique_ptr<ImageStream> stream(
      new ImageStream(std::make_unique<State>(origin, http, reading)));
  State& state = *stream->state_;
  state.proven = proofs.any();
  state.http_options.digest_follows = state.proven;
  state.http_options.open_end = true;
  state.proofs = TRY(ServedProofs::prepare(origin, state.http_options, proofs, deadline));
  TRY(state.open_transport(deadline));
  TRY(state.proofs->choose_from_list(
      state.http != nullptr ? std::string_view(state.http->answer().effective_url) : ""));
  state.expected_image = proofs.image_sha256;
  TRY(state.open_image(deadline));
  return stream;
}

ImageStream::ImageStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageStream::~ImageStream() { set_deadline(now()); }

ConstBytes ImageStream::head() const { return state_->head; }
Format ImageStream::format() const { return state_->format; }
std::optional<uint64_t> ImageStream::served_size() const { return state_->served_size; }
std::optional<uint64_t> ImageStream::least_image_size() const { return state_->ending.least_size; }
std::optional<uint64_t> ImageStream::exact_image_size() const { return state_->ending.exact_size; }
std::string ImageStream::size_known_by() const { return state_->known_by; }
std::string ImageStream::tls() const { return state_->tls; }
Source& ImageStream::image() { return *state_->image; }

Rehearsal ImageStream::rehearsal() const { return state_->rehearsal; }

uint64_t ImageStream::memory_to_keep() const {
  return state_->served_size.value_or(0) + beside_kept(state_->format);
}

Result<void> ImageStream::rehearse(uint64_t most) {
  State& s = *state_;
  ByteVector chunk(kChunk);
  uint64_t size = 0;
  std::unique_ptr<SparseCopy> copy = TRY(s.begin_copy());
  for (;;) {
    if (uint64_t zeros = s.image->zeros_ahead(); zeros != 0) {
      s.image->skip_zeros(zeros);
      size += zeros;
      if (copy != nullptr) copy->add_zeros(zeros);
    } else {
      size_t n = TRY(s.image->read(chunk));
      if (n == 0) break;
      size += n;
      if (copy != nullptr && !copy->add(chunk, n)) copy.reset();
    }
    s.rehearsed_size = size;
    if (size > most) {
      return Error(concat(s.name, ": the image is larger than the disk, which has ",
                          format_size(most), "; choose a larger disk"));
    }
  }
  if (copy != nullptr) s.copy = TRY(copy->finish());
  s.rehearsed = TRY(prove(size));
  return {};
}

uint64_t ImageStream::rehearsed() const { return state_->rehearsed_size; }

Result<void> ImageStream::start_again() { return state_->start_again(); }

std::optional<Error> ImageStream::failure() const {
  return state_->ahead != nullptr ? state_->ahead->failure() : std::nullopt;
}

void ImageStream::set_deadline(std::optional<Time> deadline) {
  if (state_->http != nullptr) state_->http->set_deadline(deadline);
  if (state_->http_file != nullptr) state_->http_file->set_deadline(deadline);
}

uint64_t ImageStream::consumed() const {
  if (state_->copied != nullptr) return state_->copied->position();
  return state_->disk != nullptr ? state_->disk->position() : state_->consumed->count();
}

std::string_view ImageStream::waits_for(std::string_view taker) const {
  const State& s = *state_;
  if (s.copied != nullptr || s.ahead == nullptr || !s.ahead->is_starved()) return taker;
  switch (s.again.valid() ? OriginKind::File : s.origin.kind) {
    case OriginKind::Http: return "the server";
    case OriginKind::StandardInput: return "standard input";
    case OriginKind::File: return "the file";
  }
  __builtin_unreachable();
}

std::optional<uint64_t> ImageStream::total() const {
  if (state_->copied != nullptr) return state_->copied->size();
  return state_->disk != nullptr ? state_->disk->virtual_size() : state_->served_size;
}

uint64_t ImageStream::downloaded() const {
  if (state_->copied != nullptr || (state_->again.valid() && state_->downloaded_before != 0)) {
    return state_->downloaded_before;
  }
  if (state_->http != nullptr) return state_->http->delivered();
  if (state_->http_file != nullptr) return state_->http_file->delivered();
  return state_->disk != nullptr ? state_->disk->consumed() : state_->consumed->count();
}

unsigned ImageStream::resumptions() const {
  if (state_->again.valid()) return state_->resumptions_before;
  if (state_->http != nullptr) return state_->http->resumptions();
  return state_->http_file != nullptr ? state_->http_file->resumptions() : 0;
}

Result<ImageProof> ImageStream::prove(uint64_t image_size) {
  State& s = *state_;
  if (s.is_settled()) {
    if (image_size == rehearsed()) return s.rehearsed;
    return Error(concat(s.name, ": ", image_size, " bytes were written of ", rehearsed()));
  }
  ImageProof proof;
  if (!s.reading.any_content && !s.end_is_judged) {
    TRY_CONTEXT(s.name, check_ends_with_sector(image_size, s.proven));
  }
  TRY(s.proofs->prove(proof));
  if (s.image_digest) {
    proof.digest = TRY(VerifiedDigest::compare(concat("SHA-256 of the image in ", s.name),
                                               *s.expected_image, s.image_digest->finish()));
    proof.by.emplace_back("image-sha256");
  }
  return proof;
}

}  // namespace curlingiron
