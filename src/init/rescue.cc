#include "init/rescue.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "formats/rescue_shell.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/terminal.h"

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

struct Console {
  std::string name;  // "ttyS0"
  UniqueFd input;
};

// Terminals of /dev that are consoles. tty0 stands for the one on the screen, and cannot be a
// session's own.
std::vector<Console> open_consoles(const UniqueFd& root) {
  std::vector<Console> consoles;
  Result<std::string> active = read_line(root, "sys/class/tty/console/active");
  if (!active.ok()) return consoles;
  for (std::string_view word : split_blank(active.value())) {
    std::string name(word);
    if (name == "tty0") {
      Result<std::string> shown = read_line(root, "sys/class/tty/tty0/active");
      if (shown.ok()) name = shown.value();
    }
    Result<UniqueFd> input = open_at(root, concat("dev/", name), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!input.ok()) continue;
    discard_input(input.value());
    consoles.push_back({std::move(name), std::move(input).value()});
  }
  return consoles;
}

// The console where a line was typed; nullopt when there was none in time.
Result<std::optional<std::string>> wait_for_enter(std::vector<Console> consoles,
                                                  std::optional<Duration> patience) {
  UnwatchedChildren unwatched;
  std::optional<Time> end;
  if (patience) end = now() + *patience;
  while (!consoles.empty()) {
    std::vector<PollItem> items;
    for (const Console& console : consoles) items.push_back({console.input.get()});
    std::optional<Duration> left;
    if (end) left = std::max<Duration>(*end - now(), 0s);
    if (!TRY(poll_items(items, left))) break;
    for (size_t i = items.size(); i-- > 0;) {
      if (!items[i].ready) continue;
      uint8_t line[256];
      Result<size_t> n = read_some(consoles[i].input, line);
      if (n.ok() && n.value() != 0) return std::optional(consoles[i].name);
      // Hung up: nobody is there.
      consoles.erase(consoles.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return std::optional<std::string>();
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
