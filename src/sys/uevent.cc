#include "sys/uevent.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {

Result<Uevent> parse_uevent(ConstBytes datagram) {
  std::string_view text = as_text(datagram);
  size_t end = text.find('\0');
  if (end == std::string_view::npos) return Error("truncated");
  if (text.substr(0, end).find('@') == std::string_view::npos) return Error("not a kernel uevent");
  text.remove_prefix(end + 1);
  Uevent event;
  struct Field {
    std::string_view key;
    std::string* into;
  };
  const Field fields[] = {{"ACTION=", &event.action},
                          {"DEVPATH=", &event.device},
                          {"SUBSYSTEM=", &event.subsystem},
                          {"MODALIAS=", &event.modalias},
                          {"DRIVER=", &event.driver}};
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\0'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    for (const Field& field : fields) {
      if (line.starts_with(field.key)) *field.into = line.substr(field.key.size());
    }
  }
  if (event.action.empty() || event.device.empty())
    return Error("a uevent without action or device");
  return event;
}

std::string read_uevent_modalias(const UniqueFd& root, const std::string& file) {
  constexpr std::string_view kKey = "MODALIAS=";
  Result<std::string> text = read_text(root, file);
  if (!text.ok()) return {};
  for (std::string_view line : split(text.value(), '\n')) {
    if (line.starts_with(kKey)) return std::string(trim(line.substr(kKey.size())));
  }
  return {};
}

Result<UeventSocket> UeventSocket::open() {
  UniqueFd fd(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!fd.valid()) return last_system_error("uevent socket");
  int size = 8 << 20;
  // Without the privilege the default buffer stays; lost announcements are then seen as ENOBUFS.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("uevent socket");
  }
  return UeventSocket(std::move(fd));
}

Result<UeventSocket::Status> UeventSocket::receive(Uevent& event) {
  for (;;) {
    std::array<uint8_t, 8192> datagram;
    sockaddr_nl sender{};
    socklen_t length = sizeof sender;
    ssize_t n = ::recvfrom(fd_.get(), datagram.data(), datagram.size(), 0,
                           reinterpret_cast<sockaddr*>(&sender), &length);
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Status::Empty;
      if (errno == ENOBUFS) return Status::Lost;
      if (errno == EINTR) continue;
      return last_system_error("uevent socket");
    }
    if (sender.nl_pid != 0) continue;  // Not the kernel.
    Result<Uevent> parsed = parse_uevent(ConstBytes(datagram).first(static_cast<size_t>(n)));
    if (!parsed.ok()) continue;
    event = std::move(parsed).value();
    return Status::Event;
  }
}

}  // namespace curlingiron
