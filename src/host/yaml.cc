#include "host/yaml.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/bytes.h"
#include "base/text.h"

namespace curlingiron {
namespace {

using Json = nlohmann::ordered_json;

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

// The character that two escapes at the beginning of `json` stand for; nullopt: there are no two.
std::optional<uint32_t> surrogate_pair(std::string_view json) {
  constexpr size_t kBoth = 12;
  if (json.size() < kBoth || json[1] != 'u' || json[6] != '\\' || json[7] != 'u')
    return std::nullopt;
  Result<ByteVector> halves = from_hex(concat(json.substr(2, 4), json.substr(8, 4)));
  if (!halves.ok()) return std::nullopt;
  ByteReader in(halves.value());
  uint32_t high = in.be16().value();
  uint32_t low = in.be16().value();
  if (high < 0xd800 || high > 0xdbff) return std::nullopt;
  return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

// JSON in ASCII is YAML, but for characters that JSON writes as two escapes: a reader of YAML takes
// these for two characters, which no text can hold.
std::string scalar(const Json& value) {
  std::string json = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string text;
  for (size_t at = 0; at < json.size();) {
    std::string_view rest = std::string_view(json).substr(at);
    if (rest[0] != '\\') {
      text += rest[0];
      ++at;
    } else if (std::optional<uint32_t> character = surrogate_pair(rest)) {
      ByteWriter hex;
      hex.be32(*character);
      text += concat("\\U", to_hex(std::move(hex).bytes()));
      at += 12;
    } else {
      text += rest.substr(0, 2);
      at += 2;
    }
  }
  return text;
}

// What YAML takes for a string without quotes, whichever version reads it.
bool is_plain_key(std::string_view key) {
  constexpr std::string_view kWords[] = {"y",   "n",    "yes",   "no",  "on",
                                         "off", "true", "false", "null"};
  bool letters = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.';
  });
  return letters && key[0] >= 'a' && key[0] <= 'z' &&
         std::ranges::find(kWords, key) == std::end(kWords);
}

void put(const Json& value, size_t indent, std::string& text);

// What stands after "key:" or "-".
void put_after(const Json& value, size_t indent, std::string& text) {
  if (!is_block(value)) {
    text += " " + scalar(value) + "\n";
    return;
  }
  text += "\n";
  put(value, indent, text);
}

void put(const Json& value, size_t indent, std::string& text) {
  std::string blanks(indent, ' ');
  if (value.is_array()) {
    for (const Json& item : value) {
      size_t begin = text.size();
      text += blanks + "-";
      put_after(item, indent + 2, text);
      // The first line of what is in it stands beside the dash.
      if (is_block(item)) text.erase(begin + indent + 1, 1 + indent + 1);
    }
    return;
  }
  for (const auto& [key, item] : value.items()) {
    text += blanks + (is_plain_key(key) ? key : scalar(Json(key))) + ":";
    put_after(item, indent + 2, text);
  }
}

}  // namespace

std::string to_yaml(const Json& value) {
  if (!is_block(value)) return scalar(value) + "\n";
  std::string text;
  put(value, 0, text);
  return text;
}

}  // namespace curlingiron
