#include "net/join/path_table.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {
namespace {

// How long another path is hoped for where somebody else than the source answers: a NIC whose DHCP
// server is slow may still lead there; where none can turn up, an answer of the other family may.
constexpr Duration kRefusalPatience = 15s;
constexpr Duration kHopelessPatience = 2s;
// What was not the source may be it a little later (a server that is overloaded).
constexpr Duration kAskAgain = 2s;
// Each is a thread for each path; mirrors after these are tried by the download itself.
constexpr size_t kMostSources = 4;

std::string name_of(const HttpPath& path) {
  return concat(path.interface, path.family == Family::V6 ? " IPv6" : " IPv4");
}

}  // namespace

PathTable::PathTable(std::vector<Url> sources, HttpOptions options, const WakeEvent& changed)
    : sources_(std::move(sources)), options_(std::move(options)), changed_(changed) {
  if (sources_.size() > kMostSources) sources_.resize(kMostSources);
}

PathTable::~PathTable() = default;

void PathTable::set_paths(std::map<PathKey, HttpPath> paths, More more) {
  more_ = more;
  {
    std::lock_guard lock(mutex_);
    there_.clear();
    for (const auto& [key, path] : paths) there_.emplace(path.interface, key.second);
  }
  auto used = found_ ? paths.find(*found_) : paths.end();
  if (used != paths.end()) {
    // Its name servers may change while it is used, or when it comes back.
    std::lock_guard lock(mutex_);
    uint16_t segment = current_.max_segment;
    current_ = used->second;
    current_.max_segment = segment;
  }
  bool had_used = found_ && candidates_.count(*found_) != 0;
  std::erase_if(candidates_, [&](const auto& entry) {
    auto kept = paths.find(entry.first);
    if (kept == paths.end() || !same_way(kept->second, entry.second.path)) return true;
    // Other name servers: a question that is beyond them goes on.
    return kept->second != entry.second.path && asks_for_names(entry.second);
  });
  if (had_used && used == paths.end() && !searching_) search();
  for (auto& [key, path] : paths) {
    auto [candidate, added] = candidates_.try_emplace(key);
    if (!added) continue;
    candidate->second.path = std::move(path);
    if (searching_) start_probes(candidate->second);
  }
}

bool PathTable::asks_for_names(const Candidate& candidate) {
  return std::all_of(candidate.probes.begin(), candidate.probes.end(),
                     [](const std::unique_ptr<PathProbe>& probe) {
                       return probe == nullptr || probe->state().stage == HttpStage::Dns;
                     });
}

void PathTable::start_probes(Candidate& candidate) {
  candidate.probes.clear();
  candidate.troubles.assign(sources_.size(), "");
  candidate.ask_again.reset();
  for (size_t i = 0; i < sources_.size(); ++i) {
    Result<std::unique_ptr<PathProbe>> probe =
        PathProbe::start(sources_[i], options_, candidate.path, [this] { changed_.signal(); });
    if (!probe.ok()) candidate.troubles[i] = probe.error().message();
    candidate.probes.push_back(probe.ok() ? std::move(probe).value() : nullptr);
  }
}

void PathTable::end_probes() {
  for (auto& [key, candidate] : candidates_) candidate.probes.clear();
}

void PathTable::make_current(const PathKey& key, const Candidate& candidate, uint16_t max_segment) {
  bool other = found_ && *found_ != key;
  if (other) log_info(concat("the source answers by ", name_of(candidate.path)));
  found_ = key;
  std::lock_guard lock(mutex_);
  current_ = candidate.path;
  current_.max_segment = max_segment;
  doubted_ = false;
}

// Over https any answer is the source's. Where nothing proves that, a portal may answer in its
// place: once the source has been seen it is known by its answer; before, by having the file.
bool PathTable::is_the_source(size_t source, const ProbeState& state) const {
  constexpr int kFirstError = 400;
  if (sources_[source].scheme == UrlScheme::Https && !options_.insecure) return true;
  return status_ ? state.status == *status_ : state.status < kFirstError;
}

bool PathTable::take(const PathKey& key, Candidate& candidate, Time time) {
  if (sources_.empty()) {
    make_current(key, candidate, 0);
    return true;
  }
  for (size_t i = 0; i < candidate.probes.size(); ++i) {
    if (candidate.probes[i] == nullptr) continue;
    ProbeState state = candidate.probes[i]->state();
    if (state.date) date_ = std::max(date_.value_or(*state.date), *state.date);
    if (state.answered && is_the_source(i, state)) {
      status_ = state.status;
      make_current(key, candidate, state.max_segment);
      return true;
    }
    if (state.answered) {
      candidate.status = state.status;
      if (!candidate.ask_again) candidate.ask_again = time + kAskAgain;
    }
    bool refused = state.refused || state.answered;
    if (refused && !candidate.refused_since) candidate.refused_since = time;
    if (!state.text.empty() && state.text != candidate.troubles[i]) {
      candidate.troubles[i] = state.text;
      log_info(concat(name_of(candidate.path), ": ", state.text));
    }
  }
  return false;
}

Duration PathTable::refusal_patience() const {
  bool all = std::all_of(candidates_.begin(), candidates_.end(),
                         [](const auto& entry) { return entry.second.refused_since.has_value(); });
  return all && more_ == More::Unlikely ? kHopelessPatience : kRefusalPatience;
}

std::optional<Time> PathTable::wake() const {
  std::optional<Time> next = end_of_hope();
  if (!searching_) return next;
  for (const auto& [key, candidate] : candidates_) {
    if (candidate.ask_again && (!next || *candidate.ask_again < *next)) next = candidate.ask_again;
  }
  return next;
}

// When what answers counts as found although it is hardly the source.
std::optional<Time> PathTable::end_of_hope() const {
  std::optional<Time> end;
  if (!searching_ || found_) return end;
  for (const auto& [key, candidate] : candidates_) {
    if (!candidate.refused_since) continue;
    Time own = *candidate.refused_since + refusal_patience();
    if (!end || own < *end) end = own;
  }
  return end;
}

bool PathTable::collect(Time time) {
  bool doubted;
  {
    std::lock_guard lock(mutex_);
    doubted = std::exchange(doubted_, false);
  }
  if (doubted && !searching_) search();
  if (!searching_) return false;
  for (auto& [key, candidate] : candidates_) {
    if (!take(key, candidate, time)) continue;
    searching_ = false;
    end_probes();
    return true;
  }
  for (auto& [key, candidate] : candidates_) {
    if (candidate.ask_again && time >= *candidate.ask_again) start_probes(candidate);
  }
  std::optional<Time> hope_ends = end_of_hope();
  if (!hope_ends || time < *hope_ends) return false;
  for (auto& [key, candidate] : candidates_) {
    if (!candidate.refused_since) continue;
    status_ = candidate.status;
    make_current(key, candidate, 0);
    break;
  }
  searching_ = false;
  end_probes();
  return true;
}

std::optional<int64_t> PathTable::take_date() { return std::exchange(date_, std::nullopt); }

void PathTable::search() {
  searching_ = true;
  for (auto& [key, candidate] : candidates_) {
    candidate.status.reset();
    candidate.refused_since.reset();
    start_probes(candidate);
  }
}

std::string PathTable::trouble(const PathKey& key) const {
  auto found = candidates_.find(key);
  if (found == candidates_.end()) return {};
  std::vector<std::string> said;
  for (const std::string& text : found->second.troubles) {
    bool known = text.empty() || std::find(said.begin(), said.end(), text) != said.end();
    if (!known) said.push_back(text);
  }
  return join(said, "; ");
}

HttpPath PathTable::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

bool PathTable::is_gone(const HttpPath& path) const {
  if (path.interface.empty() || !path.family) return false;
  std::lock_guard lock(mutex_);
  return there_.count({path.interface, *path.family}) == 0;
}

void PathTable::doubt(const HttpPath& path) {
  std::lock_guard lock(mutex_);
  // What failed may be a path that was left meanwhile.
  if (path.interface != current_.interface || path.family != current_.family) return;
  doubted_ = true;
  changed_.signal();
}

}  // namespace curlingiron
