// Text without locale, streams or regular expressions.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace curlingiron {

// One argument of concat(): text, a character, or an integer in decimal.
class Piece {
 public:
  Piece(std::string_view text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  Piece(const char* text) : text_(text) {}
  Piece(char c) : digits_{c}, text_(digits_, 1) {}
  template <std::integral T>
  requires(!std::same_as<T, char> && !std::same_as<T, bool>) Piece(T value) {
    bool negative = value < T{0};
    auto magnitude = static_cast<uint64_t>(value);
    set_number(negative ? ~magnitude + 1 : magnitude, negative);
  }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  std::string_view text() const { return text_; }

 private:
  void set_number(uint64_t magnitude, bool negative);

  char digits_[24] = {};
  std::string_view text_;
};

std::string concat_pieces(std::initializer_list<const Piece*> pieces);

// The pieces one after the other: concat("eth", 0, ": no carrier").
template <typename... Pieces>
std::string concat(const Pieces&... pieces) {
  return [](const auto&... piece) { return concat_pieces({&piece...}); }(Piece(pieces)...);
}

// "1 byte", "2 bytes".
std::string plural(uint64_t count, std::string_view one, std::string_view many);

// Of ASCII.
bool is_digit(char c);
bool is_control(char c);
std::string_view trim(std::string_view text);
// Every field between separators, empty ones included; "" gives one empty field.
std::vector<std::string_view> split(std::string_view text, char separator);
// Runs of characters that are not blank (space, tab, CR, LF).
std::vector<std::string_view> split_blank(std::string_view text);
std::string join(std::span<const std::string> parts, std::string_view separator);
// Adds a line to `text` that begins with `line`, and goes on with the words that fit before
// `columns`; the others follow in lines that begin with `indent` blanks. A longer word is not cut.
void append_wrapped(std::string& text, std::string line, std::string_view words, size_t indent,
                    size_t columns = 80);
// At the end, where it is not among them.
void append_unique(std::vector<std::string>& texts, std::string_view text);
// Names from a folder on that stay below it: no empty part, "." or "..".
bool is_plain_path(std::string_view path);
// The folder itself, or what is in it; everything is in "".
bool is_at_or_below(std::string_view path, std::string_view folder);
std::string to_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

// The whole text as a decimal number; sign, blanks, other characters and overflow are errors.
Result<uint64_t> parse_u64(std::string_view text);
Result<uint32_t> parse_u32(std::string_view text);
Result<uint64_t> parse_hex_u64(std::string_view text);

// The candidate with the smallest edit distance to `word`, if one is near enough to be a typing
// error.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

// `text` with control characters and bytes outside ASCII replaced by '?', cut to `limit` bytes:
// what a server or a disk sent, made fit for a console.
std::string printable(std::string_view text, size_t limit = 200);

// `word` in single quotes, as sh reads it (POSIX, Shell Command Language, 2.2.2), and GRUB's
// scripts.
std::string quote_for_shell(std::string_view word);

}  // namespace curlingiron
