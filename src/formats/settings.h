// The settings of /init: one grammar for the kernel command line and /curlingiron/config.
//
// Command line: blank-separated tokens "curlingiron.KEY=VALUE" (double quotes as the kernel's
// parameters(7)). Others are the kernel's and other installers'; of these ip=, vlan=, bond=,
// rd.route=, ifname=, nameserver= and BOOTIF= are read, too, where no curlingiron. one describes a
// network. Config: lines "KEY=VALUE", '#' comments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "formats/key_pin.h"
#include "formats/network_config.h"
#include "formats/url.h"

namespace curlingiron {

enum class AfterSuccess { Reboot, PowerOff, Halt };
// Before the commit point the old system always starts again; Shell offers a shell before that.
enum class AfterFailure { Hold, Reboot, PowerOff, Shell };
enum class Verify { ReadBack, Off };
// When digests and signatures are compared: before anything is written where the file fits into
// memory, always before, or after.
enum class ProveWhen { FirstIfItFits, First, After };

struct Settings {
  std::vector<std::string> sources;            // src= : URL of the image; repeated: mirrors of it
  std::string destination;                     // dst= : /dev/… or an identity (disk/choose.h)
  std::optional<ByteVector> sha256;            // sha256= : of the file as served; 32 bytes
  std::optional<ByteVector> image_sha256;      // image-sha256= : of the raw image; 32 bytes
  std::string sums;                            // sums= : list of digests, URL or relative to src
  std::string public_key;                      // pubkey= : ed25519, minisign or signify, base64
  std::string signature;                       // sig= : its signature, URL or relative to src
  bool insecure = false;                       // insecure : no TLS verification
  std::optional<KeyPin> pinned_key;            // pin=sha256//BASE64 : of the server's public key
  bool any_boot_mode = false;                  // boot=any : image and firmware are not judged
  bool grow = false;                           // grow : the last partition fills the disk
  std::string member;                          // member= : of a zip archive, the disk image's name
  ProveWhen prove = ProveWhen::FirstIfItFits;  // prove=first|stream
  Verify verify = Verify::ReadBack;            // verify=readback|off
  NetworkConfig network;                       // ip=, vlan=, bond=, route=, ifname=, nameserver=
  std::string hostname;                        // hostname= : sent with DHCP
  std::vector<std::string> headers;            // header=Name: value (repeatable, secret)
  std::optional<Url> proxy;           // proxy=URL : of a proxy that is spoken to by plain http
  std::optional<int64_t> time;        // time= : seconds since the epoch, or 2026-11-22T12:00:00Z
  std::optional<int64_t> time_floor;  // time-floor= : the same, used only if the clock is behind it
  Duration deadline = 300s;           // deadline= : until the commit point, since /init started
  AfterSuccess after = AfterSuccess::Reboot;     // after=
  AfterFailure on_failure = AfterFailure::Hold;  // onfail=
  uint32_t mtu = 0;                              // mtu= : 0 is the link's own
  bool debug = false;                            // loglevel=debug
  std::vector<std::string> notes;                // what was not understood, and not ours to judge
};

// Applies the command line's curlingiron. tokens. Unknown key: an error that names it and the
// nearest.
Result<void> apply_command_line(std::string_view command_line, Settings& settings);
// Applies the config file; later values replace earlier ones, but repeatable keys add up.
Result<void> apply_config(std::string_view text, Settings& settings);
// KEY=VALUE, or a key that may stand alone. An error where nothing comes after the '=': that is
// what an unset variable of a shell leaves.
struct SettingWord {
  std::string_view key;
  std::string_view value;
};
Result<SettingWord> split_setting(std::string_view word);
// Those of a config file's lines; blank lines and those that begin with '#' are skipped. An error
// names the line.
Result<std::vector<SettingWord>> split_config(std::string_view text);
Result<void> apply_setting(std::string_view key, std::string_view value, Settings& settings);
// What must be there and fit together before anything starts: src, dst.
Result<void> check_complete(const Settings& settings);
// What `settings` lack of what is to be installed where, out of `more`: the image with how its
// server is asked, all that proves it, and the disk. Nothing that is there is replaced, and nothing
// makes it trust more than it did: how a server is asked comes with the image alone, what proves
// one does without it, too. Headers that are there are not for another's image. Returns the keys
// that `more` has in vain.
std::vector<std::string_view> complete_settings(Settings& settings, Settings more);
// Keys that complete_settings() takes.
bool can_be_left_open(std::string_view key);
// Keys whose values hold secrets (credentials): these go into the config, never on the command
// line.
bool is_secret_key(std::string_view key);
// … of which only a URL's password is one.
bool is_url_key(std::string_view key);
// Keys that may be given more than once, each time for one more.
bool is_repeatable_key(std::string_view key);
// Every key, for help texts.
std::vector<std::string_view> setting_keys();
// The line of the config file that apply_config reads back; an error when the value holds a
// newline.
Result<std::string> format_setting(std::string_view key, std::string_view value);
// "1732276800" or "2026-11-22T12:00:00Z" (UTC), in seconds since the epoch.
Result<int64_t> parse_time(std::string_view text);
// The words of a kernel command line; double quotes group blanks and are dropped.
std::vector<std::string> split_command_line(std::string_view text);

}  // namespace curlingiron
