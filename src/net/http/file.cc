#include "net/http/file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "net/http/transfer.h"

namespace curlingiron {
namespace {

// Reading so much for nothing is quicker than a request of its own.
constexpr uint64_t kLargestGap = 256_KiB;
// The least that a request is for: neighbours are often wanted next.
constexpr uint64_t kSmallestRun = 64_KiB;

}  // namespace

HttpFile::HttpFile(std::unique_ptr<HttpTransfer> transfer) : transfer_(std::move(transfer)) {}
HttpFile::~HttpFile() = default;

Result<std::unique_ptr<HttpFile>> HttpFile::open(std::vector<Url> mirrors,
                                                 const HttpOptions& options,
                                                 std::optional<Time> deadline) {
  std::unique_ptr<HttpTransfer> transfer =
      TRY(HttpTransfer::create(std::move(mirrors), options, HttpMode::Ranges));
  transfer->set_deadline(deadline);
  TRY(transfer->open());
  return std::unique_ptr<HttpFile>(new HttpFile(std::move(transfer)));
}

uint64_t HttpFile::size() const { return transfer_->length(); }

void HttpFile::expect(uint64_t offset, uint64_t length) {
  expected_first_ = std::min(offset, size());
  expected_end_ = expected_first_ + std::min(length, size() - expected_first_);
}

Result<void> HttpFile::skip(uint64_t count) {
  std::array<uint8_t, 16_KiB> dropped;
  while (count > 0) {
    size_t most = static_cast<size_t>(std::min<uint64_t>(count, dropped.size()));
    size_t n = TRY(transfer_->read({dropped.data(), most}));
    if (n == 0) return Error("the run of bytes ended early");  // seek() made it long enough
    count -= n;
  }
  return {};
}

// To a run that gives the bytes from `offset` on next, and reaches as far as is known to be useful.
Result<void> HttpFile::move_to(uint64_t offset, uint64_t length) {
  uint64_t at = transfer_->position();
  uint64_t end = transfer_->run_end();
  if (offset >= at && offset < end && offset - at <= kLargestGap) return skip(offset - at);
  // A connection that has little left to bring is worth keeping.
  if (end - at <= kLargestGap) TRY(skip(end - at));
  bool expected = offset >= expected_first_ && offset < expected_end_;
  uint64_t until =
      expected ? expected_end_ : offset + std::min(std::max(length, kSmallestRun), size() - offset);
  transfer_->seek(offset, until);
  return {};
}

Result<void> HttpFile::read_at(uint64_t offset, MutableBytes into) {
  if (offset > size() || into.size() > size() - offset) {
    return Error(concat(transfer_->answer().effective_url, ": bytes ", offset, " to ",
                        offset + into.size(), " are beyond the file's end at ", size()));
  }
  ConstBytes head = transfer_->file_head();
  if (offset < head.size()) {
    auto start = static_cast<size_t>(offset);
    size_t count = std::min(into.size(), head.size() - start);
    std::memcpy(into.data(), head.data() + start, count);
    into = into.subspan(count);
    offset += count;
  }
  while (!into.empty()) {
    TRY(move_to(offset, into.size()));
    size_t n = TRY(transfer_->read(into));
    offset += n;
    into = into.subspan(n);
  }
  return {};
}

const HttpAnswer& HttpFile::answer() const { return transfer_->answer(); }
void HttpFile::set_deadline(std::optional<Time> deadline) { transfer_->set_deadline(deadline); }
uint64_t HttpFile::delivered() const { return transfer_->delivered(); }
unsigned HttpFile::resumptions() const { return transfer_->resumptions(); }

}  // namespace curlingiron
