// A directory from which a running Linux machine starts the installer: kernel, initramfs, and a
// script that hands both to kexec.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "forms/bootable.h"

namespace curlingiron {

// The names of its files.
inline constexpr std::string_view kTreeKernel = "vmlinuz";
inline constexpr std::string_view kTreeInitramfs = "initrd";
inline constexpr std::string_view kTreeCommandLine = "cmdline";
inline constexpr std::string_view kTreeScript = "kexec-boot";

// What was built into the initramfs, for people: without secrets; empty: it was left open.
struct BuiltIn {
  std::string image;
  std::string disk;
  std::vector<std::string> keys;  // of all settings
};
std::vector<BootFile> make_tree(Bootable payload, const BuiltIn& built_in);

}  // namespace curlingiron
