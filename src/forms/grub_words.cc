#include "forms/grub_words.h"

#include "base/text.h"
#include "formats/settings.h"

namespace curlingiron {

std::string quoted_for_grub(std::string_view command_line) {
  std::string text;
  for (const std::string& word : split_command_line(command_line)) {
    text += concat(text.empty() ? "" : " ", quote_for_shell(word));
  }
  return text;
}

}  // namespace curlingiron
