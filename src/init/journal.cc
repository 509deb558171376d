#include "init/journal.h"

#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/terminal.h"

namespace curlingiron {
namespace {

constexpr Duration kSerialInterval = 10s;
constexpr size_t kKmsgLine = 900;  // the kernel refuses records of more than about 1 KiB
// A screen goes dark at a restart: what it says last stays that long.
constexpr Duration kReadingTime = 5s;

// What a disk or a server sent must neither forge a line nor steer a terminal.
std::string safe_value(std::string_view value) {
  std::string safe;
  for (char c : value) safe += is_control(c) ? '?' : c == '"' ? '\'' : c;
  return safe;
}

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" '=") != std::string_view::npos;
}

}  // namespace

std::string format_phase_line(std::string_view phase, std::string_view status, Time at,
                              const Facts& facts) {
  std::string line =
      concat("phase=", phase, " status=", status, " t=", format_seconds(at.time_since_epoch()));
  for (const Fact& fact : facts) {
    std::string value = safe_value(fact.value);
    std::string_view quote = needs_quotes(value) ? "\"" : "";
    line += concat(" ", fact.key, "=", quote, value, quote);
  }
  return line;
}

Journal::Journal() {
  Result<UniqueFd> console = open_path("/dev/console", O_WRONLY | O_NONBLOCK | O_NOCTTY);
  if (!console.ok()) return;
  // What the system before this one wrote last may lack the end of its line.
  write_patiently(console.value(), "\r\n");
  consoles_.push_back({std::move(console).value(), false, {}});
}

void Journal::open_consoles(const UniqueFd& root) {
  std::lock_guard lock(mutex_);
  Result<UniqueFd> kmsg = open_at(root, "dev/kmsg", O_WRONLY | O_NONBLOCK);
  if (kmsg.ok()) kmsg_ = std::move(kmsg).value();
  Result<std::string> active = read_line(root, "sys/class/tty/console/active");
  if (!active.ok()) return;  // /dev/console stays.
  std::vector<Console> found;
  for (std::string_view name : split_blank(active.value())) {
    Result<UniqueFd> fd = open_at(root, concat("dev/", name), O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd.ok()) continue;
    bool screen = name.starts_with("tty") && name.size() > 3 && name[3] >= '0' && name[3] <= '9';
    found.push_back({std::move(fd).value(), screen, {}});
  }
  if (!found.empty()) consoles_ = std::move(found);
}

void Journal::begin(std::string_view phase) {
  std::lock_guard lock(mutex_);
  phase_ = phase;
}

std::string Journal::current_phase() {
  std::lock_guard lock(mutex_);
  return phase_;
}

void Journal::ok(std::string_view phase, const Facts& facts) {
  write_line(format_phase_line(phase, "ok", now(), facts));
}

void Journal::failed(std::string_view phase, const Error& error) {
  write_line(format_phase_line(phase, "failed", now(), {{"reason", error.message()}}));
}

void Journal::log(LogLevel level, std::string_view line) {
  std::string_view mark = level == LogLevel::Warning ? "warning: "
                          : level == LogLevel::Error ? "error: "
                                                     : "";
  write_line(concat(mark, line));
}

void Journal::write_line(std::string_view line) {
  std::lock_guard lock(mutex_);
  std::string text = concat("curlingiron: ", line, "\r\n");
  for (const Console& console : consoles_) {
    if (console.screen && progress_shown_) write_patiently(console.fd, "\r\033[K");
    write_patiently(console.fd, text);
  }
  progress_shown_ = false;
  // Level 7 (debug) keeps the kernel from printing it on the consoles a second time.
  if (kmsg_.valid())
    write_patiently(kmsg_, concat("<7>curlingiron: ", line.substr(0, kKmsgLine), "\n"));
}

void Journal::progress(std::string_view line) {
  std::lock_guard lock(mutex_);
  Time current = now();
  for (Console& console : consoles_) {
    if (console.screen) {
      write_patiently(console.fd, concat("\rcurlingiron: ", line, "\033[K"));
      progress_shown_ = true;
    } else if (current - console.last_progress >= kSerialInterval) {
      console.last_progress = current;
      write_patiently(console.fd, concat("curlingiron: ", line, "\r\n"));
    }
  }
}

void Journal::flush() {
  std::lock_guard lock(mutex_);
  for (const Console& console : consoles_) drain_terminal(console.fd, 2s);
}

void Journal::flush_for_readers() {
  flush();
  // Nothing shows when a person has read a line; this is the only wait in /init without an event.
  if (has_screen()) (void)poll_items({}, kReadingTime);
}

bool Journal::has_screen() {
  std::lock_guard lock(mutex_);
  return std::any_of(consoles_.begin(), consoles_.end(),
                     [](const Console& console) { return console.screen; });
}

}  // namespace curlingiron
