#include "host/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace curlingiron {
namespace {

TEST(Manifest, namesFilesAndSettingsButNoSecret) {
  Manifest manifest{"tree",
                    "6.1.0",
                    "quiet",
                    {{"src", "https://me:secret@image.test/x?token=1"},
                     {"header", "Authorization: me"},
                     {"insecure", ""}},
                    {"virtio_net"}};
  std::vector<BootFile> files = {text_file("vmlinuz", "kernel"), text_file("initrd", "")};
  std::string text = format_manifest(manifest, files);
  for (const char* secret : {"Authorization", "me:secret", "token"}) {
    EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }
  nlohmann::json read = nlohmann::json::parse(text);
  EXPECT_EQ(read["release"], "6.1.0");
  EXPECT_EQ(read["settings"][0], "src=https://image.test/x");
  EXPECT_EQ(read["settings"][1], "header=(not shown)");
  EXPECT_EQ(read["settings"][2], "insecure");
  EXPECT_EQ(read["files"][0]["path"], "vmlinuz");
  EXPECT_EQ(read["files"][0]["bytes"], 6);
  EXPECT_EQ(read["files"][1]["sha256"],
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Manifest, sumsAreLinesForSha256sum) {
  EXPECT_EQ(format_sums({text_file("initrd", "")}),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  initrd\n");
}

}  // namespace
}  // namespace curlingiron
