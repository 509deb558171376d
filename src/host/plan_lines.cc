#include "host/plan_lines.h"

#include <algorithm>

#include "base/text.h"

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

}  // namespace curlingiron
