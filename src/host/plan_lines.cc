#include "host/plan_lines.h"

#include <algorithm>

#include "base/text.h"
#include "net/capture/capture.h"

namespace curlingiron {
namespace {

constexpr size_t kIndent = 12;

}  // namespace

void add_line(std::string& text, std::string_view title, std::string_view words, size_t indent,
              size_t deeper) {
  std::string line = concat("  ", title);
  line.resize(std::max(line.size() + 1, kIndent + indent), ' ');
  append_wrapped(text, std::move(line), words, kIndent + indent + deeper);
}

void add_network(std::string& text, const std::vector<std::string>& cards,
                 const CarriedNetwork& network) {
  std::string_view title = "network";
  for (const std::string& card : cards) {
    add_line(text, title, card);
    title = "";
  }
  add_line(text, title, network.of);
  std::string links = describe_network(network.config);
  for (std::string_view line : split(links, '\n')) {
    if (!line.empty()) add_line(text, "", line, line.find_first_not_of(' '));
  }
}

void add_hand_over(std::string& text, const std::vector<std::string>& lines) {
  std::string_view title = "layout";
  for (std::string_view line : lines) {
    size_t indent = line.find_first_not_of(' ');
    add_line(text, title, line.substr(indent), indent);
    title = "";
  }
}

}  // namespace curlingiron
