#include "init/rescue.h"

#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "formats/rescue_shell.h"
#include "init/console.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

Result<const ShellCommand*> find_shell(const UniqueFd& root) {
  for (const ShellCommand& shell : kShells) {
    // Below `root` by a relative path; links lead through the same root, which is that of /init.
    Result<FileStatus> status = file_status(root, shell.path + 1);
    if (status.ok() && status.value().type == FileType::Regular &&
        (status.value().permissions & 0111) != 0) {
      return &shell;
    }
  }
  return Error(
      "onfail=shell: this initramfs holds no shell; build it with --add /bin/busybox:/bin/sh");
}

}  // namespace

Result<Rescue> offer_shell(Journal& journal, const UniqueFd& root, const ShellOffer& offer) {
  const ShellCommand& shell = *TRY(find_shell(root));
  std::vector<Console> consoles = open_consoles(root);
  std::string within =
      offer.patience ? concat(" within ", offer.patience->count() / Duration(1s).count(), " s")
                     : "";
  log_info(concat("press Enter", within, " for a shell on this console; else ", offer.afterwards));
  std::optional<std::string> console = TRY(wait_for_enter(std::move(consoles), offer.patience));
  if (!console) return Rescue::Declined;

  journal.ok("rescue", {{"shell", shell.path}, {"console", *console}});
  log_info(concat("no deadline is left; \"exit\" ends the shell, then ", offer.afterwards));
  journal.flush();
  std::vector<std::string> command = {shell.path};
  if (shell.argument != nullptr) command.emplace_back(shell.argument);
  // A virtual terminal is the kernel's own; what is at the other end of a line is not known.
  bool screen = console->starts_with("tty") && console->find_first_of("0123456789") == 3;
  Result<int> ended = run_on_terminal(
      concat("/dev/", *console), command,
      {concat("PATH=", kProgramPath), "HOME=/", concat("TERM=", screen ? "linux" : "vt100")});
  // The end of a session hangs up its terminal, for everybody who has it open.
  journal.open_consoles(root);
  if (!ended.ok()) return ended.error();
  return Rescue::Ended;
}

}  // namespace curlingiron
