#include "net/join/network.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "net/join/configured.h"
#include "net/join/configured_routes.h"
#include "net/join/floating_address.h"
#include "net/join/interfaces.h"
#include "net/join/link_plan.h"
#include "net/join/made_links.h"
#include "net/join/name_servers.h"
#include "net/join/path_table.h"
#include "net/join/resolver_file.h"
#include "net/join/turns.h"
#include "net/join/unreached.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/nics.h"
#include "sys/route_socket.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// Routes of leases: each interface adds a step, so that the first is preferred. Beyond what is
// configured, as a route with the same metric would take the place of another.
constexpr uint32_t kMetricBase = 20'000;
constexpr uint32_t kMetricStep = 100;
constexpr std::string_view kLoopback = "lo";
constexpr Duration kAfterTrouble = 1s;

// The kernel, as those who decide see it.
class Kernel final : public RouteTarget, public LinkTarget {
 public:
  explicit Kernel(RouteSocket& socket) : socket_(socket) {}

  Result<void> add_route(const Route& route) override {
    return socket_.add_route(route, Rival::Kept);
  }
  Result<void> remove_route(const Route& route) override { return socket_.remove_route(route); }
  Result<void> add_rule(const Rule& rule) override { return socket_.add_rule(rule); }
  Result<void> add_neighbour(const Neighbour& neighbour) override {
    return socket_.add_neighbour(neighbour);
  }
  Result<std::vector<Link>> links() override { return socket_.links(); }
  Result<int> create_vlan(const std::string& name, int lower, const VlanOptions& options) override {
    return socket_.create_vlan(name, lower, options);
  }
  Result<int> create_bond(const std::string& name, const BondOptions& options,
                          int primary) override {
    return socket_.create_bond(name, options, primary);
  }
  Result<void> remove_link(int index) override { return socket_.remove_link(index); }
  Result<void> set_down(int index) override { return socket_.set_down(index); }
  Result<void> set_master(int index, int master) override {
    return socket_.set_master(index, master);
  }

 private:
  RouteSocket& socket_;
};

// The event loop of the network: hands what happens to those who decide. Used by one thread at a
// time.
class Loop {
 public:
  static Result<std::unique_ptr<Loop>> start(const UniqueFd& root, NetworkOrder order) {
    UniqueFd own_root = TRY(duplicate(root));
    // The monitor first: nothing happens between the lists and the watch.
    NetworkMonitor monitor = TRY(NetworkMonitor::open());
    RouteSocket routes = TRY(RouteSocket::open());
    WakeEvent probed = TRY(WakeEvent::create());
    std::unique_ptr<Loop> loop(new Loop(std::move(own_root), std::move(order), std::move(monitor),
                                        std::move(routes), std::move(probed)));
    loop->prepare_kernel();
    TRY_CONTEXT("network", loop->list());
    return loop;
  }

  bool found() const { return paths_.found().has_value(); }
  PathTable& paths() { return paths_; }

  // Waits for the next event, but not beyond `until`, and handles what there is. What goes wrong
  // with that is said, and everything is looked at anew a little later: nothing is worth to end it.
  void step_on(std::optional<Time> until, const WakeEvent& stop) {
    Result<void> done = step(until, stop);
    if (done.ok()) return;
    log_warning("network: looked at anew in a second", done.error());
    std::vector<PollItem> items = {PollItem{stop.fd()}};
    [[maybe_unused]] Result<bool> stopped = poll_items(items, kAfterTrouble);
    if (Result<void> listed = list(); !listed.ok()) log_debug(listed.error().message());
  }

  Error report() const { return describe_unreached(order_.config, interfaces_, made_, paths_); }

  Connection connection() const {
    Connection connection;
    if (!paths_.found()) return connection;
    auto [index, family] = *paths_.found();
    const Interface* interface = interfaces_.at(index);
    if (interface == nullptr) return connection;
    connection.interface = interface->link().name;
    if (std::optional<AssignedAddress> address = interface->usable(family)) {
      connection.address = format_prefix(address->prefix);
      connection.via = interface->via(*address);
    }
    std::optional<IpAddress> gateway = interface->gateway(family);
    if (!gateway || turns_.prefers_captured()) {
      gateway = configured_.gateway(interface->plan().name, interfaces_.floats(*interface), family,
                                    [&](Origin origin) { return interface->has_set(origin); });
    }
    if (gateway) connection.gateway = format_ip(*gateway);
    for (const NameServer& server : name_servers_of(*interface, order_.config, now())) {
      connection.nameservers.push_back(format_ip(server.address));
    }
    return connection;
  }

  // What a DHCP server gives as settings; empty: none of them gives any, or none is asked; nullopt:
  // one may come yet.
  std::optional<std::string> settings() const {
    bool asks = interfaces_.all().empty();  // a card may be found yet
    bool leased = false;
    bool waits = false;
    for (const auto& [index, interface] : interfaces_.all()) {
      if (!interface.settings().empty()) return interface.settings();
      asks = asks || interface.plan().dhcp4;
      leased = leased || interface.has_lease();
      waits = waits || (interface.carrier() && interface.waits_for_lease());
    }
    return !asks || (leased && !waits) ? std::optional<std::string>("") : std::nullopt;
  }

  void leave() {
    for (auto& [index, interface] : interfaces_.all()) {
      interface.leave();
      if (auto down = routes_.set_down(index); !down.ok() && down.error().code() != ENODEV) {
        log_warning(concat(interface.label(), " stays up"), down.error());
      }
    }
    made_.remove_all();
  }

 private:
  Loop(UniqueFd root, NetworkOrder order, NetworkMonitor monitor, RouteSocket routes,
       WakeEvent probed)
      : root_(std::move(root)),
        order_(std::move(order)),
        monitor_(std::move(monitor)),
        routes_(std::move(routes)),
        probed_(std::move(probed)),
        kernel_(routes_),
        context_{root_, routes_, order_.hostname, order_.mtu},
        interfaces_(order_.config),
        made_(order_.config, kernel_, interfaces_, [this](const Link& link) { see(link); }),
        configured_(order_.config, kernel_, interfaces_),
        turns_(order_.config.captured, now()),
        paths_(order_.sources, order_.http, probed_) {}

  void prepare_kernel() {
    // A path without carrier must not swallow what another NIC could carry.
    for (std::string_view family : {"ipv4", "ipv6"}) {
      std::string path = concat("proc/sys/net/", family, "/conf/all/ignore_routes_with_linkdown");
      if (auto set = write_existing(root_, path, "1"); !set.ok()) {
        log_debug(concat(path, " unchanged: ", set.error().message()));
      }
    }
  }

  Result<void> step(std::optional<Time> until, const WakeEvent& stop) {
    std::vector<PollItem> items = {PollItem{stop.fd()}, PollItem{monitor_.fd()},
                                   PollItem{probed_.fd()}};
    for (const auto& [index, interface] : interfaces_.all()) interface.add_descriptors(items);
    std::optional<Duration> timeout;
    if (std::optional<Time> next = earliest_wake(until)) {
      timeout = std::max<Duration>(*next - now(), Duration(0));
    }
    TRY(poll_items(items, timeout));
    if (items[1].ready) TRY_CONTEXT("network", follow());
    Time time = now();
    bool heard = std::any_of(items.begin() + 3, items.end(),
                             [](const PollItem& item) { return item.ready; });
    for (auto& [index, interface] : interfaces_.all()) {
      if (heard) interface.hear(time);
      interface.on_time(time);
    }
    if (made_.wake() && time >= *made_.wake()) made_.make(time);
    take_turns(time);
    place_floating(time);
    // Only what changed in the kernel can make possible what was not before.
    if (std::exchange(kernel_changed_, false)) configured_.set_missing();
    withdraw_captured_paths();
    update_paths(time);
    if (items[2].ready) probed_.clear();
    if (paths_.collect(time)) {
      turns_.on_found();
      write_resolver_file(time);
    }
    raise_clock();
    return {};
  }

  std::optional<Time> earliest_wake(std::optional<Time> until) const {
    std::optional<Time> next = until;
    auto sooner = [&](const std::optional<Time>& time) {
      if (time && (!next || *time < *next)) next = time;
    };
    for (const auto& [index, interface] : interfaces_.all()) sooner(interface.wake());
    sooner(made_.wake());
    sooner(turns_.wake());
    sooner(floating_.wake());
    sooner(paths_.wake());
    return next;
  }

  // --- what the kernel reports

  Result<void> list() {
    kernel_changed_ = true;
    std::vector<Link> links = TRY(routes_.links());
    std::vector<Link> gone;
    for (const auto& [index, interface] : interfaces_.all()) {
      bool there = std::any_of(links.begin(), links.end(),
                               [&, i = index](const Link& link) { return link.index == i; });
      if (!there) gone.push_back(interface.link());
    }
    for (Link& link : gone) {
      link.change = Change::Removed;
      see(link);
    }
    for (const Link& link : links) see(link);
    std::vector<AssignedAddress> addresses = TRY(routes_.addresses());
    for (auto& [index, interface] : interfaces_.all()) {
      interface.see_all(addresses, now());
      forget_routes(interface);
    }
    made_.make(now());
    return {};
  }

  Result<void> follow() {
    Result<NetworkMonitor::Changes> changes = monitor_.changes();
    if (!changes.ok()) {
      if (changes.error().code() != ENOBUFS) log_debug(changes.error().message());
      return list();
    }
    kernel_changed_ = true;
    for (const Link& link : changes.value().links) see(link);
    for (const AssignedAddress& address : changes.value().addresses) {
      Interface* interface = interfaces_.at(address.index);
      if (interface == nullptr) continue;
      interface->see(address, now());
      // Routes that prefer it go with it, and with the last one all.
      if (address.change == Change::Removed) forget_routes(*interface);
    }
    if (!changes.value().links.empty()) made_.make(now());
    return {};
  }

  void forget_routes(const Interface& interface) {
    configured_.forget(interface.plan().name, interfaces_.floats(interface));
  }

  bool is_eligible(const Link& link) const {
    if (!link.ethernet) return false;
    if (made_.holds(link.index)) return true;
    // Somebody else's: the virtual function below a synthetic NIC (Azure), a bridge's port.
    const Interface* known = interfaces_.at(link.index);
    bool member = known != nullptr ? !known->plan().bond.empty()
                                   : find_bond_of(order_.config, link) != nullptr;
    if (link.master != 0 && !member) return false;
    return order_.nics == NicRule::AnyEthernet || is_physical(root_, link.name);
  }

  void prepare_loopback(const Link& link) {
    if (!link.up) {
      if (auto up = routes_.set_up(link.index); !up.ok()) log_warning(link.name, up.error());
    }
    if (interfaces_.loopback()) return;
    interfaces_.set_loopback(link.index);
    for (const AddressConfig& wanted : order_.config.addresses) {
      if (wanted.device != kLoopback) continue;
      if (auto added = routes_.add_address(kernel_address(wanted, link.index)); !added.ok()) {
        log_warning(concat(link.name, ": ", format_prefix(wanted.prefix)), added.error());
      }
    }
  }

  // A link as it is now.
  void see(const Link& link) {
    if (link.loopback) {
      if (link.change == Change::Present) prepare_loopback(link);
      return;
    }
    Interface* interface = interfaces_.at(link.index);
    if (link.change == Change::Removed || !is_eligible(link)) {
      if (interface == nullptr) return;
      log_info(concat(link.name, ": the network card is gone"));
      forget_routes(*interface);
      interfaces_.all().erase(link.index);
      made_.forget(link.index);
      return;
    }
    if (interface == nullptr) interface = &add_interface(link);
    interface->see(link, now());
    if (interface->carrier() && interface->plan().wanted) turns_.on_carrier(now());
  }

  Interface& add_interface(Link link) {
    LinkPlan plan = plan_link(order_.config, link);
    const LinkConfig* about = find_link(order_.config, link);
    bool named = about != nullptr && !(about->mac && plan.name == name_of_mac(*about->mac));
    if (named && plan.name != link.name && !link.up) {
      Result<void> renamed = routes_.rename(link.index, plan.name);
      if (renamed.ok()) {
        log_debug(concat(link.name, " is called ", plan.name, " now"));
        link.name = plan.name;
      } else {
        log_debug(concat(link.name, " keeps its name: ", renamed.error().message()));
      }
    }
    next_metric_ += kMetricStep;
    Interface& interface = interfaces_.all()
                               .try_emplace(link.index, context_, link, plan,
                                            driver_of(root_, link.name), next_metric_)
                               .first->second;
    if (!plan.bond.empty()) return interface;  // up with its bond
    if (turns_.tries_everything()) interface.try_everything(now());
    bool needed = interface.plan().wanted || is_lower(order_.config, interface.plan().name);
    if (!needed) return interface;
    interface.prepare();
    if (!link.up) interface.bring_up(now());
    return interface;
  }

  // --- what those decided who decide

  void take_turns(Time time) {
    Turns::Actions actions = turns_.on_time(time);
    if (actions.try_everything) {
      log_warning(
          "the network as it was captured does not lead to the source; DHCP and router "
          "advertisements are tried on every network card");
      for (auto& [index, interface] : interfaces_.all()) {
        if (!interface.plan().bond.empty()) continue;
        interface.try_everything(time);
        if (interface.link().up) continue;
        interface.prepare();
        interface.bring_up(time);
      }
    }
    if (!actions.preferred) return;
    bool learnt = *actions.preferred == Turns::Side::Learnt;
    for (auto& [index, interface] : interfaces_.all()) interface.prefer_learnt(learnt);
    if (learnt) return;
    configured_.restore_withdrawn();
    kernel_changed_ = true;
  }

  void place_floating(Time time) {
    std::vector<FloatingAddress::Nic> nics;
    for (const auto& [index, interface] : interfaces_.all()) {
      bool fit = interface.plan().floating && !interface.plan().addresses.empty();
      nics.push_back({index, fit && interface.carrier(),
                      interface.carrier() && interface.has_set(Origin::Static)});
    }
    std::optional<FloatingAddress::Move> move = floating_.place(nics, paths_.searching(), time);
    if (!move) return;
    if (Interface* from = interfaces_.at(move->from)) {
      configured_.remove_floating();
      from->release_planned();
    }
    interfaces_.set_floating(move->to);
    interfaces_.at(move->to)->take_planned();
  }

  // Where a captured path out led nowhere and a server or router names another one, that one
  // counts.
  void withdraw_captured_paths() {
    if (!turns_.prefers_learnt()) return;
    configured_.withdraw_replaced([&](const std::string& device, Family family) {
      const Interface* interface = interfaces_.find(device);
      return interface != nullptr && interface->gateway(family);
    });
  }

  void update_paths(Time time) {
    std::map<PathKey, HttpPath> paths;
    bool waiting = false;
    for (const auto& [index, interface] : interfaces_.all()) {
      if (!interface.carrier()) continue;
      bool usable = false;
      for (Family family : {Family::V4, Family::V6}) {
        if (!interface.usable(family)) continue;
        usable = true;
        HttpPath path;
        path.interface = interface.link().name;
        path.family = family;
        path.resolver = resolver_of(interface, interfaces_, order_.config, time);
        paths.emplace(PathKey{index, family}, std::move(path));
      }
      waiting = waiting || !usable;
    }
    paths_.set_paths(std::move(paths),
                     waiting ? PathTable::More::Expected : PathTable::More::Unlikely);
    write_resolver_file(time);
  }

  // Those of the path in use first.
  void write_resolver_file(Time time) {
    std::vector<ResolverConfig> resolvers;
    for (const auto& [index, interface] : interfaces_.all()) {
      bool first = paths_.found() && paths_.found()->first == index;
      resolvers.insert(first ? resolvers.begin() : resolvers.end(),
                       resolver_of(interface, interfaces_, order_.config, time));
    }
    resolver_file_.write(root_, format_resolver_file(resolvers));
  }

  void raise_clock() {
    std::optional<int64_t> date = paths_.take_date();
    // Once the source was found the clock was good enough for it: nobody else may turn it any more.
    if (!date || found() || order_.clock == ClockRule::Keep) return;
    int64_t step = *date - wall_clock_seconds();
    if (step <= 0) return;
    if (clock_raised_ + step > kLongestClockStep) {
      log_warning("clock", Error("servers have set it forward by a year; it is left as it is"));
      return;
    }
    clock_raised_ += step;
    if (auto set = set_wall_clock(*date); !set.ok()) {
      log_warning("clock", set.error());
    } else {
      log_info("the clock was slow; it is set to the server's Date");
    }
  }

  UniqueFd root_;
  NetworkOrder order_;
  NetworkMonitor monitor_;
  RouteSocket routes_;
  WakeEvent probed_;  // a probe has ended or found something
  Kernel kernel_;
  InterfaceContext context_;
  Interfaces interfaces_;
  MadeLinks made_;
  ConfiguredRoutes configured_;
  bool kernel_changed_ = true;  // since configured_ was asked last
  Turns turns_;
  FloatingAddress floating_;
  ResolverFile resolver_file_;
  PathTable paths_;
  int64_t clock_raised_ = 0;  // seconds, by servers' Dates
  uint32_t next_metric_ = kMetricBase;
};

}  // namespace

struct Network::State {
  State(std::unique_ptr<Loop> started, WakeEvent event)
      : loop(std::move(started)), stop(std::move(event)) {}

  // Keeps leases and follows links until asked to stop.
  void run() {
    while (!stopping) loop->step_on(std::nullopt, stop);
  }

  void end_thread() {
    if (!thread.running()) return;
    stopping = true;
    stop.signal();
    thread.join();
  }

  std::unique_ptr<Loop> loop;
  WakeEvent stop;
  std::atomic<bool> stopping = false;
  Connection connection;
  Thread thread;
};

Network::Network(std::unique_ptr<State> state) : state_(std::move(state)) {}

Network::~Network() { state_->end_thread(); }

Result<std::unique_ptr<Network>> Network::join(const UniqueFd& root, NetworkOrder order,
                                               Time deadline) {
  std::unique_ptr<Loop> loop = TRY(Loop::start(root, std::move(order)));
  auto state = std::make_unique<State>(std::move(loop), TRY(WakeEvent::create()));
  while (!state->loop->found()) {
    if (now() >= deadline) return state->loop->report();
    state->loop->step_on(deadline, state->stop);
  }
  state->connection = state->loop->connection();
  std::unique_ptr<Network> network(new Network(std::move(state)));
  State* running = network->state_.get();
  running->thread = TRY(Thread::start([running] { running->run(); }));
  return network;
}

Result<std::string> Network::ask_for_settings(const UniqueFd& root, NetworkOrder order,
                                              Time deadline) {
  std::unique_ptr<Loop> loop = TRY(Loop::start(root, std::move(order)));
  WakeEvent never = TRY(WakeEvent::create());
  while (!loop->settings() && now() < deadline) loop->step_on(deadline, never);
  std::string settings = loop->settings().value_or("");
  loop->leave();
  return settings;
}

const Connection& Network::connection() const { return state_->connection; }

HttpPath Network::path() { return state_->loop->paths().current(); }

void Network::failed(const HttpPath& path, const Error&) { state_->loop->paths().doubt(path); }

bool Network::is_gone(const HttpPath& path) { return state_->loop->paths().is_gone(path); }

void Network::leave() {
  state_->end_thread();
  state_->loop->leave();
}

}  // namespace curlingiron
