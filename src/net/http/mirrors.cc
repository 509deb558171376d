#include "net/http/mirrors.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"

namespace curlingiron {

Mirrors::Mirrors(std::vector<Url> urls, Duration first_backoff) : first_backoff_(first_backoff) {
  for (Url& url : urls) {
    all_.emplace_back();
    all_.back().url = std::move(url);
  }
}

bool Mirrors::has_others() const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const Mirror& each) { return &each != &current() && !each.excluded; });
}

void Mirrors::on_progress() {
  rounds_ = 0;
  for (Mirror& each : all_) {
    each.failed_in_round = false;
    each.failures = 0;
    each.same_cause = 0;
  }
}

bool Mirrors::exclude_current() {
  current().excluded = true;
  auto any = [](const Mirror&, Time) { return true; };
  std::optional<size_t> next = next_that(any, Time());
  if (!next) return false;
  current_ = *next;
  return true;
}

Duration Mirrors::on_transient(bool same_again, std::optional<Duration> retry_after, Time time,
                               uint64_t random) {
  if (retry_after) {
    current().not_before = time + std::min<Duration>(*retry_after, kLongestRetryAfter);
  }
  if (same_again) return Duration(0);
  current().failed_in_round = true;
  auto unasked = [](const Mirror& each, Time at) {
    return !each.failed_in_round && each.not_before <= at;
  };
  if (auto next = next_that(unasked, time)) {
    current_ = *next;
    return Duration(0);
  }
  ++rounds_;
  for (Mirror& each : all_) each.failed_in_round = false;
  Time earliest = time + backoff(random);
  auto ready = [](const Mirror& each, Time at) { return each.not_before <= at; };
  // Each has asked for more patience: the first that gives in.
  if (!next_that(ready, earliest)) {
    earliest = Time::max();
    for (const Mirror& each : all_) {
      if (!each.excluded) earliest = std::min(earliest, each.not_before);
    }
  }
  current_ = next_that(ready, earliest).value_or(current_);
  return earliest - time;
}

Error Mirrors::all_causes() const {
  if (all_.size() == 1 && all_[0].cause) return *all_[0].cause;
  std::string text = concat("none of the ", all_.size(), " mirrors serves the file: ");
  int code = 0;
  for (size_t i = 0; i < all_.size(); ++i) {
    const Mirror& each = all_[i];
    text +=
        concat(i == 0 ? "[" : " [", i + 1, "] ",
               each.cause ? each.cause->message() : concat(each.url.display(), ": not tried yet"));
    if (each.cause && each.cause->code() == kNoRanges) code = kNoRanges;
  }
  return Error(std::move(text), code);
}

bool Mirrors::any_failed() const {
  return std::any_of(all_.begin(), all_.end(),
                     [](const Mirror& each) { return each.cause.has_value(); });
}

// The first after the current one, which itself comes last.
std::optional<size_t> Mirrors::next_that(bool (*fits)(const Mirror&, Time), Time time) const {
  for (size_t i = 1; i <= all_.size(); ++i) {
    size_t index = (current_ + i) % all_.size();
    if (!all_[index].excluded && fits(all_[index], time)) return index;
  }
  return std::nullopt;
}

Duration Mirrors::backoff(uint64_t random) const {
  unsigned doublings = std::min(rounds_ > 0 ? rounds_ - 1 : 0, 10U);
  Duration base = std::min<Duration>(first_backoff_ * (int64_t{1} << doublings), kLongestBackoff);
  // Between a half and the whole: machines that lost the same server come back spread out.
  auto half = static_cast<uint64_t>(std::max<int64_t>((base / 2).count(), 1));
  return base / 2 + Duration(static_cast<int64_t>(random % half));
}

}  // namespace curlingiron
