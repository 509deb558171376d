// What /init says: one line a phase, for people and for tests, to every console and to /dev/kmsg.
//   curlingiron: phase=network status=ok t=1.204 if=eth0 addr=10.0.2.15/24 via=dhcp4
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace curlingiron {

// A KEY=VALUE of a journal line; values with blanks are quoted.
struct Fact {
  std::string key;
  std::string value;
};
using Facts = std::vector<Fact>;

// "phase=NAME status=STATUS t=SECONDS KEY=VALUE…"; pure.
std::string format_phase_line(std::string_view phase, std::string_view status, Time at,
                              const Facts& facts);

// Thread-safe. Writing never blocks for long and never fails: a dead UART must not stop the
// install.
class Journal final : public LogSink {
 public:
  Journal();
  // Opens the consoles that sys/class/tty/console/active names, and dev/kmsg; before that,
  // /dev/console is all there is.
  void open_consoles(const UniqueFd& root);

  // The phase that is under way: what a hang is blamed on.
  void begin(std::string_view phase);
  std::string current_phase();
  void ok(std::string_view phase, const Facts& facts);
  void failed(std::string_view phase, const Error& error);

  void log(LogLevel level, std::string_view line) override;
  // Replaces the last progress line on a virtual terminal; a new line every kSerialInterval
  // elsewhere.
  void progress(std::string_view line);
  // Everything written has left the serial ports (bounded).
  void flush();
  // As flush(); what a screen says before it goes dark can be read, too.
  void flush_for_readers();

 private:
  struct Console {
    UniqueFd fd;
    bool screen = false;  // a virtual terminal: lines can be overwritten
    Time last_progress{};
  };
  void write_line(std::string_view line);
  bool has_screen();

  std::mutex mutex_;
  std::vector<Console> consoles_;
  UniqueFd kmsg_;
  std::string phase_;
  bool progress_shown_ = false;
};

}  // namespace curlingiron
