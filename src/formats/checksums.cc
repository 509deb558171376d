#include "formats/checksums.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr size_t kNamesShown = 5;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kSignedBegin = "-----BEGIN PGP SIGNED MESSAGE-----";
constexpr std::string_view kSignedEnd = "-----BEGIN PGP SIGNATURE-----";

enum class Algorithm { Sha256, Sha512, Other };

struct Entry {
  Algorithm algorithm = Algorithm::Other;
  std::string_view hex;
  std::string name;  // empty: a bare digest
};

struct Tag {
  std::string_view name;
  Algorithm algorithm;
};
// As coreutils, the BSDs and OpenSSL write them. The others are kept apart so that a message can
// say why a line does not count.
constexpr Tag kTags[] = {
    {"SHA256", Algorithm::Sha256},   {"SHA512", Algorithm::Sha512},
    {"SHA2-256", Algorithm::Sha256}, {"SHA2-512", Algorithm::Sha512},
    {"MD5", Algorithm::Other},       {"SHA1", Algorithm::Other},
    {"SHA224", Algorithm::Other},    {"SHA384", Algorithm::Other},
    {"SHA2-224", Algorithm::Other},  {"SHA2-384", Algorithm::Other},
    {"SHA3-256", Algorithm::Other},  {"SHA3-512", Algorithm::Other},
    {"BLAKE2b", Algorithm::Other},   {"BLAKE2b-256", Algorithm::Other},
    {"RMD160", Algorithm::Other},    {"SM3", Algorithm::Other},
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string_view skip_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view leading_hex(std::string_view text) {
  return text.substr(
      0, static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_hex) - text.begin()));
}

// Nullopt: no digest has so many digits.
std::optional<Algorithm> algorithm_of_length(size_t digits) {
  switch (digits) {
    case 64: return Algorithm::Sha256;
    case 128: return Algorithm::Sha512;
    case 32:
    case 40:
    case 56:
    case 96: return Algorithm::Other;
    default: return std::nullopt;
  }
}

const Tag* find_tag(std::string_view name) {
  for (const Tag& tag : kTags) {
    if (equal_ignoring_case(tag.name, name)) return &tag;
  }
  return nullptr;
}

// coreutils escapes line ends and the backslash itself.
std::optional<std::string> unescape(std::string_view name) {
  std::string plain;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\') {
      plain += name[i];
      continue;
    }
    if (++i == name.size()) return std::nullopt;
    switch (name[i]) {
      case 'n': plain += '\n'; break;
      case 'r': plain += '\r'; break;
      case '\\': plain += '\\'; break;
      default: return std::nullopt;
    }
  }
  return plain;
}

std::optional<std::string> read_name(std::string_view name, bool escaped) {
  std::optional<std::string> plain = escaped ? unescape(name) : std::string(name);
  if (plain && plain->starts_with("./")) plain->erase(0, 2);
  if (plain && plain->empty()) return std::nullopt;
  return plain;
}

// "SHA256 (NAME) = HEX"
std::optional<Entry> parse_tagged(std::string_view line, bool escaped) {
  size_t open = line.find('(');
  size_t close = line.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  const Tag* tag = find_tag(trim(line.substr(0, open)));
  std::string_view value = skip_blanks(line.substr(close + 1));
  if (tag == nullptr || !value.starts_with('=')) return std::nullopt;
  value = trim(value.substr(1));
  if (value.empty() || leading_hex(value).size() != value.size()) return std::nullopt;
  // A digest cut short must not pass for a line of another algorithm.
  if (tag->algorithm != Algorithm::Other && algorithm_of_length(value.size()) != tag->algorithm) {
    return std::nullopt;
  }
  std::optional<std::string> name = read_name(line.substr(open + 1, close - open - 1), escaped);
  if (!name) return std::nullopt;
  return Entry{tag->algorithm, value, *std::move(name)};
}

// "HEX  NAME", "HEX *NAME", "HEX"
std::optional<Entry> parse_plain(std::string_view line, bool escaped) {
  std::string_view hex = leading_hex(line);
  std::optional<Algorithm> algorithm = algorithm_of_length(hex.size());
  if (!algorithm) return std::nullopt;
  std::string_view rest = line.substr(hex.size());
  if (trim(rest).empty()) return Entry{*algorithm, hex, {}};
  if (!is_blank(rest.front())) return std::nullopt;
  // The mark of binary mode stands second; a name may begin with a star as well.
  rest.remove_prefix(rest.size() > 2 && rest[1] == '*' ? 2 : 1);
  std::optional<std::string> name = read_name(skip_blanks(rest), escaped);
  if (!name) return std::nullopt;
  return Entry{*algorithm, hex, *std::move(name)};
}

std::optional<Entry> parse_line(std::string_view line) {
  bool escaped = line.starts_with('\\');
  if (escaped) line.remove_prefix(1);
  std::optional<Entry> entry = parse_tagged(line, escaped);
  return entry ? entry : parse_plain(line, escaped);
}

// "# BLAKE2B HASH" (Gentoo's DIGESTS): of which algorithm the lines below are.
std::optional<Algorithm> section_of(std::string_view comment) {
  std::vector<std::string_view> words = split_blank(comment);
  if (words.size() != 3 || words[2] != "HASH") return std::nullopt;
  const Tag* tag = find_tag(words[1]);
  return tag == nullptr ? Algorithm::Other : tag->algorithm;
}

// The lines, each without its end. Of a clear-signed text those that are signed, unescaped.
Result<std::vector<std::string_view>> lines_of(std::string_view text) {
  if (text.size() > kLongestChecksums) {
    return Error("the list of checksums is larger than 1 MiB; is it the image itself?");
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string_view> all = split(text, '\n');
  for (std::string_view& line : all) {
    while (line.ends_with('\r')) line.remove_suffix(1);
  }
  auto begin = std::find_if(all.begin(), all.end(),
                            [](std::string_view line) { return trim(line) == kSignedBegin; });
  if (begin == all.end()) return all;
  // The frame's own header lines ("Hash: SHA256") end with an empty one.
  begin = std::find_if(begin, all.end(), [](std::string_view line) { return trim(line).empty(); });
  auto end = std::find_if(begin, all.end(),
                          [](std::string_view line) { return trim(line) == kSignedEnd; });
  if (end == all.end()) {
    return Error("the list of checksums is cut off within its OpenPGP frame; fetch it again");
  }
  std::vector<std::string_view> inside(begin, end);
  for (std::string_view& line : inside) {
    if (line.starts_with("- ")) line.remove_prefix(2);
  }
  return inside;
}

std::vector<Entry> parse_entries(std::span<const std::string_view> lines) {
  std::vector<Entry> entries;
  std::optional<Algorithm> section;
  for (std::string_view line : lines) {
    line = skip_blanks(line);
    if (line.starts_with('#')) {
      if (std::optional<Algorithm> named = section_of(line)) section = named;
      continue;
    }
    std::optional<Entry> entry = parse_line(line);
    if (!entry) continue;
    if (section && *section != entry->algorithm) entry->algorithm = Algorithm::Other;
    entries.push_back(*std::move(entry));
  }
  return entries;
}

std::string_view last_component(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool holds_only(std::span<const std::string_view> lines, const Entry& entry) {
  return std::all_of(lines.begin(), lines.end(), [&](std::string_view line) {
    line = trim(line);
    return line.empty() || line.starts_with('#') || line == entry.hex;
  });
}

Error not_listed(const std::vector<Entry>& entries, std::string_view file_name) {
  std::vector<std::string> names;
  size_t more = 0;
  for (const Entry& entry : entries) {
    if (entry.name.empty() || entry.algorithm == Algorithm::Other) continue;
    std::string name = printable(entry.name, 80);
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    if (names.size() < kNamesShown) {
      names.push_back(std::move(name));
    } else {
      ++more;
    }
  }
  if (names.empty()) {
    return Error(
        "no SHA-256 or SHA-512 checksum is in the list; is its URL that of a SHA256SUMS file?");
  }
  return Error(concat("the list of checksums has none for \"", printable(file_name), "\", but for ",
                      join(names, ", "), more != 0 ? concat(" and ", more, " more") : "",
                      "; give the list that belongs to the image"));
}

// The one digest of the kind among the entries that `fits` takes.
template <typename Fits>
Result<std::optional<ExpectedDigest>> choose(const std::vector<Entry>& entries, Algorithm algorithm,
                                             DigestKind kind, Fits fits) {
  const Entry* chosen = nullptr;
  for (const Entry& entry : entries) {
    if (entry.algorithm != algorithm || !fits(entry)) continue;
    if (chosen == nullptr) chosen = &entry;
    if (equal_ignoring_case(chosen->hex, entry.hex)) continue;
    return Error(concat("the list of checksums has two that differ: ", to_lower(chosen->hex),
                        " for ", printable(chosen->name), ", and ", to_lower(entry.hex), " for ",
                        printable(entry.name),
                        "; give the right one with sha256= instead of the list"));
  }
  if (chosen == nullptr) return std::optional<ExpectedDigest>();
  return std::optional(ExpectedDigest{kind, TRY(from_hex(chosen->hex))});
}

}  // namespace

Result<std::vector<std::string>> checksum_names(std::string_view text) {
  std::vector<std::string> names;
  for (Entry& entry : parse_entries(TRY(lines_of(text)))) {
    if (!entry.name.empty()) names.push_back(std::move(entry.name));
  }
  return names;
}

Result<ExpectedDigest> find_checksum(std::string_view text, std::string_view file_name) {
  if (file_name.starts_with("./")) file_name.remove_prefix(2);
  std::vector<std::string_view> lines = TRY(lines_of(text));
  std::vector<Entry> entries = parse_entries(lines);

  auto has_name = [&](const Entry& entry) {
    return !entry.name.empty() && entry.name == file_name;
  };
  auto has_last_component = [&](const Entry& entry) {
    return !file_name.empty() && last_component(entry.name) == file_name;
  };
  auto is_bare = [&](const Entry& entry) { return entry.name.empty() && holds_only(lines, entry); };
  auto find = [&](auto fits) -> Result<std::optional<ExpectedDigest>> {
    auto sha256 = TRY(choose(entries, Algorithm::Sha256, DigestKind::Sha256, fits));
    if (sha256) return sha256;
    return choose(entries, Algorithm::Sha512, DigestKind::Sha512, fits);
  };
  if (auto found = TRY(find(has_name))) return *std::move(found);
  if (auto found = TRY(find(has_last_component))) return *std::move(found);
  if (auto found = TRY(find(is_bare))) return *std::move(found);
  for (const Entry& entry : entries) {
    if (!has_name(entry) && !has_last_component(entry)) continue;
    return Error(concat("the list of checksums has one for \"", printable(file_name),
                        "\" that is neither SHA-256 nor SHA-512; give a list that has one"));
  }
  return not_listed(entries, file_name);
}

}  // namespace curlingiron
