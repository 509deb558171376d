// The phases of a boot. Each returns the evidence that the next one needs, so that a wrong order
// does not compile: nothing but commit() makes a Committed, and it takes proof of all that came
// before.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "disk/block_writer.h"
#include "disk/choose.h"
#include "formats/efi_load_option.h"
#include "formats/module_index.h"
#include "formats/settings.h"
#include "image/installation.h"
#include "image/put.h"
#include "image/stream.h"
#include "image/wanted.h"
#include "init/dead_man.h"
#include "init/drivers.h"
#include "init/firmware.h"
#include "init/journal.h"
#include "net/join/network.h"
#include "sys/fd.h"

namespace curlingiron {

// The root directory, with proc/, sys/ and dev/ mounted in it.
struct Mounts {
  UniqueFd root;
  Facts facts() const;
};
Result<Mounts> mount_kernel_file_systems();

// What is to be done, and the modules for the kernel that runs.
struct Configuration {
  Settings settings;
  std::unique_ptr<const ModuleIndex> modules;
  ImageAccess access;  // without its paths
  ByteVector seed;     // a file system for the new system; empty: none
  ByteVector put;      // files for its file systems (formats/put_order.h); empty: none
  Time deadline;       // of the commit point
  Facts facts() const;
};
Result<Configuration> read_configuration(const Mounts& mounts);

// Modules for the devices present are loaded or on their way.
struct DriversRunning {
  std::unique_ptr<Drivers> drivers;
  size_t nics = 0;
  size_t disks = 0;
  Facts facts() const;
};
Result<DriversRunning> load_drivers(const Mounts& mounts, const Configuration& configuration);

// Entries of a folder of sysfs ("sys/class/net") that are hardware: they have a device behind them.
size_t count_devices(const UniqueFd& root, const std::string& directory);

// How the source is to be reached; without one, any path will do.
Result<NetworkOrder> network_order(const Configuration& configuration);

struct Joined {
  std::unique_ptr<Network> network;
  Facts facts() const;
};
// The source answers.
Result<Joined> join_network(const Mounts& mounts, const Configuration& configuration,
                            const DriversRunning& running);

// The image can be had: the server answered, is who it says, and the first bytes decode.
struct ProvenSource {
  std::unique_ptr<ImageStream> image;
  std::string name;  // fit for messages
  Facts facts() const;
};
// `dead_man` is put off while bytes of an image that has to be held in memory come.
Result<ProvenSource> prove_source(Journal& journal, DeadMan& dead_man,
                                  const Configuration& configuration, const Joined& joined);

// The one disk that was meant, open for us alone, and the image fits.
struct ProvenDisk {
  Disk disk;
  std::unique_ptr<BlockTarget> target;
  std::unique_ptr<BlockWriter> writer;   // prepared: it has touched nothing
  std::optional<PutStep> put;            // what is to be put onto it; borrows the configuration
  std::vector<EfiPartition> partitions;  // of the old system, for the firmware
  DiskLayout layout;                     // as planned for it; the writer has its patches
  Facts facts() const;
};
Result<ProvenDisk> prove_disk(const Mounts& mounts, const Configuration& configuration,
                              const DriversRunning& running, const ProvenSource& source);

// The whole image was fetched, decoded and proven, and nothing of it written.
struct RehearsedImage {
  uint64_t bytes = 0;  // of the file as served
  Duration took{};
  Facts facts() const;
};
// Takes as long as the file goes on coming.
Result<RehearsedImage> prove_image(Journal& journal, DeadMan& dead_man,
                                   const Configuration& configuration, ProvenSource& source,
                                   const ProvenDisk& disk);

// The commit point was passed: the disk's old partition table is gone. An error means that the disk
// was touched.
Result<BegunInstallation> commit(DeadMan& dead_man, ProvenSource& source, ProvenDisk& disk);

// The whole image but its withheld ends is on the medium.
struct Installed {
  CopiedImage image;
  Facts facts() const;
};
Result<Installed> install(Journal& journal, const BegunInstallation& begun,
                          const ProvenSource& source);

// Digests hold and the disk returns what was written; then the withheld ends are written, too, but
// for the first sector.
struct Verified {
  Duration took;
  std::string proof;  // "sha256,readback"
  UnbootableImage image;
  Facts facts() const;
};
Result<Verified> verify(Journal& journal, const Configuration& configuration,
                        const Installed& installed, const ProvenDisk& disk);

// Files of the user are in the image's file systems.
struct FilesPut {
  PutReport report;
  Facts facts() const;
};
// `disk` has a PutStep.
Result<FilesPut> put_files(const ProvenDisk& disk, const Verified& verified);

// The disk can boot; it is closed, the kernel has read its new partition table, and the firmware
// knows of it.
struct Finished {
  size_t partitions = 0;
  FirmwareChange firmware;
  Facts facts() const;
};
Result<Finished> finish(const Mounts& mounts, ProvenDisk& disk, Verified verified);

}  // namespace curlingiron
