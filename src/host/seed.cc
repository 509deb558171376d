#include "host/seed.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "formats/disk_layout.h"
#include "formats/fat.h"
#include "formats/little_endian.h"
#include "formats/payload_layout.h"
#include "host/cloud_network.h"
#include "host/ssh_keys.h"
#include "host/yaml.h"
#include "sys/clock.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLargestUserData = 1_MiB;
constexpr std::string_view kMetaData = "meta-data";
constexpr std::string_view kUserData = "user-data";
constexpr std::string_view kVendorData = "vendor-data";
constexpr std::string_view kNetworkConfig = "network-config";
constexpr std::string_view kCloudConfig = "#cloud-config\n";

// What a machine is called that has no name.
bool is_localhost(std::string_view name) {
  return name == "localhost" || name.starts_with("localhost.");
}

// Whether Linux can have it as its name (HOST_NAME_MAX), and DNS as one (RFC 1123, section 2.1).
bool is_host_name(std::string_view name) {
  constexpr size_t kLongest = 64;
  constexpr size_t kLongestPart = 63;
  if (name.empty() || name.size() > kLongest || is_localhost(name)) return false;
  bool has_letter = false;
  for (std::string_view part : split(name, '.')) {
    bool sound = !part.empty() && part.size() <= kLongestPart && part.front() != '-' &&
                 part.back() != '-' && std::ranges::all_of(part, [&](char c) {
                   bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                   has_letter |= letter;
                   return letter || is_digit(c) || c == '-';
                 });
    if (!sound) return false;
  }
  // Digits alone are an address, or may be taken for one.
  return has_letter;
}

// By what cloud-init knows the kind of user-data (its format, User-data formats).
bool is_user_data(std::string_view text) {
  static constexpr std::string_view kBegins[] = {
      "#cloud-config", "#!",           "#include",      "#cloud-boothook", "#part-handler",
      "## template:",  "#upstart-job", "Content-Type:", "MIME-Version:",   "\x1f\x8b"};
  return std::ranges::any_of(kBegins,
                             [&](std::string_view begin) { return text.starts_with(begin); });
}

class SeedMaker {
 public:
  SeedMaker(const UniqueFd& root, const HandOverOptions& options, TakeFromHere take)
      : root_(root), options_(options), takes_(take == TakeFromHere::Yes) {}

  Result<Seed> run(const NetworkConfig& network, uint32_t sector) && {
    if (options_.no_seed) {
      TRY(check_none_asked());
      return std::move(seed_);
    }
    seed_.is_asked_for = !asking_option().empty();
    if (!seed_.is_asked_for && !takes_) return std::move(seed_);
    if (!options_.seed_directory.empty()) TRY(read_directory(options_.seed_directory, "", 0));
    TRY(add_keys());
    TRY(add_host_keys());
    TRY(add_name());
    TRY(add_user_data());
    TRY(add_network(network));
    TRY(add_texts());
    TRY(make_image(sector));
    return std::move(seed_);
  }

 private:
  // Empty: none does.
  std::string_view asking_option() const {
    if (!options_.ssh_keys.empty()) return "--ssh-key";
    if (!options_.hostname.empty()) return "--hostname";
    if (options_.keep_network) return "--keep-network";
    if (options_.keep_host_keys) return "--keep-host-keys";
    if (!options_.user_data.empty()) return "--user-data";
    if (!options_.seed_directory.empty()) return "--seed-dir";
    return options_.seed ? "--seed" : "";
  }

  Result<void> check_none_asked() const {
    std::string_view other = asking_option();
    if (other.empty()) return {};
    return Error(concat("--no-seed: ", other, " wants one; leave out either"));
  }

  bool has(std::string_view name) const { return files_.contains(name); }

  // What an option asks for must not be lost to a file of --seed-dir.
  Result<void> check_free(std::string_view name, std::string_view option) const {
    if (!has(name)) return {};
    return Error(concat(option, ": ", options_.seed_directory, "/", name,
                        " of --seed-dir would take its place; leave out either"));
  }

  Result<void> read_directory(const std::string& path, const std::string& below, unsigned depth) {
    constexpr unsigned kDeepest = 16;
    if (depth > kDeepest) {
      return Error(concat("--seed-dir ", options_.seed_directory, ": deeper than ", kDeepest,
                          " directories, or a link in it leads back"));
    }
    UniqueFd here = TRY(open_root("."));
    for (const std::string& name : TRY_CONTEXT("--seed-dir", list_directory(here, path))) {
      std::string file = concat(path, "/", name);
      std::string target = concat(below, name);
      FileStatus status = TRY_CONTEXT("--seed-dir", file_status(here, file));
      if (status.type == FileType::Directory) {
        TRY(read_directory(file, concat(target, "/"), depth + 1));
      } else if (status.type == FileType::Regular) {
        files_[target] = TRY_CONTEXT("--seed-dir", read_file(here, file, kSeedFile.largest));
      } else {
        return Error(concat(file, ": --seed-dir takes files and directories only"));
      }
    }
    if (below.empty()) {
      seed_.shown.push_back(
          concat("files of ", printable(path), ": ", plural(files_.size(), "file", "files")));
    }
    return {};
  }

  void add_key(const SshKey& key) {
    bool known =
        std::ranges::any_of(keys_, [&](const SshKey& other) { return other.blob == key.blob; });
    if (known) return;
    keys_.push_back(key);
    seed_.shown.push_back(concat("key ", describe(key)));
  }

  Result<void> add_keys() {
    if (!options_.ssh_keys.empty()) TRY(check_free(kMetaData, "--ssh-key"));
    for (const std::string& file : options_.ssh_keys) {
      for (const SshKey& key : TRY(read_ssh_keys(file))) add_key(key);
    }
    if (!options_.ssh_keys.empty() || !takes_ || has(kMetaData)) return {};
    add_keys_of("root", "/root");
    const char* invoker = std::getenv("SUDO_USER");
    if (invoker != nullptr) {
      if (std::optional<std::string> home = home_of(invoker)) add_keys_of(invoker, *home);
    }
    if (keys_.empty()) {
      seed_.notes.emplace_back(
          "no key was found that may log in here: name one by --ssh-key FILE, or nobody may be "
          "able to log in to the new system");
    }
    return {};
  }

  std::optional<std::string> home_of(std::string_view user) const {
    Result<std::string> passwd = read_text(root_, "etc/passwd", 1_MiB);
    if (!passwd.ok()) return std::nullopt;
    for (std::string_view line : split(passwd.value(), '\n')) {
      std::vector<std::string_view> fields = split(line, ':');
      constexpr size_t kHome = 5;
      if (fields.size() > kHome && fields[0] == user) return std::string(fields[kHome]);
    }
    return std::nullopt;
  }

  void add_keys_of(std::string_view user, std::string_view home) {
    if (!home.starts_with('/')) return;
    Result<std::string> text =
        read_text(root_, concat(home.substr(1), "/.ssh/authorized_keys"), 1_MiB);
    if (!text.ok()) return;
    Result<std::vector<SshKey>> keys = parse_ssh_keys(text.value());
    if (!keys.ok()) {
      seed_.notes.push_back(concat(home, "/.ssh/authorized_keys: ", keys.error().message()));
      return;
    }
    for (const SshKey& key : keys.value()) {
      // A key that may do less here shall not do more there.
      if (key.options.empty()) {
        add_key(key);
      } else {
        seed_.notes.push_back(
            concat(describe(key), " of ", user, " may do less here: it is not handed over"));
      }
    }
  }

  Result<void> add_host_keys() {
    if (!options_.keep_host_keys) return {};
    TRY(check_free(kVendorData, "--keep-host-keys"));
    for (std::string_view kind : {"rsa", "ecdsa", "ed25519"}) {
      std::string path = concat("etc/ssh/ssh_host_", kind, "_key");
      if (!exists(root_, path)) continue;
      std::string key = TRY_CONTEXT(path, read_text(root_, path));
      // cloud-init makes none where it is given any: a new system without one lets nobody in.
      if (key.find("PRIVATE KEY-----") == std::string::npos) {
        seed_.notes.push_back(concat("/", path, ": no private key, so it is not handed over"));
        continue;
      }
      host_keys_[concat(kind, "_private")] = std::move(key);
      Result<std::string> half = read_text(root_, concat(path, ".pub"));
      if (half.ok()) host_keys_[concat(kind, "_public")] = half.value();
      seed_.shown.push_back(concat("host key of SSH, ", kind));
    }
    if (host_keys_.empty()) {
      return Error("--keep-host-keys: this machine has none in /etc/ssh");
    }
    return {};
  }

  Result<void> add_name() {
    name_ = options_.hostname;
    if (!name_.empty()) {
      TRY(check_free(kMetaData, "--hostname"));
      if (!is_host_name(name_)) {
        return Error(concat("--hostname: \"", printable(name_, 70),
                            "\" is no host name: letters, digits and \"-\" in parts of at most 63 "
                            "with \".\" between them, 64 in all, not digits alone and not "
                            "localhost"));
      }
    } else if (takes_ && !has(kMetaData)) {
      Result<std::string> here = read_line(root_, "proc/sys/kernel/hostname");
      if (here.ok() && is_host_name(here.value())) {
        name_ = here.value();
      } else if (here.ok() && !is_localhost(here.value()) && here.value() != "(none)") {
        seed_.notes.push_back(concat("this machine's name \"", printable(here.value(), 70),
                                     "\" is no host name by the rules: it is not handed over; give "
                                     "one by --hostname"));
      }
    }
    if (!name_.empty()) seed_.shown.push_back(concat("name ", name_));
    return {};
  }

  Result<void> add_user_data() {
    if (options_.user_data.empty()) return {};
    TRY(check_free(kUserData, "--user-data"));
    std::string name = concat("--user-data ", options_.user_data);
    UniqueFd here = TRY(open_root("."));
    std::string text =
        TRY_CONTEXT("--user-data", read_text(here, options_.user_data, kLargestUserData));
    if (!is_user_data(text)) {
      return Error(concat(name,
                          ": its first line is none that cloud-init knows: it has to be "
                          "\"#cloud-config\", or to begin with \"#!\""));
    }
    files_[std::string(kUserData)] = ByteVector(text.begin(), text.end());
    seed_.shown.push_back(concat("user-data of ", printable(options_.user_data)));
    return {};
  }

  Result<void> add_network(const NetworkConfig& network) {
    if (options_.keep_network) TRY(check_free(kNetworkConfig, "--keep-network"));
    if (has(kNetworkConfig) || (!options_.keep_network && !takes_)) return {};
    CloudNetwork cloud = cloud_network_of(network);
    for (const std::string& note : cloud.notes) seed_.notes.push_back(concat("network: ", note));
    if (cloud.text.empty()) {
      if (options_.keep_network) return Error("--keep-network: no card is known by its name");
      return {};
    }
    set(kNetworkConfig, cloud.text);
    seed_.shown.emplace_back("network, as it is here");
    return {};
  }

  void set(std::string_view name, std::string_view text) {
    files_[std::string(name)] = ByteVector(text.begin(), text.end());
  }

  // What is generated stands where no user-data of anybody replaces it.
  Result<void> add_texts() {
    if (!has(kMetaData)) {
      std::array<uint8_t, 8> id{};
      put_le64(id, 0, random_u64());
      Json meta = {{"instance-id", concat("curlingiron-", to_hex(id))}};
      if (!name_.empty()) meta["local-hostname"] = name_;
      for (const SshKey& key : keys_) meta["public-keys"].push_back(format_ssh_key(key));
      set(kMetaData, to_yaml(meta));
    }
    Json vendor = Json::object();
    // Who may log in here as root may do so there.
    if (!keys_.empty()) vendor["disable_root"] = false;
    // Of the name in the meta-data cloud-init takes what comes before the first dot.
    if (name_.find('.') != std::string::npos) vendor["hostname"] = vendor["fqdn"] = name_;
    if (!host_keys_.empty()) vendor["ssh_keys"] = host_keys_;
    if (!options_.ssh_keys.empty()) TRY(check_free(kVendorData, "--ssh-key"));
    if (!options_.hostname.empty()) TRY(check_free(kVendorData, "--hostname"));
    if (!vendor.empty() && has(kVendorData)) {
      seed_.notes.emplace_back(
          "vendor-data of --seed-dir is taken as it is: that root may log in, and the name with "
          "its domain, is not in it");
    } else if (!vendor.empty()) {
      set(kVendorData, concat(kCloudConfig, to_yaml(vendor)));
    }
    if (!has(kUserData)) set(kUserData, concat(kCloudConfig, "{}\n"));
    return {};
  }

  Result<void> make_image(uint32_t sector) {
    FatVolume volume{
        .sector = sector, .label = "CIDATA", .serial = static_cast<uint32_t>(random_u64())};
    for (const auto& [path, bytes] : files_) volume.files.push_back({path, bytes});
    ByteVector smallest = TRY_CONTEXT("the seed", make_fat(volume));
    volume.size = round_up(smallest.size(), kSeedAlignment);
    if (volume.size > kSeedFile.largest) {
      return Error(concat("the seed has ", format_size(volume.size), ", and at most ",
                          format_size(kSeedFile.largest), " are handed over"));
    }
    seed_.image = TRY_CONTEXT("the seed", make_fat(volume));
    return {};
  }

  const UniqueFd& root_;
  const HandOverOptions& options_;
  bool takes_;
  std::map<std::string, ByteVector, std::less<>> files_;
  std::vector<SshKey> keys_;
  Json host_keys_ = Json::object();
  std::string name_;
  Seed seed_;
};

}  // namespace

Result<Seed> make_seed(const UniqueFd& root, const HandOverOptions& options, TakeFromHere take,
                       const NetworkConfig& network, uint32_t sector) {
  return SeedMaker(root, options, take).run(network, sector);
}

}  // namespace curlingiron
