// Asks one source over one path, again and again until it answers: does this path lead there?
//
// The question is a HEAD over a connection of its own, without what is meant for the real request:
// credentials, headers, client certificate. Any status is an answer, over https of a server that
// proved itself. Redirects are not followed. Tries follow one another after 0.25, 0.5, 1, 2, 2…
// seconds; one that stands still after the connection was made is followed at once by one with
// smaller TCP segments.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "formats/url.h"
#include "net/http/judgement.h"
#include "net/http/options.h"
#include "net/http/path.h"

namespace curlingiron {

// Seconds that servers' Dates may set the clock forward, all in all: a battery clock that is
// further off says too little to be set right by whom it has to judge.
inline constexpr int64_t kLongestClockStep = int64_t{366} * 86400;

struct ProbeState {
  bool answered = false;
  HttpStage stage = HttpStage::Dns;  // how far the last try came; the first, while it is under way
  std::string text;                  // what it ended with; empty before the first has
  int status = 0;  // of HTTP, once it has answered; 0: it asks for the client's certificate first
  // Somebody answers there, but not as it must be: no valid certificate, no HTTP. Asking again will
  // hardly help.
  bool refused = false;
  uint16_t max_segment = 0;  // bytes, of the last try; 0: what the link gives
  // The server's certificate is not valid yet by this machine's clock, but is by the server's own
  // (seconds since the epoch). The server says so under that certificate: it may move the clock
  // forwards only.
  // The probe goes on and finds the clock as it is then.
  std::optional<int64_t> date;

  bool operator==(const ProbeState&) const = default;
};

class PathProbe {
 public:
  // Begins at once, on a thread of its own. Of `options` the CA file, insecure, pins, proxy and
  // user agent are used. `changed` is called on that thread whenever state() is another; it must
  // not destroy the probe. Errors: options that cannot be used, no thread.
  static Result<std::unique_ptr<PathProbe>> start(const Url& url, const HttpOptions& options,
                                                  const HttpPath& path,
                                                  std::function<void()> changed);
  // Stops, and waits for the thread.
  ~PathProbe();

  // From any thread; returns at once.
  void stop();
  ProbeState state() const;

 private:
  struct State;
  explicit PathProbe(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
