#include "net/network.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>

#include "base/address.h"
#include "base/log.h"
#include "base/text.h"
#include "formats/dhcp.h"
#include "net/dhcp_client.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/netlink.h"
#include "sys/packet_socket.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// How soon to try again what the kernel refused while a module may still be loading.
constexpr Duration kRetry = 250ms;
// Routes of the first connection; each later one adds a step, so that the first is preferred.
constexpr uint32_t kMetricStep = 100;
constexpr uint8_t kMostPackets = 64;  // of one NIC, before the others have their turn
constexpr std::string_view kResolvConf = "etc/resolv.conf";

std::string sysfs(std::string_view interface, std::string_view attribute) {
  return concat("sys/class/net/", interface, '/', attribute);
}

// A device behind it, not enslaved, not wireless.
bool is_physical(const UniqueFd& root, std::string_view name) {
  return exists(root, sysfs(name, "device")) && !exists(root, sysfs(name, "master")) &&
         !exists(root, sysfs(name, "wireless")) && !exists(root, sysfs(name, "phy80211"));
}

std::string driver_of(const UniqueFd& root, std::string_view name) {
  Result<std::string> link = read_link(root, sysfs(name, "device/driver"));
  if (!link.ok()) return {};
  return link.value().substr(link.value().rfind('/') + 1);
}

struct Address {
  Ipv4 host;
  uint8_t prefix_length = 32;
  std::optional<Ipv4> broadcast;
  std::vector<DhcpRoute> routes;
  std::vector<std::string> nameservers;
  std::string domain;
  std::string via;

  bool operator==(const Address&) const = default;
};

Address address_of(const DhcpLease& lease) {
  Address address;
  address.host = lease.address;
  address.prefix_length = lease.prefix_length;
  address.broadcast = lease.broadcast;
  address.routes = lease.routes();
  for (Ipv4 server : lease.nameservers) address.nameservers.push_back(format_ipv4(server));
  address.domain = lease.domain;
  address.via = "dhcp4";
  return address;
}

// The first static IPv4 address; nullopt: there is none.
std::optional<Address> address_of(const NetworkConfig& config) {
  std::optional<Address> address;
  for (const AddressConfig& candidate : config.addresses) {
    if (address || candidate.prefix.address.is_v6()) continue;
    address.emplace();
    address->host = candidate.prefix.address.v4();
    address->prefix_length = candidate.prefix.length;
    address->broadcast = candidate.broadcast;
  }
  if (!address) return address;
  for (const RouteConfig& route : config.routes) {
    bool way_out = route.destination.address.is_v4() && route.destination.length == 0 &&
                   route.hops.size() == 1 && route.hops[0].gateway &&
                   route.hops[0].gateway->is_v4();
    if (way_out) address->routes.push_back({Ipv4{}, 0, route.hops[0].gateway->v4()});
  }
  for (const NameServerConfig& server : config.nameservers) {
    address->nameservers.push_back(format_ip(server.address));
  }
  address->via = "static";
  return address;
}

Connection connection_of(std::string_view interface, const Address& address) {
  Connection connection;
  connection.interface = std::string(interface);
  connection.address = concat(format_ipv4(address.host), '/', address.prefix_length);
  for (const DhcpRoute& route : address.routes) {
    if (route.prefix_length == 0 && !route.gateway.is_zero()) {
      connection.gateway = format_ipv4(route.gateway);
    }
  }
  connection.via = address.via;
  connection.nameservers = address.nameservers;
  connection.domain = address.domain;
  return connection;
}

// One NIC and how far it got.
struct Card {
  Card(Link link_seen, std::string driver_name, const std::string& host_name)
      : link(std::move(link_seen)),
        driver(std::move(driver_name)),
        client(link.mac, host_name, random_u64()) {}

  std::string label() const {
    return driver.empty() ? link.name : concat(link.name, " (", driver, ')');
  }

  Link link;
  std::string driver;
  DhcpClient client;
  std::optional<PacketSocket> packets;
  std::optional<DatagramSocket> datagrams;
  std::optional<Address> address;  // as configured
  uint32_t metric = 0;             // 0: never had an address
  std::optional<Time> wake;        // of the DHCP client
  std::optional<Time> retry;       // of what the kernel refused
  std::string trouble;             // why it was refused
};

// All NICs in one event loop. Used by one thread at a time.
class Loop {
 public:
  static Result<std::unique_ptr<Loop>> start(const UniqueFd& root, const Settings& settings,
                                             NicRule rule) {
    UniqueFd own_root = TRY(duplicate(root));
    std::optional<Address> fixed;
    fixed = address_of(settings.network);
    // The monitor first: nothing happens between the list and the watch.
    NetworkMonitor monitor = TRY(NetworkMonitor::open());
    RouteSocket routes = TRY(RouteSocket::open());
    std::unique_ptr<Loop> loop(new Loop(std::move(own_root), settings, rule, std::move(fixed),
                                        std::move(monitor), std::move(routes)));
    TRY_CONTEXT("network", loop->list());
    return loop;
  }

  const std::optional<Connection>& first() const { return first_; }

  // Waits for the next event, but not beyond `until`, and handles what there is.
  Result<void> step(std::optional<Time> until, const WakeEvent& stop) {
    std::optional<Time> next = until;
    auto sooner = [&](const std::optional<Time>& time) {
      if (time && (!next || *time < *next)) next = time;
    };
    std::vector<PollItem> items = {PollItem{stop.fd()}, PollItem{monitor_.fd()}};
    std::vector<int> polled;  // index of the card behind items[i + 2]
    for (const auto& [index, card] : cards_) {
      sooner(card.wake);
      sooner(card.retry);
      if (!card.packets) continue;
      items.push_back(PollItem{card.packets->fd()});
      polled.push_back(index);
    }
    std::optional<Duration> timeout;
    if (next) timeout = std::max<Duration>(*next - now(), Duration(0));
    TRY(poll_items(items, timeout));
    for (size_t i = 0; i < polled.size(); ++i) {
      auto card = cards_.find(polled[i]);
      if (items[i + 2].ready && card != cards_.end()) hear(card->second);
    }
    if (items[1].ready) TRY_CONTEXT("network", follow_links());
    handle_timers();
    return {};
  }

  // For the deadline: how far each NIC got, and what to do.
  Error report() const {
    if (cards_.empty()) {
      return Error("no network card found; its driver may be missing");
    }
    std::string text = "no address: ";
    bool first = true;
    bool named = !fixed_ || fixed_device().empty();
    for (const auto& [index, card] : cards_) {
      text += concat(first ? "" : ", ", card.label(), ": ");
      first = false;
      named = named || is_named(card);
      if (!card.trouble.empty()) {
        text += card.trouble;
      } else if (!card.link.carrier) {
        text += "no carrier";
      } else if (fixed_) {
        text += "not the one that ip= names";
      } else {
        text += card.client.progress();
      }
    }
    if (!named) {
      text += concat("; no network card is called ", fixed_device(), ", which ip= names");
    } else {
      text += fixed_ ? "; check the cable" : "; check the cable and the DHCP server, or give ip=";
    }
    return Error(std::move(text));
  }

  void leave() {
    for (auto& [index, card] : cards_) {
      unconfigure(card);
      if (auto down = routes_.set_down(index); !down.ok()) {
        log_warning(concat(card.link.name, " stays up"), down.error());
      }
    }
  }

 private:
  Loop(UniqueFd root, const Settings& settings, NicRule rule, std::optional<Address> fixed,
       NetworkMonitor monitor, RouteSocket routes)
      : root_(std::move(root)),
        settings_(settings),
        rule_(rule),
        fixed_(std::move(fixed)),
        monitor_(std::move(monitor)),
        routes_(std::move(routes)) {}

  Result<void> list() {
    std::vector<Link> links = TRY(routes_.links());
    std::vector<int> gone;
    for (const auto& [index, card] : cards_) {
      bool there = std::any_of(links.begin(), links.end(),
                               [&, i = index](const Link& link) { return link.index == i; });
      if (!there) gone.push_back(index);
    }
    for (int index : gone) cards_.erase(index);
    for (const Link& link : links) see(link);
    return {};
  }

  Result<void> follow_links() {
    Result<NetworkMonitor::Changes> changes = monitor_.changes();
    if (!changes.ok()) {
      if (changes.error().code() != ENOBUFS) return changes.error();
      return list();
    }
    for (const Link& link : changes.value().links) see(link);
    return {};
  }

  bool is_eligible(const Link& link) const {
    if (!link.ethernet || link.master != 0) return false;
    return rule_ == NicRule::AnyEthernet || is_physical(root_, link.name);
  }

  // A link as it is now.
  void see(const Link& link) {
    if (link.loopback) {
      if (link.change == Change::Present && !link.up) {
        if (auto up = routes_.set_up(link.index); !up.ok()) log_warning(link.name, up.error());
      }
      return;
    }
    auto found = cards_.find(link.index);
    bool eligible = link.change == Change::Present && is_eligible(link);
    if (!eligible) {
      if (found != cards_.end()) {
        log_info(concat(link.name, ": the network card is gone"));
        cards_.erase(found);
        write_resolver_settings();
      }
      return;
    }
    if (found == cards_.end()) {
      found =
          cards_
              .try_emplace(link.index, Card(link, driver_of(root_, link.name), settings_.hostname))
              .first;
      Card& card = found->second;
      // Believed only from the kernel's own message about the link being up.
      card.link.carrier = false;
      // Before the link is up: some drivers restart it, and with it a switch's spanning tree.
      if (settings_.mtu != 0) set_mtu(card, settings_.mtu);
      if (!link.up) {
        bring_up(card);
        return;
      }
    }
    Card& card = found->second;
    bool had_carrier = card.link.carrier;
    card.link = link;
    card.link.carrier = link.up && link.carrier;
    if (card.link.carrier != had_carrier) {
      log_debug(concat(card.label(), card.link.carrier ? ": carrier" : ": carrier lost"));
      carrier_changed(card);
    }
  }

  void bring_up(Card& card) {
    card.retry.reset();
    Result<void> up = routes_.set_up(card.link.index);
    if (up.ok()) {
      card.trouble.clear();
      return;
    }
    card.trouble = concat("cannot be brought up (", up.error().message(), ')');
    card.retry = now() + kRetry;
  }

  // The device of the static address; empty: any.
  std::string fixed_device() const {
    for (const AddressConfig& address : settings_.network.addresses) {
      if (address.prefix.address.is_v4()) return address.device;
    }
    return {};
  }

  bool is_named(const Card& card) const {
    std::string device = fixed_device();
    if (device.empty() || device == card.link.name) return true;
    const LinkConfig* link = settings_.network.find(device);
    return link != nullptr && link->mac &&
           (*link->mac == card.link.mac || link->mac == card.link.permanent_mac);
  }

  void carrier_changed(Card& card) {
    if (fixed_) {
      // Without a name in ip=, the first NIC that has carrier takes the address.
      bool mine = is_named(card) && (!fixed_device().empty() || !first_);
      if (card.link.carrier && mine && !card.address) configure(card, *fixed_);
      return;
    }
    if (card.link.carrier && !open_sockets(card)) return;
    DhcpEvent event = card.link.carrier ? DhcpEvent::LinkUp : DhcpEvent::LinkDown;
    act(card, card.client.on(event, now()));
  }

  bool open_sockets(Card& card) {
    if (card.packets) return true;
    Result<PacketSocket> socket = PacketSocket::open(card.link.index, kDhcpClientPort);
    if (!socket.ok()) {
      // The kernel asks for the module itself; until it is there, come back.
      card.trouble = concat("no packet socket for DHCP (", socket.error().message(), ')');
      card.retry = now() + kRetry;
      return false;
    }
    card.packets = std::move(socket).value();
    card.trouble.clear();
    return true;
  }

  void handle_timers() {
    for (auto& [index, card] : cards_) {
      Time time = now();
      if (card.retry && time >= *card.retry) {
        card.retry.reset();
        if (!card.link.up) {
          bring_up(card);
        } else if (card.link.carrier) {
          carrier_changed(card);
        }
      }
      if (card.wake && time >= *card.wake) act(card, card.client.on(DhcpEvent::Timer, time));
    }
  }

  void hear(Card& card) {
    for (uint8_t i = 0; i < kMostPackets && card.packets; ++i) {
      Result<std::optional<RawPacket>> received = card.packets->receive();
      if (!received.ok()) {
        log_warning(card.link.name, received.error());
        card.packets.reset();
        card.retry = now() + kRetry;
        return;
      }
      if (!received.value()) return;
      const RawPacket& packet = *received.value();
      Result<UdpDatagram> datagram =
          parse_udp_packet(packet.bytes, kDhcpClientPort, packet.checksum_ready);
      if (!datagram.ok()) {
        log_debug(concat(card.link.name, ": packet dropped: ", datagram.error().message()));
        continue;
      }
      Result<DhcpPacket> message = parse_dhcp(datagram.value().payload);
      if (!message.ok()) {
        log_debug(concat(card.link.name, ": DHCP message dropped: ", message.error().message()));
        continue;
      }
      act(card, card.client.on_packet(message.value(), now()));
    }
  }

  void act(Card& card, const DhcpActions& actions) {
    card.wake = actions.wake;
    if (!actions.note.empty()) log_warning(concat(card.label(), ": ", actions.note));
    if (actions.lost) {
      unconfigure(card);
      write_resolver_settings();
    }
    for (const DhcpMessage& message : actions.send) send(card, message);
    if (actions.bound) {
      for (const std::string& what : actions.bound->ignored) {
        log_warning(concat(card.label(), ": DHCP: ", what, "; left out"));
      }
      if (settings_.mtu == 0 && actions.bound->mtu) set_mtu(card, *actions.bound->mtu);
      configure(card, address_of(*actions.bound));
    }
  }

  void send(Card& card, const DhcpMessage& message) {
    if (message.server && card.datagrams) {
      Result<void> sent = card.datagrams->send(*message.server, kDhcpServerPort, message.payload);
      if (sent.ok()) return;
      log_debug(concat(card.link.name, ": DHCP by unicast: ", sent.error().message()));
    }
    if (!card.packets) return;
    UdpAddresses addresses;
    if (card.address) addresses.source = card.address->host;
    addresses.source_port = kDhcpClientPort;
    addresses.destination = Ipv4{0xffffffff};
    addresses.destination_port = kDhcpServerPort;
    Result<void> sent = card.packets->broadcast(format_udp_packet(addresses, message.payload));
    // The client sends again by itself.
    if (!sent.ok()) log_debug(concat(card.link.name, ": DHCP: ", sent.error().message()));
  }

  void set_mtu(Card& card, uint32_t mtu) {
    if (card.link.mtu == mtu) return;
    if (auto set = routes_.set_mtu(card.link.index, mtu); !set.ok()) {
      log_warning(concat(card.label(), ": MTU ", card.link.mtu, " stays"), set.error());
    } else {
      card.link.mtu = mtu;
    }
  }

  void configure(Card& card, const Address& address) {
    if (card.address == address) return;  // renewed as it was
    // Routes go with the address that they prefer.
    if (card.address) unconfigure(card);
    if (card.metric == 0) card.metric = next_metric_ += kMetricStep;
    if (auto r = routes_.add_address(assigned(card, address)); !r.ok()) {
      card.trouble =
          concat("cannot take ", format_ipv4(address.host), " (", r.error().message(), ')');
      log_warning(concat(card.label(), ": ", card.trouble));
      return;
    }
    card.trouble.clear();
    card.address = address;
    if (address.prefix_length < 32) {
      add_route(card, {Ipv4{address.host.value & prefix_mask(address.prefix_length).value},
                       address.prefix_length, Ipv4{}});
    }
    for (const DhcpRoute& route : address.routes) add_route(card, route);
    if (address.via == "dhcp4" && !card.datagrams) {
      Result<DatagramSocket> socket = DatagramSocket::open(card.link.name, kDhcpClientPort);
      if (socket.ok()) {
        card.datagrams = std::move(socket).value();
      } else {
        // Renewals are broadcast then, which serves as well.
        log_debug(concat(card.link.name, ": ", socket.error().message()));
      }
    }
    write_resolver_settings();
    Connection connection = connection_of(card.link.name, address);
    log_debug(concat(card.label(), ": ", connection.address, " via ", connection.via,
                     connection.gateway.empty() ? "" : ", gateway ", connection.gateway));
    if (!first_) first_ = std::move(connection);
  }

  // Without the kernel's own route for the prefix.
  static AssignedAddress assigned(const Card& card, const Address& address) {
    AssignedAddress assigned;
    assigned.index = card.link.index;
    assigned.prefix = {address.host, address.prefix_length};
    assigned.broadcast = address.broadcast;
    assigned.flags = IFA_F_NOPREFIXROUTE;
    return assigned;
  }

  // Gateways are taken as on-link: a /32 address has no other way to reach one.
  void add_route(Card& card, const DhcpRoute& wanted) {
    Route route;
    route.destination = {wanted.destination, wanted.prefix_length};
    route.protocol = RTPROT_DHCP;
    // A gateway of our own address means the link itself.
    bool on_link = wanted.gateway.is_zero() || wanted.gateway == card.address->host;
    NextHop hop;
    hop.index = card.link.index;
    if (!on_link) hop.gateway = wanted.gateway;
    hop.on_link = !on_link;
    route.scope = on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.hops = {hop};
    route.preferred = card.address->host;
    route.metric = card.metric;
    if (auto added = routes_.add_route(route); !added.ok()) {
      log_warning(concat(card.label(), ": no route to ", format_prefix(route.destination)),
                  added.error());
    }
  }

  void unconfigure(Card& card) {
    if (!card.address) return;
    if (auto r = routes_.remove_address(assigned(card, *card.address));
        !r.ok() && r.error().code() != EADDRNOTAVAIL && r.error().code() != ENODEV) {
      log_warning(concat(card.label(), ": ", format_ipv4(card.address->host), " stays"), r.error());
    }
    card.address.reset();
  }

  void write_resolver_settings() {
    std::vector<std::string> servers;
    std::string domain;
    auto add = [&](const std::vector<std::string>& more) {
      for (const std::string& server : more) {
        if (std::find(servers.begin(), servers.end(), server) == servers.end()) {
          servers.push_back(server);
        }
      }
    };
    std::vector<std::string> wanted;
    for (const NameServerConfig& server : settings_.network.nameservers) {
      wanted.push_back(format_ip(server.address));
    }
    add(wanted);
    std::vector<const Card*> connected;
    for (const auto& [index, card] : cards_) {
      if (card.address) connected.push_back(&card);
    }
    std::sort(connected.begin(), connected.end(),
              [](const Card* a, const Card* b) { return a->metric < b->metric; });
    for (const Card* card : connected) {
      add(card->address->nameservers);
      if (domain.empty()) domain = card->address->domain;
    }
    std::string text;
    for (const std::string& server : servers) text += concat("nameserver ", server, '\n');
    if (!domain.empty()) text += concat("search ", domain, '\n');
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
  Settings settings_;
  NicRule rule_;
  std::optional<Address> fixed_;
  NetworkMonitor monitor_;
  RouteSocket routes_;
  std::map<int, Card> cards_;  // by interface index
  uint32_t next_metric_ = 0;
  std::string resolver_text_;
  std::optional<Connection> first_;
};

}  // namespace

Result<std::vector<Nic>> list_nics(const UniqueFd& root) {
  std::vector<std::string> names =
      TRY_CONTEXT("/sys/class/net", list_directory(root, "sys/class/net"));
  std::vector<Link> links;
  if (Result<RouteSocket> routes = RouteSocket::open(); routes.ok()) {
    if (Result<std::vector<Link>> list = routes.value().links(); list.ok()) {
      links = std::move(list).value();
    }
  }
  std::vector<Nic> nics;
  for (const std::string& name : names) {
    Result<std::string> type = read_line(root, sysfs(name, "type"));
    if (!type.ok() || type.value() != "1" || !is_physical(root, name)) continue;  // ARPHRD_ETHER
    Nic nic;
    nic.name = name;
    nic.driver = driver_of(root, name);
    if (Result<std::string> mac = read_line(root, sysfs(name, "address")); mac.ok()) {
      nic.mac = to_lower(mac.value());
    }
    if (Result<std::string> index = read_line(root, sysfs(name, "ifindex")); index.ok()) {
      if (Result<uint32_t> number = parse_u32(index.value()); number.ok()) {
        nic.index = static_cast<int>(number.value());
      }
    }
    // Unreadable (EINVAL) while the link is down.
    Result<std::string> carrier = read_line(root, sysfs(name, "carrier"));
    nic.carrier = carrier.ok() && carrier.value() == "1";
    for (const Link& link : links) {
      bool same = link.name == name && link.index == nic.index;
      if (same && link.permanent_mac) nic.mac = format_mac(*link.permanent_mac);
    }
    nics.push_back(std::move(nic));
  }
  return nics;
}

struct Network::State {
  State(std::unique_ptr<Loop> started, WakeEvent event)
      : loop(std::move(started)), stop(std::move(event)) {}

  // Keeps leases and follows links until told to stop.
  void run() {
    while (!stopping) {
      if (auto step = loop->step(std::nullopt, stop); !step.ok()) {
        log_warning("network: leases are no longer renewed", step.error());
        return;
      }
    }
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

Result<std::unique_ptr<Network>> Network::join(const UniqueFd& root, const Settings& settings,
                                               Time deadline, NicRule rule) {
  // A path without carrier must not swallow what another NIC could carry.
  if (auto set =
          write_existing(root, "proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown", "1");
      !set.ok()) {
    log_debug(concat("ignore_routes_with_linkdown unchanged: ", set.error().message()));
  }
  std::unique_ptr<Loop> loop = TRY(Loop::start(root, settings, rule));
  auto state = std::make_unique<State>(std::move(loop), TRY(WakeEvent::create()));
  while (!state->loop->first()) {
    if (now() >= deadline) return state->loop->report();
    TRY(state->loop->step(deadline, state->stop));
  }
  state->connection = *state->loop->first();
  std::unique_ptr<Network> network(new Network(std::move(state)));
  State* running = network->state_.get();
  running->thread = TRY(Thread::start([running] { running->run(); }));
  return network;
}

const Connection& Network::connection() const { return state_->connection; }

void Network::leave() {
  state_->end_thread();
  state_->loop->leave();
}

}  // namespace curlingiron
