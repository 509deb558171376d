// curlingiron: the command.
#include "base/advice.h"
#include "host/build.h"
#include "host/capture.h"
#include "host/flash.h"
#include "host/inspect.h"
#include "host/options.h"
#include "host/run.h"
#include "host/start.h"
#include "host/write.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace {

using namespace curlingiron;

struct Dispatch {
  int operator()(const FlashOptions& options) const { return flash(options); }
  int operator()(const StartOptions& options) const { return start(options); }
  int operator()(const WriteOptions& options) const { return write(options); }
  int operator()(const BuildOptions& options) const { return build(options); }
  int operator()(const InspectOptions& options) const { return inspect(options); }
  int operator()(const CaptureOptions& options) const { return capture(options); }
  int operator()(const RunOptions& options) const { return run(options); }
  int operator()(const Usage& usage) const { return usage.exit_code; }
};

}  // namespace

int main(int argc, char** argv) {
  ignore_broken_pipes();
  give_large_blocks_back();
  set_setting_style(SettingStyle::Option);
  return std::visit(Dispatch(), parse_command(argc, argv));
}
