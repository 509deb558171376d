#include "formats/ssh_key.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr size_t kMostKeys = 1000;
constexpr size_t kLongestLine = 16_KiB;

bool is_type(std::string_view word) {
  static constexpr std::string_view kBeginnings[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-",
                                                     "sk-ecdsa-sha2-"};
  return std::ranges::any_of(kBeginnings,
                             [&](std::string_view begin) { return word.starts_with(begin); });
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// The first word, in which blanks within quotes do not end it; `line` is what follows.
std::string_view take_word(std::string_view& line) {
  bool quoted = false;
  size_t end = 0;
  while (end < line.size() && (quoted || !is_blank(line[end]))) {
    if (line[end] == '\\' && quoted && end + 1 < line.size()) {
      ++end;
    } else if (line[end] == '"') {
      quoted = !quoted;
    }
    ++end;
  }
  std::string_view word = line.substr(0, end);
  line = trim(line.substr(end));
  return word;
}

// A string with its length before it (RFC 4251, section 5).
Result<std::string_view> first_string(ConstBytes blob) {
  ByteReader reader(blob);
  uint32_t length = TRY(reader.be32());
  return as_text(TRY(reader.take(length)));
}

Result<SshKey> parse_line(std::string_view line) {
  SshKey key;
  std::string_view rest = line;
  std::string_view type = take_word(rest);
  if (!is_type(type)) {
    key.options = std::string(type);
    type = take_word(rest);
  }
  if (!is_type(type)) {
    return Error("no public key of SSH; each line is one, as in ~/.ssh/id_ed25519.pub");
  }
  key.type = std::string(type);
  key.blob = TRY(from_base64(take_word(rest)));
  Result<std::string_view> inside = first_string(key.blob);
  if (!inside.ok() || inside.value() != type) {
    return Error(concat("damaged: it does not hold a key of the type ", printable(type, 40)));
  }
  key.comment = std::string(rest);
  return key;
}

}  // namespace

Result<std::vector<SshKey>> parse_ssh_keys(std::string_view text) {
  std::vector<SshKey> keys;
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) {
    return Error("a private key; name the file of the public one, which ends in .pub");
  }
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    std::string where = concat("line ", number);
    if (line.size() > kLongestLine) return Error(concat(where, ": longer than 16 KiB"));
    if (keys.size() == kMostKeys) return Error(concat("more than ", kMostKeys, " keys"));
    keys.push_back(TRY_CONTEXT(where, parse_line(line)));
  }
  return keys;
}

}  // namespace curlingiron
