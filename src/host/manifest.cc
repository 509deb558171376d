#include "host/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "formats/settings.h"
#include "host/settings.h"
#include "io/digest.h"

namespace curlingiron {
namespace {

// The kernel's, in which settings may stand.
std::string shown_command_line(const std::string& line) {
  constexpr std::string_view kPrefix = "curlingiron.";
  std::string text;
  for (const std::string& word : split_command_line(line)) {
    size_t equals = word.find('=');
    bool setting = word.starts_with(kPrefix) && equals != std::string::npos;
    std::string shown = word;
    if (setting) {
      std::string_view key = std::string_view(word).substr(kPrefix.size(), equals - kPrefix.size());
      shown = concat(kPrefix, shown_setting(key, std::string_view(word).substr(equals + 1)));
    }
    text += concat(text.empty() ? "" : " ", shown);
  }
  return text;
}

std::string sha256_of(ConstBytes bytes) { return to_hex(digest_of(DigestKind::Sha256, bytes)); }

}  // namespace

std::string format_manifest(const Manifest& manifest, const std::vector<BootFile>& files) {
  using Json = nlohmann::ordered_json;
  Json settings = Json::array();
  for (const auto& [key, value] : manifest.settings) settings.push_back(shown_setting(key, value));
  Json list = Json::array();
  for (const BootFile& file : files) {
    list.push_back(
        {{"path", file.path}, {"bytes", file.bytes.size()}, {"sha256", sha256_of(file.bytes)}});
  }
  Json text = {{"format", manifest.form},
               {"release", manifest.release},
               {"modules", manifest.modules},
               {"settings", settings},
               {"command_line", shown_command_line(manifest.command_line)},
               {"files", list}};
  return concat(text.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

std::string format_sums(const std::vector<BootFile>& files) {
  std::string text;
  for (const BootFile& file : files) text += concat(sha256_of(file.bytes), "  ", file.path, "\n");
  return text;
}

}  // namespace curlingiron
