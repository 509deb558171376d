// An HTTPS server that shows any bytes at all as its certificates, also what no other would load or
// use for a handshake:
//   raw_certificate_server ADDRESS PORT 1.2|1.3 CHAIN.pem KEY.pem FILE
// What stands in the PEM blocks is sent as it is, and never parsed. PORT 0: any that is free. Says
// "listening on port N", then what each connection came to, on standard output. Every request is
// answered with all of FILE. Ends when it is told to, or after ten minutes.
#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr unsigned kLongestLife = 600;           // seconds
constexpr unsigned kLongestSilence = 20 * 1000;  // milliseconds
constexpr size_t kLongestHandshake = size_t{1} << 20;
constexpr size_t kLongestRequest = size_t{1} << 16;

[[noreturn]] void give_up(const char* what, const char* why) {
  std::fprintf(stderr, "raw_certificate_server: %s: %s\n", what, why);
  std::exit(1);
}

// Of GnuTLS, where what is negative is an error.
void must(int code, const char* what) {
  if (code < 0) give_up(what, gnutls_strerror(code));
}

__attribute__((format(printf, 1, 2))) void say(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::fflush(stdout);
}

std::string content_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) give_up(path, "cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

gnutls_datum_t datum(std::string& bytes) {
  return {reinterpret_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

gnutls_privkey_t read_key(const char* path) {
  std::string pem = content_of(path);
  gnutls_datum_t bytes = datum(pem);
  gnutls_privkey_t key = nullptr;
  must(gnutls_privkey_init(&key), path);
  must(gnutls_privkey_import_x509_raw(key, &bytes, GNUTLS_X509_FMT_PEM, nullptr, 0), path);
  return key;
}

// The blocks of a PEM file, as a chain whose first has that key, whatever it says itself.
std::vector<gnutls_pcert_st> read_chain(const char* path, gnutls_privkey_t key) {
  static constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  std::string pem = content_of(path);
  std::vector<gnutls_pcert_st> chain;
  for (size_t at = pem.find(kBegin); at != std::string::npos; at = pem.find(kBegin, at + 1)) {
    std::string block = pem.substr(at);
    gnutls_datum_t text = datum(block);
    gnutls_pcert_st each{};
    each.type = GNUTLS_CRT_X509;
    must(gnutls_pem_base64_decode2("CERTIFICATE", &text, &each.cert), path);
    chain.push_back(each);
  }
  if (chain.empty()) give_up(path, "holds no certificate");
  must(gnutls_pubkey_init(&chain[0].pubkey), path);
  must(gnutls_pubkey_import_privkey(chain[0].pubkey, key, 0, 0), path);
  return chain;
}

gnutls_certificate_credentials_t credentials_of(std::vector<gnutls_pcert_st> chain,
                                                gnutls_privkey_t key) {
  gnutls_certificate_credentials_t credentials = nullptr;
  must(gnutls_certificate_allocate_credentials(&credentials), "credentials");
  // With a name given the certificate is not asked for its own.
  const char* name = "any.test";
  must(gnutls_certificate_set_key(credentials, &name, 1, chain.data(),
                                  static_cast<int>(chain.size()), key),
       "the certificates");
  return credentials;
}

int listen_on(const char* address, const char* port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  if (inet_pton(AF_INET, address, &where.sin_addr) != 1) give_up(address, "is no IPv4 address");
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* general = reinterpret_cast<sockaddr*>(&where);
  socklen_t size = sizeof where;
  bool good = bind(listener, general, size) == 0 && listen(listener, 16) == 0 &&
              getsockname(listener, general, &size) == 0;
  if (!good) give_up(address, "nothing can listen there");
  say("listening on port %d\n", ntohs(where.sin_port));
  return listener;
}

bool send_all(gnutls_session_t session, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    ssize_t count = gnutls_record_send(session, bytes.data() + sent, bytes.size() - sent);
    if (count == GNUTLS_E_INTERRUPTED || count == GNUTLS_E_AGAIN) continue;
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

void answer(gnutls_session_t session, const std::string& file) {
  std::string request;
  char piece[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    ssize_t count = gnutls_record_recv(session, piece, sizeof piece);
    if (count <= 0 || request.size() > kLongestRequest) {
      say("no request (%s)\n", count < 0 ? gnutls_strerror(static_cast<int>(count)) : "the end");
      return;
    }
    request.append(piece, static_cast<size_t>(count));
  }
  say("request: %s\n", request.substr(0, request.find("\r\n")).c_str());
  std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
      std::to_string(file.size()) + "\r\nConnection: close\r\n\r\n";
  bool whole = send_all(session, head) && (request.starts_with("HEAD ") || send_all(session, file));
  say("answered: %s\n", whole ? "all of it" : "the client left");
}

void serve(int connection, const gnutls_certificate_credentials_t credentials,
           const std::string& priorities, const std::string& file) {
  gnutls_session_t session = nullptr;
  must(gnutls_init(&session, GNUTLS_SERVER), "a session");
  must(gnutls_priority_set_direct(session, priorities.c_str(), nullptr), priorities.c_str());
  must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), "a session");
  gnutls_transport_set_int(session, connection);
  gnutls_handshake_set_max_packet_length(session, kLongestHandshake);
  gnutls_handshake_set_timeout(session, kLongestSilence);
  gnutls_record_set_timeout(session, kLongestSilence);
  int code = 0;
  do {
    code = gnutls_handshake(session);
  } while (code < 0 && gnutls_error_is_fatal(code) == 0);
  if (code < 0) {
    bool told = code == GNUTLS_E_FATAL_ALERT_RECEIVED;
    say("handshake: %s%s%s\n", gnutls_strerror(code), told ? ": " : "",
        told ? gnutls_alert_get_name(gnutls_alert_get(session)) : "");
  } else {
    say("handshake: %s\n", gnutls_protocol_get_name(gnutls_protocol_get_version(session)));
    answer(session, file);
    gnutls_bye(session, GNUTLS_SHUT_WR);
  }
  gnutls_deinit(session);
  shutdown(connection, SHUT_RDWR);
  close(connection);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) give_up("usage", "ADDRESS PORT 1.2|1.3 CHAIN.pem KEY.pem FILE");
  alarm(kLongestLife);
  std::signal(SIGPIPE, SIG_IGN);
  std::string priorities = std::string("NORMAL:-VERS-ALL:+VERS-TLS") + argv[3];
  std::string file = content_of(argv[6]);
  gnutls_privkey_t key = read_key(argv[5]);
  gnutls_certificate_credentials_t credentials = credentials_of(read_chain(argv[4], key), key);
  int listener = listen_on(argv[1], argv[2]);
  for (;;) {
    int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) give_up("accept", "failed");
    std::thread(serve, connection, credentials, priorities, std::cref(file)).detach();
  }
}
