#include "host/capture.h"

#include <cstdio>

#include "base/log.h"
#include "formats/network_config.h"
#include "net/capture/capture.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

Result<void> run_capture(const CaptureOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  CapturedNetwork captured = TRY(capture_network(root));
  for (const std::string& note : captured.notes) log_info(note);
  std::string text = format_network_config(captured.config);
  if (options.output.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return {};
  }
  return write_file_atomically(options.output, as_bytes(text));
}

}  // namespace

int capture(const CaptureOptions& options) {
  Result<void> result = run_capture(options);
  if (result.ok()) return kExitDone;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
