// The DHCPv6 client in ten thousand networks that lose, double, delay and reorder messages, whose
// links flap and whose servers are silent, refuse, forget, give what others have or what nobody can
// use: once such a network behaves, the client has an address soon and keeps it, and at no time
// does it send more than it may.
#include <gtest/gtest.h>

#include <set>

#include "net/join/dhcp6_client.h"
#include "support/effort.h"
#include "unit/net/join/schedule.h"

namespace curlingiron {
namespace {

const unsigned kSchedules = static_cast<unsigned>(repetitions(1000, 10000));
// From a network that behaves, or from a lease's end, to a lease: the pause that a server asked for
// by SOL_MAX_RT, and the time of a request to one that is silent.
constexpr Duration kSoon = 170s;
constexpr Duration kCalm = 400s;
constexpr uint32_t kId = 7;

// 2001:db8::SERVER:LAST; the first twenty belong to others.
Ipv6 address_of(uint8_t server, uint8_t last) {
  Ipv6 address{{0x20, 0x01, 0x0d, 0xb8}};
  address.bytes[13] = server;
  address.bytes[15] = last;
  return address;
}
bool is_taken(const Ipv6& address) { return address.bytes[15] < 20; }

class Server {
 public:
  Server(Schedule& schedule, uint8_t number) : schedule_(schedule), number_(number) {
    id_ = duid_of({2, 0, 0, 0, 9, number});
    silent_percent_ = schedule.chance(30) ? 100 : static_cast<unsigned>(schedule.below(50));
    refusal_percent_ = schedule.chance(30) ? static_cast<unsigned>(schedule.below(100)) : 0;
    garbage_percent_ = schedule.chance(30) ? static_cast<unsigned>(schedule.below(100)) : 0;
    conflicts_ = schedule.chance(30);
    slows_down_ = schedule.chance(20);
    constexpr int kTimes[] = {1, 10, 20, 60, 120, 600, 86400, -1};
    int seconds = kTimes[schedule.below(std::size(kTimes))];
    if (seconds >= 0) lifetime_ = std::chrono::seconds(seconds);
    strange_times_ = schedule.chance(20);
  }

  void behave() {
    well_ = true;
    conflicts_ = false;
  }

  std::optional<Dhcp6Packet> answer(const Dhcp6Packet& question) {
    if (!question.server_id.empty() && question.server_id != id_) return std::nullopt;
    Dhcp6Packet packet;
    packet.type = Dhcp6Type::Reply;
    packet.xid = question.xid;
    packet.client_id = question.client_id;
    packet.server_id = id_;
    if (slows_down_) packet.solicit_max_time = packet.information_max_time = 86400s;
    if (!well_ && schedule_.chance(refusal_percent_)) {
      if (question.type == Dhcp6Type::Solicit) packet.type = Dhcp6Type::Advertise;
      auto code = static_cast<Dhcp6StatusCode>(schedule_.below(8));
      Dhcp6Association association;
      association.id = kId;
      if (schedule_.chance(50)) {
        association.status.code = code;
      } else {
        packet.status.code = code;
      }
      packet.associations = {association};
      return packet;
    }
    Ipv6 asked;
    if (!question.associations.empty() && !question.associations[0].addresses.empty()) {
      asked = question.associations[0].addresses[0].address;
    }
    bool silent = !well_ && schedule_.chance(silent_percent_);
    switch (question.type) {
      case Dhcp6Type::Solicit:
        packet.type = Dhcp6Type::Advertise;
        if (!given_) given_ = choose();
        return fill(packet);
      case Dhcp6Type::Decline:
        declined_.insert(asked);
        if (given_ == asked) given_.reset();
        return packet;
      case Dhcp6Type::Confirm:
        if (silent) return std::nullopt;
        if (asked.bytes[13] > 3) packet.status.code = Dhcp6StatusCode::NotOnLink;
        return packet;
      case Dhcp6Type::InformationRequest:
        if (silent) return std::nullopt;
        packet.nameservers = {address_of(number_, 53)};
        return packet;
      case Dhcp6Type::Request:
        if (silent) return std::nullopt;
        if (!given_) given_ = choose();
        return fill(packet);
      case Dhcp6Type::Renew:
      case Dhcp6Type::Rebind:
        if (silent) return std::nullopt;
        if (given_ == asked) return fill(packet);
        if (question.type == Dhcp6Type::Rebind && schedule_.chance(50)) return std::nullopt;
        packet.associations = {Dhcp6Association{}};
        packet.associations[0].id = kId;
        packet.associations[0].status.code = Dhcp6StatusCode::NoBinding;
        return packet;
      default: return std::nullopt;
    }
  }

 private:
  Ipv6 choose() {
    for (;;) {
      uint64_t last = conflicts_ ? schedule_.below(20) : 20 + schedule_.below(200);
      Ipv6 address = address_of(number_, static_cast<uint8_t>(last));
      if (declined_.count(address) == 0) return address;
      if (declined_.size() > 15) conflicts_ = false;
    }
  }

  Dhcp6Packet fill(Dhcp6Packet packet) {
    Dhcp6Association association;
    association.id = kId;
    association.renewal = association.rebinding = Duration(0);
    if (strange_times_) {
      association.renewal = std::chrono::seconds(schedule_.below(100));
      association.rebinding = std::chrono::seconds(schedule_.below(100));
    }
    association.addresses = {{*given_, lifetime_, lifetime_, {}}};
    if (!well_ && schedule_.chance(garbage_percent_)) {
      switch (schedule_.below(5)) {
        case 0: association.addresses[0].valid = Duration(0); break;
        case 1: association.addresses.clear(); break;
        case 2: association.id ^= 1; break;
        case 3: packet.server_id.clear(); break;
        default: packet.xid ^= 0x10; break;
      }
    }
    packet.associations = {association};
    return packet;
  }

  Schedule& schedule_;
  uint8_t number_;
  ByteVector id_;
  unsigned silent_percent_, refusal_percent_, garbage_percent_;
  bool conflicts_, slows_down_, strange_times_;
  bool well_ = false;
  std::optional<Duration> lifetime_;
  std::optional<Ipv6> given_;
  std::set<Ipv6> declined_;
};

class Life {
 public:
  explicit Life(uint64_t seed)
      : schedule_(seed),
        mode_(schedule_.chance(80) ? Dhcp6Mode::Stateful : Dhcp6Mode::Stateless),
        client_(mode_, duid_of({2, 0, 0, 0, 0, 1}), kId, seed ^ 0x5555),
        rate_(kDhcp6MostMessages, kDhcp6MessageWindow) {
    uint64_t count = 1 + schedule_.below(3);
    for (uint64_t i = 0; i < count; ++i) {
      servers_.emplace_back(schedule_, static_cast<uint8_t>(i + 1));
    }
    loss_ = static_cast<unsigned>(schedule_.below(80));
    slowest_ = schedule_.chance(30) ? Duration(14s) : Duration(50ms);
    flap_ = schedule_.chance(50);
  }

  void live() {
    set_link(true);
    if (flap_) plan_flap();
    run(schedule_.now() + schedule_.between(1s, 300s));
    calm();
    // Leases of servers that are no longer there may end meanwhile.
    longest_gap_ = 0s;
    if (!is_served()) without_since_ = schedule_.now();
    run(schedule_.now() + kCalm);
    if (!is_served()) note_gap();
    EXPECT_LE(longest_gap_, kSoon) << client_.progress();
  }

 private:
  bool is_served() const { return mode_ == Dhcp6Mode::Stateful ? client_.has_lease() : informed_; }

  void run(Time end) {
    schedule_.run(end, wake_, [this] { act(client_.on(Dhcp6Event::Timer, schedule_.now())); });
  }

  void calm() {
    calm_ = true;
    loss_ = 0;
    slowest_ = 20ms;
    servers_.front().behave();
    set_link(true);
  }

  void set_link(bool up) {
    link_ = up;
    act(client_.on(up ? Dhcp6Event::LinkUp : Dhcp6Event::LinkDown, schedule_.now()));
  }

  void plan_flap() {
    Duration longest = schedule_.chance(50) ? Duration(300ms) : Duration(30s);
    schedule_.after(schedule_.between(1ms, longest), [this] {
      if (calm_) return;
      set_link(!link_);
      plan_flap();
    });
  }

  void act(const Dhcp6Actions& actions) {
    Time now = schedule_.now();
    wake_ = actions.wake;
    for (const ByteVector& message : actions.send) {
      EXPECT_TRUE(link_);
      rate_.sent(now);
      ask_servers(parse_dhcp6(message).value());
    }
    if (actions.lost) {
      EXPECT_FALSE(client_.has_lease());
      without_since_ = now;
    }
    if (!actions.bound) return;
    const std::vector<Dhcp6Address>& addresses = actions.bound->addresses;
    EXPECT_EQ(client_.has_lease(), !addresses.empty());
    informed_ = true;
    if (is_served()) {
      note_gap();
      without_since_.reset();
    }
    for (const Dhcp6Address& address : addresses) {
      EXPECT_TRUE(!address.valid || *address.valid > 0s);
      if (!is_taken(address.address)) continue;
      // The kernel finds a duplicate within a second or so.
      schedule_.after(schedule_.between(1ms, 1500ms), [this, taken = address.address] {
        act(client_.on_duplicate(taken, schedule_.now()));
      });
    }
  }

  void note_gap() {
    if (without_since_) longest_gap_ = std::max(longest_gap_, schedule_.now() - *without_since_);
  }

  void ask_servers(const Dhcp6Packet& question) {
    size_t count = calm_ ? 1 : servers_.size();
    for (size_t i = 0; i < count; ++i) {
      schedule_.carry(loss_, slowest_, [this, i, question] {
        if (calm_ && i != 0) return;
        std::optional<Dhcp6Packet> answer = servers_[i].answer(question);
        if (!answer) return;
        schedule_.carry(loss_, slowest_, [this, packet = *answer] {
          if (link_) act(client_.on_packet(packet, schedule_.now()));
        });
      });
    }
  }

  Schedule schedule_;
  Dhcp6Mode mode_;
  Dhcp6Client client_;
  RateProof rate_;
  std::vector<Server> servers_;
  unsigned loss_;
  Duration slowest_;
  bool flap_;
  bool link_ = false;
  bool calm_ = false;
  bool informed_ = false;
  std::optional<Time> wake_;
  std::optional<Time> without_since_;
  Duration longest_gap_{};
};

TEST(Dhcp6Schedules, EveryNetworkThatBehavesIsJoined) {
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).live();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace curlingiron
