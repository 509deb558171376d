#include "net/http/wire.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "net/tls/policy.h"
#include "net/tls/trust_store.h"
#include "sys/clock.h"
#include "sys/socket_options.h"

namespace curlingiron {
namespace {

constexpr long kSocketBuffer = 256 << 10;  // bytes that curl asks of the socket at once
constexpr Duration kConnectTimeout = 15s;  // TCP and TLS
constexpr Duration kNamePatience = 10s;
constexpr Duration kKnownNamePatience = 3s;  // where there are addresses of before to go on with
constexpr size_t kMostKnownHosts = 32;

long milliseconds(Duration duration) {
  return static_cast<long>(std::max<int64_t>(
      1, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct UrlDeleter {
  void operator()(CURLU* parts) const { curl_url_cleanup(parts); }
};
using UrlParts = std::unique_ptr<CURLU, UrlDeleter>;
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using StringList = std::unique_ptr<curl_slist, ListDeleter>;

void append(StringList& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) return;  // out of memory: the transfer fails by itself soon
  [[maybe_unused]] curl_slist* same = list.release();
  list.reset(longer);
}

// As CURLOPT_RESOLVE takes it.
std::string resolve_entry(const Url& peer, const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const IpAddress& address : addresses) {
    std::string text = format_ip(address);
    texts.push_back(address.is_v6() ? concat('[', text, ']') : text);
  }
  return concat(peer.host, ':', peer.port, ':', join(texts, ","));
}

std::vector<IpAddress> only(const std::vector<IpAddress>& addresses, std::optional<Family> family) {
  std::vector<IpAddress> fitting;
  for (const IpAddress& address : addresses) {
    if (!family || address.family() == *family) fitting.push_back(address);
  }
  return fitting;
}

// What formats/url.h found in the text: curl takes nothing else out of it. Null: out of memory, or
// curl does not take a part.
UrlParts parts_of(const Url& url) {
  UrlParts parts(curl_url());
  if (parts == nullptr) return nullptr;
  bool good = true;
  auto set = [&](CURLUPart part, std::string_view text) {
    good = curl_url_set(parts.get(), part, std::string(text).c_str(), 0) == CURLUE_OK && good;
  };
  set(CURLUPART_SCHEME, url.scheme == UrlScheme::Https ? "https" : "http");
  set(CURLUPART_HOST, url.host);
  set(CURLUPART_PORT, concat(url.port));
  std::string_view target = url.target;
  size_t question = target.find('?');
  set(CURLUPART_PATH, target.substr(0, question));
  if (question != std::string_view::npos) set(CURLUPART_QUERY, target.substr(question + 1));
  std::string_view user = url.user_info;
  if (!user.empty()) {
    size_t colon = user.find(':');
    set(CURLUPART_USER, user.substr(0, colon));
    if (colon != std::string_view::npos) set(CURLUPART_PASSWORD, user.substr(colon + 1));
  }
  return good ? std::move(parts) : nullptr;
}

}  // namespace

std::string seconds_text(Duration duration) {
  int64_t tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return concat(tenths / 10, '.', tenths % 10, " s");
}

struct HttpWire::State {
  explicit State(const HttpOptions& settings) : options(settings) {}
  ~State() { drop(); }

  const HttpOptions& options;
  HttpPath path;
  Resolver resolver;
  std::map<std::string, std::vector<IpAddress>> known;  // the last addresses that names had
  std::vector<int> sockets;  // open ones that were made for the request under way
  // Before the connections, which report to it until the last of them is closed.
  TlsVerdict verdict;
  Multi multi;
  std::optional<TrustStore> trusted;  // read for the first connection that needs it
  uint64_t arrived = 0;

  // --- the request under way
  UrlParts url_parts;  // borrowed by easy
  Easy easy;
  StringList request_headers;
  StringList addresses;  // curl resolves nothing itself
  bool resolving = false;
  bool began = false;            // curl has begun to work on it
  bool made_connection = false;  // and not used one that was there
  std::optional<Error> dns_error;
  std::optional<Error> socket_error;
  HttpAsk ask;
  HttpReceiver* receiver = nullptr;
  HttpHeadReader head;
  bool told_head = false;
  bool tls_began = false;  // TCP is connected, TLS has begun
  bool paused = false;
  WireState state = WireState::Done;
  CURLcode code = CURLE_OK;
  char curl_error[CURL_ERROR_SIZE] = {};

  Result<void> set_options(CURL* handle, bool fresh);
  void set_tls_options(CURL* handle, bool& good);
  void drop();
  WireState perform();
  void resolve(bool fresh);
  void take_addresses();
  void transfer(const std::vector<IpAddress>& found);
  bool on_new_socket(int fd);
  void on_closed_socket(int fd);
  bool connected() const;
  HttpStage stage() const;
  CURLcode on_tls(SSL_CTX* context);
  CURLcode use_client_certificate(SSL_CTX* context);
  bool is_proven() const;
  bool on_line(std::string_view line);
  size_t on_body(ConstBytes bytes);

  // The one whom a connection is made to: the proxy where there is one.
  const Url& peer() const { return options.proxy ? *options.proxy : ask.url; }
  std::string peer_name() const {
    return options.proxy ? concat("proxy ", options.proxy->host) : ask.url.host;
  }
  HttpFailure make(FailureKind kind, std::string_view text) const {
    return HttpFailure{Error(concat(ask.url.host, ": ", text)), kind, std::nullopt, stage()};
  }
  HttpFailure describe(uint64_t position) const;
  HttpFailure describe_code(uint64_t position) const;
  HttpFailure describe_tls(const std::string& detail) const;
  std::optional<HttpFailure> describe_refused_client() const;
  HttpFailure describe_connect() const;
  HttpFailure describe_timeout() const;
  std::optional<HttpFailure> describe_proxy() const;
  std::string certificate_hint() const;
};

namespace {

// curl declares the user pointer of its callbacks as void*.
template <typename State>
size_t header_callback(char* data, size_t size, size_t count, void* state) {
  return static_cast<State*>(state)->on_line(std::string_view(data, size * count)) ? size * count
                                                                                   : 0;
}

template <typename State>
size_t body_callback(char* data, size_t size, size_t count, void* state) {
  return static_cast<State*>(state)->on_body(as_bytes(std::string_view(data, size * count)));
}

template <typename State>
int new_socket_callback(void* state, curl_socket_t fd, curlsocktype /*purpose*/) {
  return static_cast<State*>(state)->on_new_socket(fd) ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

// curl owns the descriptor, and leaves its end to this.
template <typename State>
int close_socket_callback(void* state, curl_socket_t fd) {
  static_cast<State*>(state)->on_closed_socket(fd);
  return 0;
}

template <typename State>
CURLcode tls_callback(CURL* /*easy*/, void* context, void* state) {
  return static_cast<State*>(state)->on_tls(static_cast<SSL_CTX*>(context));
}

}  // namespace

bool HttpWire::State::on_new_socket(int fd) {
  made_connection = true;
  Result<void> bound = bind_to_interface(fd, path.interface);
  if (!bound.ok()) {
    socket_error = std::move(bound).error();
    return false;
  }
  Result<void> limited = limit_segment(fd, path.max_segment);
  if (!limited.ok()) log_warning("TCP segments are not limited", limited.error());
  sockets.push_back(fd);
  return true;
}

void HttpWire::State::on_closed_socket(int fd) {
  std::erase(sockets, fd);
  UniqueFd closed(fd);
}

bool HttpWire::State::connected() const {
  if (!began || !made_connection) return began;
  return std::any_of(sockets.begin(), sockets.end(),
                     [](int fd) { return tcp_state(fd).connected; });
}

HttpStage HttpWire::State::stage() const {
  if (told_head) return HttpStage::Body;
  if (resolving || dns_error) return HttpStage::Dns;
  curl_off_t connect_took = 0;
  curl_off_t handshake_took = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_CONNECT_TIME_T, &connect_took);
  curl_easy_getinfo(easy.get(), CURLINFO_APPCONNECT_TIME_T, &handshake_took);
  if (connect_took == 0 && !tls_began && !connected()) return HttpStage::Connect;
  bool secure = ask.url.scheme == UrlScheme::Https;
  if (secure && made_connection && handshake_took == 0) return HttpStage::Tls;
  return HttpStage::Http;
}

CURLcode HttpWire::State::on_tls(SSL_CTX* context) {
  tls_began = true;
  if (!options.insecure && !trusted) {
    Result<TrustStore> loaded = TrustStore::load(options.ca_file);
    if (!loaded.ok()) return CURLE_SSL_CACERT_BADFILE;
    trusted = std::move(loaded).value();
  }
  bool governed = verdict.govern(
      context, TlsExpectation{.host = ask.url.host,
                              .trusted = options.insecure ? nullptr : &*trusted,
                              .pin = ask.trusted ? options.pinned_key : std::nullopt,
                              .time = options.certificate_time.value_or(wall_clock_seconds())});
  if (!governed) return CURLE_OUT_OF_MEMORY;
  if (!ask.trusted || options.client_certificate.empty()) return CURLE_OK;
  return use_client_certificate(context);
}

// Here and not by curl's option, which would look for the file's kind, and ask for a password.
CURLcode HttpWire::State::use_client_certificate(SSL_CTX* context) {
  const std::string& certificate = options.client_certificate;
  const std::string& key = options.client_key.empty() ? certificate : options.client_key;
  bool good = ::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1 &&
              ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1 &&
              ::SSL_CTX_check_private_key(context) == 1;
  return good ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

// Bytes of a server that proved itself on this very connection, or on the one that is kept.
bool HttpWire::State::is_proven() const {
  return ask.url.scheme != UrlScheme::Https || !made_connection || verdict.accepted();
}

bool HttpWire::State::on_line(std::string_view line) {
  arrived += line.size();
  if (told_head) return true;  // trailers
  if (!is_proven()) return false;
  Result<void> added = head.add_line(line);
  if (added.ok() && !head.complete()) return true;
  told_head = true;
  HttpReceiver::Taken taken =
      added.ok() ? receiver->on_head(head.head()) : receiver->on_head(added.error());
  return taken != HttpReceiver::Taken::Stop;
}

size_t HttpWire::State::on_body(ConstBytes bytes) {
  switch (receiver->on_body(bytes)) {
    case HttpReceiver::Taken::All: arrived += bytes.size(); return bytes.size();
    case HttpReceiver::Taken::Nothing: paused = true; return CURL_WRITEFUNC_PAUSE;
    case HttpReceiver::Taken::Stop: break;
  }
  return bytes.size() + 1;  // no count that curl takes for success
}

void HttpWire::State::set_tls_options(CURL* handle, bool& good) {
  auto set = [&](CURLoption option, auto value) {
    good = curl_easy_setopt(handle, option, value) == CURLE_OK && good;
  };
  set(CURLOPT_SSL_VERIFYPEER, options.insecure ? 0L : 1L);
  // The verification of net/tls/policy.h has the host's name in it; curl reads no certificate.
  set(CURLOPT_SSL_VERIFYHOST, 0L);
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);  // a session that is resumed shows no certificate
  set(CURLOPT_SSL_CTX_FUNCTION, tls_callback<State>);
  set(CURLOPT_SSL_CTX_DATA, this);
}

Result<void> HttpWire::State::set_options(CURL* handle, bool fresh) {
  bool good = true;
  auto set = [&](CURLoption option, auto value) {
    good = curl_easy_setopt(handle, option, value) == CURLE_OK && good;
  };
  url_parts = parts_of(ask.url);
  if (url_parts == nullptr) good = false;
  set(CURLOPT_CURLU, url_parts.get());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  // Empty: none, whatever the environment says.
  set(CURLOPT_PROXY, options.proxy ? options.proxy->text().c_str() : "");
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_HEADEROPT, long{CURLHEADER_SEPARATE});
  set(CURLOPT_BUFFERSIZE, kSocketBuffer);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min<Duration>(kConnectTimeout, options.stall)));
  set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  set(CURLOPT_SOCKOPTFUNCTION, new_socket_callback<State>);
  set(CURLOPT_SOCKOPTDATA, this);
  set(CURLOPT_CLOSESOCKETFUNCTION, close_socket_callback<State>);
  set(CURLOPT_CLOSESOCKETDATA, this);
  if (ask.method == HttpMethod::Head) set(CURLOPT_NOBODY, 1L);
  if (fresh) set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_ERRORBUFFER, curl_error);
  if (ask.url.scheme == UrlScheme::Https) set_tls_options(handle, good);

  append(request_headers, "Accept-Encoding: identity");
  if (ask.trusted) {
    for (const std::string& header : options.headers) append(request_headers, header);
  }
  if (!ask.range.empty()) append(request_headers, concat("Range: ", ask.range));
  if (!ask.if_range.empty()) append(request_headers, concat("If-Range: ", ask.if_range));
  set(CURLOPT_HTTPHEADER, request_headers.get());
  set(CURLOPT_HEADERFUNCTION, header_callback<State>);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, body_callback<State>);
  set(CURLOPT_WRITEDATA, this);
  if (!good) return Error(concat(ask.url.display(), ": libcurl cannot start the request"));
  return {};
}

void HttpWire::State::drop() {
  if (easy != nullptr && multi != nullptr) curl_multi_remove_handle(multi.get(), easy.get());
  easy.reset();
  request_headers.reset();
  addresses.reset();
  resolver.drop();
  resolving = false;
  paused = false;
  state = WireState::Done;
}

// Begins to find the addresses of the peer. A request that follows a good one goes where that went:
// over the connection that is there, most often.
void HttpWire::State::resolve(bool fresh) {
  auto before = known.find(peer().host);
  std::vector<IpAddress> usable;
  if (before != known.end()) usable = only(before->second, path.family);
  if (!fresh && !usable.empty()) {
    transfer(usable);
    return;
  }
  resolving = true;
  Duration patience = usable.empty() ? kNamePatience : kKnownNamePatience;
  resolver.start(peer().host, path.family, path.resolver,
                 std::min<Duration>(patience, options.stall));
}

void HttpWire::State::take_addresses() {
  resolver.perform();
  if (!resolver.result()) return;
  const std::string& host = peer().host;
  const Result<std::vector<IpAddress>>& result = *resolver.result();
  if (result.ok()) {
    if (known.size() >= kMostKnownHosts) known.clear();
    known[host] = result.value();
    transfer(result.value());
    return;
  }
  std::vector<IpAddress> usable;
  if (auto before = known.find(host); before != known.end()) {
    usable = only(before->second, path.family);
  }
  if (usable.empty()) {
    dns_error = result.error();
    state = WireState::Failed;
    return;
  }
  log_warning(
      concat(peer_name(), ": ", result.error().message(), "; its addresses of before are tried"));
  transfer(usable);
}

void HttpWire::State::transfer(const std::vector<IpAddress>& found) {
  resolving = false;
  // An address is its own (and curl 7.88 takes no entry for one of IPv6).
  if (!parse_ip(peer().host).ok()) append(addresses, resolve_entry(peer(), found));
  bool good = curl_easy_setopt(easy.get(), CURLOPT_RESOLVE, addresses.get()) == CURLE_OK &&
              curl_multi_add_handle(multi.get(), easy.get()) == CURLM_OK;
  if (good) return;
  code = CURLE_OUT_OF_MEMORY;
  state = WireState::Failed;
}

WireState HttpWire::State::perform() {
  if (state != WireState::Running) return state;
  if (resolving) {
    take_addresses();
    if (state != WireState::Running || resolving) return state;
  }
  began = true;
  if (paused) {
    paused = false;
    // Delivers what was held back.
    code = curl_easy_pause(easy.get(), CURLPAUSE_CONT);
    if (code != CURLE_OK) return state = WireState::Failed;
    if (paused) return state;
  }
  int running = 0;
  if (curl_multi_perform(multi.get(), &running) != CURLM_OK) {
    code = CURLE_OUT_OF_MEMORY;
    return state = WireState::Failed;
  }
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE || message->easy_handle != easy.get()) continue;
    code = message->data.result;
    if (code == CURLE_OK && !told_head) code = CURLE_GOT_NOTHING;
    state = code == CURLE_OK ? WireState::Done : WireState::Failed;
  }
  return state;
}

HttpFailure HttpWire::State::describe_timeout() const {
  std::string text;
  if (!tls_began) {
    text = concat(peer_name(), ": no connection on port ", peer().port, " within ",
                  seconds_text(std::min<Duration>(kConnectTimeout, options.stall)),
                  "; check the address, the route and firewalls");
  } else {
    text = concat(ask.url.host, ": the TLS handshake takes too long; check the server");
  }
  return {Error(std::move(text)), FailureKind::Transient, std::nullopt, stage()};
}

HttpFailure HttpWire::State::describe_connect() const {
  if (socket_error) {
    return {socket_error->with_context(peer_name()), FailureKind::Transient, std::nullopt,
            HttpStage::Connect};
  }
  long number = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_OS_ERRNO, &number);
  std::string where = concat(peer_name(), ": ");
  std::string port = concat("port ", peer().port);
  std::string text;
  switch (number) {
    case ECONNREFUSED:
      text = concat(where, "connection refused on ", port,
                    "; check that the server runs and the port");
      break;
    case EHOSTUNREACH:
    case ENETUNREACH:
      text = concat(where, "no route to the host; check address, gateway and firewall");
      break;
    case ETIMEDOUT:
      text = concat(where, "no connection on ", port, "; check the address and firewalls");
      break;
    default:
      text = concat(where, "cannot connect on ", port, " (",
                    number != 0 ? system_error("connect", static_cast<int>(number)).message()
                                : curl_easy_strerror(code),
                    "); check the address and the server");
      break;
  }
  return {Error(std::move(text), static_cast<int>(number)), FailureKind::Transient, std::nullopt,
          HttpStage::Connect};
}

// What the proxy answered to CONNECT, where it refused.
std::optional<HttpFailure> HttpWire::State::describe_proxy() const {
  long status = 0;
  if (!options.proxy) return std::nullopt;
  if (curl_easy_getinfo(easy.get(), CURLINFO_HTTP_CONNECTCODE, &status) != CURLE_OK) {
    return std::nullopt;
  }
  if (status < 300) return std::nullopt;
  std::string where = concat(peer_name(), ": ");
  if (status == 407) {
    bool given = !options.proxy->user_info.empty();
    return HttpFailure{Error(concat(where,
                                    given ? "407, does not accept the credentials given"
                                          : "407, asks for credentials",
                                    "; check proxy=http://USER:PASSWORD@HOST:PORT")),
                       FailureKind::Final, std::nullopt, stage()};
  }
  return HttpFailure{Error(concat(where, status, ", does not connect to ", ask.url.host, " port ",
                                  ask.url.port, "; check the URL and what the proxy allows")),
                     status >= 500 || status == 429 ? FailureKind::Transient : FailureKind::Final,
                     std::nullopt, stage()};
}

// TLS alerts that mean the client's certificate, or its absence (RFC 8446 section 6.2). With
// TLS 1.3 they arrive after the handshake, as an error of reading.
std::optional<HttpFailure> HttpWire::State::describe_refused_client() const {
  if (verdict.alert().empty()) return std::nullopt;
  bool sent = ask.trusted && !options.client_certificate.empty();
  if (!sent) {
    if (!verdict.asked_for_certificate()) return std::nullopt;
    HttpFailure failure = make(FailureKind::Certificate,
                               "the server demands a client certificate; pass one (--cert)");
    failure.wants_client_certificate = true;
    return failure;
  }
  const std::string& alert = verdict.alert();
  bool about_it = alert.find("certificate") != std::string::npos || alert == "unknown CA" ||
                  alert == "access denied";
  if (!about_it) return std::nullopt;
  return make(FailureKind::Certificate,
              concat("the server does not accept the client certificate ",
                     options.client_certificate, " (", alert, "); check --cert"));
}

// A server that wanted a certificate may say so by its status, or by hanging up.
std::string HttpWire::State::certificate_hint() const {
  bool sent = ask.trusted && !options.client_certificate.empty();
  if (sent || !verdict.asked_for_certificate()) return {};
  return "; the server asks for a client certificate: pass one (--cert)";
}

HttpFailure HttpWire::State::describe_tls(const std::string& detail) const {
  if (auto refused = describe_refused_client()) return *refused;
  if (verdict.cut()) {
    // It may pass; what the peers disagree on does not.
    return make(FailureKind::Transient,
                concat("the TLS handshake failed: the connection ended in it (", detail,
                       "); check that the port speaks TLS 1.2 or 1.3"));
  }
  std::string why = verdict.objection();
  if (!verdict.alert().empty()) why = concat("the server says: ", verdict.alert());
  return make(FailureKind::Certificate,
              concat("the TLS handshake failed (", why,
                     "); check that the port speaks TLS 1.2 or 1.3, with ECDHE and AEAD"));
}

HttpFailure HttpWire::State::describe(uint64_t position) const {
  if (dns_error) {
    return {dns_error->with_context(peer_name()), FailureKind::Transient, std::nullopt,
            HttpStage::Dns};
  }
  HttpFailure failure = describe_code(position);
  failure.valid_from = verdict.valid_from();
  return failure;
}

HttpFailure HttpWire::State::describe_code(uint64_t position) const {
  // curl's own words may quote what the server sent.
  std::string detail =
      printable(curl_error[0] != '\0' ? curl_error : curl_easy_strerror(code), 160);
  if (auto refused = describe_proxy()) return *refused;
  if (verdict.refused_pin()) {
    return make(FailureKind::Certificate,
                concat("the server's key is not the pinned one but ", verdict.server_key(),
                       "; check the pin, and that nobody stands between"));
  }
  bool unproven = verdict.refused() || (began && code == CURLE_WRITE_ERROR && !is_proven());
  if (unproven) return make(FailureKind::Certificate, verdict.explain());
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_COULDNT_CONNECT: return describe_connect();
    case CURLE_OPERATION_TIMEDOUT: return describe_timeout();
    case CURLE_SSL_CERTPROBLEM:
      return make(
          FailureKind::Final,
          concat("the client certificate ", options.client_certificate, " with the key ",
                 options.client_key.empty() ? options.client_certificate : options.client_key,
                 " cannot be used (", detail,
                 "); check that both are PEM, that the key has no password, and that they "
                 "belong together (--cert)"));
    case CURLE_SSL_CACERT_BADFILE:
      return make(FailureKind::Final, concat("the CA file ", options.ca_file,
                                             " holds no usable certificates; check ca="));
    case CURLE_SSL_CONNECT_ERROR: return describe_tls(detail);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return make(FailureKind::Final, "the server does not answer with HTTP; check the port");
    case CURLE_OUT_OF_MEMORY:
      // curl's limit for one header line is its only allocation that a server controls.
      return make(FailureKind::Final, "a header of the answer is too long, or memory is used up");
    case CURLE_URL_MALFORMAT: return make(FailureKind::Final, "curl does not accept the URL");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      if (auto refused = describe_refused_client()) return *refused;
      return make(FailureKind::Transient, concat("the connection broke at byte ", position, " (",
                                                 detail, ')', told_head ? "" : certificate_hint()));
    default: return make(FailureKind::Transient, concat("the download failed (", detail, ')'));
  }
}

HttpWire::HttpWire(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpWire::~HttpWire() = default;

Result<std::unique_ptr<HttpWire>> HttpWire::create(const HttpOptions& options) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) {
    return Error(concat("libcurl does not start: ", curl_easy_strerror(initialized)));
  }
  if (!options.client_key.empty() && options.client_certificate.empty()) {
    return Error("a client key without its certificate; pass both");
  }
  auto state = std::make_unique<State>(options);
  state->multi.reset(curl_multi_init());
  if (state->multi == nullptr) return Error("libcurl does not start: out of memory");
  curl_multi_setopt(state->multi.get(), CURLMOPT_MAXCONNECTS, 2L);
  return std::unique_ptr<HttpWire>(new HttpWire(std::move(state)));
}

Result<void> HttpWire::send(const HttpAsk& ask, const HttpPath& path, bool fresh,
                            HttpReceiver& receiver) {
  State& s = *state_;
  s.drop();
  if (!same_way(path, s.path)) fresh = true;
  s.path = path;
  s.sockets.clear();
  s.began = s.made_connection = false;
  s.dns_error.reset();
  s.socket_error.reset();
  s.ask = ask;
  s.receiver = &receiver;
  s.head = HttpHeadReader();
  s.told_head = false;
  s.verdict = TlsVerdict();
  s.tls_began = false;
  s.code = CURLE_OK;
  s.curl_error[0] = '\0';
  s.easy.reset(curl_easy_init());
  if (s.easy == nullptr) return Error("libcurl: out of memory");
  TRY(s.set_options(s.easy.get(), fresh));
  s.state = WireState::Running;
  s.resolve(fresh);
  return {};
}

void HttpWire::drop() { state_->drop(); }
bool HttpWire::busy() const { return state_->easy != nullptr; }
WireState HttpWire::perform() { return state_->perform(); }

void HttpWire::wait(Duration most) {
  std::vector<curl_waitfd> also;
  if (state_->resolving) {
    for (const PollItem& item : state_->resolver.waits_for()) {
      int events =
          (item.want_read ? CURL_WAIT_POLLIN : 0) | (item.want_write ? CURL_WAIT_POLLOUT : 0);
      also.push_back({item.fd, static_cast<short>(events), 0});
    }
    most = std::clamp<Duration>(state_->resolver.next() - now(), Duration(0), most);
  }
  curl_multi_poll(state_->multi.get(), also.data(), static_cast<unsigned>(also.size()),
                  static_cast<int>(milliseconds(most)), nullptr);
}

HttpStage HttpWire::stage() const { return state_->stage(); }

uint32_t HttpWire::segment() const {
  uint32_t most = 0;
  for (int fd : state_->sockets) most = std::max(most, tcp_state(fd).segment);
  return most;
}

void HttpWire::wake() { curl_multi_wakeup(state_->multi.get()); }

HttpFailure HttpWire::failure(uint64_t position) const { return state_->describe(position); }

std::string HttpWire::certificate_hint() const { return state_->certificate_hint(); }

uint64_t HttpWire::arrived() const { return state_->arrived; }

uint64_t HttpWire::activity() const {
  uint64_t bytes = state_->arrived;
  for (int fd : state_->sockets) bytes += tcp_state(fd).received;
  return bytes;
}

Time HttpWire::now() const { return curlingiron::now(); }
uint64_t HttpWire::random() { return random_u64(); }

std::string HttpWire::tls_version() const {
  curl_tlssessioninfo* session = nullptr;
  bool has_session =
      state_->ask.url.scheme == UrlScheme::Https &&
      curl_easy_getinfo(state_->easy.get(), CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK &&
      session != nullptr && session->internals != nullptr;
  return has_session ? ::SSL_get_version(static_cast<const SSL*>(session->internals)) : "";
}

}  // namespace curlingiron
