// DHCPv6 messages. Whatever is read must survive a round trip, and a client in any state must bear
// it.
#include <cstdlib>

#include "formats/dhcp6.h"
#include "formats/dns_name.h"
#include "net/join/dhcp6_client.h"

using namespace curlingiron;

namespace {

// The message as an answer to what the client asked last.
Dhcp6Actions answer(Dhcp6Client& client, Dhcp6Packet packet, const Dhcp6Packet& question,
                    Time now) {
  packet.xid = question.xid;
  packet.client_id = question.client_id;
  if (packet.server_id.empty()) packet.server_id = {0, 1, 2};
  for (Dhcp6Association& association : packet.associations) association.id = 7;
  return client.on_packet(packet, now);
}

void converse(const Dhcp6Packet& packet, Dhcp6Mode mode) {
  Dhcp6Client client(mode, duid_of({2, 0, 0, 0, 0, 1}), 7, 42);
  Time now{1000s};
  Dhcp6Actions actions = client.on(Dhcp6Event::LinkUp, now);
  Dhcp6Packet question;
  for (int step = 0; step < 20; ++step) {
    if (!actions.send.empty()) question = parse_dhcp6(actions.send.back()).value();
    actions = answer(client, packet, question, now);
    if (actions.bound && actions.bound->addresses.size() > 8) std::abort();
    if (actions.send.empty()) {
      if (!actions.wake) return;
      now = std::max(now, *actions.wake);
      actions = client.on(Dhcp6Event::Timer, now);
    }
    Dhcp6Packet reply = packet;
    reply.type = Dhcp6Type::Reply;
    if (!actions.send.empty()) question = parse_dhcp6(actions.send.back()).value();
    Dhcp6Actions more = answer(client, reply, question, now);
    if (!more.send.empty() || more.wake) actions = more;
  }
  (void)client.progress();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<Dhcp6Packet> packet = parse_dhcp6(ConstBytes(data, size));
  if (!packet.ok()) return 0;
  for (const std::string& domain : packet.value().search) {
    if (!is_host_name(domain)) std::abort();
  }
  ByteVector once = format_dhcp6(packet.value());
  Result<Dhcp6Packet> again = parse_dhcp6(once);
  if (!again.ok() || format_dhcp6(again.value()) != once) std::abort();
  if (again.value().associations != packet.value().associations) std::abort();
  converse(packet.value(), Dhcp6Mode::Stateful);
  converse(packet.value(), Dhcp6Mode::Stateless);
  return 0;
}
