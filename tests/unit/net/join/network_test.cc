// Network::join against a real dnsmasq over veth pairs, in network namespaces of their own.
#include "net/join/network.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "formats/ip_settings.h"
#include "support/shell.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

class QuietLog final : public LogSink {
 public:
  QuietLog() { set_log_sink(this); }
  ~QuietLog() override { set_log_sink(nullptr); }
  void log(LogLevel level, std::string_view line) override {
    std::lock_guard lock(mutex_);
    if (level >= LogLevel::Warning) text_ += concat(line, '\n');
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

// The test's thread lives in a namespace of its own (the machine); a child process holds another
// (the server's side).
class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "network namespaces need root";
    if (std::system("command -v dnsmasq >/dev/null && command -v ip >/dev/null") != 0) {
      GTEST_SKIP() << "dnsmasq or ip is not installed; run scripts/setup";
    }
    home_ = std::move(open_path("/proc/thread-self/ns/net", O_RDONLY)).value();
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespaces here";
    holder_ = hold_namespace();
    ASSERT_EQ(std::system(concat("mkdir -p ", directory_.path(), "/etc").c_str()), 0);
    ASSERT_EQ(std::system(concat("ln -s /proc ", directory_.path(), "/proc").c_str()), 0);
    root_ = std::move(open_root(directory_.path())).value();
    order_.nics = NicRule::AnyEthernet;
    order_.clock = ClockRule::Keep;
  }

  void TearDown() override {
    for (pid_t child : {server_, holder_}) {
      if (child <= 0) continue;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    if (!home_.valid()) return;
    ASSERT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
  }

  // A process that does nothing but be in a new namespace.
  static pid_t hold_namespace() {
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return -1;
    pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      bool good = ::unshare(CLONE_NEWNET) == 0;
      [[maybe_unused]] ssize_t n = ::write(ready[1], good ? "y" : "n", 1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char answer = 0;
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ready[0]);
    return child;
  }

  std::string on_server(const std::string& command) {
    return output_of(concat("nsenter -t ", holder_, " -n ", command));
  }

  // A NIC whose cable ends at the server's sN.
  void plug(int n, const std::string& server_address = "") {
    output_of(concat("ip link add eth", n, " type veth peer name s", n, " netns ", holder_));
    if (!server_address.empty()) {
      on_server(concat("ip addr add ", server_address, " dev s", n));
      on_server(concat("ip link set s", n, " up"));
    }
  }

  // A T1 below 3 s is not sent by dnsmasq.
  void start_dnsmasq(const std::string& range, const std::vector<std::string>& options = {}) {
    std::vector<std::string> words = {"nsenter",
                                      "-t",
                                      concat(holder_),
                                      "-n",
                                      "dnsmasq",
                                      "--keep-in-foreground",
                                      "--conf-file=/dev/null",
                                      "--port=0",
                                      "--no-ping",
                                      "--user=root",
                                      "--dhcp-authoritative",
                                      "--pid-file=",
                                      concat("--dhcp-leasefile=", directory_.path(), "/leases"),
                                      concat("--log-facility=", directory_.path(), "/dnsmasq.log"),
                                      concat("--dhcp-range=", range)};
    words.insert(words.end(), options.begin(), options.end());
    server_ = ::fork();
    if (server_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    // It listens when its socket is there.
    for (int i = 0; i < 200; ++i) {
      if (on_server("cat /proc/net/udp").find(":0043 ") != std::string::npos) return;
      std::this_thread::sleep_for(10ms);  // dnsmasq says nothing when it listens
    }
    FAIL() << "dnsmasq does not start: " << server_log();
  }

  std::string server_log() {
    Result<std::string> text = read_text(root_, "dnsmasq.log");
    return text.ok() ? text.value() : "";
  }

  Result<std::unique_ptr<Network>> join(Duration limit = 5s) {
    return Network::join(root_, order_, now() + limit);
  }

  std::string resolver_settings() { return read_text(root_, "etc/resolv.conf").value(); }

  // Waits until the text is there.
  bool eventually(const std::function<bool()>& condition, Duration limit = 8s) {
    for (Time end = now() + limit; now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(20ms);  // files and the kernel's tables have no event here
    }
    return condition();
  }

  QuietLog log_;
  TemporaryDirectory directory_ = std::move(TemporaryDirectory::create()).value();
  UniqueFd root_;
  UniqueFd home_;
  NetworkOrder order_;  // without a source, the first way out is taken
  pid_t holder_ = -1;
  pid_t server_ = -1;
};

TEST_F(NetworkTest, TakesALease) {
  plug(0, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m", {"--dhcp-option=option:dns-server,10.9.0.2,10.9.0.3",
                                           "--domain=example.test", "--dhcp-option=26,1400"});
  ASSERT_TRUE(apply_nameserver("192.0.2.53", order_.config).ok());
  order_.hostname = "iron";
  Time before = now();
  Result<std::unique_ptr<Network>> network = join();
  Duration took = now() - before;
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_LT(took, Duration(1s));
  RecordProperty("join_ms", static_cast<int>(took / 1ms));
  const Connection& connection = network.value()->connection();
  EXPECT_EQ(connection.interface, "eth0");
  EXPECT_EQ(connection.address, "10.9.0.50/24");
  EXPECT_EQ(connection.gateway, "10.9.0.1");
  EXPECT_EQ(connection.via, "dhcp4");
  EXPECT_THAT(resolver_settings(), HasSubstr("nameserver 192.0.2.53\nnameserver 10.9.0.2\n"
                                             "nameserver 10.9.0.3\nsearch example.test\n"));
  std::string routes = output_of("ip -4 route");
  EXPECT_THAT(routes, HasSubstr("default via 10.9.0.1 dev eth0"));
  EXPECT_THAT(routes, HasSubstr("10.9.0.0/24 dev eth0"));
  EXPECT_THAT(output_of("ip link show eth0"), HasSubstr("mtu 1400"));
  EXPECT_THAT(output_of("ip link show lo"), HasSubstr("LOWER_UP"));
  EXPECT_THAT(read_text(root_, "leases").value(), HasSubstr("iron"));
  network.value()->leave();
  EXPECT_EQ(output_of("ip -4 -br addr show eth0").find("10.9"), std::string::npos);
  EXPECT_EQ(log_.text(), "");
}

TEST_F(NetworkTest, WithoutServerTheReportTellsHowFarItGot) {
  plug(0, "10.9.0.1/24");
  plug(1);
  Result<std::unique_ptr<Network>> network = join(1800ms);
  ASSERT_FALSE(network.ok());
  EXPECT_THAT(network.error().message(), HasSubstr("eth0: IPv4: no DHCP offer after "));
  EXPECT_THAT(network.error().message(), HasSubstr(" discovers"));
  EXPECT_THAT(network.error().message(), HasSubstr("eth1: no carrier"));
}

TEST_F(NetworkTest, WithoutNicTheDriverIsMissing) {
  Result<std::unique_ptr<Network>> network = join(50ms);
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().message(), "no network card found; its driver may be missing");
}

TEST_F(NetworkTest, ANicThatAppearsLaterIsTakenAtOnce) {
  // As a driver that is still loading: the device comes only after the join has begun.
  std::thread later([this] {
    std::this_thread::sleep_for(200ms);  // the join has begun by now; nothing shows it
    std::system(concat("ip link add eth0 type veth peer name s0 netns ", holder_, " && nsenter -t ",
                       holder_, " -n ip addr add 10.9.0.1/24 dev s0 && nsenter -t ", holder_,
                       " -n ip link set s0 up")
                    .c_str());
    start_dnsmasq("10.9.0.50,10.9.0.60,2m");
  });
  Result<std::unique_ptr<Network>> network = join();
  later.join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_EQ(network.value()->connection().interface, "eth0");
}

TEST_F(NetworkTest, ClasslessRoutesReplaceTheRouter) {
  plug(0, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m",
                {"--dhcp-option=option:router,10.9.0.9",
                 "--dhcp-option=121,198.51.100.7/24,172.31.1.1,172.31.1.1/32,0.0.0.0,0.0.0.0/0,"
                 "172.31.1.1"});
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  std::string routes = output_of("ip -4 route");
  EXPECT_THAT(routes, HasSubstr("default via 172.31.1.1 dev eth0"));
  EXPECT_THAT(routes, HasSubstr("172.31.1.1 dev eth0 proto dhcp scope link"));
  EXPECT_THAT(routes, HasSubstr("198.51.100.0/24 via 172.31.1.1"));
  EXPECT_EQ(routes.find("10.9.0.9"), std::string::npos);
  EXPECT_EQ(network.value()->connection().gateway, "172.31.1.1");
}

TEST_F(NetworkTest, AHostAddressReachesItsGatewayOnTheLink) {
  plug(0, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m", {"--dhcp-option-force=option:netmask,255.255.255.255"});
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_EQ(network.value()->connection().address, "10.9.0.50/32");
  EXPECT_THAT(output_of("ip -4 route"), HasSubstr("default via 10.9.0.1 dev eth0"));
  EXPECT_THAT(output_of("ip -4 route get 203.0.113.9"), HasSubstr("via 10.9.0.1 dev eth0"));
}

TEST_F(NetworkTest, RenewsAShortLease) {
  plug(0, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m", {"--dhcp-option=option:T1,3"});
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  auto acknowledged = [&] {
    std::string log = server_log();
    size_t count = 0;
    for (size_t at = 0; (at = log.find("DHCPACK(", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_TRUE(eventually([&] { return acknowledged() >= 2; })) << server_log();
  EXPECT_THAT(output_of("ip -4 -br addr show eth0"), HasSubstr("10.9.0.50/24"));
}

TEST_F(NetworkTest, ARefusedRenewalEndsInANewAddress) {
  plug(0, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m", {"--dhcp-option=option:T1,3"});
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  // Another server takes over, which knows nothing of the lease and has other addresses.
  ::kill(server_, SIGKILL);
  ::waitpid(server_, nullptr, 0);
  std::system(concat("rm -f ", directory_.path(), "/leases").c_str());
  start_dnsmasq("10.9.0.70,10.9.0.70,2m");
  EXPECT_TRUE(eventually([&] {
    return output_of("ip -4 -br addr show eth0").find("10.9.0.70/24") != std::string::npos;
  })) << server_log();
  EXPECT_EQ(output_of("ip -4 -br addr show eth0").find("10.9.0.50"), std::string::npos);
  EXPECT_THAT(log_.text(), HasSubstr("refused the address"));
}

TEST_F(NetworkTest, TheSecondNicIsAFallback) {
  plug(0, "10.8.0.1/24");
  plug(1, "10.9.0.1/24");
  start_dnsmasq("10.9.0.50,10.9.0.50,2m", {"--dhcp-range=10.8.0.50,10.8.0.50,2m"});
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_TRUE(eventually([&] {
    std::string routes = output_of("ip -4 route");
    return routes.find("via 10.8.0.1 ") != std::string::npos &&
           routes.find("via 10.9.0.1 ") != std::string::npos;
  }));
  std::string routes = output_of("ip -4 route show default");
  EXPECT_THAT(routes, HasSubstr(concat("dev ", network.value()->connection().interface,
                                       " proto dhcp src ")));
  EXPECT_THAT(routes, HasSubstr("metric 20100"));
  EXPECT_THAT(routes, HasSubstr("metric 20200"));
}

TEST_F(NetworkTest, StaticAddress) {
  plug(0);
  plug(1, "10.9.0.1/24");
  std::string hostname;
  ASSERT_TRUE(apply_ip("10.9.0.77::10.9.0.1:24:::none:10.9.0.2", order_.config, hostname).ok());
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_EQ(network.value()->connection().interface, "eth1");
  EXPECT_EQ(network.value()->connection().address, "10.9.0.77/24");
  EXPECT_EQ(network.value()->connection().via, "static");
  EXPECT_THAT(output_of("ip -4 route"), HasSubstr("default via 10.9.0.1 dev eth1"));
  EXPECT_THAT(resolver_settings(), HasSubstr("nameserver 10.9.0.2\n"));
}

TEST_F(NetworkTest, StaticAddressByMac) {
  plug(0, "10.8.0.1/24");
  plug(1, "10.9.0.1/24");
  output_of("ip link set eth1 address 02:00:00:00:00:AB");
  std::string hostname;
  ASSERT_TRUE(apply_ip("10.9.0.77:::24::02-00-00-00-00-ab:none", order_.config, hostname).ok());
  Result<std::unique_ptr<Network>> network = join();
  ASSERT_TRUE(network.ok()) << network.error().message();
  EXPECT_EQ(network.value()->connection().interface, "eth1");
}

TEST_F(NetworkTest, StaticAddressOfAMissingNicNamesIt) {
  plug(0, "10.8.0.1/24");
  std::string hostname;
  ASSERT_TRUE(apply_ip("10.9.0.77:::24::eth7:none", order_.config, hostname).ok());
  Result<std::unique_ptr<Network>> network = join(100ms);
  ASSERT_FALSE(network.ok());
  EXPECT_THAT(network.error().message(), HasSubstr("no network card is called eth7"));
}

}  // namespace
}  // namespace curlingiron
