// One HTTP request at a time, whoever carries it: net/http/wire.h over the network, a test in
// simulated time.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "formats/http_head.h"
#include "formats/url.h"
#include "net/http/judgement.h"
#include "net/http/path.h"

namespace curlingiron {

std::string seconds_text(Duration duration);  // "0.3 s"

// Takes what a request brings; called from within HttpExchange::perform() alone.
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
  // Nobody waits for the request any more: asked while bytes come that are for nobody.
  virtual bool gave_up() const = 0;
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

class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  // Begins a request; the one before it is dropped if it has not ended. `fresh`: not over a
  // connection that is there already, which may be the broken one, and not to addresses that were
  // asked for before: these serve only where no name server gives any. Another path than that of
  // the request before is fresh, too.
  virtual Result<void> send(const HttpAsk& ask, const HttpPath& path, bool fresh,
                            HttpReceiver& receiver) = 0;
  virtual void drop() = 0;
  virtual bool busy() const = 0;

  // Works off what can be done without waiting. Sticks to Done or Failed.
  virtual WireState perform() = 0;
  // Waits for something to do, for wake() or for the time to pass.
  virtual void wait(Duration most) = 0;
  virtual void wake() = 0;  // from any thread

  // Why perform() says Failed. `position` is named where the connection broke.
  virtual HttpFailure failure(uint64_t position) const = 0;
  // How far the request is.
  virtual HttpStage stage() const = 0;
  // Bytes in one segment at most, as announced to the server; 0 where that is not known.
  virtual uint32_t segment() const = 0;
  // A server that refuses may have wanted the client's certificate: "; …", or empty.
  virtual std::string certificate_hint() const = 0;

  virtual uint64_t arrived() const = 0;  // bytes of heads and bodies, of all requests
  // Changes with whatever arrives of the request under way: TLS's own bytes are counted, too.
  virtual uint64_t activity() const = 0;
  virtual std::string tls_version() const = 0;

  // The clock that wait() waits by, and what retries are spread by.
  virtual Time now() const = 0;
  virtual uint64_t random() = 0;
};

}  // namespace curlingiron
