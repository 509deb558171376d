#include "formats/x509.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/address.h"
#include "base/text.h"
#include "formats/base64.h"
#include "formats/der.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

constexpr size_t kMaxExtensions = 64;
constexpr size_t kMaxNames = 4096;  // large services put hundreds into one certificate
constexpr size_t kLongestName = 80;

// Object identifiers, encoded.
constexpr auto kRsa = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"sv;
constexpr auto kRsaPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv;
constexpr auto kEcPublicKey = "\x2a\x86\x48\xce\x3d\x02\x01"sv;
constexpr auto kEd25519 = "\x2b\x65\x70"sv;
constexpr auto kP256 = "\x2a\x86\x48\xce\x3d\x03\x01\x07"sv;
constexpr auto kP384 = "\x2b\x81\x04\x00\x22"sv;
constexpr auto kP521 = "\x2b\x81\x04\x00\x23"sv;

struct SignatureName {
  std::string_view id;
  SignatureKind kind;
};
constexpr SignatureName kSignatures[] = {
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"sv, SignatureKind::Strong},  // RSA with SHA-256
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"sv, SignatureKind::Strong},  // SHA-384
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"sv, SignatureKind::Strong},  // SHA-512
    {kRsaPss, SignatureKind::Strong},                                   // its hash stands apart
    {"\x2a\x86\x48\xce\x3d\x04\x03\x02"sv, SignatureKind::Strong},      // ECDSA with SHA-256
    {"\x2a\x86\x48\xce\x3d\x04\x03\x03"sv, SignatureKind::Strong},      // SHA-384
    {"\x2a\x86\x48\xce\x3d\x04\x03\x04"sv, SignatureKind::Strong},      // SHA-512
    {kEd25519, SignatureKind::Strong},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02"sv, SignatureKind::Weak},  // RSA with MD2
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"sv, SignatureKind::Weak},  // MD5
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"sv, SignatureKind::Weak},  // SHA-1
    {"\x2b\x0e\x03\x02\x1d"sv, SignatureKind::Weak},                  // SHA-1, OIW
    {"\x2a\x86\x48\xce\x3d\x04\x01"sv, SignatureKind::Weak},          // ECDSA with SHA-1
};
constexpr auto kSha1 = "\x2b\x0e\x03\x02\x1a"sv;

constexpr auto kBasicConstraints = "\x55\x1d\x13"sv;
constexpr auto kKeyUsage = "\x55\x1d\x0f"sv;
constexpr auto kExtendedKeyUsage = "\x55\x1d\x25"sv;
constexpr auto kSubjectAltName = "\x55\x1d\x11"sv;
constexpr auto kNameConstraints = "\x55\x1d\x1e"sv;
constexpr auto kSubjectKeyId = "\x55\x1d\x0e"sv;
constexpr auto kAuthorityKeyId = "\x55\x1d\x23"sv;
// What may be critical though it is not looked at: policies bind only who asks for one, and no
// revocation is asked for.
constexpr std::string_view kWithoutMeaning[] = {
    "\x55\x1d\x20"sv,  // certificatePolicies
    "\x55\x1d\x21"sv,  // policyMappings
    "\x55\x1d\x24"sv,  // policyConstraints
    "\x55\x1d\x36"sv,  // inhibitAnyPolicy
    "\x55\x1d\x1f"sv,  // cRLDistributionPoints
};
constexpr auto kServerAuth = "\x2b\x06\x01\x05\x05\x07\x03\x01"sv;
constexpr auto kAnyUsage = "\x55\x1d\x25\x00"sv;

constexpr auto kCommonName = "\x55\x04\x03"sv;
constexpr auto kOrganization = "\x55\x04\x0a"sv;

constexpr uint8_t kKeyCertSign = 0x04;

bool equal(ConstBytes a, ConstBytes b) { return std::ranges::equal(a, b); }

Error unusable(std::string_view what) { return Error(concat("a certificate with ", what)); }

// --- keys and signatures

Result<void> read_key(ConstBytes key_info, Certificate& out) {
  DerReader in(key_info);
  DerReader algorithm(TRY(in.content(DerTag::Sequence)));
  out.key = TRY(der_whole_bits(TRY(in.content(DerTag::BitString))));
  TRY(in.end());
  std::string_view id = as_text(TRY(algorithm.content(DerTag::ObjectIdentifier)));
  if (id == kRsa || id == kRsaPss) {
    out.key_kind = id == kRsa ? KeyKind::Rsa : KeyKind::RsaPss;
    DerReader file(out.key);
    DerReader numbers(TRY(file.content(DerTag::Sequence)));
    ConstBytes modulus = TRY(numbers.content(DerTag::Integer));
    TRY(numbers.content(DerTag::Integer));
    while (!modulus.empty() && modulus[0] == 0) modulus = modulus.subspan(1);
    if (modulus.empty()) return unusable("a key that is none");
    if (modulus.size() > 8192) return unusable("a key that is too long");
    out.key_bits = static_cast<uint32_t>(modulus.size() * 8) -
                   static_cast<uint32_t>(std::countl_zero(modulus[0]));
  } else if (id == kEcPublicKey) {
    if (!algorithm.next_is(DerTag::ObjectIdentifier)) return {};  // a curve of its own: Other
    std::string_view curve = as_text(TRY(algorithm.content(DerTag::ObjectIdentifier)));
    out.key_bits = curve == kP256 ? 256 : curve == kP384 ? 384 : curve == kP521 ? 521 : 0;
    if (out.key_bits != 0) out.key_kind = KeyKind::Ecdsa;
  } else if (id == kEd25519) {
    out.key_kind = KeyKind::Ed25519;
    out.key_bits = 256;
  }
  return {};
}

// RSASSA-PSS names its hash in the parameters; without, it is SHA-1 (RFC 4055, 3.1).
Result<SignatureKind> pss_kind(DerReader& algorithm) {
  if (!algorithm.next_is(DerTag::Sequence)) return SignatureKind::Weak;
  DerReader parameters(TRY(algorithm.content(DerTag::Sequence)));
  std::optional<ConstBytes> hash = TRY(parameters.optional(der_context(0)));
  if (!hash) return SignatureKind::Weak;
  DerReader wrapped(*hash);
  DerReader name(TRY(wrapped.content(DerTag::Sequence)));
  std::string_view id = as_text(TRY(name.content(DerTag::ObjectIdentifier)));
  return id == kSha1 ? SignatureKind::Weak : SignatureKind::Strong;
}

Result<SignatureKind> signature_kind(ConstBytes algorithm_content) {
  DerReader algorithm(algorithm_content);
  std::string_view id = as_text(TRY(algorithm.content(DerTag::ObjectIdentifier)));
  if (id == kRsaPss) return TRY(pss_kind(algorithm));
  for (const SignatureName& known : kSignatures) {
    if (known.id == id) return known.kind;
  }
  return SignatureKind::Other;
}

// --- names

GeneralName general_name(const DerElement& element) {
  GeneralName name{GeneralName::Kind::Other, element.content};
  if (element.tag == der_context_plain(1)) name.kind = GeneralName::Kind::Email;
  if (element.tag == der_context_plain(2)) name.kind = GeneralName::Kind::Dns;
  if (element.tag == der_context_plain(7)) name.kind = GeneralName::Kind::Ip;
  if (element.tag == der_context(4)) name.kind = GeneralName::Kind::Directory;
  return name;
}

Result<void> read_subtrees(ConstBytes list, std::vector<GeneralName>& out) {
  DerReader in(list);
  while (!in.at_end()) {
    if (out.size() >= kMaxNames) return unusable("too many name constraints");
    DerReader tree(TRY(in.content(DerTag::Sequence)));
    out.push_back(general_name(TRY(tree.next())));
    // minimum and maximum must not be there (RFC 5280, 4.2.1.10).
    TRY(tree.end());
  }
  return {};
}

// --- extensions

Result<void> read_basic_constraints(ConstBytes value, Certificate& out) {
  out.has_basic_constraints = true;
  DerReader file(value);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  if (std::optional<ConstBytes> ca = TRY(in.optional(DerTag::Boolean))) {
    if (ca->size() != 1) return unusable("basic constraints that are none");
    out.is_ca = (*ca)[0] != 0;
  }
  if (std::optional<ConstBytes> length = TRY(in.optional(DerTag::Integer))) {
    out.path_length = TRY(der_u32(*length));
  }
  return in.end();
}

Result<void> read_extended_usage(ConstBytes value, Certificate& out) {
  DerReader file(value);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  out.for_servers = false;
  while (!in.at_end()) {
    std::string_view id = as_text(TRY(in.content(DerTag::ObjectIdentifier)));
    if (id == kServerAuth || id == kAnyUsage) out.for_servers = true;
  }
  return {};
}

Result<void> read_alternative_names(ConstBytes value, Certificate& out) {
  DerReader file(value);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  while (!in.at_end()) {
    if (out.alternative_names.size() >= kMaxNames) return unusable("too many names");
    out.alternative_names.push_back(general_name(TRY(in.next())));
  }
  return {};
}

Result<void> read_constraints(ConstBytes value, Certificate& out) {
  out.has_constraints = true;
  DerReader file(value);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  if (std::optional<ConstBytes> list = TRY(in.optional(der_context(0)))) {
    TRY(read_subtrees(*list, out.permitted));
  }
  if (std::optional<ConstBytes> list = TRY(in.optional(der_context(1)))) {
    TRY(read_subtrees(*list, out.excluded));
  }
  return in.end();
}

Result<void> read_authority_key_id(ConstBytes value, Certificate& out) {
  DerReader file(value);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  if (std::optional<ConstBytes> id = TRY(in.optional(der_context_plain(0)))) {
    out.authority_key_id = *id;
  }
  return {};
}

Result<void> read_extension(std::string_view id, bool critical, ConstBytes value,
                            Certificate& out) {
  if (id == kBasicConstraints) return read_basic_constraints(value, out);
  if (id == kExtendedKeyUsage) return read_extended_usage(value, out);
  if (id == kSubjectAltName) return read_alternative_names(value, out);
  if (id == kNameConstraints) return read_constraints(value, out);
  if (id == kAuthorityKeyId) return read_authority_key_id(value, out);
  if (id == kSubjectKeyId) {
    DerReader in(value);
    out.key_id = TRY(in.content(DerTag::OctetString));
    return {};
  }
  if (id == kKeyUsage) {
    DerReader in(value);
    ConstBytes bits = TRY(in.content(DerTag::BitString));
    if (bits.empty()) return unusable("a key usage that is none");
    out.key_usage = bits.size() < 2 ? uint8_t{0} : bits[1];
    return {};
  }
  if (critical && std::ranges::find(kWithoutMeaning, id) == std::end(kWithoutMeaning)) {
    out.has_unknown_critical = true;
  }
  return {};
}

Result<void> read_extensions(ConstBytes wrapped, Certificate& out) {
  DerReader file(wrapped);
  DerReader in(TRY(file.content(DerTag::Sequence)));
  TRY(file.end());
  std::vector<std::string_view> seen;
  while (!in.at_end()) {
    DerReader extension(TRY(in.content(DerTag::Sequence)));
    std::string_view id = as_text(TRY(extension.content(DerTag::ObjectIdentifier)));
    std::optional<ConstBytes> critical = TRY(extension.optional(DerTag::Boolean));
    ConstBytes value = TRY(extension.content(DerTag::OctetString));
    TRY(extension.end());
    if (critical && critical->size() != 1) return unusable("an extension that is none");
    if (seen.size() >= kMaxExtensions || std::ranges::find(seen, id) != seen.end()) {
      return unusable("an extension twice, or too many");
    }
    seen.push_back(id);
    TRY(read_extension(id, critical && (*critical)[0] != 0, value, out));
  }
  return {};
}

// --- matching

std::string_view without_last_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool name_matches(std::string_view pattern, std::string_view host) {
  pattern = without_last_dot(pattern);
  host = without_last_dot(host);
  if (pattern.empty() || host.empty()) return false;
  if (!pattern.starts_with("*.")) return equal_ignoring_case(pattern, host);
  pattern.remove_prefix(1);  // ".example.org"
  size_t dot = host.find('.');
  bool two_labels = pattern.find('.', 1) != std::string_view::npos;
  if (!two_labels || dot == 0 || dot == std::string_view::npos) return false;
  return equal_ignoring_case(pattern, host.substr(dot));
}

// 4 or 16 bytes, or none.
ByteVector parse_address(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::string text(host);
  ByteVector bytes(16);
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return bytes;
  return {};
}

// The last value of a kind in a name, which is the most specific.
std::string_view name_part(ConstBytes name, std::string_view kind) {
  std::string_view found;
  DerReader file(name);
  Result<ConstBytes> all = file.content(DerTag::Sequence);
  if (!all.ok()) return {};
  DerReader sets(all.value());
  while (!sets.at_end()) {
    Result<ConstBytes> set = sets.content(DerTag::Set);
    if (!set.ok()) return found;
    DerReader parts(set.value());
    while (!parts.at_end()) {
      Result<ConstBytes> part = parts.content(DerTag::Sequence);
      if (!part.ok()) return found;
      DerReader pair(part.value());
      Result<ConstBytes> id = pair.content(DerTag::ObjectIdentifier);
      Result<DerElement> value = pair.next();
      if (!id.ok() || !value.ok()) return found;
      if (as_text(id.value()) == kind) found = as_text(value.value().content);
    }
  }
  return found;
}

bool is_host_or_address(const GeneralName& name) {
  return name.kind == GeneralName::Kind::Dns || name.kind == GeneralName::Kind::Ip;
}

// The name by which a certificate without alternative names is for a host.
std::string_view lone_common_name(const Certificate& certificate) {
  if (std::ranges::any_of(certificate.alternative_names, is_host_or_address)) return {};
  return name_part(certificate.subject, kCommonName);
}

// --- constraints

bool host_in_tree(std::string_view host, std::string_view root) {
  host = without_last_dot(host);
  if (host.starts_with("*.")) host.remove_prefix(2);  // all that it may stand for lies below
  if (root.starts_with('.')) root.remove_prefix(1);
  if (root.empty()) return true;
  if (host.size() < root.size()) return false;
  std::string_view tail = host.substr(host.size() - root.size());
  bool whole_labels = host.size() == root.size() || host[host.size() - root.size() - 1] == '.';
  return whole_labels && equal_ignoring_case(tail, root);
}

bool address_in_tree(ConstBytes address, ConstBytes root) {
  if (root.size() != 2 * address.size()) return false;
  for (size_t i = 0; i < address.size(); ++i) {
    uint8_t mask = root[address.size() + i];
    if ((address[i] & mask) != (root[i] & mask)) return false;
  }
  return true;
}

// Every part of the root, in order, at the name's beginning.
bool directory_in_tree(ConstBytes name, ConstBytes root) {
  DerReader name_file(name);
  DerReader root_file(root);
  Result<ConstBytes> name_parts = name_file.content(DerTag::Sequence);
  Result<ConstBytes> root_parts = root_file.content(DerTag::Sequence);
  if (!name_parts.ok() || !root_parts.ok()) return false;
  size_t size = root_parts.value().size();
  return name_parts.value().size() >= size &&
         equal(name_parts.value().first(size), root_parts.value());
}

bool in_tree(const GeneralName& name, const GeneralName& root) {
  switch (name.kind) {
    case GeneralName::Kind::Dns: return host_in_tree(as_text(name.value), as_text(root.value));
    case GeneralName::Kind::Ip: return address_in_tree(name.value, root.value);
    case GeneralName::Kind::Directory: return directory_in_tree(name.value, root.value);
    case GeneralName::Kind::Email:
    case GeneralName::Kind::Other: return false;
  }
  __builtin_unreachable();
}

// Names whose trees are not understood: any constraint of that kind speaks against them.
bool is_understood(GeneralName::Kind kind) {
  return kind != GeneralName::Kind::Email && kind != GeneralName::Kind::Other;
}

bool name_allowed(const GeneralName& name, const Certificate& authority) {
  auto same_kind = [&](const GeneralName& root) { return root.kind == name.kind; };
  auto holds = [&](const GeneralName& root) { return same_kind(root) && in_tree(name, root); };
  if (!is_understood(name.kind)) {
    return std::ranges::none_of(authority.permitted, same_kind) &&
           std::ranges::none_of(authority.excluded, same_kind);
  }
  // A wildcard reaches into a tree that lies below it, too.
  auto reaches = [&](const GeneralName& root) {
    if (holds(root)) return true;
    if (!same_kind(root) || name.kind != GeneralName::Kind::Dns) return false;
    std::string_view pattern = as_text(name.value);
    return pattern.starts_with("*.") && host_in_tree(as_text(root.value), pattern.substr(2));
  };
  if (std::ranges::any_of(authority.excluded, reaches)) return false;
  return std::ranges::none_of(authority.permitted, same_kind) ||
         std::ranges::any_of(authority.permitted, holds);
}

bool is_empty_name(ConstBytes name) {
  DerReader file(name);
  Result<ConstBytes> parts = file.content(DerTag::Sequence);
  return parts.ok() && parts.value().empty();
}

}  // namespace

bool Certificate::self_issued() const { return equal(issuer, subject); }

bool Certificate::signs_certificates() const {
  return !key_usage || (*key_usage & kKeyCertSign) != 0;
}

Result<Certificate> parse_x509(ConstBytes der) {
  Certificate out;
  DerReader file(der);
  DerElement whole = TRY(file.next(DerTag::Sequence));
  TRY(file.end());
  out.whole = whole.whole;
  DerReader certificate(whole.content);
  DerReader in(TRY(certificate.content(DerTag::Sequence)));
  ConstBytes outer_algorithm = TRY(certificate.content(DerTag::Sequence));
  out.signature_value = TRY(der_whole_bits(TRY(certificate.content(DerTag::BitString))));
  TRY(certificate.end());

  uint32_t version = 0;  // counted from 0
  if (std::optional<ConstBytes> wrapped = TRY(in.optional(der_context(0)))) {
    DerReader number(*wrapped);
    version = TRY(der_u32(TRY(number.content(DerTag::Integer))));
    if (version > 2) return unusable("a version that is not known");
  }
  out.version_1 = version == 0;
  TRY(in.content(DerTag::Integer));  // serial number
  ConstBytes algorithm = TRY(in.content(DerTag::Sequence));
  if (!equal(algorithm, outer_algorithm)) return unusable("two kinds of signature");
  out.signature = TRY(signature_kind(algorithm));
  out.issuer = TRY(in.next(DerTag::Sequence)).whole;
  DerReader validity(TRY(in.content(DerTag::Sequence)));
  out.not_before = TRY(der_time(TRY(validity.next())));
  out.not_after = TRY(der_time(TRY(validity.next())));
  TRY(validity.end());
  out.subject = TRY(in.next(DerTag::Sequence)).whole;
  DerElement key_info = TRY(in.next(DerTag::Sequence));
  out.key_info = key_info.whole;
  TRY(read_key(key_info.content, out));
  TRY(in.optional(der_context_plain(1)));  // unique identifiers, as nobody has them
  TRY(in.optional(der_context_plain(2)));
  if (std::optional<ConstBytes> extensions = TRY(in.optional(der_context(3)))) {
    if (version != 2) return unusable("extensions that its version does not have");
    TRY(read_extensions(*extensions, out));
  }
  TRY(in.end());
  return out;
}

std::vector<ByteVector> read_pem_certificates(ConstBytes pem) {
  static constexpr auto kBegin = "-----BEGIN "sv;
  static constexpr auto kEnd = "-----END "sv;
  static constexpr auto kDashes = "-----"sv;
  std::vector<ByteVector> found;
  std::string_view rest = as_text(pem);
  for (;;) {
    size_t begin = rest.find(kBegin);
    if (begin == std::string_view::npos) return found;
    rest.remove_prefix(begin + kBegin.size());
    size_t label_end = rest.find(kDashes);
    size_t end = rest.find(kEnd);
    if (end == std::string_view::npos || label_end > end) continue;
    std::string_view label = rest.substr(0, label_end);
    bool wanted = label == "CERTIFICATE" || label == "X509 CERTIFICATE";
    std::string_view body =
        rest.substr(label_end + kDashes.size(), end - label_end - kDashes.size());
    if (body.find(kDashes) != std::string_view::npos) continue;  // its end was lost
    rest.remove_prefix(end + kEnd.size());
    if (!wanted) continue;
    Result<ByteVector> der = from_base64(body);
    if (!der.ok()) continue;
    found.push_back(std::move(der).value());
  }
}

std::string display_name(ConstBytes name) {
  for (std::string_view kind : {kCommonName, kOrganization}) {
    std::string_view text = name_part(name, kind);
    if (!text.empty()) return printable(text, kLongestName);
  }
  return "without a name";
}

std::vector<std::string> server_names(const Certificate& certificate, size_t most) {
  std::vector<std::string> names;
  for (const GeneralName& name : certificate.alternative_names) {
    if (names.size() >= most) break;
    if (name.kind == GeneralName::Kind::Dns) {
      names.push_back(printable(as_text(name.value), kLongestName));
    } else if (name.kind == GeneralName::Kind::Ip) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      int family = name.value.size() == 4 ? AF_INET : AF_INET6;
      bool whole = name.value.size() == 4 || name.value.size() == 16;
      if (whole && ::inet_ntop(family, name.value.data(), text.data(), text.size()) != nullptr) {
        names.emplace_back(text.data());
      }
    }
  }
  if (names.empty()) names.push_back(display_name(certificate.subject));
  return names;
}

bool is_for_host(const Certificate& certificate, std::string_view host) {
  ByteVector address = parse_address(host);
  for (const GeneralName& name : certificate.alternative_names) {
    bool matches =
        address.empty()
            ? name.kind == GeneralName::Kind::Dns && name_matches(as_text(name.value), host)
            : name.kind == GeneralName::Kind::Ip && equal(name.value, address);
    if (matches) return true;
  }
  std::string_view name = lone_common_name(certificate);
  return address.empty() ? name_matches(name, host) : !name.empty() && name == host;
}

bool may_stand_below(const Certificate& certificate, const Certificate& authority) {
  if (!authority.has_constraints) return true;
  auto allowed = [&](const GeneralName& name) { return name_allowed(name, authority); };
  GeneralName subject{GeneralName::Kind::Directory, certificate.subject};
  if (!is_empty_name(certificate.subject) && !allowed(subject)) return false;
  if (!std::ranges::all_of(certificate.alternative_names, allowed)) return false;
  // Where the common name counts as a host, it is bound as one.
  std::string_view common = lone_common_name(certificate);
  if (certificate.is_ca || common.empty()) return true;
  ByteVector address = parse_address(common);
  GeneralName host = address.empty() ? GeneralName{GeneralName::Kind::Dns, as_bytes(common)}
                                     : GeneralName{GeneralName::Kind::Ip, address};
  return allowed(host);
}

}  // namespace curlingiron
