#include <gtest/gtest.h>

#include "host/host.h"

namespace curlingiron {
namespace {

TEST(SettingsConfig, OptionsBecomeLinesThatInitReads) {
  SettingOptions options;
  options.sha256 = std::string(64, 'b');
  options.set = {"deadline=90", "header=X-Token: a=b", "insecure"};
  Result<std::string> config = settings_config(options);
  ASSERT_TRUE(config.ok()) << config.error().message();
  Settings settings = parse_settings(config.value()).value();
  EXPECT_EQ(settings.deadline, 90s);
  EXPECT_EQ(settings.headers, std::vector<std::string>{"X-Token: a=b"});
  EXPECT_TRUE(settings.insecure);
  EXPECT_EQ(settings.sha256->size(), 32U);
}

TEST(SettingsConfig, ErrorsNameTheOption) {
  SettingOptions options;
  options.set = {"dealdine=90"};
  Result<std::string> config = settings_config(options);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message(),
            "--set: unknown setting \"dealdine\"; did you mean \"deadline\"?");
  options.set = {};
  options.image_sha256 = "xyz";
  config = settings_config(options);
  ASSERT_FALSE(config.ok());
  EXPECT_NE(config.error().message().find("image-sha256"), std::string::npos);
}

TEST(SettingsConfig, AValueCannotAddALine) {
  SettingOptions options;
  options.set = {"src=http://h/x\ndst=/dev/sda"};
  EXPECT_FALSE(settings_config(options).ok());
}

TEST(Compressors, TheQuickestThatTheKernelHas) {
  EXPECT_EQ(quickest_compression({{Compression::Xz, Compression::Gzip, Compression::Zstd}}),
            Compression::Zstd);
  EXPECT_EQ(quickest_compression({{Compression::Xz, Compression::Gzip}}), Compression::Gzip);
  EXPECT_EQ(quickest_compression({{Compression::Xz}}), Compression::Xz);
  EXPECT_EQ(quickest_compression({std::vector<Compression>()}), Compression::None);
  EXPECT_EQ(quickest_compression(std::nullopt), Compression::Gzip);
}

TEST(Blob, InitIsAStaticProgram) {
  ConstBytes init = embedded_init();
  ASSERT_GT(init.size(), 100'000U);
  EXPECT_EQ(as_text(init.first(4)),
            "\x7f"
            "ELF");
}

}  // namespace
}  // namespace curlingiron
