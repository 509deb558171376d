#include "host/rescue_system.h"

#include <sys/stat.h>

#include <functional>
#include <map>
#include <string_view>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"
#include "formats/rescue_shell.h"
#include "host/ssh_keys.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

struct Program {
  std::string_view name;
  std::string_view package;
  const char* target;
};
constexpr Program kPrograms[] = {{"busybox", "busybox", kBusybox},
                                 {"dropbear", "dropbear-bin", kSshServer},
                                 {"dropbearkey", "dropbear-bin", kSshKeyMaker}};

// What a login needs to know; nobody has a password.
struct TextFile {
  std::string_view target;
  std::string_view text;
};
constexpr TextFile kFiles[] = {
    {"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"},
    {"/etc/group", "root:x:0:\ntty:x:5:\n"},
    {"/etc/shells", "/bin/sh\n"},
    {"/etc/motd",
     "A system in memory, of curlingiron. Nothing was written to any disk, and what is\n"
     "changed here is gone after \"reboot\". \"busybox\" lists the programs.\n"},
};

Result<std::string> find_program(const UniqueFd& root, const Program& program) {
  for (std::string_view folder : split(kProgramPath, ':')) {
    std::string path = concat(folder, "/", program.name);
    if (exists(root, path.substr(1))) return path;
  }
  return Error(concat("--rescue: ", program.name, " is not installed; install the package ",
                      program.package));
}

struct Keys {
  std::string lines;
  std::vector<std::string> shown;
};

// As dropbear reads it (dropbear(8)), which takes fewer options and types than OpenSSH and passes
// over longer lines without a word.
Result<std::string> line_for_dropbear(const SshKey& key) {
  static constexpr std::string_view kTypes[] = {"ssh-ed25519",
                                                "ssh-rsa",
                                                "ecdsa-sha2-nistp256",
                                                "ecdsa-sha2-nistp384",
                                                "ecdsa-sha2-nistp521",
                                                "sk-ssh-ed25519@openssh.com",
                                                "sk-ecdsa-sha2-nistp256@openssh.com"};
  constexpr size_t kLongestLine = 4000;
  std::string shown = printable(key.comment.empty() ? key.type : key.comment, 60);
  if (!key.options.empty()) {
    return Error(concat(shown, ": has options before it (", printable(key.options, 60),
                        "), which the SSH server of the rescue system may not know; give the key "
                        "without them, in a file of its own"));
  }
  if (std::ranges::find(kTypes, key.type) == std::end(kTypes)) {
    return Error(concat(shown, ": the SSH server of the rescue system knows no ",
                        printable(key.type, 60),
                        "; take another key, such as one of ssh-keygen -t ed25519"));
  }
  std::string line = concat(key.type, " ", to_base64(key.blob));
  if (line.size() > kLongestLine) {
    return Error(concat(shown,
                        ": is too long for the SSH server of the rescue system; take another "
                        "key, such as one of ssh-keygen -t ed25519"));
  }
  if (line.size() + key.comment.size() < kLongestLine) line += concat(" ", key.comment);
  return line + "\n";
}

Result<Keys> read_keys(const std::vector<std::string>& files) {
  Keys keys;
  for (const std::string& file : files) {
    std::string name = concat("--ssh-key ", file);
    for (const SshKey& key : TRY(read_ssh_keys(file))) {
      keys.lines += TRY_CONTEXT(name, line_for_dropbear(key));
      keys.shown.push_back(describe(key));
    }
  }
  return keys;
}

}  // namespace

Result<RescueSystem> collect_rescue_system(const UniqueFd& root,
                                           const std::vector<std::string>& key_files,
                                           const std::vector<std::string>& specs) {
  if (key_files.empty()) {
    return Error(
        "--rescue: nobody could log in; name your public key, such as --ssh-key "
        "~/.ssh/id_ed25519.pub");
  }
  Keys keys = TRY(read_keys(key_files));
  // Files of ours are added as anybody's are: from a place in the root.
  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  std::vector<std::string> wanted = specs;
  std::map<std::string, uint32_t, std::less<>> permissions;  // of each of ours, by its path
  auto add = [&](std::string_view source, std::string_view target, uint32_t mode) {
    wanted.push_back(concat(source, ":", target));
    permissions.emplace(target.substr(1), mode);
  };
  auto add_text = [&](std::string_view target, std::string_view text,
                      uint32_t mode) -> Result<void> {
    std::string source = concat(scratch.path(), "/", permissions.size());
    TRY(write_file_atomically(source, as_bytes(text)));
    add(source, target, mode);
    return {};
  };
  for (const Program& program : kPrograms) {
    add(TRY(find_program(root, program)), program.target, 0755);
  }
  for (const TextFile& file : kFiles) TRY(add_text(file.target, file.text, 0644));
  TRY(add_text(kAuthorizedKeys, keys.lines, 0600));

  RescueSystem system;
  system.keys = std::move(keys.shown);
  system.extras =
      TRY_CONTEXT(specs.empty() ? "--rescue" : "--rescue with --add", collect_extras(root, wanted));
  // Where a file of ours lay meanwhile, and with which permissions, is another thing each time.
  for (ExtraEntry& entry : system.extras) {
    auto ours = permissions.find(entry.path);
    if (ours == permissions.end()) continue;
    entry.reason = "--rescue";
    entry.mode = (entry.mode & static_cast<uint32_t>(S_IFMT)) | ours->second;
  }
  return system;
}

}  // namespace curlingiron
