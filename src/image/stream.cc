#include "image/stream.h"

#include <fcntl.h>

#include <limits>

#include "base/log.h"
#include "base/text.h"
#include "formats/qcow2.h"
#include "io/adapters.h"
#include "io/qcow2.h"
#include "io/random.h"
#include "io/signature.h"
#include "io/vhd.h"
#include "net/http/file.h"
#include "net/http/source.h"
#include "sys/clock.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// What a staged file must leave free: the pipeline, the decoder and the kernel's own needs.
constexpr uint64_t kBesideStaged = 96_MiB;
constexpr size_t kStageChunk = 1_MiB;

// A digest of the file as served that is computed on its way.
struct ServedDigest {
  std::string proof;  // what holds when it is right: "sha256"
  MessageDigest digest;
  ByteVector expected;                      // empty: `signature` decides
  std::optional<SignatureCheck> signature;  // of the digest
  std::unique_ptr<DigestSource> source;
};

}  // namespace

// Pull-through, from the wire (first member) to the raw image (last): each stands on the one before
// it.
struct ImageStream::State {
  State(const ImageOrigin& from, const HttpOptions& options, ImageUse for_use)
      : origin(from), http_options(options), use(for_use), name(from.name()) {}

  void expect(std::string proof, DigestKind kind, ByteVector digest);
  Result<void> prepare_proofs(const ImageProofs& proofs, std::optional<Time> deadline);
  Result<std::string> fetch_signature(const ImageProofs& proofs, const ImageOrigin& of,
                                      std::optional<Time> deadline);
  Result<void> open_transport(std::optional<Time> deadline);
  Result<void> open_stream();
  Result<void> open_image(const ImageProofs& proofs, std::optional<Time> deadline);
  Result<std::unique_ptr<Source>> open_qcow2(std::optional<Time> deadline);
  Result<void> open_random_access(std::optional<Time> deadline);
  Result<void> stage(std::string_view why);
  void close_stream();

  ImageOrigin origin;
  HttpOptions http_options;
  ImageUse use;
  std::string name;
  std::unique_ptr<HttpSource> http;  // null: a file
  std::unique_ptr<FileSource> local;
  std::optional<uint64_t> served_size;
  std::string tls;
  std::vector<std::unique_ptr<ServedDigest>> served;
  std::unique_ptr<ReadAheadSource> ahead;
  std::unique_ptr<CountingSource> consumed;
  std::unique_ptr<PeekSource> file;

  // A qcow2 disk is read out of one of these instead.
  std::unique_ptr<HttpFile> http_file;
  std::unique_ptr<FileRandomSource> random;  // a file, or what was staged
  Qcow2Source* disk = nullptr;               // the decoder

  std::unique_ptr<Source> unpacked;
  std::unique_ptr<Source> decoder;
  std::optional<MessageDigest> image_digest;
  std::optional<ByteVector> expected_image;
  std::unique_ptr<DigestSource> hashed;
  std::unique_ptr<PeekSource> image;

  Format format = Format::Raw;
  ConstBytes head;
  std::optional<uint64_t> least_image_size;
};

void ImageStream::State::expect(std::string proof, DigestKind kind, ByteVector digest) {
  served.push_back(std::make_unique<ServedDigest>(ServedDigest{
      std::move(proof), MessageDigest(kind), std::move(digest), std::nullopt, nullptr}));
}

// The one that is named; else that of minisign, or of signify.
Result<std::string> ImageStream::State::fetch_signature(const ImageProofs& proofs,
                                                        const ImageOrigin& of,
                                                        std::optional<Time> deadline) {
  if (!proofs.signature.empty()) {
    ImageOrigin named = TRY_CONTEXT("sig", origin_beside(origin, proofs.signature));
    return read_small(named, http_options, deadline);
  }
  Result<std::string> minisig =
      read_small(origin_with_suffix(of, ".minisig"), http_options, deadline);
  if (minisig.ok()) return minisig;
  Result<std::string> sig = read_small(origin_with_suffix(of, ".sig"), http_options, deadline);
  if (sig.ok()) return sig;
  return Error(concat("no signature: ", minisig.error().message(), ", and ", sig.error().message(),
                      "; name it with sig="));
}

// Lists and signatures are small: they are here, and good, before the image is asked for.
Result<void> ImageStream::State::prepare_proofs(const ImageProofs& proofs,
                                                std::optional<Time> deadline) {
  http_options.digest_follows = proofs.any();
  expected_image = proofs.image_sha256;
  if (proofs.sha256) expect("sha256", DigestKind::Sha256, *proofs.sha256);
  if (proofs.sums.empty() && proofs.public_key.empty()) {
    if (proofs.signature.empty()) return {};
    return Error("sig= names a signature, but no key is there to check it with; pass pubkey=");
  }
  std::optional<PublicKey> key;
  if (!proofs.public_key.empty()) key = TRY_CONTEXT("pubkey", parse_public_key(proofs.public_key));
  if (!proofs.sums.empty()) {
    ImageOrigin list = TRY_CONTEXT("sums", origin_beside(origin, proofs.sums));
    std::string wanted = TRY(file_name(origin));
    std::string text = TRY(read_small(list, http_options, deadline));
    if (key) {
      std::string signature;
      if (!parse_signed_text(text)) signature = TRY(fetch_signature(proofs, list, deadline));
      ExpectedDigest digest =
          TRY_CONTEXT(list.name(), find_signed_checksum(*key, text, signature, wanted));
      expect("signed sums", digest.kind, digest.bytes);
      return {};
    }
    ExpectedDigest digest = TRY_CONTEXT(list.name(), find_checksum(text, wanted));
    expect("sums", digest.kind, digest.bytes);
    return {};
  }
  std::string text = TRY(fetch_signature(proofs, origin, deadline));
  Signature signature = TRY_CONTEXT("the image's signature", parse_signature(text));
  SignatureCheck check = TRY(SignatureCheck::prepare(*key, std::move(signature)));
  TRY(check.check_fits_image());
  expect("signature", DigestKind::Blake2b512, {});
  served.back()->signature = std::move(check);
  return {};
}

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
      local = std::make_unique<FileSource>(std::move(fd));
      return {};
    }
    case OriginKind::StandardInput:
      local = std::make_unique<FileSource>(TRY_CONTEXT(name, standard_input()));
      return {};
  }
  __builtin_unreachable();
}

Result<void> ImageStream::State::open_stream() {
  Source* top = http != nullptr ? static_cast<Source*>(http.get()) : local.get();
  for (std::unique_ptr<ServedDigest>& digest : served) {
    digest->source = std::make_unique<DigestSource>(*top, digest->digest);
    top = digest->source.get();
  }
  ahead = TRY(ReadAheadSource::start(*top));
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
  for (std::unique_ptr<ServedDigest>& digest : served) digest->source.reset();
  http.reset();
  local.reset();
}

Result<void> ImageStream::State::open_image(const ImageProofs& proofs,
                                            std::optional<Time> deadline) {
  TRY(open_stream());
  ConstBytes magic = TRY(file->peek(kSniffBytes));
  if (magic.empty()) return Error("the file is empty").with_context(name);
  format = sniff(magic);
  if (format == Format::Qcow2) {
    decoder = TRY(open_qcow2(deadline));
  } else {
    least_image_size = format == Format::Raw ? served_size : decoded_size_hint(format, magic);
    unpacked = TRY_CONTEXT(name, open_decoder(format, *file));
    decoder = std::make_unique<VhdFooterSource>(*unpacked);
  }
  Source* top = decoder.get();
  if (top == nullptr) return {};  // Nothing is known of the disk but its size.
  if (proofs.image_sha256) {
    image_digest.emplace(DigestKind::Sha256);
    hashed = std::make_unique<DigestSource>(*top, *image_digest);
    top = hashed.get();
  }
  image = std::make_unique<PeekSource>(*top);
  head = TRY(image->peek(kImageHead));
  if (head.empty()) return Error("the image is empty").with_context(name);
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
  std::unique_ptr<Qcow2Source> opened = TRY_CONTEXT(name, Qcow2Source::open(*from, options));
  disk = opened.get();
  least_image_size = disk->virtual_size();
  return std::unique_ptr<Source>(std::move(opened));
}

// The way to the bytes of a qcow2 image in any order that needs the least memory.
Result<void> ImageStream::State::open_random_access(std::optional<Time> deadline) {
  switch (origin.kind) {
    case OriginKind::File: {
      if (!served_size) return stage("a pipe");
      if (!served.empty()) {  // Hashed once, then read again.
        ByteVector chunk(kStageChunk);
        while (TRY(file->read(chunk)) != 0) continue;
      }
      close_stream();
      UniqueFd fd = TRY_CONTEXT(name, open_path(origin.path, O_RDONLY));
      random = TRY_CONTEXT(name, FileRandomSource::open(std::move(fd)));
      return {};
    }
    case OriginKind::StandardInput: return stage("standard input");
    case OriginKind::Http: break;
  }
  if (!served.empty() && use == ImageUse::Write)
    return stage("a digest of the file as served is wanted");
  if (http->answer().ranges == RangeSupport::None) return stage("a server without Range");
  close_stream();
  Result<std::unique_ptr<HttpFile>> opened = HttpFile::open(origin.mirrors, http_options, deadline);
  if (opened.ok()) {
    http_file = std::move(opened).value();
    return {};
  }
  if (opened.error().code() != kNoRanges) return opened.error();
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
                        "; serve it with Range, prove it by image-sha256=, or convert it with "
                        "\"qemu-img convert -O raw\" and compress it"),
                 ENOMEM);
  };
  if (served_size && *served_size > room) return too_large(format_size(*served_size));
  if (use == ImageUse::Inspect) {
    ConstBytes start = TRY(file->peek(kQcow2HeadBytes));
    Qcow2Header header = TRY_CONTEXT(
        name, parse_qcow2_header(start, served_size.value_or(std::numeric_limits<int64_t>::max())));
    least_image_size = header.virtual_size;
    return {};
  }
  // The server has answered: what it takes from here on is a matter of its speed.
  if (http != nullptr) http->set_deadline(std::nullopt);
  log_info(concat(name, ": a qcow2 image is held in memory (", why, ")"));
  UniqueFd memory = TRY(create_memory_file("image"));
  ByteVector chunk(kStageChunk);
  for (uint64_t size = 0;;) {
    size_t n = TRY(file->read(chunk));
    if (n == 0) break;
    size += n;
    if (size > room) return too_large(concat("more than ", format_size(room)));
    TRY_CONTEXT(name, write_all(memory, ConstBytes(chunk).first(n)));
  }
  close_stream();
  random = TRY_CONTEXT(name, FileRandomSource::open(std::move(memory)));
  return {};
}

Result<std::unique_ptr<ImageStream>> ImageStream::open(const ImageOrigin& origin,
                                                       const HttpOptions& http,
                                                       const ImageProofs& proofs,
                                                       std::optional<Time> deadline, ImageUse use) {
  std::unique_ptr<ImageStream> stream(new ImageStream(std::make_unique<State>(origin, http, use)));
  State& state = *stream->state_;
  TRY(state.prepare_proofs(proofs, deadline));
  TRY(state.open_transport(deadline));
  TRY(state.open_image(proofs, deadline));
  return stream;
}

ImageStream::ImageStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageStream::~ImageStream() { set_deadline(now()); }

ConstBytes ImageStream::head() const { return state_->head; }
Format ImageStream::format() const { return state_->format; }
std::optional<uint64_t> ImageStream::served_size() const { return state_->served_size; }
std::optional<uint64_t> ImageStream::least_image_size() const { return state_->least_image_size; }
std::string ImageStream::tls() const { return state_->tls; }
Source& ImageStream::image() { return *state_->image; }

std::optional<Error> ImageStream::failure() const {
  return state_->ahead != nullptr ? state_->ahead->failure() : std::nullopt;
}

void ImageStream::set_deadline(std::optional<Time> deadline) {
  if (state_->http != nullptr) state_->http->set_deadline(deadline);
  if (state_->http_file != nullptr) state_->http_file->set_deadline(deadline);
}

uint64_t ImageStream::consumed() const {
  return state_->disk != nullptr ? state_->disk->position() : state_->consumed->count();
}

std::optional<uint64_t> ImageStream::total() const {
  return state_->disk != nullptr ? state_->disk->virtual_size() : state_->served_size;
}

uint64_t ImageStream::downloaded() const {
  if (state_->http != nullptr) return state_->http->delivered();
  if (state_->http_file != nullptr) return state_->http_file->delivered();
  return state_->disk != nullptr ? state_->disk->consumed() : state_->consumed->count();
}

unsigned ImageStream::resumptions() const {
  if (state_->http != nullptr) return state_->http->resumptions();
  return state_->http_file != nullptr ? state_->http_file->resumptions() : 0;
}

Result<ImageProof> ImageStream::prove() {
  State& s = *state_;
  ImageProof proof;
  for (std::unique_ptr<ServedDigest>& digest : s.served) {
    ByteVector actual = digest->digest.finish();
    if (digest->signature) {
      proof.digest = TRY_CONTEXT(s.name, digest->signature->verify_image(actual));
    } else {
      proof.digest = TRY(VerifiedDigest::compare(
          concat(digest_name(digest->digest.kind()), " of ", s.name), digest->expected, actual));
    }
    proof.by.push_back(digest->proof);
  }
  if (s.image_digest) {
    proof.digest = TRY(VerifiedDigest::compare(concat("SHA-256 of the image in ", s.name),
                                               *s.expected_image, s.image_digest->finish()));
    proof.by.emplace_back("image-sha256");
  }
  return proof;
}

}  // namespace curlingiron
