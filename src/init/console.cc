#include "init/console.h"

#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/terminal.h"

namespace curlingiron {

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

}  // namespace curlingiron
