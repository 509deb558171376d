// One HTTP request at a time over libcurl, and what went wrong with it in words. Connections are
// kept between requests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "formats/http_head.h"
#include "formats/url.h"
#include "net/http/judgement.h"
#include "net/http/options.h"
#include "net/http/path.h"

namespace curlingiron {

std::string seconds_text(Duration duration);  // "0.3 s"

// Takes what a request brings; called from within HttpWire::perform() alone.
class HttpReceiver {
 public:
  enum class Taken {
    All,
    Nothing,  // no room: the same bytes come again
    Stop,     // the request is over
  };

  virtual ~HttpReceiver() = default;
  // A whole head (no 1xx), or what was wrong with it.
  virtual Taken on_head(const Result<HttpHead>& head) = 0;
  virtual Taken on_body(ConstBytes bytes) = 0;
};

enum class HttpMethod { Get, Head };

struct HttpAsk {
  Url url;               // with credentials where they may be sent
  bool trusted = false;  // of the host that headers, client certificate and pin were given for
  std::string range;     // "bytes=0-99"; empty: the whole
  std::string if_range;
  HttpMethod method = HttpMethod::Get;
};

enum class WireState {
  Running,
  Done,    // the answer ended as its head promised
  Failed,  // see failure()
};

class HttpWire {
 public:
  // Errors: options that cannot be used. `options` must outlive the wire.
  static Result<std::unique_ptr<HttpWire>> create(const HttpOptions& options);
  ~HttpWire();

  // Begins a request; the one before it is dropped if it has not ended. `fresh`: not over a
  // connection that is there already, which may be the broken one, and not to addresses that were
  // asked for before: these serve only where no name server tells any. Another path than that of
  // the request before is fresh, too.
  Result<void> send(const HttpAsk& ask, const HttpPath& path, bool fresh, HttpReceiver& receiver);
  void drop();
  bool busy() const;

  // Works off what can be done without waiting. Sticks to Done or Failed.
  WireState perform();
  // Waits for something to do, for wake() or for the time to pass.
  void wait(Duration most);
  void wake();  // from any thread

  // Why perform() says Failed. `position` is named where the connection broke.
  HttpFailure failure(uint64_t position) const;
  // How far the request is.
  HttpStage stage() const;
  // Bytes in one segment at most, as the server was told; 0 where that is not known.
  uint32_t segment() const;
  // A server that refuses may have wanted the client's certificate: "; …", or empty.
  std::string certificate_hint() const;

  uint64_t arrived() const;  // bytes of heads and bodies, of all requests
  // Changes with whatever arrives of the request under way: TLS's own bytes are counted, too.
  uint64_t activity() const;
  std::string tls_version() const;

 private:
  struct State;
  explicit HttpWire(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
