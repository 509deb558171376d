// cmake/small_libc.c against the C library: sscanf() with the formats that libcurl and OpenSSL
// have, and gmtime_r().
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "base/bytes.h"

// Compiled here, so that the sanitizers see it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#include "../../cmake/small_libc.c"
}
#pragma GCC diagnostic pop

namespace {

// What one call assigns, whatever its format.
struct Scanned {
  int count = 0;
  std::array<int, 5> numbers{};
  std::array<char, 256> word{};
  std::array<char, 2> letters{};

  bool operator==(const Scanned&) const = default;
};

constexpr char kLetters[] = "%31[ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz]";

using Scan = int (*)(const char*, const char*, ...);

Scanned scan(Scan call, unsigned format, const char* text) {
  Scanned s;
  auto& [count, n, word, c] = s;
  switch (format) {
    case 0: count = call(text, "%255[^:]:%d", word.data(), &n[0]); break;
    case 1: count = call(text, " HTTP/%1d.%1d%c%3d%c", &n[0], &n[1], &c[0], &n[2], &c[1]); break;
    case 2: count = call(text, " HTTP/%1[23] %d", word.data(), &n[0]); break;
    case 3: count = call(text, " HTTP %3d", &n[0]); break;
    case 4: count = call(text, "HTTP/1.%d %d", &n[0], &n[1]); break;
    case 5: count = call(text, kLetters, word.data()); break;
    case 6: count = call(text, "%02d:%02d:%02d%n", &n[0], &n[1], &n[2], &n[3]); break;
    case 7: count = call(text, "%02d:%02d%n", &n[0], &n[1], &n[2]); break;
    default: count = call(text, "%d.%d.%d.%d%n", &n[0], &n[1], &n[2], &n[3], &n[4]); break;
  }
  return s;
}

// The C library leaves undefined, and ours bounds, what is no int.
bool has_large_number(const std::string& text) {
  size_t digits = 0;
  for (char c : text) {
    digits = std::isdigit(static_cast<unsigned char>(c)) != 0 ? digits + 1 : 0;
    if (digits > 9) return true;
  }
  return false;
}

void compare_time(const uint8_t* bytes) {
  int64_t when = 0;
  std::memcpy(&when, bytes, sizeof when);
  time_t seconds = when;
  tm ours{};
  tm theirs{};
  bool good = small_gmtime_r(&seconds, &ours) != nullptr;
  bool wanted = ::gmtime_r(&seconds, &theirs) != nullptr;
  // Ours ends a little earlier in the past, in the same year.
  if (good != wanted && !(wanted && theirs.tm_year < -2'147'483'000)) std::abort();
  if (!good || !wanted) return;
  auto key = [](const tm& t) {
    return std::array{t.tm_year, t.tm_mon,  t.tm_mday, t.tm_hour, t.tm_min,
                      t.tm_sec,  t.tm_wday, t.tm_yday, t.tm_isdst};
  };
  if (key(ours) != key(theirs) || ours.tm_gmtoff != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (size == 1 + sizeof(int64_t)) compare_time(data + 1);
  unsigned format = (data[0] + 6U) % 9;  // '0' is the first
  Scanned ours = scan(small_sscanf, format, text.c_str());
  if (!has_large_number(text) && !(ours == scan(std::sscanf, format, text.c_str()))) std::abort();
  return 0;
}
