#include "net/tls_witness.h"

// The library's own options come before its headers.
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "formats/base64.h"
#include "formats/http_text.h"
#include "io/digest.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

constexpr size_t kMostNames = 5;  // in a message

// Called for certificates above the server's own where the library objects to them, and for the
// server's own always. It knows no trusted ones, so that it objects to all; what counts is judged
// at the last call, which is the server's own, with the whole chain at hand.
int verify_callback(int /*accepted*/, WOLFSSL_X509_STORE_CTX* store) {
  if (store->error_depth > 0) return 1;
  std::vector<ConstBytes> chain;
  for (int i = 0; i < store->totalCerts; ++i) {
    chain.emplace_back(store->certs[i].buffer, store->certs[i].length);
  }
  auto* witness = static_cast<TlsWitness*>(store->userCtx);
  return witness != nullptr && witness->judge(chain, store->error) ? 1 : 0;
}

// The callback for a client certificate has no pointer of its own.
constexpr int kWitnessIndex = 1;

int client_certificate_callback(WOLFSSL* connection, WOLFSSL_X509** /*certificate*/,
                                WOLFSSL_EVP_PKEY** /*key*/) {
  auto* witness = static_cast<TlsWitness*>(
      wolfSSL_CTX_get_ex_data(wolfSSL_get_SSL_CTX(connection), kWitnessIndex));
  if (witness != nullptr) witness->note_certificate_request();
  return 0;  // none
}

// RFC 8446, section 6, and RFC 5246's. What else is in the library's queue has higher numbers.
struct Alert {
  unsigned long code;
  std::string_view name;
};
constexpr Alert kAlerts[] = {
    {10, "unexpected message"},
    {20, "bad record mac"},
    {22, "record overflow"},
    {40, "handshake failure"},
    {42, "bad certificate"},
    {43, "unsupported certificate"},
    {44, "certificate revoked"},
    {45, "certificate expired"},
    {46, "certificate unknown"},
    {47, "illegal parameter"},
    {48, "unknown ca"},
    {49, "access denied"},
    {50, "decode error"},
    {51, "decrypt error"},
    {70, "protocol version"},
    {71, "insufficient security"},
    {80, "internal error"},
    {86, "inappropriate fallback"},
    {109, "missing extension"},
    {112, "unrecognized name"},
    {116, "certificate required"},
    {120, "no application protocol"},
};

// curl's form of a pin: SHA-256 of the SubjectPublicKeyInfo.
std::string pin_of(const Certificate& certificate) {
  return concat("sha256//", to_base64(digest_of(DigestKind::Sha256, certificate.key_info)));
}

}  // namespace

void TlsWitness::attach(void* tls_context, TlsExpectation expectation) {
  expectation_ = std::move(expectation);
  auto* context = static_cast<WOLFSSL_CTX*>(tls_context);
  wolfSSL_CTX_set_verify(
      context, expectation_.trusted != nullptr ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE,
      verify_callback);
  wolfSSL_CTX_SetCertCbCtx(context, this);
  wolfSSL_CTX_set_ex_data(context, kWitnessIndex, this);
  wolfSSL_CTX_set_client_cert_cb(context, client_certificate_callback);
}

TlsWitness::Verdict TlsWitness::decide(std::span<const ConstBytes> chain, int library_error) {
  Result<Certificate> own = parse_x509(chain.empty() ? ConstBytes() : chain.front());
  if (own.ok()) {
    names_ = server_names(own.value(), kMostNames);
    pin_ = pin_of(own.value());
  }
  if (expectation_.trusted != nullptr) {
    fault_ = find_path(chain, *expectation_.trusted, wall_clock_seconds());
    // It knows nobody to have signed it. Any other objection is one more than ours.
    bool objects = library_error != 0 && library_error != ASN_NO_SIGNER_E &&
                   library_error != ASN_SELF_SIGNED_E;
    if (!fault_ && objects) {
      fault_ = PathFault{.reason = ::wc_GetErrorString(library_error)};
    }
    if (fault_ || !own.ok()) return Verdict::BadPath;
    if (!is_for_host(own.value(), expectation_.host)) return Verdict::WrongHost;
  }
  if (expectation_.pins.empty()) return Verdict::Accepted;
  std::vector<std::string_view> pins = split(expectation_.pins, ';');
  bool known = own.ok() && std::ranges::find(pins, std::string_view(pin_)) != pins.end();
  return known ? Verdict::Accepted : Verdict::WrongKey;
}

bool TlsWitness::judge(std::span<const ConstBytes> chain, int library_error) {
  verdict_ = decide(chain, library_error);
  return verdict_ == Verdict::Accepted;
}

std::string TlsWitness::explain(int64_t wall_clock) const {
  if (verdict_ == Verdict::WrongHost || !fault_) {
    return concat("certificate is for ", join(names_, ", "), " and not for ", expectation_.host,
                  "; use one of its names in the URL, or pass insecure");
  }
  std::string whose =
      fault_->is_server ? "certificate" : concat("certificate of the CA ", fault_->subject);
  switch (fault_->kind) {
    case PathFault::Kind::Expired:
      return concat(whose, " expired on ", format_date(fault_->not_after),
                    "; set the clock, renew it, or pass insecure");
    case PathFault::Kind::NotYetValid:
      return concat(whose, " is not valid before ", format_date(fault_->not_before),
                    ", but this machine's clock says ", format_date_time(wall_clock),
                    "; set the clock (time=), or pass insecure");
    case PathFault::Kind::UnknownIssuer:
      return concat("unknown CA (issuer ", fault_->issuer,
                    "); pass its certificate with --ca FILE (ca=), or pass insecure");
    case PathFault::Kind::Refused:
      return concat(whose, " is not accepted (", fault_->reason, "); renew it, or pass insecure");
  }
  __builtin_unreachable();
}

std::optional<int64_t> TlsWitness::valid_from() const {
  if (!refused() || !fault_ || fault_->kind != PathFault::Kind::NotYetValid) return std::nullopt;
  return fault_->not_before;
}

std::string take_tls_alert() {
  std::string_view found;
  while (unsigned long code = wolfSSL_ERR_get_error()) {
    for (const Alert& alert : kAlerts) {
      if (found.empty() && alert.code == code) found = alert.name;
    }
  }
  return std::string(found);
}

}  // namespace curlingiron
