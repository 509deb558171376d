// The head of an HTTP answer, and what a resumption makes of it.
#include <cstdlib>

#include "base/bytes.h"
#include "base/text.h"
#include "formats/http_head.h"
#include "net/http_resume.h"

using namespace curlingiron;

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
  (void)judge_first(head, "subject", 0);
  HttpPin pin = pin_of(head);
  constexpr uint64_t kPosition = 500;
  for (std::optional<uint64_t> length :
       {std::optional<uint64_t>(), std::optional<uint64_t>(1000)}) {
    HttpPin known = pin;
    known.length = length;
    HttpJudgement judged = judge_resumed(head, known, kPosition, "subject", 0);
    if (judged.failure) continue;
    if (length && known.length != length) std::abort();
    // Bytes from the position on are taken only where the answer says so.
    if (judged.verdict == HttpVerdict::Body && head.range->span->first != kPosition) std::abort();
  }
  return 0;
}
