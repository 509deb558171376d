#include "formats/alias_pattern.h"

#include <algorithm>

namespace curlingiron {
namespace {

struct SetMatch {
  bool closed = false;   // a ']' was found: it is a set at all
  bool matched = false;  // the character is in it
  size_t end = 0;        // index after the ']'
};

// `pattern[begin]` is the character after '['.
SetMatch match_set(std::string_view pattern, size_t begin, char c) {
  SetMatch result;
  size_t i = begin;
  bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  // A ']' that comes first stands for itself.
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    auto member = [&]() -> int {
      if (pattern[i] == '\\') ++i;
      return i < pattern.size() ? static_cast<unsigned char>(pattern[i++]) : -1;
    };
    int low = member();
    if (low < 0) return result;
    int high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      ++i;
      high = member();
      if (high < 0) return result;
    }
    int value = static_cast<unsigned char>(c);
    found = found || (low <= value && value <= high);
  }
  if (i >= pattern.size()) return result;
  result.closed = true;
  result.matched = found != negated;
  result.end = i + 1;
  return result;
}

// Matches one element of the pattern (never '*') at `p` against `c`; 0: no match, else the index
// after the element.
size_t match_one(std::string_view pattern, size_t p, char c) {
  switch (pattern[p]) {
    case '?': return p + 1;
    case '\\':
      if (p + 1 >= pattern.size()) return 0;
      return pattern[p + 1] == c ? p + 2 : 0;
    case '[': {
      SetMatch set = match_set(pattern, p + 1, c);
      if (set.closed) return set.matched ? set.end : 0;
      break;  // '[' without ']' stands for itself
    }
    default: break;
  }
  return pattern[p] == c ? p + 1 : 0;
}

}  // namespace

std::string normalize_module_name(std::string_view name) {
  std::string normal(name);
  bool in_set = false;
  for (char& c : normal) {
    if (c == '[') in_set = true;
    if (c == ']') in_set = false;
    if (c == '-' && !in_set) c = '_';
  }
  return normal;
}

bool matches_alias_pattern(std::string_view pattern, std::string_view text) {
  constexpr size_t kNone = std::string_view::npos;
  size_t p = 0;
  size_t t = 0;
  // Where to go on when a match fails: only the last '*' can need more characters.
  size_t star = kNone;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    size_t next = p < pattern.size() ? match_one(pattern, p, text[t]) : 0;
    if (next != 0) {
      p = next;
      ++t;
      continue;
    }
    if (star == kNone) return false;
    p = star + 1;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void AliasTable::add(std::string_view pattern, uint32_t value) {
  std::string normal = normalize_module_name(pattern);
  size_t literal = std::min(normal.find_first_of("*?[\\"), normal.size());
  auto length = std::lower_bound(prefix_lengths_.begin(), prefix_lengths_.end(), literal);
  if (length == prefix_lengths_.end() || *length != literal) {
    prefix_lengths_.insert(length, literal);
  }
  by_prefix_[normal.substr(0, literal)].push_back(static_cast<uint32_t>(entries_.size()));
  entries_.push_back({std::move(normal), value});
}

std::vector<uint32_t> AliasTable::find(std::string_view alias) const {
  std::string normal = normalize_module_name(alias);
  std::vector<uint32_t> found;
  for (size_t length : prefix_lengths_) {
    if (length > normal.size()) break;
    auto bucket = by_prefix_.find(normal.substr(0, length));
    if (bucket == by_prefix_.end()) continue;
    for (uint32_t entry : bucket->second) {
      if (matches_alias_pattern(entries_[entry].pattern, normal)) found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end());
  for (uint32_t& entry : found) entry = entries_[entry].value;
  return found;
}

}  // namespace curlingiron
