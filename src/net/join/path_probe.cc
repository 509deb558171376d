#include "net/join/path_probe.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "formats/http_text.h"
#include "net/http/stall_watch.h"
#include "net/http/wire.h"
#include "sys/clock.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr Duration kFirstPause = 250ms;
constexpr Duration kLongestPause = 2s;
constexpr Duration kLongestPoll = 1s;
constexpr int64_t kSameTime = 600;  // seconds between two answers of servers of one name
// A HEAD is answered soon. What only seems to stand still is asked again, and then has more time.
constexpr Duration kProbeFirstBytes = 2s;
constexpr Duration kProbeStall = 5s;

// An answer, as far as it is wanted.
struct Answer {
  HttpHead head;
  std::string tls;  // "TLSv1.3", empty for http

  std::string text() const {
    return concat(head.status, head.reason.empty() ? "" : " ", head.reason,
                  tls.empty() ? "" : " over ", tls);
  }
};

class HeadReceiver final : public HttpReceiver {
 public:
  HeadReceiver(const HttpWire& wire, Time until, const std::atomic<bool>& stopping)
      : wire_(wire), until_(until), stopping_(stopping) {}

  Taken on_head(const Result<HttpHead>& head) override {
    head_.emplace(head);
    tls_ = wire_.tls_version();
    return Taken::Stop;
  }
  Taken on_body(ConstBytes /*bytes*/) override { return Taken::Stop; }
  bool gave_up() const override { return stopping_ || now() >= until_; }

  const std::optional<Result<HttpHead>>& head() const { return head_; }
  const std::string& tls() const { return tls_; }

 private:
  const HttpWire& wire_;
  Time until_;
  const std::atomic<bool>& stopping_;
  std::string tls_;
  std::optional<Result<HttpHead>> head_;
};

HttpOptions probe_options(const HttpOptions& given) {
  HttpOptions options;
  options.trusted = given.trusted;
  options.insecure = given.insecure;
  options.proxy = given.proxy;
  options.pinned_key = given.pinned_key;  // for what is asked as trusted alone
  options.user_agent = given.user_agent;
  options.stall = std::min(given.stall, kProbeStall);
  options.first_bytes = std::min(given.first_bytes, kProbeFirstBytes);
  return options;
}

HttpOptions unverified(HttpOptions options) {
  options.insecure = true;
  return options;
}

}  // namespace

struct PathProbe::State {
  State(const HttpOptions& given, HttpPath taken)
      : options(probe_options(given)),
        date_options(unverified(options)),
        path(std::move(taken)),
        max_segment(path.max_segment) {}

  HttpOptions options;
  HttpOptions date_options;
  HttpPath path;
  HttpAsk ask;
  std::function<void()> changed;
  std::unique_ptr<HttpWire> wire;
  std::unique_ptr<HttpWire> date_wire;  // to a server whose certificate nobody can judge yet
  uint16_t max_segment;
  std::atomic<bool> stopping = false;

  mutable std::mutex mutex;
  ProbeState published;
  Thread thread;  // joined before anything else goes

  void run();
  void publish(ProbeState state);
  void publish_progress(HttpStage stage);
  // The head of an answer, or why there is none; nothing when asked to stop.
  std::optional<HttpFailure> attempt(HttpWire& over, const HttpOptions& by, const HttpAsk& what,
                                     std::optional<Answer>& answer);
  std::optional<int64_t> learn_time(int64_t valid_from, std::string& trouble);
  void pause(Duration duration);
};

void PathProbe::State::publish(ProbeState state) {
  {
    std::lock_guard lock(mutex);
    if (state == published) return;
    published = std::move(state);
  }
  changed();
}

void PathProbe::State::publish_progress(HttpStage stage) {
  ProbeState next = published;  // which this thread alone changes
  if (!next.text.empty()) return;
  next.stage = stage;
  publish(std::move(next));
}

void PathProbe::State::pause(Duration duration) {
  Time until = now() + duration;
  for (Time time = now(); time < until && !stopping; time = now()) wire->wait(until - time);
}

std::optional<HttpFailure> PathProbe::State::attempt(HttpWire& over, const HttpOptions& by,
                                                     const HttpAsk& what,
                                                     std::optional<Answer>& answer) {
  HeadReceiver receiver(over, now() + by.stall * 2, stopping);
  HttpPath limited = path;
  limited.max_segment = max_segment;
  if (Result<void> sent = over.send(what, limited, true, receiver); !sent.ok()) {
    return HttpFailure{sent.error(), FailureKind::Final, std::nullopt, HttpStage::Dns};
  }
  StallWatch stalls;
  stalls.begin(over, now());
  while (!stopping) {
    WireState state = over.perform();
    if (receiver.head()) {
      const Result<HttpHead>& head = *receiver.head();
      if (!head.ok()) {
        return HttpFailure{head.error().with_context(what.url.host), FailureKind::Final,
                           std::nullopt, HttpStage::Http};
      }
      answer = Answer{head.value(), receiver.tls()};
      return std::nullopt;
    }
    if (state != WireState::Running) return over.failure(0);
    publish_progress(over.stage());
    Time time = now();
    if (std::optional<Stall> stall = stalls.look(over, limited, by, time)) {
      if (stall->smaller_segment) max_segment = *stall->smaller_segment;
      return HttpFailure{Error(concat(what.url.host, ": no answer within ",
                                      seconds_text(stall->after), stall->advice())),
                         FailureKind::Transient, std::nullopt, stall->stage};
    }
    over.wait(std::clamp<Duration>(stalls.next(by, time) - time, Duration(0), kLongestPoll));
  }
  return std::nullopt;
}

// The time as the server has it, where the server proves itself by that time (and by its key, if
// one is pinned). What is asked first is no secret: whoever answers has proven nothing, so that the
// answer that is proven has to say the same.
std::optional<int64_t> PathProbe::State::learn_time(int64_t valid_from, std::string& trouble) {
  HttpAsk plain = ask;
  plain.url.target = "/";
  std::optional<Answer> answer;
  std::optional<HttpFailure> failure = attempt(*date_wire, date_options, plain, answer);
  date_wire->drop();
  if (failure) log_debug(concat("asking for the time: ", failure->error.message()));
  std::optional<int64_t> date = answer ? answer->head.date : std::nullopt;
  int64_t clock = wall_clock_seconds();
  if (!date || *date <= clock || *date < valid_from) return std::nullopt;
  if (*date - clock > kLongestClockStep) {
    trouble += concat("; the server's own clock says ", format_date(*date),
                      ", more than a server may set this one forward");
    return std::nullopt;
  }
  options.certificate_time = date;
  answer.reset();
  HttpAsk proof = ask;
  proof.trusted = true;
  failure = attempt(*wire, options, proof, answer);
  wire->drop();
  options.certificate_time.reset();
  if (failure) log_debug(concat("at the server's time: ", failure->error.message()));
  // Proven, too, but it says no time.
  if (failure && failure->wants_client_certificate) return date;
  if (!answer || !answer->head.date) return std::nullopt;
  int64_t proven = *answer->head.date;
  bool same = proven >= *date - kSameTime && proven <= *date + kSameTime;
  return same && proven >= valid_from ? std::optional(proven) : std::nullopt;
}

void PathProbe::State::run() {
  Duration pause_length = kFirstPause;
  while (!stopping) {
    uint16_t segment = max_segment;
    std::optional<Answer> answer;
    std::optional<HttpFailure> failure = attempt(*wire, options, ask, answer);
    wire->drop();
    if (stopping) return;
    ProbeState next;
    next.max_segment = segment;
    if (answer || failure->wants_client_certificate) {
      next.answered = true;
      next.status = answer ? static_cast<int>(answer->head.status) : 0;
      next.stage = HttpStage::Body;
      next.text = answer ? answer->text() : "asks for the client certificate";
      publish(std::move(next));
      return;
    }
    next.stage = failure->stage;
    next.text = failure->error.message();
    if (failure->valid_from) next.date = learn_time(*failure->valid_from, next.text);
    if (stopping) return;
    std::optional<int64_t> date = next.date;
    next.refused = failure->kind != FailureKind::Transient && !date;
    publish(std::move(next));
    bool clock_was_set = date && wall_clock_seconds() >= *date;
    if (max_segment != segment || clock_was_set) continue;
    pause(pause_length);
    pause_length = std::min<Duration>(pause_length * 2, kLongestPause);
  }
}

PathProbe::PathProbe(std::unique_ptr<State> state) : state_(std::move(state)) {}

PathProbe::~PathProbe() {
  stop();
  state_->thread.join();
}

Result<std::unique_ptr<PathProbe>> PathProbe::start(const Url& url, const HttpOptions& options,
                                                    const HttpPath& path,
                                                    std::function<void()> changed) {
  auto state = std::make_unique<State>(options, path);
  state->ask.url = url;
  state->ask.url.user_info.clear();
  state->ask.method = HttpMethod::Head;
  state->changed = std::move(changed);
  state->wire = TRY(HttpWire::create(state->options));
  state->date_wire = TRY(HttpWire::create(state->date_options));
  State* running = state.get();
  state->thread = TRY(Thread::start([running] { running->run(); }));
  return std::unique_ptr<PathProbe>(new PathProbe(std::move(state)));
}

void PathProbe::stop() {
  state_->stopping = true;
  state_->wire->wake();
  state_->date_wire->wake();
}

ProbeState PathProbe::state() const {
  std::lock_guard lock(state_->mutex);
  return state_->published;
}

}  // namespace curlingiron
