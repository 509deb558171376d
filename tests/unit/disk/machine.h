// A tree of files that looks like the sysfs, dev and proc of a machine.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"
#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {

class Machine {
 public:
  Machine() : folder_(TemporaryDirectory::create().value()) {
    std::filesystem::create_directories(folder_.path() + "/sys/block");
    std::filesystem::create_directories(folder_.path() + "/dev");
    root_ = open_root(folder_.path()).value();
  }

  const UniqueFd& root() const { return root_; }

  void file(const std::string& path, std::string_view content) {
    std::filesystem::path full = folder_.path() + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << content;
  }

  void folder(const std::string& path) {
    std::filesystem::create_directories(folder_.path() + "/" + path);
  }

  void link(const std::string& path, const std::string& target) {
    std::filesystem::path full = folder_.path() + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::filesystem::create_symlink(target, full);
  }

  // A disk on the device at "devices/…": /sys/block/NAME leads to it, as in the kernel's tree.
  // `below`: the folder between device and disk ("block/" but for NVMe).
  void disk(const std::string& name, const std::string& device, uint64_t size,
            const std::string& below = "block/") {
    std::string place = concat("sys/", device, "/", below, name);
    file(place + "/size", concat(size / 512, "\n"));
    file(place + "/removable", "0\n");
    file(place + "/ro", "0\n");
    file(place + "/queue/logical_block_size", "512\n");
    file(place + "/queue/physical_block_size", "4096\n");
    link(concat("sys/block/", name), concat("../", device, "/", below, name));
    link(place + "/device", below.empty() ? ".." : "../..");
  }

 private:
  TemporaryDirectory folder_;
  UniqueFd root_;
};

}  // namespace curlingiron
