#include "formats/ssh_key.h"

#include <algorithm>
#include <span>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr size_t kMostKeys = 1000;
constexpr size_t kLongestLine = 16_KiB;

constexpr std::string_view kCertificate = "-cert-v01@openssh.com";

// What a blob is made of (RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709, section 4;
// OpenSSH's PROTOCOL.u2f).
struct Kind {
  std::string_view type;
  size_t strings;     // its type among them
  size_t second = 0;  // bytes of the second one; 0: any
};
constexpr Kind kKinds[] = {
    {"ssh-ed25519", 2, 32},
    {"ssh-rsa", 3},
    {"ssh-dss", 5},
    {"ecdsa-sha2-nistp256", 3, 8},
    {"ecdsa-sha2-nistp384", 3, 8},
    {"ecdsa-sha2-nistp521", 3, 8},
    {"sk-ssh-ed25519@openssh.com", 3, 32},
    {"sk-ecdsa-sha2-nistp256@openssh.com", 4, 8},
};

bool is_type(std::string_view word) {
  static constexpr std::string_view kBeginnings[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-",
                                                     "sk-ecdsa-sha2-"};
  return std::ranges::any_of(kBeginnings,
                             [&](std::string_view begin) { return word.starts_with(begin); });
}

// What may stand before a key (sshd(8), AUTHORIZED_KEYS FILE FORMAT); in any case.
constexpr std::string_view kFlags[] = {"agent-forwarding",
                                       "cert-authority",
                                       "no-agent-forwarding",
                                       "no-pty",
                                       "no-user-rc",
                                       "no-port-forwarding",
                                       "no-touch-required",
                                       "no-x11-forwarding",
                                       "port-forwarding",
                                       "pty",
                                       "restrict",
                                       "touch-required",
                                       "user-rc",
                                       "verify-required",
                                       "x11-forwarding"};
// With a value in quotes.
constexpr std::string_view kValues[] = {"command",      "environment", "expiry-time", "from",
                                        "permitlisten", "permitopen",  "principals",  "tunnel"};

bool is_one_of(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::any_of(
      words, [&](std::string_view other) { return equal_ignoring_case(word, other); });
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

// Each option is one that sshd knows, with a value where it needs one: it refuses the whole line
// otherwise. The host of a line of known_hosts is none.
Result<void> check_options(std::string_view options) {
  size_t begin = 0;
  bool quoted = false;
  for (size_t at = 0; at <= options.size(); ++at) {
    if (at < options.size() && options[at] == '\\' && quoted) {
      ++at;
      continue;
    }
    if (at < options.size() && options[at] == '"') quoted = !quoted;
    if (at < options.size() && (quoted || options[at] != ',')) continue;
    std::string_view option = options.substr(begin, at - begin);
    size_t equals = std::min(option.find('='), option.size());
    std::string_view name = option.substr(0, equals);
    std::string_view value = option.substr(equals);
    bool is_value = is_one_of(kValues, name);
    if (!is_value && !is_one_of(kFlags, name)) {
      return Error(concat("\"", printable(name, 40),
                          "\" is no option of a key; each line is a public key, as in "
                          "~/.ssh/id_ed25519.pub"));
    }
    bool in_quotes = value.size() > 2 && value.starts_with("=\"") && value.ends_with('"');
    if (is_value != in_quotes || (!is_value && !value.empty())) {
      return Error(concat(
          "the option ", name,
          is_value ? " needs a value in quotes, as in from=\"192.0.2.7\"" : " takes no value",
          ": no server would take the key"));
    }
    begin = at + 1;
  }
  return {};
}

// A blob is strings, each with its length before it (RFC 4251, section 5), to its exact end.
Result<void> check_blob(ConstBytes blob, std::string_view type) {
  auto damaged = [&](std::string_view why) {
    return Error(concat("damaged: it does not hold a key of the type ", printable(type, 40), " (",
                        why, "); copy the whole line again"));
  };
  const Kind* kind = std::ranges::find(kKinds, type, &Kind::type);
  bool is_known = kind != std::end(kKinds);
  ByteReader in(blob);
  size_t count = 0;
  while (!in.at_end()) {
    Result<uint32_t> length = in.be32();
    Result<ConstBytes> string = length.ok() ? in.take(length.value()) : length.error();
    if (!string.ok()) return damaged("it is cut off");
    ++count;
    if (count == 1 && as_text(string.value()) != type) return damaged("it says another one");
    if (count == 2 && is_known && kind->second != 0 && string.value().size() != kind->second) {
      return damaged("its parts have other sizes");
    }
  }
  if (count < 2 || (is_known && count != kind->strings)) return damaged("it is cut off");
  return {};
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
  if (!key.options.empty()) TRY(check_options(key.options));
  if (type.ends_with(kCertificate)) {
    return Error("a certificate, which no server takes for a key; name the file of the key itself");
  }
  key.type = std::string(type);
  key.blob = TRY(from_base64(take_word(rest)));
  TRY(check_blob(key.blob, type));
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
