// Public keys of SSH: a line that is one is one by itself, too.
#include <cstdlib>

#include "base/text.h"
#include "formats/base64.h"
#include "formats/ssh_key.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  Result<std::vector<SshKey>> keys = parse_ssh_keys(as_text(ConstBytes(data, size)));
  if (!keys.ok()) return 0;
  for (const SshKey& key : keys.value()) {
    std::string line = concat(key.options, key.options.empty() ? "" : " ", key.type, " ",
                              to_base64(key.blob), " ", key.comment);
    Result<std::vector<SshKey>> again = parse_ssh_keys(line);
    if (!again.ok() || again.value().size() != 1 || again.value()[0].blob != key.blob) std::abort();
  }
  return 0;
}
