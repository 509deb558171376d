// Messages for people. Where they go is the program's choice, made once in its main.
#pragma once

#include <string_view>

#include "base/result.h"

namespace curlingiron {

enum class LogLevel { Debug, Info, Warning, Error };

class LogSink {
 public:
  virtual ~LogSink() = default;
  // One line without its newline, and without control characters. Called from any thread; must not
  // fail.
  virtual void log(LogLevel level, std::string_view line) = 0;
};

// Borrowed until replaced; nullptr restores the default, which writes to standard error.
void set_log_sink(LogSink* sink);
void set_log_level(LogLevel lowest);

void log_debug(std::string_view line);
void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);
// A warning that the program does not say twice.
void log_warning_once(std::string_view line);
// "WHAT: MESSAGE": a failure that is tolerated, said aloud.
void log_warning(std::string_view what, const Error& error);

}  // namespace curlingiron
