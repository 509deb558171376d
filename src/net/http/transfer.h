// One file on one or more mirrors, over as many requests as it takes: what HttpSource and HttpFile
// have in common. Pins, resumption, retries, mirrors, stalls and deadlines are here and nowhere
// else; what they promise stands in net/http/source.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/units.h"
#include "formats/url.h"
#include "net/http/exchange.h"
#include "net/http/inbox.h"
#include "net/http/judgement.h"
#include "net/http/mirrors.h"
#include "net/http/options.h"
#include "net/http/same_file.h"
#include "net/http/stall_watch.h"

namespace curlingiron {

enum class HttpMode {
  Stream,  // the whole file, once, from its start
  Ranges,  // runs of bytes, as seek() says
};

// With Ranges the first request is for that much, and other mirrors must have it alike.
inline constexpr size_t kFileHead = 64_KiB;

class HttpTransfer final : private HttpReceiver {
 public:
  // `exchange` carries the requests; null: a HttpWire.
  static Result<std::unique_ptr<HttpTransfer>> create(
      std::vector<Url> mirrors, const HttpOptions& options, HttpMode mode,
      std::unique_ptr<HttpExchange> exchange = nullptr);
  ~HttpTransfer() override;

  // Returns when the first answer is good; with Ranges, when file_head() is there.
  Result<void> open();

  // The next bytes, at least one; 0 at the proven end of the file or run. An error sticks.
  Result<size_t> read(MutableBytes into);

  // Ranges only. From now on read() gives [first, end), not empty and within the file. What is left
  // of the run before is given up.
  void seek(uint64_t first, uint64_t end);
  uint64_t position() const { return run_.given; }  // of the next byte that read() gives
  uint64_t run_end() const { return run_.end; }
  uint64_t length() const { return file_.pin.length.value_or(0); }
  ConstBytes file_head() const { return file_.head.bytes; }

  const HttpAnswer& answer() const { return file_.answer; }
  void set_deadline(std::optional<Time> deadline);
  uint64_t delivered() const { return watched_.delivered; }
  unsigned resumptions() const { return watched_.resumptions; }

 private:
  static constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
  static constexpr uint64_t kUnknownEnd = std::numeric_limits<uint64_t>::max();

  // What proves that a request goes on with the same file.
  enum class Proof {
    None,       // nothing was read yet
    Validator,  // If-Range, or where there is none the validators of the answer
    Overlap,    // the bytes before the position, compared
    Reread,     // all bytes before the position, by digest
    Head,       // Ranges: the first bytes, compared; a request of its own
  };
  struct Plan {
    Proof proof = Proof::None;
    uint64_t first = 0;
    std::optional<uint64_t> last;
    std::string if_range;
  };

  // The request under way: replaced as a whole when the next one begins.
  struct Request {
    Plan plan;
    Time begun;
    HttpPath path;  // with connection_.max_segment
    HttpHead head;
    std::optional<HttpVerdict> verdict;
    std::optional<HttpFailure> failure;       // found in a callback
    bool unproven = false;                    // to be asked again in another form
    std::optional<uint64_t> reported_length;  // of the whole file
    HttpPin pin;                              // the mirror's, when it is proven
    uint64_t compared = 0;  // position up to which known bytes came again and were alike
    uint64_t answer_left = kUnknownEnd;  // bytes that the answer may still bring
    uint64_t fetched_before = 0;         // fetched_.bytes when it began
    bool asked_for_paths = false;        // since bytes last came
    Duration waited{0};                  // since the window began that low speed is measured in
    uint64_t arrived_at_window = 0;
  };

  HttpTransfer(std::vector<Url> mirrors, const HttpOptions& options, HttpMode mode);
  Result<void> prepare(std::unique_ptr<HttpExchange> exchange);

  // --- one request
  Plan next_plan() const;
  std::optional<HttpFailure> begin_next_request();
  std::optional<HttpFailure> start_request();
  std::optional<HttpFailure> follow_redirect();
  std::optional<HttpFailure> step();
  std::optional<HttpFailure> request_ended();
  std::optional<HttpFailure> wait_for_bytes();
  std::optional<HttpFailure> look_for_paths(Time time);
  std::string at_byte() const;  // ", at byte N", and through which proxy
  Taken on_head(const Result<HttpHead>& head) override;
  Taken on_body(ConstBytes bytes) override;
  bool gave_up() const override;
  HttpJudgement judge(const HttpHead& head);
  std::optional<HttpFailure> refuse(const HttpHead& head) const;
  bool ignored_if_range(const HttpHead& head) const;
  void take_answer(const HttpHead& head);
  void first_answer(const HttpHead& head);
  void say_what_a_drop_means() const;
  void mirror_is_proven();
  std::optional<Error> compare_known(ConstBytes bytes);
  void store(ConstBytes bytes);
  Taken stop(HttpFailure failure);
  uint64_t compared_until() const;

  // --- over all requests
  Result<void> pump_until_progress();
  Result<void> recover(HttpFailure cause);
  Result<void> pause_before_retry(Duration wait);

  Mirror& mirror() { return mirrors_.current(); }
  const Mirror& mirror() const { return mirrors_.current(); }
  std::optional<Time> current_deadline() const;
  bool deadline_passed() const;
  bool at_end() const { return file_.opened && run_.next == run_.end; }

  HttpOptions options_;
  HttpMode mode_;
  // What other threads set and look at.
  struct Watched {
    std::atomic<int64_t> deadline = kNoDeadline;  // nanoseconds of the boot clock
    std::atomic<uint64_t> delivered = 0;
    std::atomic<unsigned> resumptions = 0;
  };
  Watched watched_;
  std::unique_ptr<HttpExchange> wire_;

  // --- the file
  // Of the file, or with Ranges of what seek() asks for.
  struct Run {
    uint64_t next = 0;           // the next byte wanted from the wire
    uint64_t given = 0;          // the next byte that read() gives
    uint64_t end = kUnknownEnd;  // in a stream the length
    bool ended = false;          // all its bytes are here
  };
  // Ranges: the first run's bytes, which open() reads.
  struct Head {
    ByteVector bytes;
    bool complete = false;
  };
  // What is known of it so far.
  struct File {
    bool opened = false;  // the first answer was good
    HttpAnswer answer;
    HttpPin pin;  // of the first good answer
    Head head;
    StreamMemory memory;  // Stream: of all before run_.next
  };
  File file_;
  Run run_;
  std::optional<Error> broken_;

  // --- mirrors
  // Bytes of the file, over all requests.
  struct Fetched {
    uint64_t bytes = 0;
    uint64_t at_progress = 0;  // when kProgress was made last
  };
  // What the requests so far have taught of connections.
  struct Connection {
    bool fresh = false;                 // the last request failed: so may its connection
    uint16_t max_segment = 0;           // as stalls have taught; 0: no limit
    std::optional<HttpPath> served_by;  // the last path that brought bytes of the file
    StallWatch stalls;
  };
  Mirrors mirrors_;
  Fetched fetched_;
  Connection connection_;
  Inbox inbox_;

  // --- the requests for what is missing
  struct Target {
    Url url;
    bool via_shortcut = false;  // where redirects had led to, not the mirror's URL
    unsigned redirects = 0;
  };
  Target target_;
  Request request_;
};

}  // namespace curlingiron
