#include "net/path_table.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {
namespace {

// Each is a thread for each way; mirrors behind these are tried by the download itself.
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

void PathTable::set_paths(std::map<PathKey, HttpPath> paths) {
  {
    std::lock_guard lock(mutex_);
    there_.clear();
    for (const auto& [key, path] : paths) there_.emplace(path.interface, key.second);
  }
  for (auto it = candidates_.begin(); it != candidates_.end();) {
    auto kept = paths.find(it->first);
    bool same = kept != paths.end() && kept->second == it->second.path;
    // What the current way's servers are may change while it is used.
    if (!same && kept != paths.end() && found_ == it->first) {
      std::lock_guard lock(mutex_);
      uint16_t segment = current_.max_segment;
      current_ = kept->second;
      current_.max_segment = segment;
    }
    bool gone = !same && found_ == it->first && kept == paths.end();
    it = same ? std::next(it) : candidates_.erase(it);
    if (gone && !searching_) search();
  }
  for (auto& [key, path] : paths) {
    auto [candidate, added] = candidates_.try_emplace(key);
    if (!added) continue;
    candidate->second.path = std::move(path);
    if (searching_) start_probes(candidate->second);
  }
}

void PathTable::start_probes(Candidate& candidate) {
  candidate.probes.clear();
  for (const Url& source : sources_) {
    Result<std::unique_ptr<PathProbe>> probe =
        PathProbe::start(source, options_, candidate.path, [this] { changed_.signal(); });
    if (probe.ok()) {
      candidate.probes.push_back(std::move(probe).value());
    } else {
      candidate.trouble = probe.error().message();
    }
  }
}

void PathTable::end_probes() {
  for (auto& [key, candidate] : candidates_) candidate.probes.clear();
}

void PathTable::make_current(const PathKey& key, Candidate& candidate, uint16_t max_segment) {
  bool other = found_ && *found_ != key;
  if (other) log_info(concat("the source answers by ", name_of(candidate.path)));
  found_ = key;
  candidate.trouble.clear();
  std::lock_guard lock(mutex_);
  current_ = candidate.path;
  current_.max_segment = max_segment;
  doubted_ = false;
}

bool PathTable::take(const PathKey& key, Candidate& candidate) {
  if (sources_.empty()) {
    make_current(key, candidate, 0);
    return true;
  }
  for (const std::unique_ptr<PathProbe>& probe : candidate.probes) {
    ProbeState state = probe->state();
    if (state.date) date_ = std::max(date_.value_or(*state.date), *state.date);
    if (state.answered) {
      make_current(key, candidate, state.max_segment);
      return true;
    }
    if (!state.text.empty() && state.text != candidate.trouble) {
      candidate.trouble = state.text;
      log_info(concat(name_of(candidate.path), ": ", candidate.trouble));
    }
  }
  return false;
}

bool PathTable::collect() {
  bool doubted;
  {
    std::lock_guard lock(mutex_);
    doubted = std::exchange(doubted_, false);
  }
  if (doubted && !searching_) search();
  if (!searching_) return false;
  for (auto& [key, candidate] : candidates_) {
    if (!take(key, candidate)) continue;
    searching_ = false;
    end_probes();
    return true;
  }
  return false;
}

std::optional<int64_t> PathTable::take_date() { return std::exchange(date_, std::nullopt); }

void PathTable::search() {
  searching_ = true;
  for (auto& [key, candidate] : candidates_) start_probes(candidate);
}

std::string PathTable::trouble(const PathKey& key) const {
  auto found = candidates_.find(key);
  return found == candidates_.end() ? std::string() : found->second.trouble;
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
  // What failed may be a way that was left meanwhile.
  if (path.interface != current_.interface || path.family != current_.family) return;
  doubted_ = true;
  changed_.signal();
}

}  // namespace curlingiron
