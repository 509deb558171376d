#include "net/image_stream.h"

#include <fcntl.h>

#include "base/text.h"
#include "io/adapters.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

// A digest of the file as served that is computed on its way.
struct ServedDigest {
  std::string proof;  // what holds when it is right: "sha256"
  MessageDigest digest;
  ByteVector expected;
  std::unique_ptr<DigestSource> source;
};

}  // namespace

Result<ImageOrigin> parse_origin(const std::vector<std::string>& sources) {
  ImageOrigin origin;
  for (const std::string& source : sources) {
    constexpr std::string_view kFile = "file://";
    if (source.find("://") != std::string::npos && !source.starts_with(kFile)) {
      origin.mirrors.push_back(TRY(parse_url(source)));
      continue;
    }
    if (sources.size() > 1) {
      return Error(concat(printable(source), ": only URLs can be mirrors of each other"));
    }
    if (source == "-") {
      origin.kind = OriginKind::StandardInput;
      origin.name = "standard input";
      return origin;
    }
    origin.kind = OriginKind::File;
    origin.path = source.starts_with(kFile) ? source.substr(kFile.size()) : source;
    if (origin.path.empty()) return Error("no image is named");
    origin.name = printable(origin.path);
    return origin;
  }
  if (origin.mirrors.empty()) return Error("no image is named");
  origin.name = origin.mirrors.front().display();
  return origin;
}

ImageProofs wanted_proofs(const Settings& settings) {
  return {settings.sha256, settings.image_sha256, settings.sums, settings.public_key,
          settings.signature};
}

HttpOptions http_options(const Settings& settings) {
  HttpOptions options;
  options.insecure = settings.insecure;
  options.headers = settings.headers;
  options.proxy = settings.proxy;
  return options;
}

// Pull-through, from the wire (first member) to the raw image (last): each stands on the one before
// it.
struct ImageStream::State {
  Result<void> open_transport(const ImageOrigin& origin, const HttpOptions& options,
                              std::optional<Time> deadline);
  Result<void> open_image(const ImageProofs& proofs);

  std::string name;
  std::unique_ptr<HttpSource> http;  // null: a file
  std::unique_ptr<FileSource> local;
  std::optional<uint64_t> served_size;
  std::vector<std::unique_ptr<ServedDigest>> served;
  std::unique_ptr<ReadAheadSource> ahead;
  std::unique_ptr<CountingSource> consumed;
  std::unique_ptr<PeekSource> file;
  std::unique_ptr<Source> decoder;
  std::optional<MessageDigest> image_digest;
  std::optional<ByteVector> expected_image;
  std::unique_ptr<DigestSource> hashed;
  std::unique_ptr<PeekSource> image;

  Format format = Format::Raw;
  ConstBytes head;
  std::optional<uint64_t> least_image_size;
};

Result<void> ImageStream::State::open_transport(const ImageOrigin& origin,
                                                const HttpOptions& options,
                                                std::optional<Time> deadline) {
  switch (origin.kind) {
    case OriginKind::Http: {
      http = TRY(HttpSource::open(origin.mirrors.front(), options, deadline));
      served_size = http->answer().length;
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

Result<void> ImageStream::State::open_image(const ImageProofs& proofs) {
  Source* top = http != nullptr ? static_cast<Source*>(http.get()) : local.get();
  for (std::unique_ptr<ServedDigest>& digest : served) {
    digest->source = std::make_unique<DigestSource>(*top, digest->digest);
    top = digest->source.get();
  }
  ahead = TRY(ReadAheadSource::start(*top));
  consumed = std::make_unique<CountingSource>(*ahead);
  file = std::make_unique<PeekSource>(*consumed);

  ConstBytes magic = TRY(file->peek(kSniffBytes));
  if (magic.empty()) return Error("the file is empty").with_context(name);
  format = sniff(magic);
  least_image_size = format == Format::Raw ? served_size : decoded_size_hint(format, magic);
  decoder = TRY_CONTEXT(name, open_decoder(format, *file));
  top = decoder.get();
  if (proofs.image_sha256) {
    expected_image = proofs.image_sha256;
    image_digest.emplace(DigestKind::Sha256);
    hashed = std::make_unique<DigestSource>(*top, *image_digest);
    top = hashed.get();
  }
  image = std::make_unique<PeekSource>(*top);
  head = TRY(image->peek(kImageHead));
  if (head.empty()) return Error("the image is empty").with_context(name);
  return {};
}

Result<std::unique_ptr<ImageStream>> ImageStream::open(const ImageOrigin& origin,
                                                       const HttpOptions& http,
                                                       const ImageProofs& proofs,
                                                       std::optional<Time> deadline) {
  std::unique_ptr<ImageStream> stream(new ImageStream(std::make_unique<State>()));
  State& state = *stream->state_;
  state.name = origin.name;
  if (proofs.sha256) {
    state.served.push_back(std::make_unique<ServedDigest>(
        ServedDigest{"sha256", MessageDigest(DigestKind::Sha256), *proofs.sha256, nullptr}));
  }
  TRY(state.open_transport(origin, http, deadline));
  TRY(state.open_image(proofs));
  return stream;
}

ImageStream::ImageStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageStream::~ImageStream() {
  // A read that waits for a dead server ends now: the read-ahead thread is joined behind this.
  if (state_->http != nullptr) state_->http->set_deadline(now());
}

ConstBytes ImageStream::head() const { return state_->head; }
Format ImageStream::format() const { return state_->format; }
std::optional<uint64_t> ImageStream::served_size() const { return state_->served_size; }
std::optional<uint64_t> ImageStream::least_image_size() const { return state_->least_image_size; }
std::string ImageStream::tls() const {
  return state_->http != nullptr ? state_->http->answer().tls : "";
}
Source& ImageStream::image() { return *state_->image; }
std::optional<Error> ImageStream::failure() const { return state_->ahead->failure(); }
void ImageStream::set_deadline(std::optional<Time> deadline) {
  if (state_->http != nullptr) state_->http->set_deadline(deadline);
}
uint64_t ImageStream::consumed() const { return state_->consumed->count(); }
std::optional<uint64_t> ImageStream::total() const { return state_->served_size; }
uint64_t ImageStream::downloaded() const {
  return state_->http != nullptr ? state_->http->delivered() : state_->consumed->count();
}
unsigned ImageStream::resumptions() const {
  return state_->http != nullptr ? state_->http->resumptions() : 0;
}

Result<ImageProof> ImageStream::prove() {
  State& s = *state_;
  ImageProof proof;
  for (std::unique_ptr<ServedDigest>& digest : s.served) {
    proof.digest =
        TRY(VerifiedDigest::compare(concat(digest_name(digest->digest.kind()), " of ", s.name),
                                    digest->expected, digest->digest.finish()));
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
