// A folder in which tools make what a test reads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"
#include "base/text.h"

namespace curlingiron {

// Of its own, and gone with it.
class Workshop {
 public:
  Workshop() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~Workshop() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  std::filesystem::path at(std::string_view name) const {
    return std::filesystem::path(folder_) / name;
  }

  // A command of the shell, in the folder; mkfs is found, too. The status, 0 where all went well.
  int run(std::string_view command) const {
    return std::system(concat("cd ", folder_, " && export PATH=$PATH:/sbin:/usr/sbin && { ",
                              command, "; } > log 2>&1")
                           .c_str());
  }
  // What the last command said.
  std::string log() const { return std::string(as_text(read("log"))); }

  void write(std::string_view name, ConstBytes bytes) const {
    std::ofstream(at(name), std::ios::binary) << as_text(bytes);
  }
  void write(std::string_view name, std::string_view text) const { write(name, as_bytes(text)); }

  // All of the file, or its first bytes.
  ByteVector read(std::string_view name, size_t most = SIZE_MAX) const {
    std::ifstream in(at(name), std::ios::binary);
    std::error_code missing;
    uintmax_t size = std::filesystem::file_size(at(name), missing);
    ByteVector bytes(missing ? 0 : std::min<uintmax_t>(size, most));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<size_t>(in.gcount()));
    return bytes;
  }

  // An empty file in the place of what was there, with so many bytes of zeros.
  void make_empty(std::string_view name, uint64_t size) const {
    std::filesystem::remove(at(name));
    std::ofstream(at(name)).close();
    std::filesystem::resize_file(at(name), size);
  }

 private:
  std::string folder_ = testing::TempDir() + "workshop-XXXXXX";
};

}  // namespace curlingiron
