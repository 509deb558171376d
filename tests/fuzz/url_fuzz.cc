// URLs, and Location headers: "URL NEWLINE REFERENCE". What is accepted is stable and fit to send.
#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "formats/url.h"

using namespace curlingiron;

namespace {

void check(const Url& url) {
  std::string text = url.text();
  bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
  if (!clean || url.target.empty() || url.target[0] != '/' || url.host.empty()) std::abort();
  if (text.size() > 4096) return;  // percent-encoded beyond the limit
  // As a reference: a '@' in the path is none of a person's passwords there.
  Result<Url> again = resolve_reference(url, text);
  if (!again.ok() || again.value().text() != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = as_text(ConstBytes(data, size));
  size_t line = text.find('\n');
  Result<Url> url = parse_url(text.substr(0, line));
  if (!url.ok()) return 0;
  check(url.value());
  if (line == std::string_view::npos) return 0;
  Result<Url> next = resolve_reference(url.value(), text.substr(line + 1));
  if (next.ok()) check(next.value());
  return 0;
}
