// Two functions of the C library as libcurl and OpenSSL call them. scripts/setup puts these into
// libcrypto.a, and both call them: the C library's own bring time zones and their files, floating
// point, wide characters and locales with them, 100 kB of a static program. The fuzz target
// small_libc compares.
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }

// The characters of `text`, at most `width`, that make an int: 0 where they make none.
static size_t read_int(const char* text, size_t width, int* value) {
  size_t at = 0;
  bool negative = width > 0 && text[0] == '-';
  if (width > 0 && (text[0] == '-' || text[0] == '+')) at = 1;
  size_t sign = at;
  long long number = 0;
  for (; at < width && is_decimal_digit(text[at]); ++at) {
    if (number <= INT_MAX) number = 10 * number + (text[at] - '0');
  }
  if (at == sign) return 0;
  if (negative) number = -number;
  *value = number > INT_MAX ? INT_MAX : number < INT_MIN ? INT_MIN : (int)number;
  return at;
}

// `set`: what stands after the "[". `end`: its "]".
static bool is_in(char c, const char* set, const char* end) {
  for (; set != end; ++set) {
    if (*set == c) return true;
  }
  return false;
}

static const char* end_of_set(const char* set) {
  const char* end = *set == '\0' ? set : set + 1;  // a "]" that comes first is of the set
  while (*end != ']' && *end != '\0') ++end;
  return end;
}

// White space, literals, %d, %c, %[set] and %[^set] with a width, %n; no set has a range in it. As
// C 2018, 7.21.6.2 has it, but that a number beyond an int's becomes its limit. Another conversion
// ends the program: none that is called has one (libcrypto's HTTP client does, and is not linked).
int small_sscanf(const char* text, const char* format, ...);

int small_sscanf(const char* text, const char* format, ...) {
  const char* at = text;
  int assigned = 0;
  bool converted = false;
  bool ended = false;  // the input was over where more was wanted
  va_list into;
  va_start(into, format);
  while (*format != '\0') {
    if (is_space(*format)) {
      while (is_space(*at)) ++at;
      ++format;
      continue;
    }
    if (*format != '%') {
      ended = *at == '\0';
      if (*at != *format) break;
      ++at, ++format;
      continue;
    }
    ++format;
    size_t width = 0;
    for (; is_decimal_digit(*format); ++format) width = 10 * width + (size_t)(*format - '0');
    char kind = *format++;
    if (kind == 'n') {
      *va_arg(into, int*) = (int)(at - text);
      continue;
    }
    if (kind == 'd') {
      while (is_space(*at)) ++at;
    }
    ended = *at == '\0';
    if (ended) break;
    if (kind == 'd') {
      size_t taken = read_int(at, width != 0 ? width : (size_t)-1, va_arg(into, int*));
      if (taken == 0) break;
      at += taken;
    } else if (kind == 'c') {
      *va_arg(into, char*) = *at++;
    } else if (kind == '[') {
      bool unlike = *format == '^';
      if (unlike) ++format;
      const char* end = end_of_set(format);
      char* out = va_arg(into, char*);
      size_t taken = 0;
      while (at[taken] != '\0' && (width == 0 || taken < width) &&
             is_in(at[taken], format, end) != unlike) {
        out[taken] = at[taken];
        ++taken;
      }
      if (taken == 0) break;
      out[taken] = '\0';
      at += taken;
      format = end + (*end != '\0');
    } else {
      __builtin_trap();
    }
    converted = true;
    ++assigned;
  }
  va_end(into);
  return ended && !converted ? -1 : assigned;
}

// gmtime_r(3): the proleptic Gregorian calendar, in UTC.
struct tm* small_gmtime_r(const time_t* when, struct tm* into);

struct tm* small_gmtime_r(const time_t* when, struct tm* into) {
  static const int kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const long long kDay = 86400, kLongest = 67768036191676799;  // the end of year 2147485547
  long long seconds = *when;
  if (seconds > kLongest || seconds < -kLongest) {
    errno = EOVERFLOW;
    return NULL;
  }
  long long days = seconds / kDay, rest = seconds % kDay;
  if (rest < 0) rest += kDay, --days;
  // Since the first of March of year 0, in spans of 400 years, which all have as many days. A year
  // that begins in March has its leap day at its end.
  long long shifted = days + 719468, span = shifted / 146097, of_span = shifted % 146097;
  if (of_span < 0) of_span += 146097, --span;
  long long year = (of_span - of_span / 1460 + of_span / 36524 - of_span / 146096) / 365;
  int of_year = (int)(of_span - (365 * year + year / 4 - year / 100));
  int month = (5 * of_year + 2) / 153;  // from March
  int day = of_year - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 2 : month - 10;  // from January
  year += 400 * span + (month < 2 ? 1 : 0);
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

  memset(into, 0, sizeof *into);
  into->tm_year = (int)(year - 1900);
  into->tm_mon = month;
  into->tm_mday = day;
  into->tm_hour = (int)(rest / 3600);
  into->tm_min = (int)(rest / 60 % 60);
  into->tm_sec = (int)(rest % 60);
  into->tm_wday = (int)((days % 7 + 11) % 7);  // 1970 began with a Thursday
  into->tm_yday = kDaysBefore[month] + day - 1 + (leap && month > 1 ? 1 : 0);
  into->tm_zone = "GMT";
  return into;
}
