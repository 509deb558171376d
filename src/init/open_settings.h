// Settings that were left open, from where a machine can find them: its hypervisor, a DHCP server,
// somebody at a console.
#pragma once

#include <string>

#include "base/result.h"
#include "formats/settings.h"
#include "init/dead_man.h"
#include "init/journal.h"
#include "init/phases.h"
#include "sys/fd.h"

namespace curlingiron {

// Where no image or no disk is named, they are looked for one after the other in
//   OEM strings of SMBIOS (formats/smbios.h), and files that QEMU shows below opt/curlingiron/KEY
//   and opt/io.systemd.credentials/curlingiron.KEY (fw_cfg);
//   option 224 of a DHCP server, with words as on the kernel's command line (with a system to log
//   in to only where a public key says what may be installed);
// and at last somebody at a console is asked; where the initramfs holds a system to log in to
// (init/rescue_system.h), that is what the machine is for then, and the settings stay open. An
// error: a word of the hypervisor's that is no setting, or nobody said anything in time.
struct SettingsFound {
  std::string from;  // "firmware", "DHCP", "ttyS0", "nobody"
  Facts facts() const;
};
Result<SettingsFound> find_settings(DeadMan& dead_man, const Mounts& mounts,
                                    Configuration& configuration, const DriversRunning& running);

}  // namespace curlingiron
