#include "net/http/wire_failure.h"

#include <cerrno>
#include <utility>

#include "base/advice.h"
#include "base/system_error.h"
#include "base/text.h"

namespace curlingiron {
namespace {

HttpFailure make(const WireEnd& end, FailureKind kind, std::string_view text) {
  return {Error(concat(end.ask.url.host, ": ", text)), kind, std::nullopt, end.stage};
}

bool sent_certificate(const HttpOptions& options, const HttpAsk& ask) {
  return ask.trusted && options.client_certificate != nullptr;
}

HttpFailure explain_timeout(const WireEnd& end) {
  if (end.progress.tls_began) {
    return make(end, FailureKind::Transient, "the TLS handshake takes too long; check the server");
  }
  return {Error(concat(peer_name_of(end.options, end.ask), ": no connection on port ",
                       peer_of(end.options, end.ask).port, " within ",
                       seconds_text(end.connect_patience),
                       "; check the address, the route and firewalls")),
          FailureKind::Transient, std::nullopt, end.stage};
}

HttpFailure explain_connect(const WireEnd& end) {
  std::string peer = peer_name_of(end.options, end.ask);
  if (end.socket_error != nullptr) {
    return {end.socket_error->with_context(peer), FailureKind::Transient, std::nullopt,
            HttpStage::Connect};
  }
  std::string where = concat(peer, ": ");
  std::string port = concat("port ", peer_of(end.options, end.ask).port);
  std::string text;
  switch (end.os_error) {
    case ECONNREFUSED:
      text = concat(where, "connection refused on ", port,
                    "; check the port and that the server runs");
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
                    end.os_error != 0 ? system_error("connect", end.os_error).message()
                                      : curl_easy_strerror(end.code),
                    "); check the address and the server");
      break;
  }
  return {Error(std::move(text), end.os_error), FailureKind::Transient, std::nullopt,
          HttpStage::Connect};
}

// What the proxy answered to CONNECT, where it refused.
std::optional<HttpFailure> explain_proxy(const WireEnd& end) {
  if (!end.options.proxy || end.proxy_status < 300) return std::nullopt;
  long status = end.proxy_status;
  std::string where = concat(peer_name_of(end.options, end.ask), ": ");
  if (status == 407) {
    bool given = !end.options.proxy->user_info.empty();
    return HttpFailure{Error(concat(where,
                                    given ? "407, does not accept the credentials given"
                                          : "407, asks for credentials",
                                    "; check ", as_typed("proxy=http://USER:PASSWORD@HOST:PORT"))),
                       FailureKind::Final, std::nullopt, end.stage};
  }
  return HttpFailure{
      Error(concat(where, status, ", does not connect to ", end.ask.url.host, " port ",
                   end.ask.url.port, "; check the URL and what the proxy allows")),
      status >= 500 || status == 429 ? FailureKind::Transient : FailureKind::Final, std::nullopt,
      end.stage};
}

// TLS alerts that mean the client's certificate, or its absence (RFC 8446 section 6.2). With
// TLS 1.3 they arrive after the handshake, as an error of reading.
std::optional<HttpFailure> explain_refused_client(const WireEnd& end) {
  const std::string& alert = end.verdict.alert();
  if (alert.empty()) return std::nullopt;
  if (!sent_certificate(end.options, end.ask)) {
    if (!end.verdict.asked_for_certificate()) return std::nullopt;
    HttpFailure failure = make(end, FailureKind::Certificate,
                               "the server demands a client certificate; pass one (--cert)");
    failure.wants_client_certificate = true;
    return failure;
  }
  bool about_it = alert.find("certificate") != std::string::npos || alert == "unknown CA" ||
                  alert == "access denied";
  if (!about_it) return std::nullopt;
  return make(
      end, FailureKind::Certificate,
      concat("the server does not accept the client certificate (", alert, "); check --cert"));
}

HttpFailure explain_tls(const WireEnd& end, const std::string& detail) {
  if (auto refused = explain_refused_client(end)) return *refused;
  if (end.verdict.cut()) {
    // It may pass; what the peers disagree on does not.
    return make(end, FailureKind::Transient,
                concat("the TLS handshake failed: the connection ended in it (", detail,
                       "); check that the port speaks TLS 1.2 or 1.3"));
  }
  std::string why = end.verdict.objection();
  std::string_view advice = end.verdict.advice();
  if (!end.verdict.alert().empty()) {
    why = concat("the server says: ", end.verdict.alert());
    advice = "check that the port speaks TLS 1.2 or 1.3, with ECDHE and AEAD";
  }
  return make(end, FailureKind::Certificate,
              concat("the TLS handshake failed (", why, "); ", advice));
}

HttpFailure explain_code(const WireEnd& end, uint64_t position) {
  std::string detail =
      printable(end.curl_error.empty() ? curl_easy_strerror(end.code) : end.curl_error, 160);
  switch (end.code) {
    case CURLE_ABORTED_BY_CALLBACK:
      if (end.socket_error == nullptr) {
        return {Error(concat(peer_name_of(end.options, end.ask),
                             ": its answer does not end; check the proxy")),
                FailureKind::Transient, std::nullopt, end.stage};
      }
      return explain_connect(end);
    case CURLE_COULDNT_CONNECT: return explain_connect(end);
    case CURLE_OPERATION_TIMEDOUT: return explain_timeout(end);
    case CURLE_SSL_CERTPROBLEM:
      return make(end, FailureKind::Final,
                  "the client certificate is not accepted: it, and those above it, take SHA-2 and "
                  "RSA keys of 2048 bits or elliptic curves; make another (--cert)");
    case CURLE_SSL_CLIENTCERT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR: return explain_tls(end, detail);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return make(end, FailureKind::Final, "the server does not answer with HTTP; check the port");
    case CURLE_OUT_OF_MEMORY:
      // curl's limit for one header line is its only allocation that a server controls.
      return make(end, FailureKind::Final,
                  "a header of the answer is too long, or memory is used up");
    case CURLE_URL_MALFORMAT: return make(end, FailureKind::Final, "curl does not accept the URL");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: {
      if (auto refused = explain_refused_client(end)) return *refused;
      if (!end.verdict.objection().empty()) detail = end.verdict.objection();
      std::string hint = client_certificate_hint(end.options, end.ask, end.verdict);
      return make(end, FailureKind::Transient,
                  concat("the connection broke at byte ", position, " (", detail, ')',
                         end.progress.has_head ? "" : hint));
    }
    default: return make(end, FailureKind::Transient, concat("the download failed (", detail, ')'));
  }
}

HttpFailure explain_certificate_or_code(const WireEnd& end, uint64_t position) {
  if (auto refused = explain_proxy(end)) return *refused;
  if (end.verdict.refused_pin()) {
    return make(end, FailureKind::Certificate,
                concat("the server's key is not the pinned one but ", end.verdict.server_key(),
                       "; check the pin, and that nobody stands between"));
  }
  bool unproven =
      end.verdict.refused() || (end.progress.began && end.code == CURLE_WRITE_ERROR && !end.proven);
  if (unproven) return make(end, FailureKind::Certificate, end.verdict.explain());
  return explain_code(end, position);
}

}  // namespace

const Url& peer_of(const HttpOptions& options, const HttpAsk& ask) {
  return options.proxy ? *options.proxy : ask.url;
}

std::string peer_name_of(const HttpOptions& options, const HttpAsk& ask) {
  return options.proxy ? concat("proxy ", options.proxy->host) : ask.url.host;
}

HttpFailure explain(const WireEnd& end, uint64_t position) {
  if (end.dns_error != nullptr) {
    return {end.dns_error->with_context(peer_name_of(end.options, end.ask)), FailureKind::Transient,
            std::nullopt, HttpStage::Dns};
  }
  HttpFailure failure = explain_certificate_or_code(end, position);
  failure.valid_from = end.verdict.valid_from();
  return failure;
}

std::string client_certificate_hint(const HttpOptions& options, const HttpAsk& ask,
                                    const TlsVerdict& verdict) {
  if (sent_certificate(options, ask) || !verdict.asked_for_certificate()) return {};
  return "; the server asks for a client certificate: pass one (--cert)";
}

}  // namespace curlingiron
