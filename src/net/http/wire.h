// HttpExchange over libcurl, and what went wrong with it in words. Connections are kept between
// requests.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/http/exchange.h"
#include "net/http/options.h"

namespace curlingiron {

class HttpWire final : public HttpExchange {
 public:
  // Errors: options that cannot be used. `options` must outlive the wire.
  static Result<std::unique_ptr<HttpWire>> create(const HttpOptions& options);
  ~HttpWire() override;

  Result<void> send(const HttpAsk& ask, const HttpPath& path, bool fresh,
                    HttpReceiver& receiver) override;
  void drop() override;
  bool busy() const override;
  WireState perform() override;
  void wait(Duration most) override;
  void wake() override;
  HttpFailure failure(uint64_t position) const override;
  HttpStage stage() const override;
  uint32_t segment() const override;
  std::string certificate_hint() const override;
  uint64_t arrived() const override;
  uint64_t activity() const override;
  std::string tls_version() const override;
  Time now() const override;
  uint64_t random() override;

 private:
  struct Request;
  struct State;
  explicit HttpWire(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
