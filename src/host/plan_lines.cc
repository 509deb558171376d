#include "host/plan_lines.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kIndent = 12;

}  // namespace

void add_line(std::string& text, std::string_view title, std::string_view words, size_t indent,
              size_t deeper) {
  std::string line = concat("  ", title);
  line.resize(std::max(line.size() + 1, kIndent + indent), ' ');
  size_t begin = line.size();
  for (std::string_view word : split_blank(words)) {
    if (line.size() + word.size() >= kColumns && line.size() > begin) {
      while (line.ends_with(' ')) line.pop_back();
      text += concat(line, "\n");
      line.assign(kIndent + indent + deeper, ' ');
      begin = line.size();
    }
    line += concat(word, " ");
  }
  while (line.ends_with(' ')) line.pop_back();
  text += concat(line, "\n");
}

}  // namespace curlingiron
