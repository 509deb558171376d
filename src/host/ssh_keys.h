// Files of SSH's public keys, for people.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/ssh_key.h"

namespace curlingiron {

// "SHA256:… me@laptop (ssh-ed25519)", as ssh-keygen -l shows it.
std::string describe(const SshKey& key);
// As a line of authorized_keys, its options before it.
std::string format_ssh_key(const SshKey& key);
// Of --ssh-key FILE. Errors: no key in it, a private one.
Result<std::vector<SshKey>> read_ssh_keys(const std::string& file);

}  // namespace curlingiron
