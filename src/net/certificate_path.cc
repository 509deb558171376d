#include "net/certificate_path.h"

// The library's own options come before its headers.
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "base/text.h"
#include "base/units.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kLongestPath = 20;
// A server can send a maze; each of these steps costs a signature at most.
constexpr unsigned kMostSteps = 200;
constexpr uint32_t kShortestRsa = 2048;  // bits
constexpr uint32_t kLongestRsa = 8192;   // cmake/wolfssl_options.h: SP_INT_BITS

bool equal(ConstBytes a, ConstBytes b) { return std::ranges::equal(a, b); }
bool before(ConstBytes a, ConstBytes b) { return std::ranges::lexicographical_compare(a, b); }

bool is_signed_by(const Certificate& certificate, const Certificate& authority) {
  int kind = 0;
  switch (authority.key_kind) {
    case KeyKind::Rsa: kind = RSAk; break;
    case KeyKind::RsaPss: kind = RSAPSSk; break;
    case KeyKind::Ecdsa: kind = ECDSAk; break;
    case KeyKind::Ed25519: kind = ED25519k; break;
    case KeyKind::Other: return false;
  }
  ConstBytes key = authority.key_kind == KeyKind::Ecdsa ? authority.key_info : authority.key;
  return ::wc_CheckCertSigPubKey(certificate.whole.data(),
                                 static_cast<word32>(certificate.whole.size()), nullptr, key.data(),
                                 static_cast<word32>(key.size()), kind) == 0;
}

// Could this be its authority? Identifiers that differ speak against it (RFC 5280, 4.2.1.1).
bool may_have_signed(const Certificate& authority, const Certificate& certificate) {
  if (!equal(authority.subject, certificate.issuer)) return false;
  return authority.key_id.empty() || certificate.authority_key_id.empty() ||
         equal(authority.key_id, certificate.authority_key_id);
}

struct FreeManager {
  void operator()(WOLFSSL_CERT_MANAGER* manager) const { ::wolfSSL_CertManagerFree(manager); }
};

// What is judged here as OpenSSL does, and differently there: dates (here: at the time asked
// about), name constraints, extensions that are critical. And an authority whose certificate does
// not say its key's identifier (or is of the first version) is not always found there; that it
// signed has been proven by then.
bool is_objection(int code) {
  return code != WOLFSSL_SUCCESS && code != ASN_BEFORE_DATE_E && code != ASN_AFTER_DATE_E &&
         code != ASN_NAME_INVALID_E && code != ASN_CRIT_EXT_E && code != ASN_NO_SIGNER_E;
}

// The library's own judgement of a finished path, one certificate after the other from the trusted
// one down: it can verify a chain, but does not look for one. Its error code, or nothing.
std::optional<int> library_objection(std::span<const Certificate* const> path) {
  std::unique_ptr<WOLFSSL_CERT_MANAGER, FreeManager> manager(::wolfSSL_CertManagerNew());
  if (manager == nullptr) return MEMORY_E;
  for (size_t index = path.size(); index-- > 0;) {
    ConstBytes der = path[index]->whole;
    auto size = static_cast<long>(der.size());
    if (index != path.size() - 1) {  // The last one is trusted, whoever signed it.
      int code =
          ::wolfSSL_CertManagerVerifyBuffer(manager.get(), der.data(), size, WOLFSSL_FILETYPE_ASN1);
      if (is_objection(code)) return code;
    }
    if (index == 0) break;
    int code = ::wolfSSL_CertManagerLoadCABuffer_ex(
        manager.get(), der.data(), size, WOLFSSL_FILETYPE_ASN1, 0, WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY);
    // It cannot stand above others there; what was found here stands alone.
    if (code == ASN_CRIT_EXT_E) break;
    if (code != WOLFSSL_SUCCESS) return code;
  }
  return std::nullopt;
}

class PathSearch {
 public:
  PathSearch(std::vector<Certificate> sent, const TrustStore& trusted, int64_t now)
      : sent_(std::move(sent)), trusted_(trusted), now_(now) {}

  std::optional<PathFault> run() {
    path_.push_back(&sent_.front());
    if (extend()) return std::nullopt;
    return fault_;
  }

 private:
  bool extend();
  bool try_next(const Certificate& authority, bool is_trusted);
  bool check();
  std::optional<std::string> objection(size_t index) const;
  std::optional<std::string> authority_objection(size_t index) const;
  void note(PathFault::Kind kind, size_t index, std::string reason = "");

  std::vector<Certificate> sent_;  // the server's own first
  const TrustStore& trusted_;
  int64_t now_;
  std::vector<const Certificate*> path_;  // the server's own first
  unsigned steps_ = 0;
  std::optional<PathFault> fault_;
};

// The first fault counts, but any other tells more than an authority that is not known.
void PathSearch::note(PathFault::Kind kind, size_t index, std::string reason) {
  bool first = !fault_ || (fault_->kind == PathFault::Kind::UnknownIssuer &&
                           kind != PathFault::Kind::UnknownIssuer);
  if (!first) return;
  const Certificate& certificate = *path_[index];
  fault_ = PathFault{.kind = kind,
                     .reason = std::move(reason),
                     .is_server = index == 0,
                     .subject = display_name(certificate.subject),
                     .issuer = display_name(certificate.issuer),
                     .not_before = certificate.not_before,
                     .not_after = certificate.not_after};
}

bool PathSearch::try_next(const Certificate& authority, bool is_trusted) {
  if (++steps_ > kMostSteps) return false;
  path_.push_back(&authority);
  bool found = is_trusted ? check() : extend();
  path_.pop_back();
  return found;
}

// From the last certificate of the path on.
bool PathSearch::extend() {
  const Certificate& last = *path_.back();
  if (trusted_.holds(last) && check()) return true;
  if (path_.size() >= kLongestPath) return false;
  for (const Certificate& authority : trusted_.named(last.issuer)) {
    if (equal(authority.whole, last.whole) || !may_have_signed(authority, last)) continue;
    if (try_next(authority, true)) return true;
  }
  for (const Certificate& authority : sent_) {
    bool used = std::ranges::any_of(
        path_, [&](const Certificate* each) { return equal(each->whole, authority.whole); });
    if (used || !may_have_signed(authority, last)) continue;
    if (try_next(authority, false)) return true;
  }
  note(PathFault::Kind::UnknownIssuer, path_.size() - 1);
  return false;
}

std::optional<std::string> PathSearch::authority_objection(size_t index) const {
  const Certificate& authority = *path_[index];
  // The first version, of which some roots are, has no extensions; a root is one by being trusted.
  bool is_root = index == path_.size() - 1;
  if (authority.has_basic_constraints ? !authority.is_ca : !is_root) return "it is no CA";
  if (!authority.signs_certificates()) return "its key is not for certificates";
  if (authority.path_length) {
    size_t between = 0;
    for (size_t i = 1; i < index; ++i) between += path_[i]->self_issued() ? 0 : 1;
    if (between > *authority.path_length) return "there are too many CAs below it";
  }
  for (size_t i = 0; i < index; ++i) {
    if (i != 0 && path_[i]->self_issued()) continue;
    if (!may_stand_below(*path_[i], authority)) {
      return concat("it may not vouch for the name of ", display_name(path_[i]->subject));
    }
  }
  return std::nullopt;
}

std::optional<std::string> PathSearch::objection(size_t index) const {
  const Certificate& certificate = *path_[index];
  if (certificate.has_unknown_critical) return "it has a critical extension that is not known";
  if (!certificate.for_servers) return "it is not for servers";
  bool is_rsa = certificate.key_kind == KeyKind::Rsa || certificate.key_kind == KeyKind::RsaPss;
  if (is_rsa && certificate.key_bits < kShortestRsa) {
    return concat("its key of ", certificate.key_bits, " bits is too short");
  }
  if (certificate.key_kind == KeyKind::Other || (is_rsa && certificate.key_bits > kLongestRsa)) {
    return "keys of its kind are not supported";
  }
  if (index != 0) {
    if (auto found = authority_objection(index)) return found;
  }
  if (index == path_.size() - 1) return std::nullopt;  // trusted whoever signed it
  switch (certificate.signature) {
    case SignatureKind::Strong: break;
    case SignatureKind::Weak: return "it is signed with SHA-1 or MD5, which can be forged";
    case SignatureKind::Other: return "signatures of its kind are not supported";
  }
  if (!is_signed_by(certificate, *path_[index + 1])) return "its signature does not fit its CA";
  return std::nullopt;
}

// The whole path, which ends with a trusted certificate; from there down, as trust goes.
bool PathSearch::check() {
  for (size_t index = path_.size(); index-- > 0;) {
    const Certificate& certificate = *path_[index];
    if (auto found = objection(index)) {
      note(PathFault::Kind::Refused, index, std::move(*found));
      return false;
    }
    if (now_ < certificate.not_before || now_ > certificate.not_after) {
      note(now_ < certificate.not_before ? PathFault::Kind::NotYetValid : PathFault::Kind::Expired,
           index);
      return false;
    }
  }
  if (std::optional<int> code = library_objection(path_)) {
    note(PathFault::Kind::Refused, 0, ::wc_GetErrorString(*code));
    return false;
  }
  return true;
}

}  // namespace

Result<TrustStore> TrustStore::load(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  std::string path = file;
  if (path.starts_with('/')) {
    path.erase(0, path.find_first_not_of('/'));
  } else {
    root = TRY(open_root("."));
  }
  return parse(as_bytes(TRY(read_text(root, path, 16_MiB))));
}

Result<TrustStore> TrustStore::parse(ConstBytes pem) {
  TrustStore store;
  store.bytes_ = read_pem_certificates(pem);
  for (const ByteVector& der : store.bytes_) {
    Result<Certificate> certificate = parse_x509(der);
    if (certificate.ok()) store.certificates_.push_back(std::move(certificate).value());
  }
  if (store.certificates_.empty()) return Error("no usable certificate in it");
  std::ranges::stable_sort(store.certificates_, before, &Certificate::subject);
  return store;
}

bool TrustStore::holds(const Certificate& certificate) const {
  return std::ranges::any_of(named(certificate.subject), [&](const Certificate& each) {
    return equal(each.whole, certificate.whole);
  });
}

std::span<const Certificate> TrustStore::named(ConstBytes subject) const {
  auto less = [](const Certificate& each, ConstBytes name) { return before(each.subject, name); };
  auto begin = std::lower_bound(certificates_.begin(), certificates_.end(), subject, less);
  auto end = begin;
  while (end != certificates_.end() && equal(end->subject, subject)) ++end;
  return {begin, end};
}

std::optional<PathFault> find_path(std::span<const ConstBytes> chain, const TrustStore& trusted,
                                   int64_t now) {
  std::vector<Certificate> sent;
  for (ConstBytes der : chain) {
    Result<Certificate> certificate = parse_x509(der);
    if (certificate.ok()) {
      sent.push_back(std::move(certificate).value());
    } else if (sent.empty()) {
      return PathFault{.reason = concat("it cannot be read: ", certificate.error().message())};
    }
  }
  if (sent.empty()) return PathFault{.reason = "the server sent none"};
  return PathSearch(std::move(sent), trusted, now).run();
}

}  // namespace curlingiron
