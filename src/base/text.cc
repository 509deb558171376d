#include "base/text.h"

#include <algorithm>

namespace curlingiron {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Letters that are missing, too many or others, and neighbours that are swapped (optimal string
// alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);  // the row for two letters of `a` less
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

void Piece::set_number(uint64_t magnitude, bool negative) {
  char* end = digits_ + sizeof digits_;
  char* p = end;
  do {
    *--p = static_cast<char>('0' + magnitude % 10);
    magnitude /= 10;
  } while (magnitude != 0);
  if (negative) *--p = '-';
  text_ = {p, static_cast<size_t>(end - p)};
}

std::string concat_pieces(std::initializer_list<const Piece*> pieces) {
  size_t size = 0;
  for (const Piece* piece : pieces) size += piece->text().size();
  std::string text;
  text.reserve(size);
  for (const Piece* piece : pieces) text += piece->text();
  return text;
}

std::string plural(uint64_t count, std::string_view one, std::string_view many) {
  return concat(count, " ", count == 1 ? one : many);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> fields;
  for (;;) {
    size_t end = text.find(separator);
    if (end == std::string_view::npos) break;
    fields.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  fields.push_back(text);
  return fields;
}

std::vector<std::string_view> split_blank(std::string_view text) {
  std::vector<std::string_view> words;
  size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && is_blank(text[i])) ++i;
    size_t start = i;
    while (i < text.size() && !is_blank(text[i])) ++i;
    if (i > start) words.push_back(text.substr(start, i - start));
  }
  return words;
}

void append_unique(std::vector<std::string>& texts, std::string_view text) {
  if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.emplace_back(text);
}

bool is_plain_path(std::string_view path) {
  std::vector<std::string_view> parts = split(path, '/');
  return std::none_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) &&
         (folder.empty() || path.size() == folder.size() || path[folder.size()] == '/');
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != parts.data()) text += separator;
    text += part;
  }
  return text;
}

void append_wrapped(std::string& text, std::string line, std::string_view words, size_t indent,
                    size_t columns) {
  size_t begin = line.size();
  for (std::string_view word : split_blank(words)) {
    if (line.size() + word.size() >= columns && line.size() > begin) {
      while (line.ends_with(' ')) line.pop_back();
      text += concat(line, "\n");
      line.assign(indent, ' ');
      begin = line.size();
    }
    line += concat(word, " ");
  }
  while (line.ends_with(' ')) line.pop_back();
  text += concat(line, "\n");
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

Result<uint64_t> parse_u64(std::string_view text) {
  if (text.empty()) return Error("a number is missing");
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return Error(concat("\"", printable(text, 40), "\" is not a number"));
    if (__builtin_mul_overflow(value, uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<uint64_t>(c - '0'), &value)) {
      return Error(concat("\"", printable(text, 40), "\" is too large"));
    }
  }
  return value;
}

Result<uint32_t> parse_u32(std::string_view text) {
  uint64_t value = TRY(parse_u64(text));
  if (value > UINT32_MAX) return Error(concat("\"", printable(text, 40), "\" is too large"));
  return static_cast<uint32_t>(value);
}

Result<uint64_t> parse_hex_u64(std::string_view text) {
  if (text.empty() || text.size() > 16) return Error("not a hexadecimal number of 1 to 16 digits");
  uint64_t value = 0;
  for (char c : text) {
    char digit = lower(c);
    if (digit >= '0' && digit <= '9') {
      value = value << 4 | static_cast<uint64_t>(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      value = value << 4 | static_cast<uint64_t>(digit - 'a' + 10);
    } else {
      return Error(concat("\"", printable(text, 40), "\" is not a hexadecimal number"));
    }
  }
  return value;
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  constexpr size_t kLongestWord = 64;  // Bounds the quadratic distance.
  if (word.size() > kLongestWord) return std::nullopt;
  std::optional<std::string_view> best;
  size_t best_distance = 1 + std::max<size_t>(2, word.size() / 3);
  for (std::string_view candidate : candidates) {
    size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string printable(std::string_view text, size_t limit) {
  std::string result(text.substr(0, limit));
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text.size() > limit) result += "...";
  return result;
}

std::string quote_for_shell(std::string_view word) {
  std::string quoted = "'";
  for (char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace curlingiron
