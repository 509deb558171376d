#include "net/http/source.h"

#include "net/http/transfer.h"

namespace curlingiron {

HttpSource::HttpSource(std::unique_ptr<HttpTransfer> transfer) : transfer_(std::move(transfer)) {}
HttpSource::~HttpSource() = default;

Result<std::unique_ptr<HttpSource>> HttpSource::open(std::vector<Url> mirrors,
                                                     const HttpOptions& options,
                                                     std::optional<Time> deadline) {
  std::unique_ptr<HttpTransfer> transfer =
      TRY(HttpTransfer::create(std::move(mirrors), options, HttpMode::Stream));
  transfer->set_deadline(deadline);
  TRY(transfer->open());
  return std::unique_ptr<HttpSource>(new HttpSource(std::move(transfer)));
}

Result<std::unique_ptr<HttpSource>> HttpSource::open(const Url& url, const HttpOptions& options,
                                                     std::optional<Time> deadline) {
  return open(std::vector<Url>{url}, options, deadline);
}

Result<size_t> HttpSource::read(MutableBytes into) { return transfer_->read(into); }
const HttpAnswer& HttpSource::answer() const { return transfer_->answer(); }
void HttpSource::set_deadline(std::optional<Time> deadline) { transfer_->set_deadline(deadline); }
uint64_t HttpSource::delivered() const { return transfer_->delivered(); }
unsigned HttpSource::resumptions() const { return transfer_->resumptions(); }

}  // namespace curlingiron
