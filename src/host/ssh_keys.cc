#include "host/ssh_keys.h"

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"
#include "io/digest.h"
#include "sys/file.h"

namespace curlingiron {

std::string describe(const SshKey& key) {
  std::string digest = to_base64(digest_of(DigestKind::Sha256, key.blob));
  // As ssh-keygen shows it: without what fills base64 up.
  digest.resize(digest.find_last_not_of('=') + 1);
  std::string comment = key.comment.empty() ? "" : concat(" ", printable(key.comment, 60));
  std::string limits = key.options.empty() ? "" : concat(", limited: ", printable(key.options, 60));
  return concat("SHA256:", digest, comment, " (", key.type, limits, ")");
}

std::string format_ssh_key(const SshKey& key) {
  std::string line = concat(key.type, " ", to_base64(key.blob));
  if (!key.options.empty()) line = concat(key.options, " ", line);
  return key.comment.empty() ? line : concat(line, " ", key.comment);
}

Result<std::vector<SshKey>> read_ssh_keys(const std::string& file) {
  std::string name = concat("--ssh-key ", file);
  UniqueFd here = TRY(open_root("."));
  std::string text = TRY_CONTEXT("--ssh-key", read_text(here, file, 1_MiB));
  std::vector<SshKey> keys = TRY_CONTEXT(name, parse_ssh_keys(text));
  if (keys.empty()) {
    return Error(concat(name,
                        ": holds no key; name the file of a public key, such as "
                        "~/.ssh/id_ed25519.pub"));
  }
  return keys;
}

}  // namespace curlingiron
