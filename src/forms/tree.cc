#include "forms/tree.h"

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "formats/settings.h"

namespace curlingiron {
namespace {

// forms/kexec-boot.sh
constexpr std::string_view kScript =
#include "kexec-boot.inc"
    ;

void put_word(std::string& script, std::string_view mark, std::string_view word) {
  script.replace(script.find(mark), mark.size(), quote_for_shell(word));
}

}  // namespace

std::vector<BootFile> make_tree(Bootable payload, const BuiltIn& built_in) {
  std::vector<BootFile> files;
  files.push_back({std::string(kTreeKernel), std::move(payload.kernel)});
  files.push_back({std::string(kTreeInitramfs), std::move(payload.initramfs)});
  files.push_back(text_file(std::string(kTreeCommandLine), concat(payload.command_line, "\n")));
  std::string script(kScript);
  put_word(script, "@image@", built_in.image);
  put_word(script, "@disk@", built_in.disk);
  put_word(script, "@built@", join(built_in.keys, " "));
  std::vector<std::string> known;
  for (std::string_view key : setting_keys()) known.emplace_back(key);
  put_word(script, "@known@", join(known, " "));
  files.push_back(text_file(std::string(kTreeScript), script, 0755));
  return files;
}

}  // namespace curlingiron
