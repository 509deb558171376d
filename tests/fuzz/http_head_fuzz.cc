// The head of an HTTP answer, and what a resumption or the reading of a part makes of it.
#include <cstdlib>

#include "base/bytes.h"
#include "base/text.h"
#include "formats/http_head.h"
#include "net/http/judgement.h"

using namespace curlingiron;

namespace {

constexpr uint64_t kPosition = 500;
constexpr uint64_t kLast = 599;

void check_resumed(const HttpHead& head, const HttpPin& pin, bool other_mirror, uint64_t known) {
  HttpPin learned = pin;
  HttpRun run{kPosition, {}, known, other_mirror};
  HttpJudgement judged = judge_resumed(head, learned, run, "subject", 0);
  if (judged.failure) return;
  if (pin.length && learned.length != pin.length) std::abort();
  if (judged.verdict == HttpVerdict::Redirect) return;
  // What is known already is not beyond the end.
  if (learned.length && *learned.length < known) std::abort();
  // Bytes from the position on are taken only where the answer says so.
  if (judged.verdict == HttpVerdict::Body && head.range->span->first != kPosition) std::abort();
}

void check_range(const HttpHead& head, const HttpPin& pin) {
  HttpPin learned = pin;
  HttpRun run{kPosition, kLast, 0, false};
  HttpJudgement judged = judge_range(head, learned, run, "subject", 0);
  if (judged.failure || judged.verdict == HttpVerdict::Redirect) return;
  if (judged.verdict != HttpVerdict::Body || !learned.length) std::abort();
  if (pin.length && learned.length != pin.length) std::abort();
  const ContentRange::Span& span = *head.range->span;
  if (span.first != kPosition || span.last > kLast || span.last >= *learned.length) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = as_text(ConstBytes(data, size));
  HttpHeadReader reader;
  for (std::string_view line : split(text, '\n')) {
    if (!reader.add_line(line).ok()) return 0;
    if (reader.complete()) break;
  }
  if (!reader.complete()) return 0;
  const HttpHead& head = reader.head();
  if (head.status < 200 || head.status > 599) std::abort();
  for (bool open_end : {false, true}) (void)judge_first(head, open_end, "subject", 0);
  HttpPin own = pin_of(head);
  own.length.reset();
  HttpPin other = own;
  other.etag = "\"v1\"";
  for (HttpPin pin : {HttpPin(), own, other}) {
    for (std::optional<uint64_t> length :
         {std::optional<uint64_t>(), std::optional<uint64_t>(1000)}) {
      pin.length = length;
      check_resumed(head, pin, false, kPosition);
      check_resumed(head, pin, true, kPosition + 100);
      check_range(head, pin);
    }
  }
  return 0;
}
