// A file on a server that honours Range, by random access. What http_source.h promises of
// resumption, retries, mirrors, deadlines and secrets holds here, too.
//
// The length and the validators of the first answer hold for all requests: a file that changes is
// an error. Where there is no strong ETag, length and Last-Modified must stay equal; where there is
// no Last-Modified either, that changes cannot be seen is said in the log. Another mirror must have
// the same strong ETag, or where HttpOptions::digest_follows the same length and first 64 KiB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "io/source.h"
#include "net/http/judgement.h"
#include "net/http/options.h"

namespace curlingiron {

class HttpTransfer;

class HttpFile final : public RandomSource {
 public:
  // Returns when the file's first bytes are there. The error has the code kNoRanges where a server
  // has the file but does not serve parts of it, or does not give its length: it can still be read
  // by HttpSource, into memory.
  static Result<std::unique_ptr<HttpFile>> open(std::vector<Url> mirrors,
                                                const HttpOptions& options,
                                                std::optional<Time> deadline);
  ~HttpFile() override;

  uint64_t size() const override;
  // Continues the request under way where it can, over gaps of up to 256 KiB; else asks for these
  // bytes, or for what expect() announced. An error sticks.
  Result<void> read_at(uint64_t offset, MutableBytes into) override;
  void expect(uint64_t offset, uint64_t length) override;

  const HttpAnswer& answer() const;
  // As HttpSource's.
  void set_deadline(std::optional<Time> deadline);
  uint64_t delivered() const;  // bytes fetched for read_at() so far, gaps included
  unsigned resumptions() const;

 private:
  explicit HttpFile(std::unique_ptr<HttpTransfer> transfer);
  Result<void> move_to(uint64_t offset, uint64_t length);
  Result<void> skip(uint64_t count);

  std::unique_ptr<HttpTransfer> transfer_;
  uint64_t expected_first_ = 0;
  uint64_t expected_end_ = 0;
};

}  // namespace curlingiron
