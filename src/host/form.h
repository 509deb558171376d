// The forms in which `build` hands a payload out, made with the tools of the field where these are
// installed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "forms/bootable.h"
#include "forms/tree.h"
#include "sys/fd.h"

namespace curlingiron {

enum class Form { Initramfs, Tree, Script, Uki, Usb, Iso, Netboot };

// "initramfs", "tree", "script", "uki", "usb", "iso", "netboot"
Result<Form> parse_form(std::string_view name);
// Whether it is a directory of several files.
bool is_directory(Form form);
// What it is called where nobody says: "curlingiron.efi".
std::string default_name(Form form);

// Who signs UEFI programs; both empty: nobody.
struct Signer {
  std::string key;          // PEM file
  std::string certificate;  // PEM file
};

struct FormTools {
  std::string stub;  // of a UKI; empty: systemd's of this machine
  Signer signer;
  BuiltIn built_in;  // of a tree
};

struct MadeForm {
  std::vector<BootFile> files;  // one with an empty path, where the form is a file
  std::vector<std::string> notes;
};

// What a script carries where it has no kernel: it makes its initramfs on the machine that runs it.
struct ScriptSettings {
  std::string config;  // formats/settings.h
  ByteVector ca_bundle;
  ByteVector client_certificate;
};
Result<MadeForm> make_plain_script(const ScriptSettings& settings);

// The folders above `path`, below `base`.
Result<void> make_folders_of(const UniqueFd& base, std::string_view path);
// Below `folder`, each with its mode under `mask`.
Result<void> write_boot_files(const std::string& folder, const std::vector<BootFile>& files,
                              unsigned mask);

// `root` is this machine's: GRUB, shim and the stub are taken from where distributions put them.
// Errors say what to install.
Result<MadeForm> make_form(const UniqueFd& root, Form form, Bootable payload,
                           const FormTools& tools);

}  // namespace curlingiron
