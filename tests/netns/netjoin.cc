// What /init does from the network phase to the end of the download, in the network namespace it is
// started in, where veth pairs count as NICs:
//   netjoin --root DIR [--ca FILE] [--network FILE] KEY=VALUE...
// KEY=VALUE are settings of /init. Prints the journal's lines, then "sha256=HEX bytes=N" of the
// file as served and "ready"; at the end of standard input it leaves the network. It never sets the
// clock.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/network_config.h"
#include "formats/settings.h"
#include "image/origin.h"
#include "image/stream.h"
#include "init/phases.h"
#include "io/digest.h"
#include "net/http/source.h"
#include "net/join/network.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

struct Arguments {
  std::string root = "/";
  std::string ca;
  std::string network;
  std::vector<std::string> settings;
};

Result<Arguments> parse_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    std::string* into = word == "--root"      ? &arguments.root
                        : word == "--ca"      ? &arguments.ca
                        : word == "--network" ? &arguments.network
                                              : nullptr;
    if (into == nullptr) {
      arguments.settings.push_back(std::move(word));
    } else if (++i < argc) {
      *into = argv[i];
    } else {
      return Error(concat(word, " takes a value"));
    }
  }
  return arguments;
}

void say(const std::string& line) {
  std::printf("curlingiron: %s\n", line.c_str());
  std::fflush(stdout);
}

template <typename Phase>
auto run_phase(std::string_view name, Phase phase) {
  auto evidence = phase();
  if (evidence.ok()) {
    say(format_phase_line(name, "ok", now(), evidence.value().facts()));
  } else {
    say(format_phase_line(name, "failed", now(), {{"reason", evidence.error().message()}}));
  }
  return evidence;
}

// The file as served, to its end.
Result<void> download(const Settings& settings, HttpOptions options) {
  ImageOrigin origin = TRY(parse_origin(settings.sources));
  std::unique_ptr<HttpSource> source =
      TRY(HttpSource::open(origin.mirrors, options, now() + settings.deadline));
  source->set_deadline(std::nullopt);
  MessageDigest digest(DigestKind::Sha256);
  ByteVector chunk(256_KiB);
  for (;;) {
    size_t count = TRY(source->read(chunk));
    if (count == 0) break;
    digest.update(ConstBytes(chunk).first(count));
  }
  std::printf("sha256=%s bytes=%llu resumptions=%u\n", to_hex(digest.finish()).c_str(),
              static_cast<unsigned long long>(source->delivered()), source->resumptions());
  std::fflush(stdout);
  return {};
}

Result<void> run(const Arguments& arguments) {
  Configuration configuration;
  Settings& settings = configuration.settings;
  for (const std::string& setting : arguments.settings) {
    size_t equals = setting.find('=');
    std::string value = equals == std::string::npos ? "" : setting.substr(equals + 1);
    TRY(apply_setting(setting.substr(0, equals), value, settings));
  }
  UniqueFd world = TRY(open_root("/"));
  if (!arguments.network.empty()) {
    std::string text = TRY(read_text(world, TRY(real_path(arguments.network))));
    settings.network = TRY_CONTEXT(arguments.network, parse_network_config(text));
  }
  if (settings.debug) set_log_level(LogLevel::Debug);
  configuration.deadline = now() + settings.deadline;

  // The test's own directory, with this namespace's proc/ and sys/ in it.
  Mounts mounts{TRY_CONTEXT(arguments.root, open_root(arguments.root))};
  ByteVector bundle;
  if (!arguments.ca.empty()) bundle = TRY(read_file(world, arguments.ca, 16_MiB));
  configuration.access = TRY(read_access(bundle, {}));
  NetworkOrder order = TRY(network_order(configuration));
  order.nics = NicRule::AnyEthernet;
  order.clock = ClockRule::Keep;
  HttpOptions http = order.http;
  Joined joined = TRY(run_phase("network", [&]() -> Result<Joined> {
    return Joined{TRY(Network::join(mounts.root, std::move(order), configuration.deadline))};
  }));
  http.paths = joined.network.get();
  http.headers = settings.headers;
  TRY(download(settings, http));
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  joined.network->leave();
  return {};
}

}  // namespace
}  // namespace curlingiron

int main(int argc, char** argv) {
  using namespace curlingiron;
  ignore_broken_pipes();
  Result<Arguments> arguments = parse_arguments(argc, argv);
  Result<void> result = arguments.ok() ? run(arguments.value()) : Result<void>(arguments.error());
  if (result.ok()) return 0;
  log_error(result.error().message());
  return 1;
}
