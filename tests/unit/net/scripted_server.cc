#include "unit/net/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/text.h"

// Of libssl.a, but of no header: there is no other means to send what a server ought not to.
extern "C" int ssl3_send_alert(SSL* tls, int level, int description);

namespace curlingiron::testing {

std::string Request::header(std::string_view name) const {
  for (std::string_view line : split(text, '\n')) {
    size_t colon = line.find(':');
    if (colon != std::string_view::npos && equal_ignoring_case(line.substr(0, colon), name)) {
      return std::string(trim(line.substr(colon + 1)));
    }
  }
  return {};
}

std::string Request::path() const {
  std::vector<std::string_view> words = split_blank(text);
  return words.size() < 2 ? "" : std::string(words[1]);
}

std::optional<uint64_t> Request::range_start() const {
  std::string value = header("Range");
  size_t dash = value.find('-');
  if (!value.starts_with("bytes=") || dash == std::string::npos) return std::nullopt;
  Result<uint64_t> start = parse_u64(std::string_view(value).substr(6, dash - 6));
  if (!start.ok()) return std::nullopt;
  return start.value();
}

std::optional<uint64_t> Request::range_last() const {
  std::string value = header("Range");
  Result<uint64_t> last = parse_u64(std::string_view(value).substr(value.find('-') + 1));
  if (!range_start() || !last.ok()) return std::nullopt;
  return last.value();
}

bool Exchange::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (stopping_) return false;
    ssize_t n = tls_ != nullptr ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void Exchange::alert(int level, int description) { ssl3_send_alert(tls_, level, description); }

bool Exchange::update_key() {
  return SSL_key_update(tls_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(tls_) == 1;
}

bool Exchange::is_resumed() const { return SSL_session_reused(tls_) == 1; }

void Exchange::reset() {
  linger abort{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

void Exchange::hang() {
  while (!stopping_) {
    pollfd item{fd_, POLLIN | POLLRDHUP, 0};
    ::poll(&item, 1, 50);
    if ((item.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0) return;
  }
}

int Exchange::segment() const {
  int segment = 0;
  socklen_t size = sizeof segment;
  ::getsockopt(fd_, IPPROTO_TCP, TCP_MAXSEG, &segment, &size);
  return segment;
}

void Exchange::tunnel(uint16_t port) {
  int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  bool open = ::connect(far, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  while (open && !stopping_) {
    pollfd ends[2] = {{fd_, POLLIN, 0}, {far, POLLIN, 0}};
    ::poll(ends, 2, 50);
    for (int i = 0; i < 2 && open; ++i) {
      if ((ends[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      char buffer[16384];
      ssize_t n = ::recv(ends[i].fd, buffer, sizeof buffer, 0);
      open = n > 0 && ::send(ends[1 - i].fd, buffer, static_cast<size_t>(n), MSG_NOSIGNAL) == n;
    }
  }
  ::close(far);
}

ScriptedServer::ScriptedServer(Script script, const TlsIdentity* identity, uint16_t port, bool ipv6)
    : script_(std::move(script)) {
  ::signal(SIGPIPE, SIG_IGN);
  if (identity != nullptr) {
    tls_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(tls_, 0);  // whatever a test wants to show
    SSL_CTX_set_dh_auto(tls_, 1);
    bool good =
        SSL_CTX_use_certificate_chain_file(tls_, identity->certificate_file.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(tls_, identity->key_file.c_str(), SSL_FILETYPE_PEM) == 1;
    if (!good) std::abort();
    good = SSL_CTX_set_min_proto_version(tls_, identity->oldest) == 1 &&
           SSL_CTX_set_max_proto_version(tls_, identity->newest) == 1 &&
           (identity->groups.empty() ||
            SSL_CTX_set1_groups_list(tls_, identity->groups.c_str()) == 1) &&
           (identity->ciphers.empty() ||
            SSL_CTX_set_cipher_list(tls_, identity->ciphers.c_str()) == 1);
    if (!good) std::abort();
    if (!identity->client_ca_file.empty()) {
      int demand = identity->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
      client_later_ = identity->client_later;
      SSL_CTX_set_verify(tls_, client_later_ ? SSL_VERIFY_NONE : SSL_VERIFY_PEER | demand, nullptr);
      if (SSL_CTX_load_verify_file(tls_, identity->client_ca_file.c_str()) != 1) std::abort();
    }
  }
  int reuse = 1;
  listener_ = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address{};
  if (ipv6) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_addr = in6addr_loopback;
    address.v6.sin6_port = htons(port);
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.v4.sin_port = htons(port);
  }
  socklen_t size = ipv6 ? sizeof address.v6 : sizeof address.v4;
  bool good = ::bind(listener_, &address.any, size) == 0 && ::listen(listener_, 16) == 0 &&
              ::getsockname(listener_, &address.any, &size) == 0;
  if (!good) std::abort();
  port_ = ntohs(ipv6 ? address.v6.sin6_port : address.v4.sin_port);
  acceptor_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& handler : handlers_) handler.join();
  ::close(listener_);
  SSL_CTX_free(tls_);
}

std::string ScriptedServer::url(std::string_view path, std::string_view host) const {
  return concat(tls_ != nullptr ? "https://" : "http://", host, ':', port_, path);
}

std::vector<Request> ScriptedServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::serve() {
  while (!stopping_) {
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    // No test may hang on its server.
    timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    handlers_.emplace_back([this, fd] { handle(fd); });
  }
}

bool ScriptedServer::receive(int fd, SSL* tls, Request& request) {
  while (request.text.find("\r\n\r\n") == std::string::npos) {
    if (stopping_) return false;
    pollfd item{fd, POLLIN, 0};
    if ((tls == nullptr || SSL_pending(tls) == 0) && ::poll(&item, 1, 50) == 0) continue;
    char buffer[4096];
    ssize_t n = tls != nullptr ? SSL_read(tls, buffer, sizeof buffer)
                               : ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    request.text.append(buffer, static_cast<size_t>(n));
    if (request.text.starts_with('\x16')) break;  // TLS on a plain port: answered as by any server
  }
  return true;
}

// Waits for the client's certificate, which comes before anything else of it.
bool ScriptedServer::ask_later(SSL* tls) {
  SSL_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_clear_mode(tls, SSL_MODE_AUTO_RETRY);
  bool asked = SSL_verify_client_post_handshake(tls) == 1 && SSL_do_handshake(tls) == 1;
  while (asked && SSL_get0_peer_certificate(tls) == nullptr) {
    char byte = 0;
    asked = SSL_get_error(tls, SSL_peek(tls, &byte, 1)) == SSL_ERROR_WANT_READ;
  }
  return asked;
}

void ScriptedServer::handle(int fd) {
  SSL* tls = nullptr;
  bool open = true;
  if (tls_ != nullptr) {
    tls = SSL_new(tls_);
    SSL_set_fd(tls, fd);
    open = SSL_accept(tls) == 1;
    // As real servers do: bytes that were not read would reset the connection and take the alert
    // that says why with them.
    if (!open) ::shutdown(fd, SHUT_WR);
    for (char unread[4096]; !open && ::recv(fd, unread, sizeof unread, 0) > 0;) {
    }
  }
  unsigned connection = 0;
  {
    std::lock_guard lock(mutex_);
    connection = connections_++;
  }
  while (open && !stopping_) {
    Request request;
    request.connection = connection;
    open = receive(fd, tls, request) && (!client_later_ || ask_later(tls));
    if (!open || stopping_) break;
    {
      std::lock_guard lock(mutex_);
      request.number = static_cast<unsigned>(requests_.size());
      requests_.push_back(request);
    }
    Exchange exchange(fd, tls, stopping_);
    script_(request, exchange);
    open = exchange.kept();
    if (tls != nullptr && !open && !exchange.is_cut()) SSL_shutdown(tls);
  }
  SSL_free(tls);
  ::close(fd);
}

}  // namespace curlingiron::testing
