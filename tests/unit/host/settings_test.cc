#include <gtest/gtest.h>

#include "host/machine.h"
#include "host/settings.h"

namespace curlingiron {
namespace {

TEST(SettingsConfig, OptionsBecomeLinesThatInitReads) {
  SettingOptions options;
  options.sha256 = std::string(64, 'b');
  options.set = {"deadline=90", "header=X-Token: a=b", "insecure"};
  Result<CheckedSettings> config = check_settings(options);
  ASSERT_TRUE(config.ok()) << config.error().message();
  Settings settings;
  ASSERT_TRUE(apply_config(config.value().config, settings).ok());
  EXPECT_EQ(settings.deadline, 90s);
  EXPECT_EQ(settings.headers, std::vector<std::string>{"X-Token: a=b"});
  EXPECT_TRUE(settings.insecure);
  EXPECT_EQ(settings.sha256->size(), 32U);
}

TEST(SettingsConfig, ImageAndMirrorsComeInTheirOrder) {
  SettingOptions options;
  options.sources = {"https://a/x.img", "https://b/x.img"};
  options.public_key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
  Result<CheckedSettings> checked = check_settings(options);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().settings.sources, options.sources);
  EXPECT_EQ(checked.value().settings.public_key, options.public_key);
  EXPECT_TRUE(checked.value().config.starts_with("src=https://a/x.img\nsrc=https://b/x.img\n"));
}

TEST(SettingsConfig, ErrorsNameTheOption) {
  SettingOptions options;
  options.set = {"dealdine=90"};
  Result<CheckedSettings> config = check_settings(options);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message(),
            "--set: unknown setting \"dealdine\"; did you mean \"deadline\"?");
  options.set = {};
  options.image_sha256 = "xyz";
  config = check_settings(options);
  ASSERT_FALSE(config.ok());
  EXPECT_NE(config.error().message().find("image-sha256"), std::string::npos);
}

TEST(SettingsConfig, AValueCannotAddALine) {
  SettingOptions options;
  options.set = {"src=http://h/x\ndst=/dev/sda"};
  EXPECT_FALSE(check_settings(options).ok());
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
