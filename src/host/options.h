// What the command line asks for, one struct a verb. Parsed by CLI11 in options.cc alone.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace curlingiron {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Settings for /init, as every verb that makes a payload takes them.
struct SettingOptions {
  std::vector<std::string> sources;  // the image's URL or path, then mirrors; empty for build
  std::string sha256;
  std::string image_sha256;
  std::string member;            // of a zip archive
  std::string sums;              // URL or path of a list of digests
  std::string public_key;        // base64, or a file that holds it
  std::string signature;         // URL or path
  bool grow = false;             // the last partition
  std::string certificate;       // PEM file with the client's certificate and key
  std::string ca;                // PEM file; empty: the bundle of this machine
  std::vector<std::string> set;  // KEY=VALUE
};

// What the new system is given.
struct HandOverOptions {
  bool seed = false;
  bool no_seed = false;
  std::vector<std::string> ssh_keys;  // files of public keys
  std::string hostname;
  bool keep_network = false;
  bool keep_host_keys = false;
  std::string user_data;          // file
  std::string seed_directory;     // of more files
  std::vector<std::string> puts;  // host/put.h
  bool force_put = false;         // they may replace what the image has
};

struct FlashOptions {
  std::string disk;     // empty: as the payload has it
  std::string config;   // file of settings that hold where no option says otherwise
  std::string payload;  // a directory or file of build; empty: it is built here
  SettingOptions settings;
  std::string kernel;                // empty: that of the running system
  std::vector<std::string> also;     // profiles beside this machine's drivers
  std::vector<std::string> modules;  // to include besides
  std::vector<std::string> add;      // SRC[:DST]
  std::string network;               // file of a network; empty: this machine's, unless it is set
  HandOverOptions hand_over;
  bool dry_run = false;
  bool yes = false;
};

struct StartOptions {
  std::string payload;  // a directory or file of build
  SettingOptions settings;
  std::string network;  // as in FlashOptions
  bool dry_run = false;
  bool yes = false;
};

struct WriteOptions {
  std::string disk;
  SettingOptions settings;
  HandOverOptions hand_over;
  bool dry_run = false;
  bool yes = false;
  bool json = false;
};

struct BuildOptions {
  std::string format = "initramfs";  // host/form.h
  std::string output;                // empty: as the format is called (host/form.h)
  std::string kernel;                // empty: that of the running system
  std::string modules_dir = "/";
  std::vector<std::string> profiles;  // names; empty: host, unless modules are named
  std::vector<std::string> also;      // more of them
  std::string hardware;               // file of modaliases; empty: this machine's
  std::vector<std::string> modules;
  std::vector<std::string> omit;
  std::vector<std::string> firmware;
  std::vector<std::string> add;  // SRC[:DST]
  std::string network;           // file of a network; empty: as set, or none
  std::string compression;  // empty: xz, or with `fast` what the kernel unpacks and is quickest
  bool fast = false;
  bool secure_boot = false;
  bool rescue = false;                // with a system to log in to
  std::vector<std::string> ssh_keys;  // files of public keys that may
  std::string append;                 // of the kernel's command line
  std::string stub;                   // of a UKI; empty: systemd's
  std::string sign_key;               // PEM files
  std::string sign_certificate;
  bool json = false;
  SettingOptions settings;
};

struct CaptureOptions {
  std::string output;  // empty: standard output
};

struct RunOptions {
  std::string payload;
  std::string kernel;
  std::vector<std::string> disks;  // FILE[:MODEL]
  std::string append;
  std::string memory = "512M";
  std::string firmware = "bios";  // host/qemu.h
  std::string variables;          // file of UEFI's; empty: the distribution's
  std::string nic = "virtio-net-pci";
  std::string serve;  // directory that the machine gets at http://10.0.2.100/; empty: none
  bool keep = false;  // what is written to disks stays
  std::vector<std::string> qemu;
};

enum class InspectTask { List, Size, Why, Diff };

struct InspectOptions {
  std::string file;
  InspectTask task = InspectTask::List;
  std::string name;   // of Why: a module or a path
  std::string other;  // of Diff: the second file
  bool json = false;
};

struct Usage {
  int exit_code =
      kExitDone;  // --help and --version were answered; kExitUsage: a mistake was reported
};

using Command = std::variant<FlashOptions, StartOptions, WriteOptions, BuildOptions, InspectOptions,
                             CaptureOptions, RunOptions, Usage>;

Command parse_command(int argc, char** argv);

}  // namespace curlingiron
