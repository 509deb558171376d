// sscanf() as libcurl calls it, for status lines, dates and CURLOPT_RESOLVE: scripts/setup puts it into
// libcurl.a in the place of the C library's, which brings floating point, wide characters and locales:
// 60 kB of a static program. White space, literals, %d, %c, %[set] and %[^set] with a width, %n; no set
// has a range in it. As C 2018, 7.21.6.2 has it, but that a number beyond an int's becomes its limit.
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The characters of `text`, at most `width`, that make an int: 0 where they make none.
static size_t read_int(const char* text, size_t width, int* value) {
  size_t at = 0;
  bool negative = width > 0 && text[0] == '-';
  if (width > 0 && (text[0] == '-' || text[0] == '+')) at = 1;
  size_t sign = at;
  long long number = 0;
  for (; at < width && is_digit(text[at]); ++at) {
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

int curl_sscanf(const char* text, const char* format, ...);  // as scripts/setup names it

int curl_sscanf(const char* text, const char* format, ...) {
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
    for (; is_digit(*format); ++format) width = 10 * width + (size_t)(*format - '0');
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
      break;  // no call has another kind
    }
    converted = true;
    ++assigned;
  }
  va_end(into);
  return ended && !converted ? -1 : assigned;
}
