#include "formats/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/text.h"

namespace curlingiron {
namespace {

const std::string kDigest(64, 'a');

TEST(Settings, CommandLineTakesOnlyOwnTokens) {
  Settings settings;
  Result<void> result = apply_command_line(
      "console=ttyS0 quiet curlingiron.src=https://h/x.img ip=dhcp curlingiron.dst=/dev/sda "
      "curlingiron.insecure src=ignored",
      settings);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_THAT(settings.sources, testing::ElementsAre("https://h/x.img"));
  EXPECT_EQ(settings.destination, "/dev/sda");
  EXPECT_TRUE(settings.insecure);
}

TEST(Settings, EachHasItsRowInTheManual) {
  std::stringstream manual;
  manual << std::ifstream("../docs/settings.md").rdbuf();
  for (std::string_view key : setting_keys()) {
    bool has_row = manual.str().find(concat("\n| `", key, "` | ")) != std::string::npos;
    EXPECT_TRUE(has_row) << "docs/settings.md does not explain " << key;
  }
}

TEST(Settings, QuotesGroupBlanks) {
  Settings settings;
  ASSERT_TRUE(apply_command_line(
                  "curlingiron.header=\"X-Token: a b\" curlingiron.dst=\"serial:A B\"", settings)
                  .ok());
  EXPECT_EQ(settings.headers, std::vector<std::string>{"X-Token: a b"});
  EXPECT_EQ(settings.destination, "serial:A B");
}

TEST(Settings, UnknownKeyNamesTheNearest) {
  Settings settings;
  Result<void> result = apply_command_line("curlingiron.sah256=00", settings);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("\"sah256\""), std::string::npos);
  EXPECT_NE(result.error().message().find("did you mean \"sha256\""), std::string::npos);
}

TEST(Settings, ConfigWinsOverCommandLine) {
  Settings settings;
  ASSERT_TRUE(apply_command_line("curlingiron.src=http://public/x", settings).ok());
  ASSERT_TRUE(apply_config("# comment\n\nsrc=https://user:secret@h/x\nnameserver=1.1.1.1\n"
                           "nameserver=2001:db8::1\n",
                           settings)
                  .ok());
  EXPECT_THAT(settings.sources, testing::ElementsAre("https://user:secret@h/x"));
  EXPECT_EQ(settings.network.nameservers.size(), 2U);
}

TEST(Settings, ConfigErrorsNameTheLine) {
  Settings settings;
  Result<void> result = apply_config("src=http://h/x\n\nverify=maybe\n", settings);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("config line 3"), std::string::npos);
  EXPECT_NE(result.error().message().find("readback, off"), std::string::npos);
}

TEST(Settings, ConfigIsTakenApart) {
  Result<std::vector<SettingWord>> words = split_config("# x=1\n insecure \n\nheader=a=b: c\n");
  ASSERT_TRUE(words.ok());
  ASSERT_EQ(words.value().size(), 2U);
  EXPECT_EQ(words.value()[0].key, "insecure");
  EXPECT_EQ(words.value()[0].value, "");
  EXPECT_EQ(words.value()[1].key, "header");
  EXPECT_EQ(words.value()[1].value, "a=b: c");
  EXPECT_THAT(split_config("a=1\nb=\n").error().message(), testing::HasSubstr("config line 2"));
}

TEST(Settings, Sha256TakesExactly64Digits) {
  Settings settings;
  EXPECT_TRUE(apply_setting("sha256", kDigest, settings).ok());
  EXPECT_EQ(settings.sha256->size(), 32U);
  Result<void> result = apply_setting("sha256", kDigest.substr(1), settings);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("63 characters"), std::string::npos);
  EXPECT_FALSE(apply_setting("sha256", std::string(64, 'g'), settings).ok());
  EXPECT_FALSE(apply_setting("image-sha256", kDigest + "a", settings).ok());
}

TEST(Settings, StaticAddressInTheKernelsGrammar) {
  Settings settings;
  ASSERT_TRUE(
      apply_setting(
          "ip", "192.0.2.10::192.0.2.1:255.255.255.192:web1:52-54-00-12-34-56:none:9.9.9.9:1.1.1.1",
          settings)
          .ok());
  const NetworkConfig& network = settings.network;
  ASSERT_EQ(network.addresses.size(), 1U);
  EXPECT_EQ(format_prefix(network.addresses[0].prefix), "192.0.2.10/26");
  ASSERT_EQ(network.routes.size(), 1U);
  EXPECT_EQ(format_ip(*network.routes[0].hops[0].gateway), "192.0.2.1");
  const LinkConfig* link = network.find(network.addresses[0].device);
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(format_mac(*link->mac), "52:54:00:12:34:56");
  ASSERT_EQ(network.nameservers.size(), 2U);
  EXPECT_EQ(format_ip(network.nameservers[1].address), "1.1.1.1");
  EXPECT_EQ(settings.hostname, "web1");
}

TEST(Settings, UnprefixedNetworksAreReadWhereOursAreMissing) {
  Settings settings;
  ASSERT_TRUE(apply_command_line("ip=10.0.0.5::10.0.0.1:24::nic0:none nameserver=10.0.0.2 "
                                 "rd.route=10.9.0.0/16:10.0.0.3 ifname=nic0:52:54:00:12:34:56 "
                                 "vlan=nic0.5:nic0 bond=bond0:nic1,nic2:mode=1 "
                                 "curlingiron.nameserver=9.9.9.9",
                                 settings)
                  .ok());
  EXPECT_EQ(settings.network.addresses.size(), 1U);
  EXPECT_EQ(settings.network.routes.size(), 2U);
  EXPECT_EQ(settings.network.links.size(), 5U);
  ASSERT_EQ(settings.network.nameservers.size(), 2U);
  EXPECT_EQ(format_ip(settings.network.nameservers[0].address), "9.9.9.9");
  EXPECT_TRUE(settings.network.has_vlans() && settings.network.has_bonds());
  EXPECT_TRUE(settings.notes.empty());
}

TEST(Settings, OurNetworkWinsAsAWhole) {
  Settings settings;
  ASSERT_TRUE(apply_command_line("ip=10.0.0.5::10.0.0.1:24::eth0:none nameserver=10.0.0.2 "
                                 "curlingiron.ip=eth1:dhcp",
                                 settings)
                  .ok());
  EXPECT_TRUE(settings.network.addresses.empty());
  EXPECT_TRUE(settings.network.nameservers.empty());
  ASSERT_NE(settings.network.find("eth1"), nullptr);
  // And the config's over that of the command line.
  ASSERT_TRUE(
      apply_config("ip=10.0.0.7::10.0.0.1:24\nip=[2001:db8::7]::[fe80::1]:64\n", settings).ok());
  EXPECT_EQ(settings.network.find("eth1"), nullptr);
  EXPECT_EQ(settings.network.addresses.size(), 2U);
}

TEST(Settings, ForeignWordsThatAreNotUnderstoodAreNoted) {
  Settings settings;
  ASSERT_TRUE(
      apply_command_line("ip=ibft ip=frob BOOTIF=xx nameserver=dns.example", settings).ok());
  EXPECT_TRUE(settings.network.empty());
  EXPECT_EQ(settings.notes.size(), 3U);
  EXPECT_FALSE(apply_command_line("curlingiron.ip=ibft", settings).ok());
}

TEST(Settings, TheBootNicTakesWhatHasNoDevice) {
  Settings settings;
  ASSERT_TRUE(apply_command_line("BOOTIF=01-52-54-00-12-34-56 curlingiron.ip=10.0.0.7::10.0.0.1:24",
                                 settings)
                  .ok());
  const AddressConfig& address = settings.network.addresses[0];
  EXPECT_EQ(format_mac(*settings.network.find(address.device)->mac), "52:54:00:12:34:56");
  EXPECT_EQ(settings.network.routes[0].hops[0].device, address.device);
  Settings alone;
  ASSERT_TRUE(apply_command_line("BOOTIF=01-52-54-00-12-34-56", alone).ok());
  EXPECT_TRUE(alone.network.empty());
}

TEST(Settings, WrongStaticAddressesAreRefused) {
  for (const char* text : {"192.0.2.10", "192.0.2.300::192.0.2.1:24", "192.0.2.1::x:24:::none",
                           "192.0.2.1:::255.0.255.0", "192.0.2.1:::33", "192.0.2.1:::24:::ibft"}) {
    Settings settings;
    EXPECT_FALSE(apply_setting("ip", text, settings).ok()) << text;
  }
}

TEST(Settings, TimesInBothForms) {
  EXPECT_EQ(parse_time("0").value(), 0);
  EXPECT_EQ(parse_time("1970-01-01T00:00:00Z").value(), 0);
  EXPECT_EQ(parse_time("2000-02-29T12:34:56Z").value(), 951827696);
  EXPECT_EQ(parse_time("2026-11-22T12:00:00Z").value(), 1795348800);
  for (const char* text :
       {"", "x", "2026-13-01T00:00:00Z", "2026-11-22", "2026-11-22T12:00:00", "99999999999999"}) {
    EXPECT_FALSE(parse_time(text).ok()) << text;
  }
}

TEST(Settings, BoundsAreKept) {
  Settings settings;
  EXPECT_TRUE(apply_setting("deadline", "5m", settings).ok());
  EXPECT_EQ(settings.deadline, 300s);
  EXPECT_FALSE(apply_setting("deadline", "0", settings).ok());
  EXPECT_FALSE(apply_setting("mtu", "100", settings).ok());
  EXPECT_TRUE(apply_setting("mtu", "9000", settings).ok());
  EXPECT_FALSE(apply_setting("nameserver", "dns.example", settings).ok());
  EXPECT_FALSE(apply_setting("src", "", settings).ok());
  EXPECT_FALSE(apply_config(std::string(100'000, '#'), settings).ok());
}

TEST(Settings, HeadersAreCheckedAndNotShown) {
  Settings settings;
  Result<void> result = apply_setting("header", "Authorization secret", settings);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message().find("secret"), std::string::npos);
  for (const char* bad : {"A: hidden\r\nInjected: c", ": hidden", "hidden",
                          "A: hid\x7f"
                          "den"}) {
    Result<void> refused = apply_setting("header", bad, settings);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.error().message().find("hid"), std::string::npos);
  }
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE(apply_setting("header", "Word: gr\xc3\xbc\xc3\x9f e\t", settings).ok());
  EXPECT_FALSE(apply_setting("header", "One: too many", settings).ok());
  EXPECT_TRUE(is_secret_key("header"));
  EXPECT_TRUE(is_secret_key("src"));
  EXPECT_FALSE(is_secret_key("dst"));
}

TEST(Settings, WhatIsFormattedIsReadBack) {
  std::string config = format_setting("src", "https://u:p@h/a b").value() +
                       format_setting("dst", "serial:x").value() +
                       format_setting("deadline", "7").value();
  Settings settings;
  ASSERT_TRUE(apply_config(config, settings).ok());
  EXPECT_THAT(settings.sources, testing::ElementsAre("https://u:p@h/a b"));
  EXPECT_EQ(settings.deadline, 7s);
  EXPECT_TRUE(check_complete(settings).ok());
  EXPECT_FALSE(format_setting("src", "a\ndst=b").ok());
}

TEST(Settings, RepeatedSourcesAreMirrorsAndTheConfigReplacesThem) {
  Settings settings;
  ASSERT_TRUE(
      apply_command_line("curlingiron.src=http://a/x curlingiron.src=http://b/x", settings).ok());
  EXPECT_THAT(settings.sources, testing::ElementsAre("http://a/x", "http://b/x"));
  ASSERT_TRUE(apply_config("dst=only\n", settings).ok());
  EXPECT_EQ(settings.sources.size(), 2u);
  ASSERT_TRUE(apply_config("src=http://c/y\nsrc=http://d/y\n", settings).ok());
  EXPECT_THAT(settings.sources, testing::ElementsAre("http://c/y", "http://d/y"));
  for (int i = 2; i < 16; ++i) EXPECT_TRUE(apply_setting("src", "http://e/y", settings).ok());
  EXPECT_FALSE(apply_setting("src", "http://e/y", settings).ok());
}

TEST(Settings, APinHasTheFormThatCurlTakes) {
  Settings settings;
  std::string good = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  EXPECT_TRUE(apply_setting("pin", good, settings).ok());
  ASSERT_TRUE(settings.pinned_key);
  EXPECT_EQ(format_key_pin(*settings.pinned_key), good);
  for (const char* bad : {"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "sha256//",
                          "sha256//AAAA", "sha512//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                          "sha1//abcd", "sha256//%%%", "sha256//YWJj", "/etc/passwd", ";"}) {
    EXPECT_FALSE(apply_setting("pin", bad, settings).ok()) << bad;
  }
}

TEST(Settings, AProxyIsSpokenToByPlainHttp) {
  Settings settings;
  EXPECT_TRUE(apply_setting("proxy", "127.0.0.1:3128", settings).ok());
  ASSERT_TRUE(settings.proxy);
  EXPECT_EQ(settings.proxy->text(), "http://127.0.0.1:3128/");
  for (const char* bad : {"socks5://127.0.0.1:1", "https://127.0.0.1:1", "ftp://127.0.0.1/",
                          "http://bob:hid/den@127.0.0.1:1", "http://"}) {
    Result<void> refused = apply_setting("proxy", bad, settings);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_THAT(refused.error().message(), testing::HasSubstr("proxy"));
    EXPECT_EQ(refused.error().message().find("den"), std::string::npos);
  }
}

TEST(Settings, WhatFollowsAFailureIsOneOfFour) {
  Settings settings;
  EXPECT_EQ(settings.on_failure, AfterFailure::Hold);
  ASSERT_TRUE(apply_setting("onfail", "shell", settings).ok());
  EXPECT_EQ(settings.on_failure, AfterFailure::Shell);
  ASSERT_TRUE(apply_setting("onfail", "poweroff", settings).ok());
  EXPECT_EQ(settings.on_failure, AfterFailure::PowerOff);
  Result<void> wrong = apply_setting("onfail", "bash", settings);
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message().find("hold, reboot, poweroff, shell"), std::string::npos);
}

TEST(Settings, IncompleteOnesSayWhatIsMissing) {
  Settings settings;
  EXPECT_NE(check_complete(settings).error().message().find("curlingiron.src="), std::string::npos);
  settings.sources = {"http://h/x"};
  EXPECT_NE(check_complete(settings).error().message().find("curlingiron.dst="), std::string::npos);
}

Settings settings_of(std::string_view config) {
  Settings settings;
  Result<void> applied = apply_config(config, settings);
  EXPECT_TRUE(applied.ok()) << applied.error().message();
  return settings;
}

TEST(Settings, WhatWasLeftOpenIsTakenFromOthersAndNothingElse) {
  const std::string kKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
  std::string outer =
      concat("src=https://other/x\nsha256=", kDigest, "\npubkey=", kKey,
             "\nheader=A: b\nproxy=http://p:1\ninsecure\nonfail=reboot\ndst=only\n");
  // All of it was open.
  Settings open = settings_of("header=Mine: secret\n");
  EXPECT_THAT(complete_settings(open, settings_of(outer)), testing::IsEmpty());
  EXPECT_THAT(open.sources, testing::ElementsAre("https://other/x"));
  EXPECT_TRUE(open.sha256.has_value());
  EXPECT_EQ(open.public_key, kKey);
  EXPECT_EQ(open.destination, "only");
  EXPECT_TRUE(open.proxy.has_value());
  // Another's server does not get what is for ours, and trust is no matter of others.
  EXPECT_THAT(open.headers, testing::ElementsAre("A: b"));
  EXPECT_FALSE(open.insecure);
  EXPECT_EQ(open.on_failure, AfterFailure::Hold);

  // The image was named: the disk and what proves the image were open, but not who is asked for it.
  Settings fixed = settings_of("src=https://mine/x\n");
  EXPECT_THAT(complete_settings(fixed, settings_of(outer)),
              testing::UnorderedElementsAre("src", "header", "proxy"));
  EXPECT_THAT(fixed.sources, testing::ElementsAre("https://mine/x"));
  EXPECT_TRUE(fixed.sha256.has_value());
  EXPECT_EQ(fixed.public_key, kKey);
  EXPECT_FALSE(fixed.proxy.has_value());
  EXPECT_EQ(fixed.destination, "only");

  // What proves the image may come before the image does, and from elsewhere.
  Settings late;
  EXPECT_THAT(complete_settings(late, settings_of(concat("sha256=", kDigest, "\n"))),
              testing::IsEmpty());
  EXPECT_THAT(
      complete_settings(
          late, settings_of(concat("src=http://other/x\nsha256=", std::string(64, '0'), "\n"))),
      testing::ElementsAre("sha256"));
  EXPECT_EQ(to_hex(*late.sha256), kDigest);

  // A key that was built in holds for whatever image comes.
  Settings signed_by = settings_of(concat("pubkey=", kKey, "\ndst=/dev/sda\n"));
  EXPECT_THAT(complete_settings(signed_by, settings_of("src=https://other/x\ndst=only\n")),
              testing::ElementsAre("dst"));
  EXPECT_EQ(signed_by.public_key, kKey);
  EXPECT_EQ(signed_by.destination, "/dev/sda");
}

}  // namespace
}  // namespace curlingiron
