#include "init/rescue_system.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "formats/rescue_shell.h"
#include "init/rescue.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/mount.h"
#include "sys/power.h"
#include "sys/process.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr const char* kHostKey = "/etc/dropbear/host_key";
// A path that needs longer is looked for once more.
constexpr Duration kNetworkPatience = std::chrono::minutes(2);

// Programs under their names, places that they expect, terminals for those who log in.
Result<void> furnish(const UniqueFd& root) {
  for (const char* folder : {"bin", "sbin", "usr", "usr/bin", "usr/sbin", "etc", "etc/dropbear",
                             "root", "tmp", "run", "var", "dev/pts"}) {
    if (!exists(root, folder)) TRY(make_directory(root, folder));
  }
  TRY(mount_kernel_fs("devpts", "/dev/pts"));
  ::setenv("PATH", kProgramPath, 1);
  int status = TRY(run_quiet_on_success({kBusybox, "--install", "-s"}));
  if (status != 0) return Error(concat(kBusybox, " --install: ended with status ", status));
  return {};
}

// The line of dropbearkey that says it: "Fingerprint: SHA256:..."
std::string fingerprint_in(std::string_view text) {
  constexpr std::string_view kBegin = "Fingerprint: ";
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with(kBegin)) return printable(line.substr(kBegin.size()), 100);
  }
  return "of an unknown fingerprint";
}

// A key of this boot alone: none that is in a file which others may have.
Result<std::string> make_host_key() {
  ProgramOutput made = TRY(run_for_output({kSshKeyMaker, "-t", "ed25519", "-f", kHostKey}));
  if (made.status != 0) {
    return Error(concat(kSshKeyMaker, ": ended with status ", made.status, ": ",
                        printable(trim(made.text), 200)));
  }
  return fingerprint_in(made.text);
}

Result<std::string> start_ssh_server(const UniqueFd& root) {
  TRY(furnish(root));
  TRY(leave_on_signals());
  std::string fingerprint = TRY(make_host_key());
  // In the foreground, for keys alone, and what it has to say goes to the consoles.
  TRY(start_program({kSshServer, "-F", "-E", "-s", "-r", kHostKey}));
  return fingerprint;
}

// Until there is one.
std::unique_ptr<Network> join_some_network(const UniqueFd& root,
                                           const Configuration& configuration) {
  std::string last;
  for (;;) {
    Result<NetworkOrder> order = network_order(configuration);
    if (!order.ok()) {
      log_error(order.error().message());
      return nullptr;
    }
    order.value().sources.clear();
    Result<std::unique_ptr<Network>> network =
        Network::join(root, std::move(order).value(), now() + kNetworkPatience);
    if (network.ok()) return std::move(network).value();
    if (network.error().message() != last) log_error(network.error().message());
    last = network.error().message();
  }
}

}  // namespace

bool has_rescue_system(const UniqueFd& root) { return exists(root, kSshServer + 1); }

void run_rescue_system(Journal& journal, const Mounts& mounts, Configuration& configuration) {
  journal.begin("rescue");
  Result<std::string> server = start_ssh_server(mounts.root);
  if (!server.ok()) journal.failed("rescue", server.error());
  if (exists(mounts.root, kRescueProgram + 1)) {
    Result<void> started = start_program({kRescueProgram});
    if (!started.ok()) log_error(started.error().message());
  }
  std::unique_ptr<Network> network;
  // Consoles do not wait for it.
  Result<Thread> joining = Thread::start([&] {
    network = join_some_network(mounts.root, configuration);
    if (network == nullptr || !server.ok()) return;
    std::string address = network->connection().address;
    journal.ok("rescue", {{"addr", address}, {"hostkey", server.value()}});
    log_info(concat("to log in: ssh root@", address.substr(0, address.find('/'))));
  });
  if (!joining.ok()) log_error(joining.error().message());
  for (;;) {
    Result<Rescue> shell = offer_shell(journal, mounts.root, {std::nullopt, "the system stays up"});
    if (shell.ok() && shell.value() == Rescue::Ended) continue;
    // No console can be read.
    if (!shell.ok()) log_error(shell.error().message());
    hold();
  }
}

}  // namespace curlingiron
