#include "engine/forms.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "base/text.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace curlingiron::testing {
namespace {

constexpr size_t kSize = (size_t{5} << 19) + 512;

ByteVector make_raw() {
  ByteVector image(kSize);
  std::mt19937_64 random(7);
  for (size_t at = 0; at < kSize; at += 512) {
    size_t area = at / (96 * 1024) % 4;  // noise, text, free space, a mixture
    for (size_t i = at; i < std::min(at + 512, kSize); ++i) {
      if (area == 0) image[i] = static_cast<uint8_t>(random());
      if (area == 1) image[i] = static_cast<uint8_t>("configuration = "[i % 16]);
      if (area == 3 && at % 2048 == 0) image[i] = static_cast<uint8_t>(random() % 16);
    }
  }
  for (size_t i = 446; i < 510; ++i) image[i] = 0;
  image[446 + 4] = 0x83;  // one Linux partition: 2048 sectors from 2048 on
  image[446 + 9] = 8;
  image[446 + 13] = 8;
  image[510] = 0x55;
  image[511] = 0xaa;
  return image;
}

struct Recipe {
  const char* name;
  const char* command;  // makes "out" from "disk.img"; the shell runs it
  bool needs_digest;
};

// Several members, blocks and frames, so that faults also fall between them.
constexpr Recipe kRecipes[] = {
    {"raw", "cp disk.img out", true},
    {"gzip", "(head -c 1000000 disk.img | gzip -9; tail -c +1000001 disk.img | gzip -1) > out",
     false},
    {"pigz", "pigz -b 128 -c disk.img > out", false},
    {"xz", "xz -0 -T2 --block-size=400000 -c disk.img > out", false},
    {"pixz", "pixz -0 -f 1 -i disk.img -o out", false},
    {"zstd",
     "(head -c 999999 disk.img | zstd -q --check; tail -c +1000000 disk.img | zstd -q --check) > "
     "out",
     false},
    {"pzstd", "pzstd -q -p 2 -c disk.img > out", false},
    {"bzip2", "bzip2 -1 -c disk.img > out", false},
    {"lbzip2", "lbzip2 -2 -c disk.img > out", false},
    {"pbzip2", "pbzip2 -b2 -p2 -c disk.img > out", false},
    {"lz4",
     "lz4 -q -B5 --content-size -c disk.img out.lz4 && mv out.lz4 out || lz4 -q -B5 disk.img out",
     false},
    {"zip", "zip -q out.zip disk.img && mv out.zip out", false},
    {"zip from a pipe", "zip -q out.zip - < disk.img && mv out.zip out", false},
    {"stored zip", "zip -q -0 out.zip disk.img && mv out.zip out", false},
    {"qcow2", "qemu-img convert -f raw -O qcow2 disk.img out", true},
    {"packed qcow2", "qemu-img convert -f raw -c -O qcow2 -o cluster_size=16k disk.img out", true},
    {"old qcow2", "qemu-img convert -f raw -O qcow2 -o compat=0.10,cluster_size=4k disk.img out",
     true},
    {"vhd", "qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on disk.img out", true},
};

}  // namespace

const ByteVector& raw_image() {
  static const ByteVector image = make_raw();
  return image;
}

const std::vector<Form>& forms() {
  static const std::vector<Form> all = [] {
    std::vector<Form> made;
    TemporaryDirectory directory = TemporaryDirectory::create().value();
    UniqueFd root = open_root(directory.path()).value();
    EXPECT_TRUE(write_file_atomically(concat(directory.path(), "/disk.img"), raw_image()).ok());
    for (const Recipe& recipe : kRecipes) {
      std::string command = concat("cd '", directory.path(), "' && rm -f out && ( ", recipe.command,
                                   " ) 2>/dev/null");
      if (std::system(command.c_str()) != 0) continue;
      Result<ByteVector> file = read_file(root, "out", size_t{64} << 20);
      if (file.ok()) made.push_back({recipe.name, std::move(file).value(), recipe.needs_digest});
    }
    return made;
  }();
  return all;
}

const Form& form(const std::string& name) {
  for (const Form& candidate : forms()) {
    if (candidate.name == name) return candidate;
  }
  ADD_FAILURE() << name << " could not be made; run scripts/setup";
  return forms().front();
}

}  // namespace curlingiron::testing
