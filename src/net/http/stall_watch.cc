#include "net/http/stall_watch.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {

std::string Stall::advice() const {
  if (!smaller_segment) return "; check the server and the path to it";
  return concat("; big packets may be lost on the path, check its MTU: TCP segments are now ",
                *smaller_segment, " bytes at most");
}

void StallWatch::begin(const HttpExchange& wire, Time time) {
  last_activity_ = time;
  stage_ = HttpStage::Dns;
  activity_ = wire.activity();
  arrived_at_start_ = wire.arrived();
}

std::optional<Stall> StallWatch::look(const HttpExchange& wire, const HttpPath& path,
                                      const HttpOptions& options, Time time) {
  uint64_t activity = wire.activity();
  HttpStage stage = wire.stage();
  if (activity != activity_ || stage != stage_) {
    activity_ = activity;
    stage_ = stage;
    last_activity_ = time;
  }
  Stall stall;
  stall.stage = stage;
  stall.after = options.stall;
  if (stage != HttpStage::Dns && stage != HttpStage::Connect) {
    stall.smaller_segment =
        smaller_segment(path.max_segment != 0 ? path.max_segment : wire.segment());
  }
  bool beginning = wire.arrived() - arrived_at_start_ < kProgress;
  if (stall.smaller_segment && beginning) stall.after = std::min(stall.after, options.first_bytes);
  if (time - last_activity_ < stall.after) return std::nullopt;
  return stall;
}

Time StallWatch::next(const HttpOptions& options, Time time) const {
  Time early = last_activity_ + std::min(options.stall, options.first_bytes);
  return early > time ? early : last_activity_ + options.stall;
}

}  // namespace curlingiron
