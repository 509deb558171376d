// A kernel's command line in GRUB's scripts (GRUB manual, "Quoting").
#pragma once

#include <string>
#include <string_view>

namespace curlingiron {

// Each word so that GRUB changes nothing of it; what stands in quotes is one word, whose quotes
// GRUB puts back.
std::string quoted_for_grub(std::string_view command_line);

}  // namespace curlingiron
