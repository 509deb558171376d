// A shell for whoever sits at the machine when something has failed (onfail=shell). It is there
// when the initramfs was built with one: --add /bin/busybox:/bin/sh.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "init/journal.h"
#include "sys/fd.h"

namespace curlingiron {

// How long the old system waits for somebody to ask for a shell.
inline constexpr Duration kShellPatience = 60s;

struct ShellOffer {
  std::optional<Duration> patience;  // nullopt: for as long as it takes
  std::string_view afterwards;       // "the old system starts again": what follows it
};

// Ended: somebody used the shell and left it. Declined: nobody pressed Enter in time, or no console
// can be read.
enum class Rescue { Ended, Declined };

// Says on every console that a shell is to be had, and starts it on the one where Enter is pressed
// first. An error: there is none in the initramfs, or it does not run.
Result<Rescue> offer_shell(Journal& journal, const UniqueFd& root, const ShellOffer& offer);

}  // namespace curlingiron
