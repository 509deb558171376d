#include "formats/settings.h"

#include <algorithm>

#include "base/address.h"
#include "base/calendar.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/http_text.h"
#include "formats/ip_settings.h"

namespace curlingiron {
namespace {

constexpr std::string_view kPrefix = "curlingiron.";
constexpr size_t kSha256Bytes = 32;

// Which part of a value is secret: none, the password of a URL, or all of it.
enum class Secrecy { Public, Url, Secret };
// A flag may stand without "=VALUE" ("insecure"); what is repeatable adds up.
enum class Shape { Value, Flag, Repeatable };

struct Key {
  std::string_view name;
  Result<void> (*apply)(std::string_view value, Settings& settings);
  Secrecy secrecy = Secrecy::Public;
  Shape shape = Shape::Value;
  // Completes it where it was left open; false: `more` says something else in vain. nullptr: it
  // cannot be left open.
  bool (*complete)(Settings& settings, Settings& more, bool image_is_open) = nullptr;
};

template <typename T>
bool is_unset(const std::optional<T>& field) {
  return !field.has_value();
}
template <typename T>
bool is_unset(const T& field) {
  return field.empty();
}

// Out of `more`, where there is none.
template <auto kField>
bool take(Settings& settings, Settings& more, bool) {
  if (is_unset(more.*kField)) return true;
  if (!is_unset(settings.*kField)) return false;
  settings.*kField = std::move(more.*kField);
  return true;
}

// The same for what says which image it is and how its server is asked: with an image alone.
template <auto kField>
bool take_with_image(Settings& settings, Settings& more, bool image_is_open) {
  if (!image_is_open && !is_unset(more.*kField)) return false;
  return take<kField>(settings, more, image_is_open);
}

Result<ByteVector> parse_sha256(std::string_view value) {
  Result<ByteVector> digest = from_hex(value);
  if (!digest.ok() || digest.value().size() != kSha256Bytes) {
    return Error(concat("\"", printable(value, 80),
                        "\" is not a SHA-256 digest: it takes 64 hexadecimal digits, this has ",
                        value.size(), " characters"));
  }
  return std::move(digest).value();
}

template <typename E>
struct Choice {
  std::string_view word;
  E value;
};

template <typename E, size_t N>
Result<E> parse_choice(std::string_view value, const Choice<E> (&choices)[N]) {
  std::string words;
  for (const Choice<E>& choice : choices) {
    if (value == choice.word) return choice.value;
    if (!words.empty()) words += ", ";
    words += choice.word;
  }
  return Error(concat("\"", printable(value, 40), "\" is none of ", words));
}

constexpr Choice<bool> kFlag[] = {{"", true}, {"1", true}, {"0", false}};

Result<void> apply_header(std::string_view value, Settings& settings) {
  constexpr size_t kMostHeaders = 64;
  if (settings.headers.size() == kMostHeaders) return Error("more than 64 headers");
  // The value is secret: not shown.
  if (!is_request_header(value)) return Error("a header is written \"Name: value\" on one line");
  settings.headers.emplace_back(value);
  return {};
}

constexpr Key kKeys[] = {
    {"after",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<AfterSuccess> kChoices[] = {{"reboot", AfterSuccess::Reboot},
                                                           {"poweroff", AfterSuccess::PowerOff},
                                                           {"halt", AfterSuccess::Halt}};
       settings.after = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"bond",
     [](std::string_view value, Settings& settings) { return apply_bond(value, settings.network); },
     Secrecy::Public, Shape::Repeatable},
    {"boot",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<bool> kChoices[] = {{"any", true}, {"checked", false}};
       settings.any_boot_mode = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"deadline",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.deadline = TRY(parse_duration(value));
       if (settings.deadline < 1s) return Error("a deadline takes at least 1 s");
       return {};
     }},
    {"dst",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.destination = value;
       return {};
     },
     Secrecy::Public, Shape::Value, take<&Settings::destination>},
    {"grow",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.grow = TRY(parse_choice(value, kFlag));
       return {};
     },
     Secrecy::Public, Shape::Flag},
    {"header", apply_header, Secrecy::Secret, Shape::Repeatable,
     take_with_image<&Settings::headers>},
    {"hostname",
     [](std::string_view value, Settings& settings) -> Result<void> {
       if (value.size() > 64) return Error("a host name takes at most 64 characters");
       settings.hostname = value;
       return {};
     }},
    {"image-sha256",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.image_sha256 = TRY(parse_sha256(value));
       return {};
     },
     Secrecy::Public, Shape::Value, take<&Settings::image_sha256>},
    {"insecure",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.insecure = TRY(parse_choice(value, kFlag));
       return {};
     },
     Secrecy::Public, Shape::Flag},
    {"ifname",
     [](std::string_view value, Settings& settings) {
       return apply_ifname(value, settings.network);
     },
     Secrecy::Public, Shape::Repeatable},
    {"ip",
     [](std::string_view value, Settings& settings) {
       return apply_ip(value, settings.network, settings.hostname);
     },
     Secrecy::Public, Shape::Repeatable},
    {"loglevel",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<bool> kChoices[] = {{"debug", true}, {"info", false}};
       settings.debug = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"member",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.member = value;
       return {};
     },
     Secrecy::Public, Shape::Value, take_with_image<&Settings::member>},
    {"mtu",
     [](std::string_view value, Settings& settings) -> Result<void> {
       uint32_t mtu = TRY(parse_u32(value));
       if (mtu != 0 && (mtu < 576 || mtu > 65535)) return Error("an MTU is between 576 and 65535");
       settings.mtu = mtu;
       return {};
     }},
    {"nameserver",
     [](std::string_view value, Settings& settings) {
       return apply_nameserver(value, settings.network);
     },
     Secrecy::Public, Shape::Repeatable},
    {"onfail",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<AfterFailure> kChoices[] = {{"hold", AfterFailure::Hold},
                                                           {"reboot", AfterFailure::Reboot},
                                                           {"poweroff", AfterFailure::PowerOff},
                                                           {"shell", AfterFailure::Shell}};
       settings.on_failure = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"pin",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.pinned_key = TRY(parse_key_pin(value));
       return {};
     },
     Secrecy::Public, Shape::Value, take_with_image<&Settings::pinned_key>},
    {"prove",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<ProveWhen> kChoices[] = {{"first", ProveWhen::First},
                                                        {"stream", ProveWhen::After}};
       settings.prove = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"proxy",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.proxy = TRY(parse_proxy_url(value));
       return {};
     },
     Secrecy::Url, Shape::Value, take_with_image<&Settings::proxy>},
    {"pubkey",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.public_key = value;
       return {};
     },
     Secrecy::Public, Shape::Value, take<&Settings::public_key>},
    {"route",
     [](std::string_view value, Settings& settings) {
       return apply_route(value, settings.network);
     },
     Secrecy::Public, Shape::Repeatable},
    {"sha256",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.sha256 = TRY(parse_sha256(value));
       return {};
     },
     Secrecy::Public, Shape::Value, take<&Settings::sha256>},
    {"sig",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.signature = value;
       return {};
     },
     Secrecy::Url, Shape::Value, take<&Settings::signature>},
    {"src",
     [](std::string_view value, Settings& settings) -> Result<void> {
       constexpr size_t kMostMirrors = 16;
       if (settings.sources.size() == kMostMirrors) return Error("more than 16 mirrors");
       settings.sources.emplace_back(value);
       return {};
     },
     Secrecy::Url, Shape::Repeatable, take_with_image<&Settings::sources>},
    {"sums",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.sums = value;
       return {};
     },
     Secrecy::Url, Shape::Value, take<&Settings::sums>},
    {"time",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.time = TRY(parse_time(value));
       return {};
     }},
    {"time-floor",
     [](std::string_view value, Settings& settings) -> Result<void> {
       settings.time_floor = TRY(parse_time(value));
       return {};
     }},
    {"verify",
     [](std::string_view value, Settings& settings) -> Result<void> {
       static constexpr Choice<Verify> kChoices[] = {{"readback", Verify::ReadBack},
                                                     {"off", Verify::Off}};
       settings.verify = TRY(parse_choice(value, kChoices));
       return {};
     }},
    {"vlan",
     [](std::string_view value, Settings& settings) { return apply_vlan(value, settings.network); },
     Secrecy::Public, Shape::Repeatable},
};

const Key* find_key(std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

// A config's; an error names the line.
template <typename Take>
Result<void> for_each_line(std::string_view text, Take take) {
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    std::string where = concat("config line ", number);
    auto [key, value] = TRY_CONTEXT(where, split_setting(line));
    TRY_CONTEXT(where, take(key, value));
  }
  return {};
}

}  // namespace

Result<int64_t> parse_time(std::string_view text) {
  if (text.find('-') == std::string_view::npos) {
    uint64_t seconds = TRY(parse_u64(text));
    constexpr uint64_t kYear9999 = 253402300800;
    if (seconds > kYear9999)
      return Error(concat("\"", printable(text, 40), "\" lies after the year 9999"));
    return static_cast<int64_t>(seconds);
  }
  // 2026-11-22T12:00:00Z
  static constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  Error wrong(concat("\"", printable(text, 40),
                     "\" is neither seconds since 1970 nor of the form 2026-11-22T12:00:00Z"));
  if (text.size() != kForm.size()) return wrong;
  for (size_t i = 0; i < kForm.size(); ++i) {
    bool fits = kForm[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kForm[i];
    if (!fits) return wrong;
  }
  int64_t year = TRY(parse_u32(text.substr(0, 4)));
  int64_t month = TRY(parse_u32(text.substr(5, 2)));
  int64_t day = TRY(parse_u32(text.substr(8, 2)));
  int64_t hour = TRY(parse_u32(text.substr(11, 2)));
  int64_t minute = TRY(parse_u32(text.substr(14, 2)));
  int64_t second = TRY(parse_u32(text.substr(17, 2)));
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
      second > 60) {
    return wrong;
  }
  return seconds_at(year, month, day) + hour * 3600 + minute * 60 + second;
}

std::vector<std::string> split_command_line(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  bool quoted = false;
  for (char c : text) {
    bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (blank && !quoted) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '"') {
      quoted = !quoted;
    } else {
      word += c;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

Result<SettingWord> split_setting(std::string_view word) {
  size_t equals = word.find('=');
  if (equals == std::string_view::npos) return SettingWord{trim(word), {}};
  SettingWord split{trim(word.substr(0, equals)), trim(word.substr(equals + 1))};
  if (split.value.empty())
    return Error("a value is missing").with_context(printable(split.key, 60));
  return split;
}

Result<void> apply_setting(std::string_view key, std::string_view value, Settings& settings) {
  const Key* known = find_key(key);
  if (known == nullptr) {
    std::string message = concat("unknown setting \"", printable(key, 60), "\"");
    std::vector<std::string_view> names = setting_keys();
    if (std::optional<std::string_view> near = nearest(key, names))
      message += concat("; did you mean \"", *near, "\"?");
    return Error(std::move(message));
  }
  if (value.empty() && known->shape != Shape::Flag)
    return Error("a value is missing").with_context(key);
  return known->apply(value, settings).with_context(key);
}

namespace {

// What other installers, and the kernel, call it.
struct CommonKey {
  std::string_view name;
  std::string_view key;  // ours
};
constexpr CommonKey kCommonKeys[] = {{"bond", "bond"}, {"ifname", "ifname"},
                                     {"ip", "ip"},     {"nameserver", "nameserver"},
                                     {"vlan", "vlan"}, {"rd.route", "route"}};

// The network that unprefixed words describe; what cannot be read is somebody else's.
void apply_common(const std::vector<std::string>& words, Settings& settings) {
  // Devices are named before they are used.
  for (bool names : {true, false}) {
    for (const std::string& word : words) {
      size_t equals = word.find('=');
      if (equals == std::string::npos || word.starts_with("ifname=") != names) continue;
      std::string_view name = std::string_view(word).substr(0, equals);
      for (const CommonKey& common : kCommonKeys) {
        if (common.name != name) continue;
        Result<void> applied =
            find_key(common.key)->apply(std::string_view(word).substr(equals + 1), settings);
        if (applied.ok()) continue;
        settings.notes.push_back(concat("kernel command line: ", printable(word, 100),
                                        " is passed over: ", applied.error().message()));
      }
    }
  }
}

}  // namespace

Result<void> apply_command_line(std::string_view command_line, Settings& settings) {
  std::vector<std::string> words = split_command_line(command_line);
  std::optional<MacAddress> boot_nic;
  for (const std::string& word : words) {
    std::string_view rest = word;
    if (rest.starts_with("BOOTIF=")) {
      Result<MacAddress> mac = parse_bootif(rest.substr(7));
      if (mac.ok()) boot_nic = mac.value();
    }
    if (!rest.starts_with(kPrefix)) continue;
    rest.remove_prefix(kPrefix.size());
    auto [key, value] = TRY_CONTEXT("kernel command line", split_setting(rest));
    TRY_CONTEXT("kernel command line", apply_setting(key, value, settings));
  }
  if (!settings.network.says_how()) apply_common(words, settings);
  if (boot_nic) settle_on_boot_nic(*boot_nic, settings.network);
  return {};
}

Result<std::vector<SettingWord>> split_config(std::string_view text) {
  std::vector<SettingWord> words;
  TRY(for_each_line(text, [&](std::string_view key, std::string_view value) -> Result<void> {
    words.push_back({key, value});
    return {};
  }));
  return words;
}

Result<void> apply_config(std::string_view text, Settings& settings) {
  constexpr size_t kLongest = size_t{64} << 10;
  if (text.size() > kLongest) return Error(concat("config: larger than ", kLongest, " bytes"));
  // Its images replace those of the command line: they are no mirrors of each other. So does its
  // network, as a whole.
  std::vector<std::string> outer = std::exchange(settings.sources, {});
  NetworkConfig outer_network = std::exchange(settings.network, {});
  TRY(for_each_line(text, [&](std::string_view key, std::string_view value) {
    return apply_setting(key, value, settings);
  }));
  if (settings.sources.empty()) settings.sources = std::move(outer);
  settings.network.complete_from(std::move(outer_network));
  return {};
}

Result<std::string> format_setting(std::string_view key, std::string_view value) {
  if (value.find_first_of("\n\r") != std::string_view::npos)
    return Error(concat(key, ": the value holds a line break"));
  return value.empty() ? concat(key, "\n") : concat(key, "=", value, "\n");
}

Result<void> check_complete(const Settings& settings) {
  if (settings.sources.empty()) {
    return Error(
        "no image is named; pass curlingiron.src=URL on the kernel command line or src=URL in the "
        "config");
  }
  if (settings.destination.empty()) {
    return Error(
        "no disk is named; pass curlingiron.dst=DISK on the kernel command line or dst=DISK in the "
        "config");
  }
  return {};
}

std::vector<std::string_view> complete_settings(Settings& settings, Settings more) {
  bool image_is_open = settings.sources.empty() && !more.sources.empty();
  if (image_is_open) settings.headers.clear();
  std::vector<std::string_view> passed_over;
  for (const Key& key : kKeys) {
    if (key.complete == nullptr) continue;
    if (!key.complete(settings, more, image_is_open)) passed_over.push_back(key.name);
  }
  return passed_over;
}

bool can_be_left_open(std::string_view key) {
  const Key* known = find_key(key);
  return known != nullptr && known->complete != nullptr;
}

bool is_secret_key(std::string_view key) {
  const Key* known = find_key(key);
  return known != nullptr && known->secrecy != Secrecy::Public;
}

bool is_url_key(std::string_view key) {
  const Key* known = find_key(key);
  return known != nullptr && known->secrecy == Secrecy::Url;
}

bool is_repeatable_key(std::string_view key) {
  const Key* known = find_key(key);
  return known != nullptr && known->shape == Shape::Repeatable;
}

std::vector<std::string_view> setting_keys() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.push_back(key.name);
  return names;
}

}  // namespace curlingiron
