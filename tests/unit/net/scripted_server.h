// An HTTP server on loopback that does what a test wants, wrongly where that is the point.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace curlingiron::testing {

struct Request {
  unsigned number = 0;      // from 0, in the order of arrival
  unsigned connection = 0;  // the same
  std::string text;         // request line and headers
  // The value of a header, or "".
  std::string header(std::string_view name) const;
  std::string path() const;
  // N of "Range: bytes=N-" or "bytes=N-M", or nullopt.
  std::optional<uint64_t> range_start() const;
  // M of "Range: bytes=N-M" (inclusive), or nullopt.
  std::optional<uint64_t> range_last() const;
};

// The connection under one answer. The server closes it afterwards, unless asked to keep it.
class Exchange {
 public:
  explicit Exchange(int fd, SSL* tls, const std::atomic<bool>& stopping)
      : fd_(fd), tls_(tls), stopping_(stopping) {}
  // False when the client has gone.
  bool send(std::string_view bytes);
  // Closes with a reset instead of an orderly end.
  void reset();
  // Closes without TLS's own word for it, as one who cuts the line would.
  void cut() { cut_ = true; }
  bool is_cut() const { return cut_; }
  // Holds the connection open without a byte until the client goes or the test ends.
  void hang();
  // Waits for another request on this connection.
  void keep() { kept_ = true; }
  bool kept() const { return kept_; }
  // An alert of TLS 1.2, after which the connection goes on or not (RFC 5246, 7.2).
  void alert(int level, int description);
  // Another key for what is sent from here on (RFC 8446, 4.6.3). False when the client has gone.
  bool update_key();
  // The client went on with an earlier connection's session.
  bool is_resumed() const;
  // TCP_MAXSEG of the connection: bytes that the client takes at once.
  int segment() const;
  // Joins this connection with one to a port on loopback until either ends: a proxy's tunnel.
  void tunnel(uint16_t port);

 private:
  bool kept_ = false;
  bool cut_ = false;
  int fd_;
  SSL* tls_;
  const std::atomic<bool>& stopping_;
};

struct TlsIdentity {
  std::string certificate_file;  // PEM, with the chain
  std::string key_file;
  std::string client_ca_file;  // clients are asked for a certificate of this CA; empty: not at all
  bool client_optional = false;  // those without one are let in
  bool client_later = false;     // asked after the request (RFC 8446, 4.6.2), by TLS 1.3
  int oldest = 0;                // TLS1_2_VERSION, …; 0: any
  int newest = 0;
  std::string groups = "";   // of the key exchange, as "P-384"
  std::string ciphers = "";  // of TLS 1.2
};

class ScriptedServer {
 public:
  using Script = std::function<void(const Request&, Exchange&)>;

  // `port` 0: any that is free.
  explicit ScriptedServer(Script script, const TlsIdentity* identity = nullptr, uint16_t port = 0,
                          bool ipv6 = false);
  ~ScriptedServer();

  uint16_t port() const { return port_; }
  std::string url(std::string_view path, std::string_view host = "127.0.0.1") const;
  std::vector<Request> requests() const;

 private:
  void serve();
  void handle(int fd);
  bool receive(int fd, SSL* tls, Request& request);
  bool ask_later(SSL* tls);

  Script script_;
  SSL_CTX* tls_ = nullptr;
  bool client_later_ = false;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  unsigned connections_ = 0;
  std::vector<std::thread> handlers_;
  std::thread acceptor_;
};

}  // namespace curlingiron::testing
