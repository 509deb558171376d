// A payload that build made, to be started here.
#pragma once

#include <string>

#include "base/result.h"
#include "formats/network_config.h"
#include "forms/bootable.h"
#include "host/hand_over.h"
#include "host/settings.h"
#include "payload/initramfs.h"
#include "payload/initramfs_contents.h"
#include "payload/kernel.h"

namespace curlingiron {

struct GivenPayload {
  std::string path;  // as it was typed
  Bootable bootable;
  KernelImage kernel;  // its path: of the file that holds it
  InitramfsContents contents;
};

// A directory (forms/tree.h) or a unified kernel image. Errors: neither of both, a kernel or an
// initramfs that is none, one that is not for the other.
Result<GivenPayload> read_payload(const std::string& path);

// Its initramfs, which is taken out of it, with settings and a network for this machine. An error:
// it lacks a module that the network needs, or what is handed over.
Result<Initramfs> equip_payload(GivenPayload& given, const CheckedSettings& checked,
                                const std::string& config, const NetworkConfig& network,
                                const HandOver& hand_over);
// The same for an initramfs that is to be built.
void add_settings(const CheckedSettings& checked, const std::string& config,
                  const NetworkConfig& network, InitramfsPlan& build);

}  // namespace curlingiron
