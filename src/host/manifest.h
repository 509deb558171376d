// What is handed out with a payload: what it is, and digests to check it by.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/settings.h"
#include "forms/bootable.h"
#include "payload/initramfs.h"

namespace curlingiron {

struct Manifest {
  std::string form;          // "uki"
  std::string release;       // of the kernel
  std::string command_line;  // of the kernel; empty where the form has none
  // Those that may hold a password are named without value.
  std::vector<SettingWord> settings;
  std::vector<std::string> modules;
};

// As JSON, with the size and the SHA-256 of each file.
std::string format_manifest(const Manifest& manifest, const std::vector<BootFile>& files);
// Lines for sha256sum --check.
std::string format_sums(const std::vector<BootFile>& files);

}  // namespace curlingiron
