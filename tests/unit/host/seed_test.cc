// What is handed to a new system: files for cloud-init, in a file system that mtools reads.
#include "host/seed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "host/cloud_network.h"
#include "host/yaml.h"
#include "support/workshop.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kBlob =
    "AAAAC3NzaC1lZDI1NTE5AAAAIKz4eNkEB3avcS2JDbwcrsTHlwEx3KF6pS9afgdyvUxZ";
constexpr std::string_view kOtherBlob =
    "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

TEST(Yaml, ShowsEachStatementOnALine) {
  nlohmann::ordered_json value = {
      {"version", 2},
      {"no", true},
      {"0day", "a: b # c"},
      {"list", {"x", {{"to", "::/0"}, {"via", "fe80::1"}}, {{"deep", {1, 2}}}}},
      {"empty", nlohmann::ordered_json::object()},
      {"text", "two\nlines\t\"quoted\" \x01 \xc3\xa4"}};
  EXPECT_EQ(to_yaml(value),
            "version: 2\n"
            "\"no\": true\n"
            "\"0day\": \"a: b # c\"\n"
            "list:\n"
            "  - \"x\"\n"
            "  - to: \"::/0\"\n"
            "    via: \"fe80::1\"\n"
            "  - deep:\n"
            "      - 1\n"
            "      - 2\n"
            "empty: {}\n"
            "text: \"two\\nlines\\t\\\"quoted\\\" \\u0001 \\u00e4\"\n");
}

// Two of JSON's escapes are two halves of nothing to a reader of YAML.
TEST(Yaml, CharactersBeyondTheFirst65536) {
  using Json = nlohmann::ordered_json;
  EXPECT_EQ(to_yaml(Json("\xf0\x9f\x98\x80 \\ud83d\\ude00 \\ \xf4\x8f\xbf\xbf\xef\xbf\xbd")),
            "\"\\U0001f600 \\\\ud83d\\\\ude00 \\\\ \\U0010ffff\\ufffd\"\n");
}

class Seeds : public testing::Test {
 protected:
  void put(std::string_view path, std::string_view text) {
    std::filesystem::create_directories(workshop_.at(path).parent_path());
    workshop_.write(path, text);
  }

  Result<Seed> make(const HandOverOptions& options, TakeFromHere take = TakeFromHere::No,
                    const NetworkConfig& network = {}) {
    UniqueFd root = open_root(workshop_.at("root").string()).value();
    return make_seed(root, options, take, network, 512);
  }
  std::string refusal(const HandOverOptions& options) {
    Result<Seed> seed = make(options);
    return seed.ok() ? "" : seed.error().message();
  }

  // A file of the seed; "" where it is not there.
  std::string file(const Seed& seed, std::string_view name) {
    workshop_.write("seed.img", seed.image);
    EXPECT_EQ(workshop_.run("fsck.fat -n seed.img"), 0) << workshop_.log();
    if (workshop_.run(concat("mtype -i seed.img '::", name, "'")) != 0) return "";
    return workshop_.log();
  }

  std::string path(std::string_view name) { return workshop_.at(name).string(); }

  void SetUp() override { std::filesystem::create_directories(workshop_.at("root/etc/ssh")); }

  Workshop workshop_;
};

TEST_F(Seeds, NothingIsMadeThatNobodyWants) {
  Seed seed = make({}).value();
  EXPECT_TRUE(seed.image.empty());
  EXPECT_THAT(seed.notes, IsEmpty());
  EXPECT_TRUE(make({.no_seed = true}, TakeFromHere::Yes).value().image.empty());
  EXPECT_THAT(refusal({.no_seed = true, .hostname = "a"}), HasSubstr("--no-seed: --hostname"));
}

TEST_F(Seeds, AllThatIsAskedForIsInIt) {
  put("key.pub", concat("# mine\nssh-ed25519 ", kBlob, " me@laptop\n"));
  put("limited.pub", concat("from=\"10.0.0.0/8\" ssh-ed25519 ", kOtherBlob, "\n"));
  put("user", "#cloud-config\npackages: [vim]\n");
  put("root/etc/ssh/ssh_host_ed25519_key",
      "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n");
  put("root/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@old\n");
  Seed seed = make({.ssh_keys = {path("key.pub"), path("limited.pub")},
                    .hostname = "web1.example.org",
                    .keep_host_keys = true,
                    .user_data = path("user")})
                  .value();
  EXPECT_TRUE(seed.is_asked_for);
  EXPECT_EQ(seed.image.size(), 1_MiB);
  EXPECT_THAT(
      file(seed, "meta-data"),
      testing::MatchesRegex(concat("instance-id: \"curlingiron-[0-9a-f]{16}\"\nlocal-hostname: "
                                   "\"web1.example.org\"\npublic-keys:\n  - \"ssh-ed25519 ",
                                   kBlob, " me@laptop\"\n  - \"from=.\"10.0.0.0/8.\" ssh-ed25519 ",
                                   kOtherBlob, "\"\n")));
  EXPECT_EQ(file(seed, "user-data"), "#cloud-config\npackages: [vim]\n");
  EXPECT_EQ(file(seed, "vendor-data"),
            "#cloud-config\ndisable_root: false\nfqdn: \"web1.example.org\"\nhostname: "
            "\"web1.example.org\"\nssh_keys:\n  ed25519_private: "
            "\"-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END PRIVATE KEY-----\\n\"\n  "
            "ed25519_public: \"ssh-ed25519 AAAA "
            "root@old\\n\"\n");
  EXPECT_EQ(file(seed, "network-config"), "");
  std::string shown = join(seed.shown, "\n");
  EXPECT_THAT(shown, HasSubstr("key SHA256:"));
  EXPECT_THAT(shown, HasSubstr("me@laptop (ssh-ed25519)"));
  EXPECT_THAT(shown, HasSubstr("name web1.example.org"));
  EXPECT_THAT(shown, Not(HasSubstr("SECRET")));
}

// What a first boot that was broken off leaves.
TEST_F(Seeds, AHostKeyThatIsNoneIsNotHandedOver) {
  put("root/etc/ssh/ssh_host_ecdsa_key", "");
  EXPECT_THAT(refusal({.keep_host_keys = true}), HasSubstr("this machine has none"));
  put("root/etc/ssh/ssh_host_ed25519_key", "-----BEGIN PRIVATE KEY-----\n");
  Seed seed = make({.keep_host_keys = true}).value();
  EXPECT_THAT(seed.notes,
              testing::ElementsAre(HasSubstr("/etc/ssh/ssh_host_ecdsa_key: no private")));
  EXPECT_THAT(file(seed, "vendor-data"), testing::Not(HasSubstr("ecdsa")));
}

TEST_F(Seeds, OfThisMachineItTakesWhoMayLogInAndItsName) {
  put("root/root/.ssh/authorized_keys",
      concat("ssh-ed25519 ", kBlob, " boss\ncommand=\"echo no\" ssh-ed25519 ", kOtherBlob,
             " robot\n"));
  put("root/home/me/.ssh/authorized_keys", concat("ssh-ed25519 ", kBlob, " again\n"));
  put("root/etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n");
  put("root/proc/sys/kernel/hostname", "old-server\n");
  ::setenv("SUDO_USER", "me", 1);
  Seed seed = make({}, TakeFromHere::Yes).value();
  ::unsetenv("SUDO_USER");
  EXPECT_FALSE(seed.is_asked_for);
  EXPECT_THAT(seed.shown, ElementsAre(HasSubstr(" boss (ssh-ed25519)"), "name old-server"));
  EXPECT_THAT(seed.notes, ElementsAre(testing::AllOf(HasSubstr("robot"), HasSubstr("command="),
                                                     HasSubstr("is not handed over"))));
  EXPECT_THAT(file(seed, "meta-data"), Not(HasSubstr(std::string(kOtherBlob))));

  // What an option says is not looked for here.
  put("key.pub", concat("ssh-ed25519 ", kOtherBlob, " mine\n"));
  seed = make({.ssh_keys = {path("key.pub")}, .hostname = "new"}, TakeFromHere::Yes).value();
  EXPECT_THAT(seed.shown, ElementsAre(HasSubstr(" mine (ssh-ed25519)"), "name new"));
}

TEST_F(Seeds, AMachineThatNobodyMayLogInToSaysSo) {
  put("root/etc/passwd", "me:x:1000:1000:::/bin/sh\n");  // has no home
  ::setenv("SUDO_USER", "me", 1);
  Seed seed = make({}, TakeFromHere::Yes).value();
  ::unsetenv("SUDO_USER");
  EXPECT_THAT(seed.notes, ElementsAre(HasSubstr("nobody may be able to log in")));
}

TEST_F(Seeds, ADirectoryOfFilesIsTakenAsItIs) {
  put("files/user-data", "#!/bin/sh\n");
  put("files/meta-data", "instance-id: mine\n");
  put("files/scripts/a/run.sh", "x");
  Seed seed = make({.seed_directory = path("files")}, TakeFromHere::Yes).value();
  EXPECT_EQ(file(seed, "meta-data"), "instance-id: mine\n");
  EXPECT_EQ(file(seed, "user-data"), "#!/bin/sh\n");
  EXPECT_EQ(file(seed, "scripts/a/run.sh"), "x");
  EXPECT_THAT(seed.shown, Contains(HasSubstr("3 files")));
  // Nothing that was asked for is lost to one of them.
  put("key.pub", concat("ssh-ed25519 ", kBlob, "\n"));
  EXPECT_THAT(refusal({.ssh_keys = {path("key.pub")}, .seed_directory = path("files")}),
              HasSubstr("would take its place"));
  EXPECT_THAT(refusal({.hostname = "a", .seed_directory = path("files")}),
              HasSubstr("would take its place"));
  EXPECT_THAT(refusal({.user_data = path("key.pub"), .seed_directory = path("files")}),
              HasSubstr("would take its place"));
  put("vendor/vendor-data", "#cloud-config\n");
  EXPECT_THAT(refusal({.ssh_keys = {path("key.pub")}, .seed_directory = path("vendor")}),
              HasSubstr("would take its place"));
  EXPECT_THAT(refusal({.hostname = "a.b", .seed_directory = path("vendor")}),
              HasSubstr("would take its place"));
  // What is only taken of this machine gives way, and that is said.
  put("root/proc/sys/kernel/hostname", "old.example.org\n");
  seed = make({.seed_directory = path("vendor")}, TakeFromHere::Yes).value();
  EXPECT_EQ(file(seed, "vendor-data"), "#cloud-config\n");
  EXPECT_THAT(seed.notes, Contains(HasSubstr("vendor-data of --seed-dir is taken as it is")));
}

TEST_F(Seeds, WhatIsNoneOfWhatItShouldBeIsRefused) {
  put("text", "packages: [vim]\n");
  EXPECT_THAT(refusal({.user_data = path("text")}),
              testing::AllOf(HasSubstr("first line"), Not(HasSubstr("vim"))));
  EXPECT_THAT(refusal({.user_data = path("missing")}), HasSubstr("No such file"));
  for (std::string_view name :
       {"two words", ".", "-", ".a", "a.", "a..b", "a_b", "1.2.3.4", "localhost", "-a", "a-"}) {
    EXPECT_THAT(refusal({.hostname = std::string(name)}), HasSubstr("is no host name")) << name;
  }
  EXPECT_THAT(refusal({.hostname = std::string(64, 'a')}), HasSubstr("is no host name"));
  EXPECT_EQ(refusal({.hostname = concat(std::string(58, 'a'), ".b-1.x")}), "");
  EXPECT_THAT(refusal({.hostname = concat(std::string(60, 'a'), ".b-1.x")}),
              HasSubstr("is no host name"));
  std::filesystem::create_directories(workshop_.at("loop"));
  std::filesystem::create_symlink(".", workshop_.at("loop/back"));
  EXPECT_THAT(refusal({.seed_directory = path("loop")}), HasSubstr("a link in it leads back"));
  EXPECT_THAT(refusal({.ssh_keys = {path("text")}}), HasSubstr("--ssh-key"));
  EXPECT_THAT(refusal({.keep_host_keys = true}), HasSubstr("has none"));
  EXPECT_THAT(refusal({.keep_network = true}), HasSubstr("no card is known"));
  put("large", std::string(1_MiB + 1, '#'));
  EXPECT_THAT(refusal({.user_data = path("large")}), HasSubstr("--user-data"));
  std::filesystem::create_directories(workshop_.at("many"));
  workshop_.make_empty("many/large", 15_MiB);
  EXPECT_EQ(refusal({.seed_directory = path("many")}), "");
  workshop_.make_empty("many/larger", 2_MiB);
  EXPECT_THAT(refusal({.seed_directory = path("many")}), HasSubstr("16.0 MiB are handed over"));
}

// --- network-config ------------------------------------------------------------------------------

CloudNetwork cloud(std::string_view text) {
  NetworkConfig network = parse_network_config(text).value();
  return cloud_network_of(network);
}

TEST(CloudNetworks, ALeasedCardIsLeasedAgain) {
  CloudNetwork network = cloud(
      "link eth0 mac 52:54:00:12:34:56 ipv4 dhcp ipv6 auto\n"
      "address 10.0.2.15/24 dev eth0 from dhcp4\naddress 2001:db8::5/128 dev eth0 from dhcp6\n"
      "route default via 10.0.2.2 dev eth0 metric 100 from dhcp4\n"
      "nameserver 10.0.2.3 dev eth0 from dhcp4\ncaptured\n");
  EXPECT_EQ(network.text,
            "# Of the system that was here before.\nversion: 2\nethernets:\n  eth0:\n    match:\n"
            "      macaddress: \"52:54:00:12:34:56\"\n    set-name: \"eth0\"\n    dhcp4: true\n"
            "    dhcp6: true\n    accept-ra: true\n");
  EXPECT_THAT(network.notes, IsEmpty());
}

TEST(CloudNetworks, AStaticHostAddressWithAGatewayOutsideOfIt) {
  CloudNetwork network = cloud(
      "link ens3 mac 52:54:00:12:34:56 mtu 1450 ipv4 off ipv6 off\n"
      "address 203.0.113.7/32 dev ens3\naddress 2001:db8::2/64 dev ens3\n"
      "address fe80::1/64 dev ens3\n"
      "route 172.31.1.1/32 dev ens3\nroute default via 172.31.1.1 dev ens3\n"
      "route default via fe80::1 dev ens3 metric 1024\nroute 10.0.0.0/8 via 203.0.113.1 dev ens3\n"
      "nameserver 1.1.1.1\nsearch example.org\n");
  EXPECT_EQ(network.text,
            "# Of the system that was here before.\nversion: 2\nethernets:\n  ens3:\n    match:\n"
            "      macaddress: \"52:54:00:12:34:56\"\n    set-name: \"ens3\"\n    dhcp4: false\n"
            "    dhcp6: false\n    accept-ra: false\n    mtu: 1450\n    addresses:\n"
            "      - \"203.0.113.7/32\"\n      - \"2001:db8::2/64\"\n    routes:\n"
            "      - to: \"172.31.1.1/32\"\n        via: \"0.0.0.0\"\n        scope: \"link\"\n"
            "      - to: \"203.0.113.1/32\"\n        via: \"0.0.0.0\"\n        scope: \"link\"\n"
            "      - to: \"10.0.0.0/8\"\n        via: \"203.0.113.1\"\n        on-link: true\n"
            "    gateway4: \"172.31.1.1\"\n    gateway6: \"fe80::1\"\n"
            "    nameservers:\n      addresses:\n        - \"1.1.1.1\"\n      search:\n"
            "        - \"example.org\"\n");
}

// A metric is of use where it decides between two.
TEST(CloudNetworks, SeveralDefaultRoutes) {
  CloudNetwork network = cloud(
      "link eth0 mac 52:54:00:12:34:56 ipv4 off ipv6 off\n"
      "link eth1 mac 52:54:00:12:34:57 ipv4 off ipv6 off\n"
      "address 10.0.0.2/24 dev eth0\naddress 10.1.0.2/24 dev eth1\n"
      "route default via 10.0.0.1 dev eth0 metric 100\n"
      "route default via 10.1.0.1 dev eth1 metric 200\n"
      "route 10.9.0.0/16 via 10.1.0.1 dev eth1 metric 300\nroute 10.8.0.0/16 dev eth0\n");
  EXPECT_THAT(network.text, HasSubstr("      - to: \"0.0.0.0/0\"\n        via: \"10.0.0.1\"\n"
                                      "        metric: 100\n      - to: \"10.8.0.0/16\"\n"
                                      "        via: \"0.0.0.0\"\n        scope: \"link\"\n"));
  EXPECT_THAT(network.text, HasSubstr("        metric: 200\n      - to: \"10.9.0.0/16\"\n"
                                      "        via: \"10.1.0.1\"\n"));
  EXPECT_THAT(network.text, Not(HasSubstr("metric: 300")));
  EXPECT_THAT(network.text, Not(HasSubstr("gateway")));
}

TEST(CloudNetworks, BondsAndVlansAndRules) {
  CloudNetwork network = cloud(
      "link eth0 mac 52:54:00:12:34:56\nlink eth1 mac 52:54:00:12:34:57\n"
      "link eth2 mac 52:54:00:12:34:58 ipv4 off ipv6 off\n"
      "link bond0 bond eth0,eth1 mode 802.3ad lacp_rate fast miimon 100 tlb_dynamic_lb 0 ipv4 off "
      "ipv6 off\nlink bond0.5 vlan 5 on bond0 ipv4 off ipv6 off\n"
      "address 10.0.5.2/24 dev bond0.5\nroute default via 10.0.5.1 dev bond0.5 table 7\n"
      "route blackhole 10.9.0.0/16\nrule 100 from 10.0.5.2/32 lookup 7\n");
  EXPECT_EQ(network.text,
            "# Of the system that was here before.\nversion: 2\nethernets:\n  eth0:\n    match:\n"
            "      macaddress: \"52:54:00:12:34:56\"\n    set-name: \"eth0\"\n    dhcp4: false\n"
            "    dhcp6: false\n    accept-ra: false\n  eth1:\n    match:\n"
            "      macaddress: \"52:54:00:12:34:57\"\n    set-name: \"eth1\"\n    dhcp4: false\n"
            "    dhcp6: false\n    accept-ra: false\nbonds:\n  bond0:\n    interfaces:\n"
            "      - \"eth0\"\n      - \"eth1\"\n    parameters:\n      mode: \"802.3ad\"\n"
            "      mii-monitor-interval: 100\n      lacp-rate: \"fast\"\n    dhcp4: false\n"
            "    dhcp6: false\n    accept-ra: false\nvlans:\n  bond0.5:\n    id: 5\n"
            "    link: \"bond0\"\n    dhcp4: false\n    dhcp6: false\n    accept-ra: false\n"
            "    addresses:\n      - \"10.0.5.2/24\"\n    routes:\n      - to: \"0.0.0.0/0\"\n"
            "        via: \"10.0.5.1\"\n        table: 7\n    routing-policy:\n"
            "      - table: 7\n        priority: 100\n        from: \"10.0.5.2/32\"\n");
  EXPECT_THAT(network.notes,
              ElementsAre(HasSubstr("tlb_dynamic_lb"), HasSubstr("route 10.9.0.0/16: leads"),
                          HasSubstr("tables and rules")));
}

TEST(CloudNetworks, WhatHasNoNameCannotBeSaid) {
  CloudNetwork network = cloud("address 10.0.0.2/24\nroute default via 10.0.0.1\n");
  EXPECT_EQ(network.text, "");
  EXPECT_THAT(network.notes, ElementsAre(HasSubstr("10.0.0.2/24"), HasSubstr("route default")));
}

// For tests/golden/cloud_init.py, which asks cloud-init itself: of each NAME.network in the
// directory that CURLINGIRON_NETWORKS names, NAME.yaml.
TEST(CloudNetworks, ForCloudInit) {
  const char* path = std::getenv("CURLINGIRON_NETWORKS");
  if (path == nullptr) GTEST_SKIP() << "CURLINGIRON_NETWORKS is not set";
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(path)) {
    if (file.path().extension() != ".network") continue;
    std::ifstream in(file.path());
    std::string text(std::istreambuf_iterator<char>(in), {});
    CloudNetwork network = cloud(text);
    EXPECT_THAT(network.notes, testing::Each(HasSubstr("with netplan"))) << file.path();
    std::ofstream(std::filesystem::path(file.path()).replace_extension("yaml")) << network.text;
    ++count;
  }
  EXPECT_GT(count, 0U);
}

}  // namespace
}  // namespace curlingiron
