// The DHCP client in ten thousand networks that lose, double, delay and reorder messages, whose
// links flap and whose servers are silent, refuse, forget, give what others have or what nobody can
// use: once such a network behaves, the client has a lease soon and keeps it, and at no time does
// it send more than it may.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "net/join/dhcp_client.h"
#include "support/effort.h"
#include "unit/net/join/life.h"

namespace curlingiron {
namespace {

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 1};
const unsigned kSchedules = static_cast<unsigned>(repetitions(200, 10000));
constexpr Duration kSoon = 45s;  // after the network behaves
constexpr uint32_t kNetwork = 0x0a000200;

uint8_t code(DhcpOption option) { return static_cast<uint8_t>(option); }
ByteVector be32(uint32_t value) {
  ByteWriter out;
  out.be32(value);
  return std::move(out).bytes();
}
Ipv4 address_in(const DhcpPacket& packet, DhcpOption option) {
  auto found = packet.options.find(code(option));
  if (found == packet.options.end()) return {};
  ByteReader in(found->second);
  return Ipv4{in.be32().value()};
}

// The first twenty of each fifty belong to others.
bool is_taken(Ipv4 address) { return (address.value & 0xff) % 50 < 20; }

// Knows what it gave, and never gives what was declined.
class Server {
 public:
  Server(Schedule& schedule, uint8_t number)
      : schedule_(schedule), id_{kNetwork + number}, number_(number) {
    silent_percent_ = schedule.chance(30) ? 100 : static_cast<unsigned>(schedule.below(50));
    nak_percent_ = schedule.chance(30) ? static_cast<unsigned>(schedule.below(100)) : 0;
    garbage_percent_ = schedule.chance(30) ? static_cast<unsigned>(schedule.below(100)) : 0;
    authoritative_ = schedule.chance(50);
    conflicts_ = schedule.chance(30);
    constexpr uint32_t kTimes[] = {0, 1, 10, 20, 60, 120, 600, 86400, 0xffffffff};
    lease_time_ = kTimes[schedule.below(std::size(kTimes))];
    strange_times_ = schedule.chance(20);
  }

  void behave() {
    well_ = true;
    conflicts_ = false;
  }

  std::optional<DhcpPacket> answer(const DhcpPacket& question, bool has_others) {
    if (question.type == DhcpType::Decline) {
      if (address_in(question, DhcpOption::ServerId) == id_) {
        declined_.insert(address_in(question, DhcpOption::RequestedAddress));
        given_.reset();
      }
      return std::nullopt;
    }
    DhcpPacket packet;
    packet.operation = DhcpOperation::Reply;
    packet.xid = question.xid;
    packet.mac = question.mac;
    packet.options[code(DhcpOption::ServerId)] = be32(id_.value);
    if (question.type == DhcpType::Discover) {
      packet.type = DhcpType::Offer;
      if (!given_) given_ = choose(question);
      return fill(packet);
    }
    // Silent in what counts.
    if (!well_ && schedule_.chance(silent_percent_)) return std::nullopt;
    Ipv4 server = address_in(question, DhcpOption::ServerId);
    if (has_others && !server.is_zero() && server != id_) return std::nullopt;
    Ipv4 wanted = question.client.is_zero() ? address_in(question, DhcpOption::RequestedAddress)
                                            : question.client;
    bool known = given_ && wanted == *given_;
    if (!known && server != id_ && !authoritative_) return std::nullopt;
    packet.type = known ? DhcpType::Ack : DhcpType::Nak;
    if (!well_ && schedule_.chance(nak_percent_)) packet.type = DhcpType::Nak;
    if (packet.type == DhcpType::Nak) {
      given_.reset();
      return packet;
    }
    return fill(packet);
  }

 private:
  Ipv4 choose(const DhcpPacket& question) {
    Ipv4 wanted = address_in(question, DhcpOption::RequestedAddress);
    bool mine = wanted.value >> 8 == kNetwork >> 8 && (wanted.value & 0xff) / 50 == number_;
    if (mine && !is_taken(wanted) && declined_.count(wanted) == 0 && schedule_.chance(80))
      return wanted;
    for (;;) {
      uint32_t last = conflicts_ ? static_cast<uint32_t>(schedule_.below(20))
                                 : 20 + static_cast<uint32_t>(schedule_.below(30));
      Ipv4 address{kNetwork + number_ * 50U + last};
      if (declined_.count(address) == 0) return address;
      conflicts_ = false;
      if (declined_.size() > 25) declined_.clear();
    }
  }

  DhcpPacket fill(DhcpPacket packet) {
    packet.yours = *given_;
    packet.options[code(DhcpOption::SubnetMask)] = be32(0xffffff00);
    packet.options[code(DhcpOption::LeaseTime)] = be32(lease_time_);
    if (strange_times_) {
      packet.options[code(DhcpOption::RenewalTime)] =
          be32(static_cast<uint32_t>(schedule_.below(100)));
      packet.options[code(DhcpOption::RebindingTime)] =
          be32(static_cast<uint32_t>(schedule_.below(100)));
    }
    if (!well_ && schedule_.chance(garbage_percent_)) {
      switch (schedule_.below(4)) {
        case 0: packet.yours = Ipv4{}; break;
        case 1: packet.yours = Ipv4{0x7f000001}; break;
        case 2: packet.options.erase(code(DhcpOption::ServerId)); break;
        default: packet.xid ^= 0x10; break;
      }
    }
    return packet;
  }

  Schedule& schedule_;
  Ipv4 id_;
  uint8_t number_;
  unsigned silent_percent_, nak_percent_, garbage_percent_;
  bool authoritative_, conflicts_, strange_times_;
  bool well_ = false;
  uint32_t lease_time_;
  std::optional<Ipv4> given_;
  std::set<Ipv4> declined_;
};

class Dhcp4Life final : public Life {
 public:
  explicit Dhcp4Life(uint64_t seed)
      : Life(seed, kDhcpMostMessages, kDhcpMessageWindow), client_(kMac, "iron", seed ^ 0x5555) {
    for (size_t i = 1; i <= servers_; ++i) all_.emplace_back(schedule_, static_cast<uint8_t>(i));
  }

 private:
  bool is_served() const override { return client_.has_lease(); }
  std::string progress() const override { return client_.progress(); }
  void on_timer() override { act(client_.on(DhcpEvent::Timer, schedule_.now())); }
  void on_link(bool up) override {
    act(client_.on(up ? DhcpEvent::LinkUp : DhcpEvent::LinkDown, schedule_.now()));
  }
  void behave() override { all_.front().behave(); }

  void act(const DhcpActions& actions) {
    Time now = schedule_.now();
    wake_ = actions.wake;
    for (const DhcpMessage& message : actions.send) {
      sends();
      ask_servers(
          [this, question = parse_dhcp(message.payload).value()](size_t server) {
            return all_[server].answer(question, servers_ > 1);
          },
          [this](const DhcpPacket& packet) { act(client_.on_packet(packet, schedule_.now())); });
    }
    if (actions.probe) {
      probed_.try_emplace(*actions.probe, now);
      if (is_taken(*actions.probe)) {
        schedule_.carry(loss_ / 2, 60ms, [this, address = *actions.probe] {
          act(client_.on_conflict(address, schedule_.now()));
        });
      }
    }
    if (actions.lost) {
      EXPECT_FALSE(client_.has_lease());
      address_.reset();
      lease_is_lost();
    }
    if (actions.bound) {
      EXPECT_TRUE(client_.has_lease());
      Ipv4 address = actions.bound->address;
      if (address != address_) {
        auto probe = probed_.find(address);
        ASSERT_NE(probe, probed_.end());
        EXPECT_GE(now - probe->second, kDhcpProbeTime);
        probed_.clear();
      }
      address_ = address;
      lease_is_there();
    }
  }

  DhcpClient client_;
  std::vector<Server> all_;
  std::optional<Ipv4> address_;
  std::map<Ipv4, Time> probed_;
};

TEST(DhcpSchedules, EveryNetworkThatBehavesIsJoined) {
  for (unsigned seed = 0; seed < kSchedules; ++seed) {
    SCOPED_TRACE(seed);
    Dhcp4Life(seed).live(120s, kSoon);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace curlingiron
