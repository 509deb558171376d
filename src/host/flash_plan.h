// What `flash` is going to do, proven as far as it can be while the old system runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "disk/choose.h"
#include "formats/settings.h"
#include "host/carried_network.h"
#include "host/coverage.h"
#include "host/hand_over.h"
#include "host/in_use.h"
#include "host/machine.h"
#include "host/next_system.h"
#include "host/options.h"
#include "payload/initramfs.h"

namespace curlingiron {

// A disk that is not written.
struct StayingDisk {
  Disk disk;
  std::vector<DiskPart> parts;
};

// What the firmware of a machine that was started by UEFI is told.
struct FirmwarePlan {
  bool gets_entry = true;   // the image has what it could name, as far as that is known
  size_t dead = 0;          // entries of the disk that go
  std::string why_unknown;  // where they cannot be read; empty: they can

  bool starts_new_system() const { return gets_entry && why_unknown.empty(); }
};

// In the order in which it is shown.
struct FlashPlan {
  Disk disk;
  std::string identity;         // as the installer finds it
  std::vector<DiskPart> parts;  // what is on it
  std::vector<StayingDisk> others;
  std::string source;
  std::vector<std::string> mirrors;  // other places of it
  std::string source_detail;
  std::optional<uint64_t> served_size;
  Duration
      per_mebibyte{};  // of the file as served, as it came while it was looked at; 0: not known
  std::string proof;   // what the image is proven by; empty: nothing
  uint64_t memory_to_keep = 0;  // bytes; 0: the file's length is not known
  std::string proof_detail;     // when it is proven, and what comes of it
  bool is_proven_first = false;
  KernelImage kernel;
  std::vector<std::string> cards;
  CarriedNetwork network;
  HandOver hand_over;
  std::optional<FirmwarePlan> firmware;  // nullopt: it has no entries
  Settings settings;
  std::vector<std::string> given;  // settings, for people: without secrets
  std::string config;
  ByteVector kernel_bytes;  // where the kernel is no file of its own; empty: kernel.path
  Initramfs initramfs;
  MadeWhere made = MadeWhere::Here;  // it
  std::string command_line;
};

// Nothing is changed; an error says what stands in the way.
Result<FlashPlan> make_flash_plan(const FlashOptions& options);
// It as the kernel takes it.
NextSystem next_system(const FlashPlan& plan);
// For a terminal of 80 columns; several lines.
std::string describe(const FlashPlan& plan);
// How long all of it takes, where the download's rate is known.
std::optional<Duration> expected_time(const FlashPlan& plan);

}  // namespace curlingiron
