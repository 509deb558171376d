#include "formats/pem.h"

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {

PemBlocks read_pem(std::string_view text, std::string_view label) {
  std::string begin = concat("-----BEGIN ", label, "-----");
  std::string end = concat("-----END ", label, "-----");
  PemBlocks blocks;
  for (;;) {
    size_t found = text.find(begin);
    if (found == std::string_view::npos) return blocks;
    text.remove_prefix(found + begin.size());
    // No base64 holds dashes: the first ones are this block's end, or the next one's begin.
    size_t dashes = text.find("-----");
    bool whole = dashes != std::string_view::npos && text.substr(dashes).starts_with(end);
    Result<ByteVector> content =
        whole ? from_base64(text.substr(0, dashes)) : Error("a block without its END line");
    if (content.ok() && !content.value().empty()) {
      blocks.contents.push_back(std::move(content).value());
    } else {
      ++blocks.damaged;
    }
    text.remove_prefix(std::min(dashes, text.size()));
  }
}

}  // namespace curlingiron
