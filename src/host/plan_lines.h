// The lines of a plan, for a terminal of 80 columns.
#pragma once

#include <string>
#include <string_view>

namespace curlingiron {

// Adds "  title     words ..." to `text`. What goes on in a next line stands under the first word,
// or `deeper` columns to the right. `indent`: columns that the words begin further to the right.
void add_line(std::string& text, std::string_view title, std::string_view words, size_t indent = 0,
              size_t deeper = 0);

}  // namespace curlingiron
