#include "host/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "base/text.h"
#include "host/machine.h"
#include "support/certificates.h"
#include "sys/file.h"

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

TEST(SettingsConfig, AnEmptyValueIsNoFlag) {
  SettingOptions options;
  options.set = {"insecure="};
  EXPECT_EQ(check_settings(options).error().message(), "--set: insecure: a value is missing");
  options.set = {"insecure"};
  Result<CheckedSettings> checked = check_settings(options);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  Settings settings;
  ASSERT_TRUE(apply_config(checked.value().config, settings).ok());
  EXPECT_TRUE(settings.insecure);
}

TEST(SettingsConfig, WhomToTrustAndEverybody) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  SettingOptions options;
  options.ca = concat(directory.path(), "/ca.pem");
  std::string pem = test::kRootCertificate;
  ASSERT_TRUE(write_file_atomically(options.ca, as_bytes(pem)).ok());
  EXPECT_TRUE(check_settings(options).ok());
  options.set = {"insecure"};
  EXPECT_FALSE(check_settings(options).ok());
}

// Which of the two was meant, nobody can know.
TEST(SettingsConfig, OneSettingTwice) {
  SettingOptions options;
  options.sha256 = std::string(64, 'b');
  options.set = {concat("sha256=", std::string(64, 'c'))};
  Result<CheckedSettings> checked = check_settings(options);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().message(),
            "--set: sha256: is given twice, each time another value; give one of them");
  options.set = {concat("sha256=", options.sha256), "insecure", "insecure"};
  EXPECT_TRUE(check_settings(options).ok());
  options.set = {"header=A: 1", "header=B: 2", "nameserver=10.0.0.1", "nameserver=10.0.0.2"};
  EXPECT_TRUE(check_settings(options).ok());
}

// A pipe gives what it holds once: "--ca <(...)".
TEST(SettingsConfig, CertificatesAreReadOnce) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  std::string pem = test::kRootCertificate;
  ASSERT_EQ(::write(pipe[1], pem.data(), pem.size()), static_cast<ssize_t>(pem.size()));
  ::close(pipe[1]);
  SettingOptions options;
  options.ca = concat("/dev/fd/", pipe[0]);
  Result<CheckedSettings> checked = check_settings(options);
  ::close(pipe[0]);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_FALSE(checked.value().ca_bundle.empty());
  EXPECT_NE(checked.value().access.trusted, nullptr);
}

TEST(SettingsConfig, CertificatesThatAreNotThere) {
  SettingOptions options;
  options.ca = "/missing.pem";
  EXPECT_EQ(check_settings(options).error().message(),
            "--ca: /missing.pem: cannot open: No such file or directory");
  options.ca = "";
  options.certificate = "/missing.pem";
  EXPECT_EQ(check_settings(options).error().message(),
            "--cert: /missing.pem: cannot open: No such file or directory");
  options.certificate = "/dev/null";
  EXPECT_EQ(check_settings(options).error().message(),
            "--cert /dev/null: is empty; put certificate and key into it, in PEM");
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

TEST(SettingsConfig, WhatWasBuiltInHoldsWhereNothingElseIsSaid) {
  InitramfsSettings built_in;
  built_in.config = concat("# by build\nsrc=https://a/x\nsha256=", std::string(64, 'b'),
                           "\nheader=A: b\ndst=only\ndeadline=90\n");
  SettingOptions options;
  options.set = {"deadline=60"};
  Result<CheckedSettings> checked = check_settings(options, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().settings.sources, std::vector<std::string>{"https://a/x"});
  EXPECT_TRUE(checked.value().settings.sha256.has_value());
  EXPECT_EQ(checked.value().settings.deadline, 60s);
  EXPECT_EQ(checked.value().config.find("deadline=90"), std::string::npos);

  // The same image, named once more: all that was said of it.
  options.sources = {"https://a/x"};
  checked = check_settings(options, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().settings.sources, options.sources);
  EXPECT_TRUE(checked.value().settings.sha256.has_value());
  EXPECT_EQ(checked.value().settings.headers.size(), 1U);

  // Another one, by --set.
  options.sources = {};
  options.set = {"src=https://b/y"};
  checked = check_settings(options, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().settings.sources, std::vector<std::string>{"https://b/y"});
  EXPECT_FALSE(checked.value().settings.sha256.has_value());
  EXPECT_TRUE(checked.value().settings.headers.empty());
  options.set = {};

  // Another image: nothing that was said of the former, and nothing that was for its server.
  options.sources = {"https://b/y"};
  checked = check_settings(options, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().settings.sources, options.sources);
  EXPECT_FALSE(checked.value().settings.sha256.has_value());
  EXPECT_TRUE(checked.value().settings.headers.empty());
  EXPECT_EQ(checked.value().settings.destination, "only");

  // A digest of an image that was left open is one of that which comes.
  built_in.config = concat("sha256=", std::string(64, 'b'), "\n");
  checked = check_settings(options, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_TRUE(checked.value().settings.sha256.has_value());

  built_in.config = "dealdine=90\n";
  EXPECT_FALSE(check_settings(options, built_in).ok());
}

TEST(SettingsConfig, APayloadTrustsWhomItTrusted) {
  InitramfsSettings built_in;
  std::string_view root = test::kRootCertificate;
  built_in.ca_bundle.assign(root.begin(), root.end());
  Result<CheckedSettings> checked = check_settings({}, built_in);
  ASSERT_TRUE(checked.ok()) << checked.error().message();
  EXPECT_EQ(checked.value().ca_bundle, built_in.ca_bundle);
}

TEST(SettingsConfig, SecretsAreNotShown) {
  EXPECT_EQ(shown_setting("dst", "only"), "dst=only");
  EXPECT_EQ(shown_setting("src", "https://me:secret@h/x?token=1"), "src=https://h/x");
  EXPECT_EQ(shown_setting("header", "Authorization: me"), "header=(not shown)");
  EXPECT_EQ(shown_setting("header", "http://h/secret"), "header=(not shown)");
  EXPECT_TRUE(holds_secret("header", "http://h/secret"));
  EXPECT_FALSE(holds_secret("src", "https://h/x"));
  EXPECT_TRUE(holds_secret("src", "https://me:secret@h/x"));
  EXPECT_TRUE(holds_secret("src", "https://h/x?token=1"));
  EXPECT_TRUE(holds_secret("header", "Authorization: me"));
  EXPECT_FALSE(holds_secret("dst", "only"));
}

}  // namespace
}  // namespace curlingiron
