#include "host/yaml.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace curlingiron {
namespace {

using Json = nlohmann::ordered_json;

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

std::string scalar(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
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
