#include "net/join/network.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>

#include "base/log.h"
#include "base/text.h"
#include "net/join/configured.h"
#include "net/join/link_plan.h"
#include "net/join/path_table.h"
#include "net/join/port.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/nics.h"
#include "sys/route_socket.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// Routes of leases: each port adds a step, so that the first is preferred. Beyond what is
// configured, as a route with the same metric would take the place of another.
constexpr uint32_t kMetricBase = 20'000;
constexpr uint32_t kMetricStep = 100;
constexpr std::string_view kLoopback = "lo";
constexpr std::string_view kResolvConf = "etc/resolv.conf";
// What was captured has led nowhere for so long: whatever else the network offers is tried, too.
constexpr Duration kCapturedPatience = 12s;
// An address that may be any NIC's is tried on each for so long.
constexpr Duration kFloatingPatience = 5s;
// How soon to try again to make a bond or VLAN while its module may still be loading.
constexpr Duration kVirtualRetry = 250ms;
constexpr Duration kLongestVirtualRetry = 8s;
constexpr Duration kAfterTrouble = 1s;

enum class RouteState : uint8_t { Missing, Set, Withdrawn };

// All ports in one event loop. Used by one thread at a time.
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
    if (loop->order_.config.captured) loop->plain_at_ = now() + kCapturedPatience;
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

  Result<void> step(std::optional<Time> until, const WakeEvent& stop) {
    std::optional<Time> next = until;
    auto sooner = [&](const std::optional<Time>& time) {
      if (time && (!next || *time < *next)) next = time;
    };
    std::vector<PollItem> items = {PollItem{stop.fd()}, PollItem{monitor_.fd()},
                                   PollItem{probed_.fd()}};
    for (const auto& [index, port] : ports_) {
      sooner(port.wake());
      port.add_descriptors(items);
    }
    sooner(make_virtual_at_);
    sooner(plain_at_);
    sooner(turn_at_);
    sooner(float_at_);
    sooner(paths_.wake());
    std::optional<Duration> timeout;
    if (next) timeout = std::max<Duration>(*next - now(), Duration(0));
    TRY(poll_items(items, timeout));
    if (items[1].ready) TRY_CONTEXT("network", follow());
    Time time = now();
    bool heard = std::any_of(items.begin() + 3, items.end(),
                             [](const PollItem& item) { return item.ready; });
    for (auto& [index, port] : ports_) {
      if (heard) port.hear(time);
      port.on_time(time);
    }
    handle_timers(time);
    place_floating(time);
    take_turns(time);
    set_routes();
    withdraw_captured_ways();
    update_paths(time);
    if (items[2].ready) probed_.clear();
    if (paths_.collect(time)) write_resolver_settings();
    raise_clock();
    return {};
  }

  // For the deadline: how far each NIC and family got, and what to do.
  Error report() const {
    if (ports_.empty()) return Error("no network card found; its driver may be missing");
    std::string text = "the source cannot be reached: ";
    bool first = true;
    for (const auto& [index, port] : ports_) {
      if (is_carrying(port) || !port.plan().wanted) continue;
      if (!first) text += "; ";
      first = false;
      text += concat(port.label(), ": ");
      std::string own = port.report();
      if (!own.empty()) {
        text += own;
        continue;
      }
      text += concat("IPv4: ", report(index, port, Family::V4),
                     ", IPv6: ", report(index, port, Family::V6));
    }
    for (const LinkConfig& wanted : order_.config.links) {
      bool there =
          wanted.name.empty() || std::any_of(ports_.begin(), ports_.end(), [&](const auto& entry) {
            return entry.second.plan().told == wanted.name;
          });
      if (there) continue;
      if (!first) text += "; ";
      first = false;
      auto trouble = virtual_trouble_.find(wanted.name);
      if (trouble != virtual_trouble_.end()) {
        text += concat(wanted.name, " cannot be made (", trouble->second,
                       "); the initramfs must hold the module ", wanted.bond ? "bonding" : "8021q");
      } else if (is_virtual(wanted)) {
        text += concat(wanted.name, " cannot be made without what it lies on");
      } else if (wanted.mac) {
        text += concat("no network card has the address ", format_mac(*wanted.mac), ", which ",
                       wanted.name, " has in the network settings; its driver may be missing");
      } else {
        text += concat("no network card is called ", wanted.name,
                       ", as in the network settings; name it by its MAC address");
      }
    }
    if (first) text += "no network card is among those that the network settings name";
    text += "; check cables, VLANs and servers, or tell the network by ip=";
    return Error(std::move(text));
  }

  Connection connection() const {
    Connection connection;
    if (!paths_.found()) return connection;
    auto [index, family] = *paths_.found();
    auto found = ports_.find(index);
    if (found == ports_.end()) return connection;
    const Port& port = found->second;
    connection.interface = port.link().name;
    if (std::optional<AssignedAddress> address = port.usable(family)) {
      connection.address = format_prefix(address->prefix);
      connection.via = port.via(*address);
    }
    std::optional<IpAddress> gateway = port.gateway(family);
    if (!gateway || captured_turn_) gateway = configured_gateway(port, family);
    if (gateway) connection.gateway = format_ip(*gateway);
    for (const NameServer& server : servers_for(port, now())) {
      connection.nameservers.push_back(format_ip(server.address));
    }
    return connection;
  }

  void leave() {
    for (auto& [index, port] : ports_) {
      port.leave();
      if (auto down = routes_.set_down(index); !down.ok() && down.error().code() != ENODEV) {
        log_warning(concat(port.label(), " stays up"), down.error());
      }
    }
    // Those made last lie on those made before.
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
      if (auto gone = routes_.remove_link(*it); !gone.ok() && gone.error().code() != ENODEV) {
        log_warning(concat("the interface with index ", *it, " stays"), gone.error());
      }
    }
  }

 private:
  Loop(UniqueFd root, NetworkOrder order, NetworkMonitor monitor, RouteSocket routes,
       WakeEvent probed)
      : root_(std::move(root)),
        order_(std::move(order)),
        monitor_(std::move(monitor)),
        routes_(std::move(routes)),
        probed_(std::move(probed)),
        context_{root_, routes_, order_.hostname, order_.mtu},
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

  // --- links

  Result<void> list() {
    kernel_changed_ = true;
    std::vector<Link> links = TRY(routes_.links());
    std::vector<Link> gone;
    for (const auto& [index, port] : ports_) {
      bool there = std::any_of(links.begin(), links.end(),
                               [&, i = index](const Link& link) { return link.index == i; });
      if (!there) gone.push_back(port.link());
    }
    for (Link& link : gone) {
      link.change = Change::Removed;
      see(link);
    }
    for (const Link& link : links) see(link);
    std::vector<AssignedAddress> addresses = TRY(routes_.addresses());
    for (auto& [index, port] : ports_) {
      port.see_all(addresses, now());
      forget_routes(port);
    }
    make_virtual_links();
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
      auto found = ports_.find(address.index);
      if (found == ports_.end()) continue;
      found->second.see(address, now());
      // Routes that prefer it go with it, and with the last one all.
      if (address.change == Change::Removed) forget_routes(found->second);
    }
    if (!changes.value().links.empty()) make_virtual_links();
    return {};
  }

  bool is_eligible(const Link& link) const {
    if (!link.ethernet) return false;
    if (std::find(made_.begin(), made_.end(), link.index) != made_.end()) return true;
    // Somebody else's: the virtual function below a synthetic NIC (Azure), a bridge's port.
    auto port = ports_.find(link.index);
    bool member = port != ports_.end() ? !port->second.plan().bond.empty()
                                       : find_bond_of(order_.config, link) != nullptr;
    if (link.master != 0 && !member) return false;
    return order_.nics == NicRule::AnyEthernet || is_physical(root_, link.name);
  }

  void prepare_loopback(const Link& link) {
    if (!link.up) {
      if (auto up = routes_.set_up(link.index); !up.ok()) log_warning(link.name, up.error());
    }
    if (std::exchange(loopback_, link.index)) return;
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
    auto found = ports_.find(link.index);
    if (link.change == Change::Removed || !is_eligible(link)) {
      if (found != ports_.end()) {
        log_info(concat(link.name, ": the network card is gone"));
        forget_routes(found->second);
        ports_.erase(found);
        std::erase(made_, link.index);
      }
      return;
    }
    if (found == ports_.end()) found = add_port(link);
    Port& port = found->second;
    port.see(link, now());
    // Until then, no NIC that was captured has been found with its cable in.
    bool first = port.carrier() && port.plan().wanted && !std::exchange(carrier_seen_, true);
    if (first && order_.config.captured && plain_at_ != Time::max()) {
      plain_at_ = now() + kCapturedPatience;
    }
  }

  std::map<int, Port>::iterator add_port(Link link) {
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
    auto port = ports_
                    .try_emplace(link.index, context_, link, plan, driver_of(root_, link.name),
                                 next_metric_)
                    .first;
    if (!plan.bond.empty()) return port;  // up with its bond
    if (plain_at_ == Time::max()) port->second.try_everything(now());
    bool needed = port->second.plan().wanted || is_lower(order_.config, port->second.plan().name);
    if (!needed) return port;
    port->second.prepare();
    if (!link.up) port->second.bring_up(now());
    return port;
  }

  // It carries others and has nothing of its own to report.
  bool is_carrying(const Port& port) const {
    return !port.plan().bond.empty() || (is_lower(order_.config, port.plan().name) &&
                                         port.plan().addresses.empty() && !port.plan().dhcp4);
  }

  Port* find_port(std::string_view name) {
    bool told = order_.config.find(name) != nullptr;
    for (auto& [index, port] : ports_) {
      // Another NIC may have that name in this kernel.
      if ((told ? port.plan().told : port.link().name) == name) return &port;
    }
    return nullptr;
  }

  Port* floating_port() {
    auto found = floating_ ? ports_.find(*floating_) : ports_.end();
    return found == ports_.end() ? nullptr : &found->second;
  }

  // Each behind what it lies on; again with each NIC that shows itself.
  void make_virtual_links() {
    make_virtual_at_.reset();
    bool failed = false;
    for (const LinkConfig* wanted : order_of_making(order_.config)) {
      if (wanted->bond) failed = !make_bond(*wanted) || failed;
      if (wanted->vlan) failed = !make_vlan(*wanted) || failed;
    }
    if (!failed) {
      virtual_pause_ = kVirtualRetry;
      return;
    }
    make_virtual_at_ = now() + virtual_pause_;
    virtual_pause_ = std::min(virtual_pause_ * 2, kLongestVirtualRetry);
  }

  bool made(const std::string& name, const Result<int>& index) {
    if (!index.ok()) {
      log_debug(concat(name, " cannot be made yet: ", index.error().message()));
      virtual_trouble_[name] = index.error().message();
      return false;
    }
    virtual_trouble_.erase(name);
    made_.push_back(index.value());
    Result<std::vector<Link>> links = routes_.links();
    if (!links.ok()) return false;
    for (const Link& link : links.value()) {
      if (link.index == index.value()) see(link);
    }
    return true;
  }

  bool remove_bond(const std::string& name) {
    Result<std::vector<Link>> links = routes_.links();
    if (!links.ok()) return false;
    for (const Link& link : links.value()) {
      if (link.name == name && link.kind == "bond") return routes_.remove_link(link.index).ok();
    }
    return false;
  }

  // As the kernel has it now: its message may still be on the way.
  int master_of(int index) {
    Result<std::vector<Link>> links = routes_.links();
    if (!links.ok()) return 0;
    for (const Link& link : links.value()) {
      if (link.index == index) return link.master;
    }
    return 0;
  }

  bool make_bond(const LinkConfig& wanted) {
    Port* bond = find_port(wanted.name);
    if (bond == nullptr) {
      Port* primary = find_port(wanted.bond->primary);
      int preferred = primary == nullptr ? 0 : primary->link().index;
      Result<int> index = routes_.create_bond(wanted.name, wanted.bond->options, preferred);
      // A driver that is built in has made one of its own.
      if (!index.ok() && index.error().code() == EEXIST && remove_bond(wanted.name)) {
        index = routes_.create_bond(wanted.name, wanted.bond->options, preferred);
      }
      if (!made(wanted.name, index)) return false;
      bond = find_port(wanted.name);
      if (bond == nullptr) return false;
    }
    bool good = true;
    for (const std::string& name : wanted.bond->members) {
      Port* member = find_port(name);
      if (member == nullptr || master_of(member->link().index) == bond->link().index) continue;
      // A member must be down to be taken in; the bond brings it up.
      Result<void> taken = routes_.set_down(member->link().index);
      if (taken.ok()) taken = routes_.set_master(member->link().index, bond->link().index);
      if (taken.ok()) continue;
      good = false;
      std::string what = concat(member->label(), ": not taken into ", wanted.name, " (",
                                taken.error().message(), ')');
      if (std::exchange(virtual_trouble_[name], what) != what) log_warning(what);
    }
    return good;
  }

  bool make_vlan(const LinkConfig& wanted) {
    if (find_port(wanted.name) != nullptr) return true;
    Port* lower = find_port(wanted.vlan->lower);
    if (lower == nullptr) return true;  // comes back when it is there
    return made(wanted.name,
                routes_.create_vlan(wanted.name, lower->link().index, wanted.vlan->options));
  }

  // --- routes and rules as configured

  // What the kernel calls an interface of the configuration.
  std::string kernel_name(const std::string& device) {
    const Port* port = find_port(device);
    return port == nullptr ? device : port->link().name;
  }

  // A rule that names an interface waits for it.
  void set_rules() {
    rules_set_.resize(order_.config.rules.size(), false);
    for (size_t i = 0; i < rules_set_.size(); ++i) {
      const Rule& wanted = order_.config.rules[i];
      auto there = [&](const std::string& device) {
        return device.empty() || device == kLoopback || find_port(device) != nullptr;
      };
      if (rules_set_[i] || !there(wanted.iif) || !there(wanted.oif)) continue;
      Rule rule = kernel_rule(wanted, [&](const std::string& name) { return kernel_name(name); });
      rules_set_[i] = true;
      if (auto added = routes_.add_rule(rule); !added.ok()) {
        log_warning(concat("rule ", wanted.priority,
                           " of the network settings is not set; what needs it fails"),
                    added.error());
      }
    }
  }

  // The kernel's form of a configured route; nullopt while an interface is not there, or the
  // addresses of that origin are not in force.
  std::optional<Route> resolve(const RouteConfig& wanted) {
    return kernel_route(wanted, [&](const std::string& device) -> std::optional<int> {
      if (device == kLoopback) return loopback_;
      Port* port = port_for(device, wanted);
      if (port == nullptr || !port->has_set(wanted.origin)) return std::nullopt;
      return port->link().index;
    });
  }

  // A route without a device goes where the address went that was given without one, or to the link
  // that reaches its gateway.
  Port* port_for(const std::string& device, const RouteConfig& wanted) {
    if (!device.empty()) return find_port(device);
    if (Port* floating = floating_port()) return floating;
    for (const HopConfig& hop : wanted.hops) {
      for (auto& [index, port] : ports_) {
        if (hop.gateway && port.reaches(*hop.gateway)) return &port;
      }
    }
    return nullptr;
  }

  void set_neighbours() {
    neighbours_set_.resize(order_.config.neighbours.size(), false);
    for (size_t i = 0; i < neighbours_set_.size(); ++i) {
      if (neighbours_set_[i]) continue;
      std::optional<Neighbour> neighbour = kernel_neighbour(
          order_.config.neighbours[i], [&](const std::string& device) -> std::optional<int> {
            Port* port = find_port(device);
            if (port == nullptr || !port->carrier()) return std::nullopt;
            return port->link().index;
          });
      if (!neighbour) continue;
      neighbours_set_[i] = true;
      if (auto added = routes_.add_neighbour(*neighbour); !added.ok()) {
        log_debug(
            concat("neighbour ", format_ip(neighbour->address), ": ", added.error().message()));
      }
    }
  }

  // An address that was given for no NIC in particular goes from one NIC with carrier to the next
  // until the source answers.
  void place_floating(Time time) {
    auto holder = floating_ ? ports_.find(*floating_) : ports_.end();
    bool holds = holder != ports_.end() && holder->second.carrier() &&
                 holder->second.has_set(Origin::Static);
    // Before the source answers, and whenever it no longer does.
    bool searching = paths_.searching();
    if (holds && searching && !float_at_) float_at_ = time + kFloatingPatience;
    if (holds && searching && time < *float_at_) return;
    float_at_.reset();
    if (holds && !searching) return;
    auto floats = [](const Port& port) {
      return port.plan().floating && !port.plan().addresses.empty() && port.carrier();
    };
    // The next one by index, and behind the last the first again.
    auto next = floating_ ? ports_.upper_bound(*floating_) : ports_.begin();
    for (size_t i = 0; i < ports_.size(); ++i, ++next) {
      if (next == ports_.end()) next = ports_.begin();
      if (!floats(next->second)) continue;
      if (next != holder && holder != ports_.end()) let_go_of_floating(holder->second);
      floating_ = next->first;
      next->second.take_planned();
      float_at_ = time + kFloatingPatience;
      return;
    }
  }

  void let_go_of_floating(Port& port) {
    for (size_t i = 0; i < routes_set_.size(); ++i) {
      const RouteConfig& wanted = order_.config.routes[i];
      bool floats = std::any_of(wanted.hops.begin(), wanted.hops.end(),
                                [](const HopConfig& hop) { return hop.device.empty(); });
      if (floats) remove_route(i, RouteState::Missing);
    }
    port.release_planned();
  }

  // A route may need another one that is told behind it: those to the link first, then again as
  // long as it helps.
  void set_routes() {
    // Only then can one be set that could not be before.
    if (!std::exchange(kernel_changed_, false)) return;
    set_rules();
    set_neighbours();
    routes_set_.resize(order_.config.routes.size(), RouteState::Missing);
    bool helped = true;
    while (helped) {
      helped = false;
      for (size_t i = 0; i < routes_set_.size(); ++i)
        helped = set_route(i, OnLink::AsTold) || helped;
    }
    // A gateway outside all prefixes is as good as on the link: nothing else leads to it.
    for (size_t i = 0; i < routes_set_.size(); ++i) set_route(i, OnLink::Always);
  }

  void remove_route(size_t i, RouteState state) {
    if (routes_set_[i] != RouteState::Set) return;
    if (std::optional<Route> route = resolve(order_.config.routes[i])) {
      // It may have gone with its link.
      [[maybe_unused]] Result<void> removed = routes_.remove_route(*route);
    }
    routes_set_[i] = state;
  }

  // Both may be right, and the source or a switch only slow: they take turns until it answers.
  void take_turns(Time time) {
    if (!turn_at_ || time < *turn_at_) return;
    turn_at_.reset();
    if (found()) return;
    turn_at_ = time + kCapturedPatience;
    captured_turn_ = !captured_turn_;
    for (auto& [index, port] : ports_) port.prefer_learnt(!captured_turn_);
    if (!captured_turn_) return;
    for (RouteState& state : routes_set_) {
      if (state == RouteState::Withdrawn) state = RouteState::Missing;
    }
    kernel_changed_ = true;
  }

  // Where a captured way out led nowhere and a server or router tells another one, that one counts.
  void withdraw_captured_ways() {
    if (plain_at_ != Time::max() || found() || captured_turn_) return;
    for (size_t i = 0; i < routes_set_.size(); ++i) {
      const RouteConfig& wanted = order_.config.routes[i];
      if (wanted.destination.length != 0) continue;
      bool replaced =
          std::any_of(wanted.hops.begin(), wanted.hops.end(), [&](const HopConfig& hop) {
            const Port* port = find_port(hop.device);
            return port != nullptr && port->gateway(wanted.family());
          });
      if (replaced) remove_route(i, RouteState::Withdrawn);
    }
  }

  // They may have gone; as soon as they can be they are set again.
  void forget_routes(const Port& port) {
    const std::string& name = port.plan().name;
    bool floats = floating_ == port.link().index;
    for (size_t i = 0; i < routes_set_.size(); ++i) {
      const std::vector<HopConfig>& hops = order_.config.routes[i].hops;
      bool there = std::any_of(hops.begin(), hops.end(), [&](const HopConfig& hop) {
        return hop.device.empty() ? floats : hop.device == name;
      });
      if (there && routes_set_[i] == RouteState::Set) routes_set_[i] = RouteState::Missing;
    }
    for (size_t i = 0; i < neighbours_set_.size(); ++i) {
      if (order_.config.neighbours[i].device == name) neighbours_set_[i] = false;
    }
  }

  enum class OnLink { AsTold, Always };
  // True where it is set now and was not before.
  bool set_route(size_t i, OnLink how) {
    if (routes_set_[i] != RouteState::Missing) return false;
    std::optional<Route> route = resolve(order_.config.routes[i]);
    if (!route) return false;
    for (NextHop& hop : route->hops) {
      if (how == OnLink::Always && hop.gateway) hop.on_link = true;
    }
    Result<void> added = routes_.add_route(*route, Rival::Kept);
    if (added.ok()) routes_set_[i] = RouteState::Set;
    if (!added.ok() && how == OnLink::Always) {
      std::string what = concat("route to ", format_prefix(route->destination),
                                " of the network settings is not set (", added.error().message(),
                                "); check its gateway and device");
      if (std::exchange(route_trouble_[i], what) != what) log_warning(what);
    }
    return added.ok();
  }

  std::optional<IpAddress> configured_gateway(const Port& port, Family family) const {
    for (const RouteConfig& wanted : order_.config.routes) {
      bool is_default =
          wanted.family() == family && wanted.destination.length == 0 && wanted.table == kMainTable;
      if (!is_default || !port.has_set(wanted.origin)) continue;
      for (const HopConfig& hop : wanted.hops) {
        bool here = hop.device == port.plan().name ||
                    (hop.device.empty() && floating_ == port.link().index);
        if (here && hop.gateway) return hop.gateway;
      }
    }
    return std::nullopt;
  }

  // --- ways

  void handle_timers(Time time) {
    if (make_virtual_at_ && time >= *make_virtual_at_) make_virtual_links();
    if (plain_at_ && time >= *plain_at_) {
      plain_at_ = Time::max();
      if (found()) return;
      turn_at_ = time + 2 * kCapturedPatience;
      log_warning(
          "the network as it was captured does not lead to the source; DHCP and router "
          "advertisements are tried on every network card");
      for (auto& [index, port] : ports_) {
        if (!port.plan().bond.empty()) continue;
        port.try_everything(time);
        if (port.link().up) continue;
        port.prepare();
        port.bring_up(time);
      }
    }
  }

  std::vector<NameServer> servers_for(const Port& port, Time time) const {
    std::vector<NameServer> servers;
    auto add = [&](NameServer server) {
      bool known = std::any_of(servers.begin(), servers.end(), [&](const NameServer& other) {
        return other.address == server.address && other.port == server.port;
      });
      if (!known) servers.push_back(std::move(server));
    };
    for (const NameServerConfig& config : order_.config.nameservers) {
      bool here = config.device.empty() || config.device == port.plan().name;
      // What a server told the running system is not asked while it tells something else.
      bool current = config.origin == Origin::Static || port.has_set(config.origin);
      if (here && current) add({config.address, port.link().name, config.port});
    }
    for (NameServer& server : port.name_servers(time)) add(std::move(server));
    return servers;
  }

  ResolverConfig resolver_for(const Port& port, Time time) const {
    ResolverConfig resolver;
    resolver.servers = servers_for(port, time);
    if (resolver.servers.empty()) {
      // Those learnt elsewhere are better than none.
      for (const auto& [index, other] : ports_) {
        for (NameServer& server : servers_for(other, time)) {
          resolver.servers.push_back(std::move(server));
        }
      }
    }
    resolver.search = order_.config.search;
    for (std::string& domain : port.search_domains(time)) {
      resolver.search.push_back(std::move(domain));
    }
    return resolver;
  }

  void update_paths(Time time) {
    std::map<PathKey, HttpPath> paths;
    for (const auto& [index, port] : ports_) {
      if (!port.carrier()) continue;
      for (Family family : {Family::V4, Family::V6}) {
        if (!port.usable(family)) continue;
        HttpPath path;
        path.interface = port.link().name;
        path.family = family;
        path.resolver = resolver_for(port, time);
        paths.emplace(PathKey{index, family}, std::move(path));
      }
    }
    bool waiting = std::any_of(ports_.begin(), ports_.end(), [](const auto& entry) {
      const Port& port = entry.second;
      return port.carrier() && !port.usable(Family::V4) && !port.usable(Family::V6);
    });
    paths_.set_paths(std::move(paths),
                     waiting ? PathTable::More::Expected : PathTable::More::Unlikely);
    write_resolver_settings();
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
      log_info("the clock was behind; it is set to the server's Date");
    }
  }

  std::string report(int index, const Port& port, Family family) const {
    std::string trouble = paths_.trouble({index, family});
    std::optional<AssignedAddress> address = port.usable(family);
    if (!address) return port.report(family);
    std::string text =
        concat("has ", format_prefix(address->prefix), " (", port.via(*address), "), but ",
               trouble.empty() ? "the source has not answered yet" : trouble);
    bool unanswered = family == Family::V4 && port.waits_for_lease();
    return unanswered ? concat(port.report(family), "; ", text) : text;
  }

  // For whoever sits at the machine: all servers, those of the way in use first.
  void write_resolver_settings() {
    std::vector<const Port*> order;
    for (const auto& [index, port] : ports_) {
      bool first = paths_.found() && paths_.found()->first == index;
      order.insert(first ? order.begin() : order.end(), &port);
    }
    Time time = now();
    std::vector<std::string> servers;
    std::string search;
    for (const Port* port : order) {
      ResolverConfig resolver = resolver_for(*port, time);
      for (const NameServer& server : resolver.servers) {
        std::string text = format_ip(server.address);
        if (server.address.is_link_local()) text += concat('%', server.interface);
        if (std::find(servers.begin(), servers.end(), text) == servers.end()) {
          servers.push_back(std::move(text));
        }
      }
      if (search.empty()) search = join(resolver.search, " ");
    }
    std::string text;
    for (const std::string& server : servers) text += concat("nameserver ", server, '\n');
    if (!search.empty()) text += concat("search ", search, '\n');
    text += "options timeout:2 attempts:3\n";
    if (text == resolver_text_) return;
    if (auto written = write_resolver_file(text); !written.ok()) {
      log_warning("/etc/resolv.conf", written.error());
    } else {
      resolver_text_ = std::move(text);
    }
  }

  Result<void> write_resolver_file(std::string_view text) {
    TRY(make_directory(root_, "etc"));
    UniqueFd file = TRY(open_at(root_, std::string(kResolvConf), O_WRONLY | O_CREAT | O_TRUNC));
    return write_all(file, as_bytes(text));
  }

  UniqueFd root_;
  NetworkOrder order_;
  NetworkMonitor monitor_;
  RouteSocket routes_;
  WakeEvent probed_;
  PortContext context_;
  std::map<int, Port> ports_;                           // by interface index
  std::vector<int> made_;                               // indexes of bonds and VLANs that we made
  std::map<size_t, std::string> route_trouble_;         // of order_.config.routes
  std::map<std::string, std::string> virtual_trouble_;  // why one could not be made
  std::optional<Time> make_virtual_at_;
  Duration virtual_pause_ = kVirtualRetry;
  std::optional<Time> plain_at_;  // when all NICs are asked everything; max: they are
  int64_t clock_raised_ = 0;      // seconds, by servers' Dates
  bool carrier_seen_ = false;
  std::optional<Time> turn_at_;  // when captured and learnt ways out change places
  bool captured_turn_ = false;
  std::optional<int> floating_;         // who has the address that may be any NIC's
  std::optional<Time> float_at_;        // when the next one gets it
  std::optional<int> loopback_;         // its index, once its addresses are set
  bool kernel_changed_ = true;          // links, addresses or routes, since routes were set last
  std::vector<bool> rules_set_;         // of order_.config.rules
  std::vector<bool> neighbours_set_;    // of order_.config.neighbours
  std::vector<RouteState> routes_set_;  // of order_.config.routes
  uint32_t next_metric_ = kMetricBase;
  std::string resolver_text_;
  PathTable paths_;
};

}  // namespace

struct Network::State {
  State(std::unique_ptr<Loop> started, WakeEvent event)
      : loop(std::move(started)), stop(std::move(event)) {}

  // Keeps leases and follows links until told to stop.
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

const Connection& Network::connection() const { return state_->connection; }

HttpPath Network::path() { return state_->loop->paths().current(); }

void Network::failed(const HttpPath& path, const Error&) { state_->loop->paths().doubt(path); }

bool Network::is_gone(const HttpPath& path) { return state_->loop->paths().is_gone(path); }

void Network::leave() {
  state_->end_thread();
  state_->loop->leave();
}

}  // namespace curlingiron
