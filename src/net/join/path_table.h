// The paths from this machine to the source: which there are, which of them the source answers on,
// and the one that is used. A path is a NIC in one address family.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "formats/url.h"
#include "net/http/options.h"
#include "net/http/path.h"
#include "net/join/path_probe.h"
#include "sys/fd.h"

namespace curlingiron {

// An interface (by its index) in one address family.
using PathKey = std::pair<int, Family>;

// Used by the network's thread, but for current() and doubt(), which any thread may call.
class PathTable {
 public:
  // Probes ask `sources`, which are mirrors of each other: one that answers is enough. Where there
  // are none, any path will do. `changed` is signalled when collect() has something to do, and must
  // outlive the table.
  PathTable(std::vector<Url> sources, HttpOptions options, const WakeEvent& changed);
  ~PathTable();

  // The paths there are now. Probes of paths that are gone or have changed end; while a path is
  // looked for, new ones are asked at once. `more`: another NIC has a carrier and may get an
  // address.
  enum class More { Expected, Unlikely };
  void set_paths(std::map<PathKey, HttpPath> paths, More more);

  // What became of the probes. True when a path has been found: it is the current one now, and the
  // other probes have ended. Where whoever answers does not prove to be the source, and no other
  // path turns up in time, that path counts as found, too: the download itself will say what is
  // wrong.
  bool collect(Time time);
  // When collect() has something to do although nothing has changed.
  std::optional<Time> wake() const;
  // The path that was found last; nullopt: none yet.
  std::optional<PathKey> found() const { return found_; }
  // A path is looked for: none was found yet, or the last one is in doubt.
  bool searching() const { return searching_; }
  // A Date that a server gave while its certificate was not yet valid by this machine's clock
  // (seconds since the epoch); each is reported once.
  std::optional<int64_t> take_date();

  // The path found last is looked at again, beside all others; it stays the current one until
  // another is found.
  void search();
  // For messages: how far the probe of this path got; empty: it has not said anything yet.
  std::string trouble(const PathKey& key) const;

  // The path to take now; one by ordinary routing where none was found.
  HttpPath current() const;
  // Somebody's request failed over this path: if it is the current one, collect() searches again.
  void doubt(const HttpPath& path);
  // The NIC has no carrier, or no address of that family, any more.
  bool is_gone(const HttpPath& path) const;

 private:
  struct Candidate {
    HttpPath path;
    std::vector<std::unique_ptr<PathProbe>> probes;  // one for each source; null: not started
    std::vector<std::string> troubles;               // what each said last
    std::optional<int> status;                       // of whoever answers there
    std::optional<Time> ask_again;                   // as what answered was not the source
    std::optional<Time> refused_since;               // what answers there is hardly the source
  };

  void start_probes(Candidate& candidate);
  static bool asks_for_names(const Candidate& candidate);
  void end_probes();
  bool take(const PathKey& key, Candidate& candidate, Time time);
  Duration refusal_patience() const;
  std::optional<Time> end_of_hope() const;
  void make_current(const PathKey& key, const Candidate& candidate, uint16_t max_segment);
  bool is_the_source(size_t source, const ProbeState& state) const;

  std::vector<Url> sources_;
  HttpOptions options_;
  const WakeEvent& changed_;
  std::map<PathKey, Candidate> candidates_;
  std::optional<PathKey> found_;
  std::optional<int> status_;  // that the source answered with when it was found
  std::optional<int64_t> date_;
  bool searching_ = true;
  More more_ = More::Expected;

  mutable std::mutex mutex_;  // of what follows
  HttpPath current_;
  std::set<std::pair<std::string, Family>> there_;  // interfaces and families of all paths
  bool doubted_ = false;
};

}  // namespace curlingiron
