#include "net/dns/resolver.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/text.h"
#include "formats/resolv_conf.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/peer_socket.h"

namespace curlingiron {
namespace {

constexpr size_t kLengthPrefix = 2;    // before a message in a stream (RFC 1035 section 4.2.2)
constexpr size_t kMostDatagrams = 32;  // taken from one socket in one turn
constexpr Ipv4 kLoopback{0x7f000001};
constexpr size_t kHostsLimit = size_t{1} << 20;

using Addresses = std::vector<IpAddress>;

Addresses only(const Addresses& addresses, std::optional<Family> family) {
  Addresses fitting;
  for (const IpAddress& address : addresses) {
    if (!family || address.family() == *family) fitting.push_back(address);
  }
  return fitting;
}

std::string_view name_of(Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; }

// RFC 6761 section 6.3.
bool is_localhost(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string lower = to_lower(host);
  return lower == "localhost" || lower.ends_with(".localhost");
}

Ipv6 ipv6_loopback() {
  Ipv6 address;
  address.bytes.back() = 1;
  return address;
}

// What an errno of a socket says of the server.
std::string what_happened(const Error& error, DnsTransport transport) {
  bool stream = transport == DnsTransport::Stream;
  switch (error.code()) {
    case ECONNREFUSED: return stream ? "refuses connections over TCP" : "has no DNS server running";
    case ENETUNREACH:
    case EHOSTUNREACH: return "cannot be reached (no route)";
    default: return concat("cannot be asked (", error.message(), ')');
  }
}

// The socket of a slot, and what is on its way over it.
struct Line {
  DnsTransport transport = DnsTransport::Datagram;
  PeerSocket socket;
  ByteVector unsent;    // Stream
  ByteVector received;  // Stream

  // The message with its length, once it is whole.
  std::optional<ConstBytes> message() const {
    if (received.size() < kLengthPrefix) return std::nullopt;
    size_t length = size_t{received[0]} << 8 | received[1];
    if (received.size() < kLengthPrefix + length) return std::nullopt;
    return ConstBytes(received).subspan(kLengthPrefix, length);
  }
};

}  // namespace

std::string server_text(const NameServer& server) {
  bool scoped = server.address.is_link_local() && !server.interface.empty();
  return concat(format_ip(server.address), scoped ? concat('%', server.interface) : "",
                server.port == kDnsPort ? "" : concat(" port ", server.port));
}

ResolverConfig system_resolver(const UniqueFd& root) {
  ResolvConf conf;
  if (Result<std::string> text = read_text(root, "etc/resolv.conf"); text.ok()) {
    conf = parse_resolv_conf(text.value());
  }
  ResolverConfig config;
  for (ResolvConf::Server& server : conf.servers) {
    config.servers.push_back({server.address, std::move(server.zone)});
  }
  if (config.servers.empty()) config.servers.push_back({kLoopback});
  config.search = std::move(conf.search);
  return config;
}

struct Resolver::State {
  std::string root;
  ResolverConfig config;
  std::optional<DnsLookup> lookup;
  std::optional<Result<Addresses>> known;  // without asking anybody
  unsigned generation = 0;
  std::map<size_t, Line> lines;  // by slot
  ByteVector buffer = ByteVector(kLongestDnsMessage);

  std::optional<Result<Addresses>> without_asking(const std::string& host,
                                                  std::optional<Family> family) const;
  void send(const DnsSend& send);
  // False: the line is of no more use.
  bool pump(size_t slot, Line& line);
  bool pump_datagrams(size_t slot, Line& line);
  bool pump_stream(size_t slot, Line& line);
  bool fail(size_t slot, DnsTransport transport, const Error& error);
  void pump_all();
  // The lines are of the name that is asked for now.
  bool same_name() const { return !lookup->result() && lookup->generation() == generation; }
  void close_unused();
};

std::optional<Result<Addresses>> Resolver::State::without_asking(
    const std::string& host, std::optional<Family> family) const {
  if (Result<IpAddress> literal = parse_ip(host); literal.ok()) {
    if (family && literal.value().family() != *family) {
      return Error(concat("is no ", name_of(*family), " address, and this path carries no other"));
    }
    return Addresses{literal.value()};
  }
  Addresses local;
  if (Result<UniqueFd> directory = open_root(root); directory.ok()) {
    Result<std::string> hosts = read_text(directory.value(), "etc/hosts", kHostsLimit);
    if (hosts.ok()) local = only(addresses_in_hosts(hosts.value(), host), family);
  }
  if (local.empty() && is_localhost(host)) local = only({ipv6_loopback(), kLoopback}, family);
  if (local.empty()) return std::nullopt;
  return local;
}

bool Resolver::State::fail(size_t slot, DnsTransport transport, const Error& error) {
  lookup->failed(slot, transport, what_happened(error, transport), now());
  return false;
}

void Resolver::State::send(const DnsSend& send) {
  auto found = lines.find(send.slot);
  if (found != lines.end() && found->second.transport != send.transport) {
    lines.erase(found);
    found = lines.end();
  }
  if (found == lines.end()) {
    const NameServer& server = config.servers[send.server];
    bool stream = send.transport == DnsTransport::Stream;
    Result<PeerSocket> socket = PeerSocket::connect(stream ? PeerProtocol::Tcp : PeerProtocol::Udp,
                                                    server.address, server.port, server.interface);
    if (!socket.ok()) {
      fail(send.slot, send.transport, socket.error());
      return;
    }
    Line line{send.transport, std::move(socket).value(), {}, {}};
    found = lines.emplace(send.slot, std::move(line)).first;
  }
  Line& line = found->second;
  if (line.transport == DnsTransport::Stream) {
    ByteWriter framed;
    framed.be16(static_cast<uint16_t>(send.message.size()));
    framed.append(ConstBytes(send.message));
    line.unsent = std::move(framed).bytes();
    return;
  }
  // A datagram for which there is no room is lost, as others are.
  Result<size_t> sent = line.socket.send(send.message);
  if (!sent.ok() && !fail(send.slot, send.transport, sent.error())) lines.erase(found);
}

bool Resolver::State::pump_datagrams(size_t slot, Line& line) {
  for (size_t i = 0; i < kMostDatagrams; ++i) {
    Result<std::optional<size_t>> size = line.socket.receive(buffer);
    if (!size.ok()) return fail(slot, line.transport, size.error());
    if (!size.value()) return true;
    lookup->answered(slot, line.transport, ConstBytes(buffer).first(*size.value()), now());
    if (!lookup->listens(slot, line.transport)) return false;
  }
  return true;
}

bool Resolver::State::pump_stream(size_t slot, Line& line) {
  while (!line.unsent.empty()) {
    Result<size_t> sent = line.socket.send(line.unsent);
    if (!sent.ok()) return fail(slot, line.transport, sent.error());
    if (sent.value() == 0) return true;
    line.unsent.erase(line.unsent.begin(),
                      line.unsent.begin() + static_cast<ptrdiff_t>(sent.value()));
  }
  for (;;) {
    Result<std::optional<size_t>> size = line.socket.receive(buffer);
    if (!size.ok()) return fail(slot, line.transport, size.error());
    if (!size.value()) return true;
    if (*size.value() == 0) {
      lookup->failed(slot, line.transport, "closes the connection over TCP", now());
      return false;
    }
    line.received.insert(line.received.end(), buffer.begin(),
                         buffer.begin() + static_cast<ptrdiff_t>(*size.value()));
    if (std::optional<ConstBytes> message = line.message()) {
      lookup->answered(slot, line.transport, *message, now());
      return false;
    }
  }
}

bool Resolver::State::pump(size_t slot, Line& line) {
  switch (line.transport) {
    case DnsTransport::Datagram: return pump_datagrams(slot, line);
    case DnsTransport::Stream: return pump_stream(slot, line);
  }
  __builtin_unreachable();
}

void Resolver::State::pump_all() {
  for (auto entry = lines.begin(); entry != lines.end() && same_name();) {
    entry = pump(entry->first, entry->second) ? std::next(entry) : lines.erase(entry);
  }
}

void Resolver::State::close_unused() {
  if (!same_name()) lines.clear();
  generation = lookup->generation();
  std::erase_if(lines, [&](const auto& entry) {
    return !lookup->listens(entry.first, entry.second.transport);
  });
}

Resolver::Resolver(std::string root) : state_(std::make_unique<State>()) {
  state_->root = std::move(root);
}
Resolver::~Resolver() = default;

void Resolver::start(const std::string& host, std::optional<Family> family,
                     const ResolverConfig& config, Duration patience) {
  State& s = *state_;
  drop();
  s.known = s.without_asking(host, family);
  if (s.known) return;
  s.config = config;
  if (s.config.servers.size() > kMostNameServers) s.config.servers.resize(kMostNameServers);
  DnsLookupPlan plan;
  plan.host = host;
  plan.families = family ? std::vector{*family} : std::vector{Family::V4, Family::V6};
  plan.search = config.search;
  for (const NameServer& server : s.config.servers) plan.servers.push_back(server_text(server));
  Time time = now();
  plan.deadline = time + patience;
  s.lookup.emplace(std::move(plan), random_u64, time);
  s.generation = s.lookup->generation();
}

void Resolver::drop() {
  state_->lines.clear();
  state_->lookup.reset();
  state_->known.reset();
}

void Resolver::perform() {
  State& s = *state_;
  if (!s.lookup || s.lookup->result()) return;
  // An answer may mean that something else is to be sent.
  for (;;) {
    s.pump_all();
    s.close_unused();
    std::vector<DnsSend> due = s.lookup->due(now());
    s.close_unused();
    if (due.empty()) return;
    for (size_t i = 0; i < due.size() && s.same_name(); ++i) s.send(due[i]);
  }
}

const std::optional<Result<Addresses>>& Resolver::result() const {
  return state_->lookup ? state_->lookup->result() : state_->known;
}

std::vector<PollItem> Resolver::waits_for() const {
  std::vector<PollItem> items;
  for (const auto& [slot, line] : state_->lines) {
    bool sending = !line.unsent.empty();
    items.push_back({line.socket.fd(), !sending, sending, false});
  }
  return items;
}

Time Resolver::next() const {
  if (!state_->lookup || result()) return Time::min();
  return state_->lookup->next(now());
}

}  // namespace curlingiron
