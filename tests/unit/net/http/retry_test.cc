// When a download asks again, whom and how, in simulated time: requests are carried by a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "base/text.h"
#include "net/http/transfer.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What becomes of one request: a head after `delay`, then pieces of the file, each after `pause`,
// then the end.
struct Answer {
  std::string head = {};                  // empty: the connection breaks instead
  std::optional<uint64_t> stops_at = {};  // the position at which nothing comes any more
  bool breaks = false;                    // there; else it stays silent
  Duration delay = 10ms;
  Duration pause{0};  // before each piece
  size_t piece = 1000;
};

class FakeExchange final : public HttpExchange {
 public:
  explicit FakeExchange(std::string file) : file_(std::move(file)) {}

  struct Sent {
    Time at;
    std::string host;
    std::string range;
    bool fresh = false;
  };
  std::vector<Sent> sent;
  std::function<Answer(size_t request)> script;
  Time time{1000s};

  Result<void> send(const HttpAsk& ask, const HttpPath&, bool fresh,
                    HttpReceiver& receiver) override {
    sent.push_back({time, ask.url.host, ask.range, fresh});
    answer_ = script(sent.size() - 1);
    receiver_ = &receiver;
    busy_ = true;
    state_ = WireState::Running;
    head_sent_ = false;
    at_ = ask.range.empty() ? 0 : std::stoull(ask.range.substr(6));
    next_ = time + answer_.delay;
    return {};
  }
  void drop() override { busy_ = false; }
  bool busy() const override { return busy_; }
  WireState perform() override {
    while (state_ == WireState::Running && next_ && time >= *next_) work();
    return state_;
  }
  void wait(Duration most) override {
    Time until = time + most;
    if (busy_ && next_ && *next_ > time) until = std::min(until, *next_);
    time = until;
  }
  void wake() override {}
  HttpFailure failure(uint64_t position) const override {
    return {Error(concat("broken at ", position)), FailureKind::Transient, std::nullopt};
  }
  HttpStage stage() const override { return head_sent_ ? HttpStage::Body : HttpStage::Http; }
  uint32_t segment() const override { return 1220; }  // nothing smaller helps
  std::string certificate_hint() const override { return {}; }
  uint64_t arrived() const override { return arrived_; }
  uint64_t activity() const override { return arrived_; }
  std::string tls_version() const override { return {}; }
  Time now() const override { return time; }
  uint64_t random() override { return 0; }

 private:
  void work() {
    if (answer_.head.empty()) {
      state_ = WireState::Failed;
      return;
    }
    if (!head_sent_) {
      head_sent_ = true;
      arrived_ += answer_.head.size();
      HttpHeadReader reader;
      for (std::string_view line : split(answer_.head, '\n')) {
        (void)reader.add_line(concat(line, "\r\n"));
      }
      if (receiver_->on_head(reader.head()) == HttpReceiver::Taken::Stop)
        state_ = WireState::Failed;
      next_ = time + answer_.pause;
      return;
    }
    uint64_t end = answer_.stops_at.value_or(file_.size());
    if (at_ >= end) {
      next_.reset();
      if (!answer_.stops_at) state_ = WireState::Done;
      if (answer_.breaks) state_ = WireState::Failed;
      return;
    }
    size_t size = std::min<size_t>(answer_.piece, end - at_);
    ConstBytes bytes = as_bytes(file_).subspan(at_, size);
    switch (receiver_->on_body(bytes)) {
      case HttpReceiver::Taken::All:
        at_ += size;
        arrived_ += size;
        next_ = time + answer_.pause;
        break;
      case HttpReceiver::Taken::Nothing: next_ = time + 1ms; break;
      case HttpReceiver::Taken::Stop: state_ = WireState::Failed; break;
    }
  }

  std::string file_;
  Answer answer_;
  HttpReceiver* receiver_ = nullptr;
  bool busy_ = false;
  bool head_sent_ = false;
  uint64_t at_ = 0;
  uint64_t arrived_ = 0;
  std::optional<Time> next_;
  WireState state_ = WireState::Running;
};

class RetryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 20'000; ++i) file_ += static_cast<char>('a' + i * i % 26);
  }

  std::string whole() const {
    return concat("HTTP/1.1 200 OK\nContent-Length: ", file_.size(),
                  "\nETag: \"one\"\nAccept-Ranges: bytes\n");
  }
  std::string rest(uint64_t from) const {
    return concat("HTTP/1.1 206 Partial Content\nContent-Range: bytes ", from, '-',
                  file_.size() - 1, '/', file_.size(), "\nContent-Length: ", file_.size() - from,
                  "\nETag: \"one\"\n");
  }
  static std::string busy(std::string_view retry_after = "") {
    return concat("HTTP/1.1 503 Busy\n",
                  retry_after.empty() ? "" : concat("Retry-After: ", retry_after, '\n'),
                  "Content-Length: 0\n");
  }

  void start(std::initializer_list<std::string_view> hosts,
             std::function<Answer(size_t request)> script) {
    std::vector<Url> urls;
    for (std::string_view host : hosts) {
      urls.push_back(parse_url(concat("http://", host, "/f")).value());
    }
    auto exchange = std::make_unique<FakeExchange>(file_);
    exchange->script = std::move(script);
    wire_ = exchange.get();
    transfer_ =
        HttpTransfer::create(std::move(urls), HttpOptions(), HttpMode::Stream, std::move(exchange))
            .value();
    begin_ = wire_->time;
  }

  // All of it, or the error.
  std::string download() {
    Result<void> opened = transfer_->open();
    if (!opened.ok()) return opened.error().message();
    std::string text;
    ByteVector chunk(4096);
    for (;;) {
      Result<size_t> count = transfer_->read(chunk);
      if (!count.ok()) return count.error().message();
      if (count.value() == 0) return text;
      text.append(reinterpret_cast<const char*>(chunk.data()), count.value());
    }
  }

  // The time between one request and the next.
  std::vector<Duration> pauses() const {
    std::vector<Duration> between;
    for (size_t i = 1; i < wire_->sent.size(); ++i) {
      between.push_back(wire_->sent[i].at - wire_->sent[i - 1].at);
    }
    return between;
  }

  testing::RecordingLog log_;
  std::string file_;
  FakeExchange* wire_ = nullptr;
  std::unique_ptr<HttpTransfer> transfer_;
  Time begin_{};
};

TEST_F(RetryTest, AServerThatIsDownIsAskedWithLongerAndLongerPauses) {
  start({"a"}, [&](size_t request) { return request < 6 ? Answer{} : Answer{whole()}; });
  EXPECT_EQ(download(), file_);
  EXPECT_THAT(pauses(), ElementsAre(260ms, 510ms, 1010ms, 2010ms, 4010ms, 4010ms));
  for (size_t i = 1; i < wire_->sent.size(); ++i) EXPECT_TRUE(wire_->sent[i].fresh);
}

TEST_F(RetryTest, TheSameCauseIsCounted) {
  start({"a"}, [&](size_t request) {
    if (request == 5) return Answer{busy()};
    return request < 8 ? Answer{} : Answer{whole()};
  });
  EXPECT_EQ(download(), file_);
  EXPECT_THAT(log_.warning_lines(),
              ElementsAre(HasSubstr("broken at 0; next try in 0.2 s"),
                          HasSubstr("for the 4th time: broken at 0; next try in 2.0 s"),
                          HasSubstr("503 Busy; check the URL and the server; next try"),
                          HasSubstr("broken at 0; next try")));
}

TEST_F(RetryTest, ADeadlineEndsIt) {
  start({"a"}, [&](size_t) { return Answer{}; });
  transfer_->set_deadline(begin_ + 3s);
  EXPECT_EQ(download(), "broken at 0");
  EXPECT_LE(wire_->time, begin_ + 3s);
  EXPECT_GE(wire_->sent.size(), 3U);
}

TEST_F(RetryTest, RetryAfterIsKept) {
  start({"a"}, [&](size_t request) { return Answer{request == 0 ? busy("9") : whole()}; });
  EXPECT_EQ(download(), file_);
  EXPECT_THAT(pauses(), ElementsAre(9010ms));
}

TEST_F(RetryTest, AConnectionThatBreaksGoesOnWhereItWas) {
  start({"a"}, [&](size_t request) {
    if (request == 0) return Answer{whole(), 7000, true};
    return Answer{rest(7000)};
  });
  EXPECT_EQ(download(), file_);
  ASSERT_EQ(wire_->sent.size(), 2U);
  EXPECT_EQ(wire_->sent[1].range, "bytes=7000-");
  EXPECT_EQ(transfer_->resumptions(), 1U);
}

TEST_F(RetryTest, AServerThatFallsSilentIsLeftAfterThirtySeconds) {
  start({"a"}, [&](size_t request) {
    if (request == 0) return Answer{whole(), 7000};
    return Answer{rest(7000)};
  });
  EXPECT_EQ(download(), file_);
  ASSERT_EQ(wire_->sent.size(), 2U);
  EXPECT_GE(pauses()[0], 30s);
  EXPECT_LE(pauses()[0], 31s);
  EXPECT_THAT(log_.text(), HasSubstr("in 30.0 s, at byte 7000"));
}

TEST_F(RetryTest, SoIsOneThatDrips) {
  start({"a"}, [&](size_t request) {
    // 100 bytes a second.
    if (request == 0) return Answer{.head = whole(), .pause = 10s, .piece = 1000};
    return Answer{rest(std::stoull(wire_->sent[request].range.substr(6)))};
  });
  EXPECT_EQ(download(), file_);
  EXPECT_THAT(log_.text(), HasSubstr("only "));
  EXPECT_LE(wire_->time - begin_, 90s);
}

TEST_F(RetryTest, AnotherMirrorIsAskedAtOnce) {
  start({"a", "b"}, [&](size_t request) { return Answer{request == 0 ? busy() : whole()}; });
  EXPECT_EQ(download(), file_);
  ASSERT_EQ(wire_->sent.size(), 2U);
  EXPECT_EQ(wire_->sent[1].host, "b");
  EXPECT_EQ(pauses()[0], 10ms);
}

TEST_F(RetryTest, AfterTheCommitPointItIsRetriedForHours) {
  start({"a"}, [&](size_t request) {
    if (request == 0) return Answer{whole(), 7000, true};
    if (request < 2000) return Answer{};
    return Answer{rest(7000)};
  });
  EXPECT_EQ(download(), file_);
  EXPECT_GT(wire_->time - begin_, 2h);
}

}  // namespace
}  // namespace curlingiron
