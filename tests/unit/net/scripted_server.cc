#include "unit/net/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/text.h"

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
  if (!value.starts_with("bytes=") || !value.ends_with("-")) return std::nullopt;
  Result<uint64_t> start = parse_u64(std::string_view(value).substr(6, value.size() - 7));
  if (!start.ok()) return std::nullopt;
  return start.value();
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

ScriptedServer::ScriptedServer(Script script, const TlsIdentity* identity)
    : script_(std::move(script)) {
  ::signal(SIGPIPE, SIG_IGN);
  if (identity != nullptr) {
    tls_ = SSL_CTX_new(TLS_server_method());
    bool good =
        SSL_CTX_use_certificate_chain_file(tls_, identity->certificate_file.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(tls_, identity->key_file.c_str(), SSL_FILETYPE_PEM) == 1;
    if (!good) std::abort();
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bool good = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              ::listen(listener_, 16) == 0 &&
              ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!good) std::abort();
  port_ = ntohs(address.sin_port);
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

void ScriptedServer::handle(int fd) {
  SSL* tls = nullptr;
  bool open = true;
  if (tls_ != nullptr) {
    tls = SSL_new(tls_);
    SSL_set_fd(tls, fd);
    open = SSL_accept(tls) == 1;
  }
  Request request;
  while (open && request.text.find("\r\n\r\n") == std::string::npos && !stopping_) {
    pollfd item{fd, POLLIN, 0};
    if ((tls == nullptr || SSL_pending(tls) == 0) && ::poll(&item, 1, 50) == 0) continue;
    char buffer[4096];
    ssize_t n = tls != nullptr ? SSL_read(tls, buffer, sizeof buffer)
                               : ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      open = false;
    } else {
      request.text.append(buffer, static_cast<size_t>(n));
    }
    if (request.text.starts_with('\x16')) break;  // TLS on a plain port: answered as by any server
  }
  if (open && !stopping_) {
    {
      std::lock_guard lock(mutex_);
      request.number = static_cast<unsigned>(requests_.size());
      requests_.push_back(request);
    }
    Exchange exchange(fd, tls, stopping_);
    script_(request, exchange);
    if (tls != nullptr) SSL_shutdown(tls);
  }
  SSL_free(tls);
  ::close(fd);
}

}  // namespace curlingiron::testing
