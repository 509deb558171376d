// The lines of a plan, for a terminal of 80 columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/carried_network.h"

namespace curlingiron {

// Adds "  title     words ..." to `text`. What goes on in a next line stands under the first word,
// or `deeper` columns to the right. `indent`: columns that the words begin further to the right.
void add_line(std::string& text, std::string_view title, std::string_view words, size_t indent = 0,
              size_t deeper = 0);
// The cards (ProvenCards), and what is set up on them.
void add_network(std::string& text, const std::vector<std::string>& cards,
                 const CarriedNetwork& network);

// A line each; those that begin with blanks are set in.
void add_hand_over(std::string& text, const std::vector<std::string>& lines);

}  // namespace curlingiron
