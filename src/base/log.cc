#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <string>

#include "base/text.h"

namespace curlingiron {
namespace {

class StandardError final : public LogSink {
 public:
  void log(LogLevel level, std::string_view line) override {
    std::string text = "curlingiron: ";
    if (level == LogLevel::Warning) text += "warning: ";
    if (level == LogLevel::Error) text += "error: ";
    text += line;
    text += '\n';
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
};

StandardError standard_error;
std::atomic<LogSink*> current_sink{&standard_error};
std::atomic<LogLevel> lowest_level{LogLevel::Info};

// A name of a file, say, must not move the cursor of who reads it.
std::string without_controls(std::string_view line) {
  std::string text(line);
  std::ranges::replace_if(
      text, [](char c) { return is_control(c) && c != '\n'; }, '?');
  return text;
}

void log(LogLevel level, std::string_view line) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  current_sink.load(std::memory_order_acquire)->log(level, without_controls(line));
}

}  // namespace

void set_log_sink(LogSink* sink) {
  current_sink.store(sink != nullptr ? sink : &standard_error, std::memory_order_release);
}

void set_log_level(LogLevel lowest) { lowest_level.store(lowest, std::memory_order_relaxed); }

void log_debug(std::string_view line) { log(LogLevel::Debug, line); }
void log_info(std::string_view line) { log(LogLevel::Info, line); }
void log_warning(std::string_view line) { log(LogLevel::Warning, line); }
void log_error(std::string_view line) { log(LogLevel::Error, line); }

void log_warning_once(std::string_view line) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> said;
  {
    std::lock_guard lock(mutex);
    if (!said.emplace(line).second) return;
  }
  log_warning(line);
}

void log_warning(std::string_view what, const Error& error) {
  log(LogLevel::Warning, error.with_context(what).message());
}

}  // namespace curlingiron
