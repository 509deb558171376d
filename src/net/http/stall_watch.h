// Notices that a request stands still, and when smaller packets may help.
//
// Big packets that are lost on the way without a word (RFC 2923) look like this: the connection is
// made, and then nothing comes, or the small beginning alone. That is found out after first_bytes;
// any other standstill takes the whole stall.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "net/http/exchange.h"
#include "net/http/options.h"
#include "net/http/path.h"

namespace curlingiron {

// A request that brought that many bytes had more than a beginning.
inline constexpr uint64_t kProgress = 64_KiB;

struct Stall {
  Duration after{0};
  HttpStage stage = HttpStage::Dns;
  // The limit of TCP segments to go on with; absent: it cannot be the size of packets.
  std::optional<uint16_t> smaller_segment;

  std::string advice() const;  // "; big packets may be …"
};

class StallWatch {
 public:
  // A request begins.
  void begin(const HttpExchange& wire, Time time);
  // Nothing was asked for until now: that is no stall.
  void resume(Time time) { last_activity_ = time; }
  std::optional<Stall> look(const HttpExchange& wire, const HttpPath& path,
                            const HttpOptions& options, Time time);
  // For so long nothing has come, and the request stood at one stage; as of the last look().
  Duration silence(Time time) const { return time - last_activity_; }
  // When to look again.
  Time next(const HttpOptions& options, Time time) const;

 private:
  Time last_activity_{};  // something arrived, or the request came to another stage
  HttpStage stage_ = HttpStage::Dns;
  uint64_t activity_ = 0;
  uint64_t arrived_at_start_ = 0;
};

}  // namespace curlingiron
