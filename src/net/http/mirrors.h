// Which mirror of a file is asked next, and when: rounds over all of them, Retry-After, pauses. A
// machine without I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "net/http/judgement.h"

namespace curlingiron {

inline constexpr Duration kLongestBackoff = 8s;
inline constexpr Duration kLongestRetryAfter = 60s;

struct Mirror {
  Url url;
  HttpPin pin;                    // of its own answers
  bool known = false;             // holds the same file: `pin` proves it from now on
  bool ignores_if_range = false;  // did not name the ETag that was asked for
  std::optional<Url> final_url;   // where the redirects led to
  bool excluded = false;          // for good, by `cause`
  std::optional<Error> cause;     // of the last failure; empty: overcome
  unsigned failures = 0;          // in a row
  unsigned same_cause = 0;        // in a row, by `cause`
  bool failed_in_round = false;
  Time not_before{};  // as Retry-After asked
};

class Mirrors {
 public:
  // At least one. The first pause is `first_backoff` at most; it doubles with each round, to
  // kLongestBackoff.
  Mirrors(std::vector<Url> urls, Duration first_backoff);

  Mirror& current() { return all_[current_]; }
  const Mirror& current() const { return all_[current_]; }
  const std::vector<Mirror>& all() const { return all_; }
  bool several() const { return all_.size() > 1; }
  bool has_others() const;  // that are not excluded

  // The file has come further: what failed before is not counted any more.
  void on_progress();
  // The current one failed for good. False where none is left; else another one is the current one.
  bool exclude_current();
  // A transient failure of the current one. Returns how long to wait before the current one, which
  // may be another now, is asked. `same_again`: it may be a matter of this one connection.
  Duration on_transient(bool same_again, std::optional<Duration> retry_after, Time time,
                        uint64_t random);

  // The cause of each.
  Error all_causes() const;
  bool any_failed() const;

 private:
  std::optional<size_t> next_that(bool (*fits)(const Mirror&, Time), Time time) const;
  Duration backoff(uint64_t random) const;

  std::vector<Mirror> all_;
  size_t current_ = 0;
  Duration first_backoff_;
  unsigned rounds_ = 0;  // over all mirrors, without progress
};

}  // namespace curlingiron
