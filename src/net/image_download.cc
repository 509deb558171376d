#include "net/image_download.h"

#include "io/adapters.h"
#include "sys/clock.h"

namespace curlingiron {

// Pull-through, from the wire (first member) to the raw image (last): each stands on the one before
// it.
struct ImageDownload::State {
  std::unique_ptr<HttpSource> http;
  MessageDigest served_hash{DigestKind::Sha256};
  std::unique_ptr<DigestSource> served;
  std::unique_ptr<ReadAheadSource> ahead;
  std::unique_ptr<CountingSource> consumed;
  std::unique_ptr<PeekSource> file;
  std::unique_ptr<Source> decoder;
  MessageDigest image_hash{DigestKind::Sha256};
  std::unique_ptr<DigestSource> hashed;
  std::unique_ptr<PeekSource> image;

  Format format = Format::Raw;
  ConstBytes head;
  std::optional<uint64_t> least_image_size;
};

ImageDownload::ImageDownload(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageDownload::~ImageDownload() {
  // A read that waits for a dead server ends now: the read-ahead thread is joined behind this.
  state_->http->set_deadline(now());
}

std::optional<Error> ImageDownload::failure() const { return state_->ahead->failure(); }

Result<std::unique_ptr<ImageDownload>> ImageDownload::open(const Url& url,
                                                           const HttpOptions& options,
                                                           WantedDigests wanted,
                                                           std::optional<Time> deadline) {
  auto state = std::make_unique<State>();
  state->http = TRY(HttpSource::open(url, options, deadline));
  Source* top = state->http.get();
  if (wanted.served) {
    state->served = std::make_unique<DigestSource>(*top, state->served_hash);
    top = state->served.get();
  }
  state->ahead = TRY(ReadAheadSource::start(*top));
  state->consumed = std::make_unique<CountingSource>(*state->ahead);
  state->file = std::make_unique<PeekSource>(*state->consumed);

  ConstBytes magic = TRY(state->file->peek(kSniffBytes));
  if (magic.empty()) return Error("the file is empty").with_context(url.display());
  state->format = sniff(magic);
  state->least_image_size = state->format == Format::Raw ? state->http->answer().length
                                                         : decoded_size_hint(state->format, magic);
  state->decoder = TRY_CONTEXT(url.display(), open_decoder(state->format, *state->file));
  top = state->decoder.get();
  if (wanted.image) {
    state->hashed = std::make_unique<DigestSource>(*top, state->image_hash);
    top = state->hashed.get();
  }
  state->image = std::make_unique<PeekSource>(*top);
  state->head = TRY(state->image->peek(kImageHead));
  if (state->head.empty()) return Error("the image is empty").with_context(url.display());
  return std::unique_ptr<ImageDownload>(new ImageDownload(std::move(state)));
}

ConstBytes ImageDownload::head() const { return state_->head; }
Format ImageDownload::format() const { return state_->format; }
std::optional<uint64_t> ImageDownload::least_image_size() const { return state_->least_image_size; }
uint64_t ImageDownload::consumed() const { return state_->consumed->count(); }
HttpSource& ImageDownload::http() { return *state_->http; }
Source& ImageDownload::image() { return *state_->image; }
ByteVector ImageDownload::served_digest() { return state_->served_hash.finish(); }
ByteVector ImageDownload::image_digest() { return state_->image_hash.finish(); }

}  // namespace curlingiron
