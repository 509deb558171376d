// X.509 certificates (RFC 5280) in DER, as far as a TLS client has to judge them, and the
// judgements that need neither a signature nor another certificate's key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class KeyKind { Rsa, RsaPss, Ecdsa, Ed25519, Other };
enum class SignatureKind { Strong, Weak, Other };  // weak: MD5, SHA-1

// GeneralName, in a name or as the root of a constraint's tree.
struct GeneralName {
  enum class Kind { Dns, Ip, Directory, Email, Other };
  Kind kind = Kind::Other;
  ConstBytes value;  // text, 4 or 16 bytes (twice that in a constraint), or a Name in DER
};

// Views into the bytes that were parsed.
struct Certificate {
  ConstBytes whole;
  ConstBytes issuer;       // Name, with its tag; equal names are equal bytes
  ConstBytes subject;      // the same
  int64_t not_before = 0;  // seconds since the epoch
  int64_t not_after = 0;   // inclusive

  ConstBytes key_info;  // SubjectPublicKeyInfo, with its tag: what pins are made of
  ConstBytes key;       // its bit string
  KeyKind key_kind = KeyKind::Other;
  uint32_t key_bits = 0;  // of RSA's modulus or of the curve

  SignatureKind signature = SignatureKind::Other;
  ConstBytes signature_value;  // the last bytes of `whole`

  bool version_1 = false;
  bool has_basic_constraints = false;
  bool is_ca = false;
  std::optional<uint32_t> path_length;
  std::optional<uint8_t> key_usage;  // the first eight bits, the first of them highest
  bool for_servers = true;           // extendedKeyUsage absent, any, or serverAuth
  bool has_unknown_critical = false;
  ConstBytes key_id;            // subjectKeyIdentifier, or empty
  ConstBytes authority_key_id;  // or empty
  std::vector<GeneralName> alternative_names;
  bool has_constraints = false;
  std::vector<GeneralName> permitted;
  std::vector<GeneralName> excluded;

  bool self_issued() const;
  bool signs_certificates() const;  // keyUsage absent, or says so
};

// Strict in its structure: what a server sends decides whom it is taken for.
Result<Certificate> parse_x509(ConstBytes der);

// The certificates of a PEM bundle in order, still unparsed. Blocks that are no base64 are left
// out.
std::vector<ByteVector> read_pem_certificates(ConstBytes pem);

// The common name, else the organization: what people call it. Made printable.
std::string display_name(ConstBytes name);
// The names of the server it is for, made printable; `most` at most.
std::vector<std::string> server_names(const Certificate& certificate, size_t most);

// Is it for `host`, a name, an IPv4 or an IPv6 address (RFC 6125, RFC 2818)? One asterisk stands
// for one whole label, the first, with two labels behind. The common name counts only where there
// is no alternative name of host or address.
bool is_for_host(const Certificate& certificate, std::string_view host);

// May a certificate have its names below an authority with these constraints (RFC 5280, 4.2.1.10)?
// A constraint of a kind that is not understood here forbids every name of that kind.
bool may_stand_below(const Certificate& certificate, const Certificate& authority);

}  // namespace curlingiron
