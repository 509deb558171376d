// The DHCPv6 client in ten thousand networks that lose, double, delay and reorder messages, whose
// links flap and whose servers are silent, refuse, forget, give what others have or what nobody can
// use: once such a network behaves, the client has an address soon and keeps it, and at no time
// does it send more than it may.
#include <gtest/gtest.h>

#include <set>

#include "net/join/dhcp6_client.h"
#include "support/effort.h"
#include "unit/net/join/life.h"

namespace curlingiron {
namespace {

const unsigned kSchedules = static_cast<unsigned>(repetitions(200, 10000));
// From a network that behaves, or from a lease's end, to a lease: the pause that a server asked for
// by SOL_MAX_RT, and the time of a request to one that is silent.
constexpr Duration kSoon = 170s;
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

class Dhcp6Life final : public Life {
 public:
  explicit Dhcp6Life(uint64_t seed)
      : Life(seed, kDhcp6MostMessages, kDhcp6MessageWindow),
        mode_(schedule_.chance(80) ? Dhcp6Mode::Stateful : Dhcp6Mode::Stateless),
        client_(mode_, duid_of({2, 0, 0, 0, 0, 1}), kId, seed ^ 0x5555) {
    for (size_t i = 1; i <= servers_; ++i) all_.emplace_back(schedule_, static_cast<uint8_t>(i));
  }

 private:
  bool is_served() const override {
    return mode_ == Dhcp6Mode::Stateful ? client_.has_lease() : informed_;
  }
  std::string progress() const override { return client_.progress(); }
  void on_timer() override { act(client_.on(Dhcp6Event::Timer, schedule_.now())); }
  void on_link(bool up) override {
    act(client_.on(up ? Dhcp6Event::LinkUp : Dhcp6Event::LinkDown, schedule_.now()));
  }
  void behave() override { all_.front().behave(); }

  void act(const Dhcp6Actions& actions) {
    wake_ = actions.wake;
    for (const ByteVector& message : actions.send) {
      sends();
      ask_servers(
          [this, question = parse_dhcp6(message).value()](size_t server) {
            return all_[server].answer(question);
          },
          [this](const Dhcp6Packet& packet) { act(client_.on_packet(packet, schedule_.now())); });
    }
    if (actions.lost) {
      EXPECT_FALSE(client_.has_lease());
      lease_is_lost();
    }
    if (!actions.bound) return;
    const std::vector<Dhcp6Address>& addresses = actions.bound->addresses;
    EXPECT_EQ(client_.has_lease(), !addresses.empty());
    informed_ = true;
    if (is_served()) lease_is_there();
    for (const Dhcp6Address& address : addresses) {
      EXPECT_TRUE(!address.valid || *address.valid > 0s);
      if (!is_taken(address.address)) continue;
      // The kernel finds a duplicate within a second or so.
      schedule_.after(schedule_.between(1ms, 1500ms), [this, taken = address.address] {
        act(client_.on_duplicate(taken, schedule_.now()));
      });
    }
  }

  Dhcp6Mode mode_;
  Dhcp6Client client_;
  std::vector<Server> all_;
  bool informed_ = false;
};

TEST(Dhcp6Schedules, EveryNetworkThatBehavesIsJoined) {
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    SCOPED_TRACE(seed);
    Dhcp6Life(seed).live(300s, kSoon);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace curlingiron
