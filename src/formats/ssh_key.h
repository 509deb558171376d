// Public keys of SSH, as ~/.ssh/authorized_keys and *.pub have them (sshd(8), AUTHORIZED_KEYS FILE
// FORMAT; RFC 4253, section 6.6).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct SshKey {
  std::string options;  // before the type, such as from="..."; mostly empty
  std::string type;     // "ssh-ed25519"
  ByteVector blob;      // what a fingerprint is of
  std::string comment;  // "me@laptop"; may be empty
};

// One key a line; blank lines and those that begin with '#' are skipped. Errors name the line: no
// key, one that is cut off or of another type than it says, an option that sshd does not know, a
// certificate, a private key. At most 1,000 keys of 16
// KiB.
Result<std::vector<SshKey>> parse_ssh_keys(std::string_view text);

}  // namespace curlingiron
