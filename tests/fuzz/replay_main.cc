// replay SUBJECT FOLDER: runs tests/fuzz/SUBJECT_fuzz.cc over every file of the folder, as an
// ordinary test.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#define SUBJECT(name) extern "C" int fuzz_##name(const uint8_t* data, size_t size);
#include "subjects.inc"
#undef SUBJECT

namespace {

struct Subject {
  std::string_view name;
  int (*run)(const uint8_t* data, size_t size);
};

constexpr Subject kSubjects[] = {
#define SUBJECT(name) {#name, fuzz_##name},
#include "subjects.inc"
#undef SUBJECT
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: replay SUBJECT FOLDER\n");
    return 2;
  }
  for (const Subject& subject : kSubjects) {
    if (subject.name != argv[1]) continue;
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(argv[2])) {
      std::ifstream in(entry.path(), std::ios::binary);
      std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
      subject.run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      ++files;
    }
    std::printf("%zu inputs replayed\n", files);
    return files == 0 ? 1 : 0;  // An empty corpus is a mistake, not a success.
  }
  std::fprintf(stderr, "replay: no target is named %s\n", argv[1]);
  return 2;
}
