#include "net/certificate_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
// The library's own options come before its headers.
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "base/text.h"
#include "formats/http_text.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/certificates.h"

namespace curlingiron {
namespace {

using testing::CertificateFolder;
using ::testing::HasSubstr;
using testing::kAuthority;
using testing::kByKeyId;
using testing::kServer;
using testing::Recipe;

constexpr auto kPast = "20210131000000Z";
constexpr auto kFuture = "20900101000000Z";

std::string with(std::string_view extensions, std::string_view more) {
  return concat(extensions, more, '\n');
}

std::string server_for(std::string_view names) {
  return concat("basicConstraints=CA:FALSE\nsubjectAltName=", names, '\n');
}

std::string authority(std::string_view basic) {
  return concat("basicConstraints=critical,", basic,
                "\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n");
}

void make_all(const CertificateFolder& in) {
  std::string ca(kAuthority);
  auto make = [&](Recipe recipe) { in.make(recipe); };
  make({"root", "", ca});
  make({"other", "", ca});
  make({"leaf", "root"});
  make({"middle", "root", with(ca, kByKeyId)});
  make({"leaf-m", "middle", with(kServer, kByKeyId)});
  make({.name = "expired", .issuer = "root", .until = kPast});
  make({.name = "future", .issuer = "root", .from = kFuture});
  make({.name = "middle-expired", .issuer = "root", .extensions = ca, .until = kPast});
  make({"leaf-me", "middle-expired"});
  make({.name = "root-expired", .extensions = ca, .until = kPast});
  make({"leaf-re", "root-expired"});
  make({.name = "self"});

  // Who may sign, and how far below.
  make({"no-ca", "root", authority("CA:FALSE")});
  make({"leaf-nc", "no-ca"});
  make({"leaf-l", "leaf"});
  make({"no-sign", "root", "basicConstraints=CA:TRUE\nkeyUsage=critical,digitalSignature\n"});
  make({"leaf-ns", "no-sign"});
  make({"plain", "root", "subjectKeyIdentifier=hash\n"});
  make({"leaf-p", "plain"});
  make({"middle-v1", "root", ""});
  make({"leaf-mv1", "middle-v1"});
  make({"root-v1", "", ""});
  make({"leaf-rv1", "root-v1"});
  make({"short", "root", authority("CA:TRUE,pathlen:0")});
  make({"leaf-short", "short"});
  make({"below-short", "short", ca});
  make({"leaf-below-short", "below-short"});
  make({.name = "short-again", .issuer = "short", .extensions = ca, .subject = "short"});
  make({"leaf-again", "short-again"});

  // A chain as long as there are none.
  std::string above = "root";
  for (int i = 1; i <= 12; ++i) {
    make({concat("deep", i), above, with(ca, kByKeyId)});
    above = concat("deep", i);
  }
  make({"leaf-deep", above, with(kServer, kByKeyId)});

  // A root that changes its signer, as ISRG Root X1 and DST Root CA X3.
  make({.name = "old", .extensions = ca, .until = kPast});
  make({"new", "", ca});
  make({.name = "cross", .issuer = "old", .extensions = ca, .subject = "new", .key = "new.key"});
  make({.name = "cross-expired",
        .issuer = "root",
        .extensions = ca,
        .subject = "new",
        .key = "new.key",
        .until = kPast});
  make({"middle-n", "new", with(ca, kByKeyId)});
  make({"leaf-n", "middle-n"});

  // Another by the same name, and no identifiers of keys to tell them apart.
  std::string nameless =
      "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n";
  make({.name = "twin-a", .extensions = nameless, .subject = "twin"});
  make({.name = "twin-b", .extensions = nameless, .subject = "twin"});
  make({"leaf-twin", "twin-b", "basicConstraints=CA:FALSE\nauthorityKeyIdentifier=none\n"});

  // Usages and extensions.
  make({"client", "root", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n"});
  make({"any-use", "root", "basicConstraints=CA:FALSE\nextendedKeyUsage=anyExtendedKeyUsage\n"});
  make({"middle-client", "root", with(ca, "extendedKeyUsage=clientAuth")});
  make({"leaf-mc", "middle-client"});
  make({"critical", "root", with(kServer, "1.2.3.4=critical,DER:0500")});
  make({"curious", "root", with(kServer, "1.2.3.4=DER:0500")});
  make({"policies", "root",
        with(kServer,
             "certificatePolicies=critical,2.23.140.1.2.1\n"
             "policyConstraints=critical,requireExplicitPolicy:3")});

  // An authority that says no identifier of its key, though those below it do.
  for (const char* kind :
       {"RSA -pkeyopt rsa_keygen_bits:2048", "EC -pkeyopt ec_paramgen_curve:P-256"}) {
    std::string id = kind[0] == 'R' ? "id-rsa" : "id-ec";
    make({.name = id, .extensions = ca, .key = concat("-algorithm ", kind)});
    make({.name = concat(id, "-not"),
          .extensions = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\n",
          .subject = id,
          .key = concat(id, ".key")});
    make({concat("leaf-", id), id, with(kServer, kByKeyId)});
  }

  // As several well-known roots have it, against RFC 5280.
  make({.name = "root-zero", .extensions = ca, .serial = "00"});
  make({.name = "middle-zero", .issuer = "root-zero", .extensions = ca, .serial = "00"});
  make({.name = "leaf-zero", .issuer = "middle-zero", .serial = "00"});

  // Weak ones.
  make({.name = "sha1", .issuer = "root", .digest = "sha1"});
  make({.name = "middle-sha1", .issuer = "root", .extensions = ca, .digest = "sha1"});
  make({"leaf-ms1", "middle-sha1"});
  make({.name = "root-sha1", .extensions = ca, .digest = "sha1"});
  make({"leaf-rs1", "root-sha1"});
  make(
      {.name = "rsa1024", .issuer = "root", .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"});
  make({.name = "root-1024",
        .extensions = ca,
        .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"});
  make({"leaf-1024", "root-1024"});

  // Every kind of key, signing and signed.
  for (const char* bits : {"2048", "3072", "4096"}) {
    std::string key = concat("-algorithm RSA -pkeyopt rsa_keygen_bits:", bits);
    make({.name = concat("root-rsa", bits), .extensions = ca, .key = key});
    make({concat("leaf-rsa", bits), concat("root-rsa", bits)});
  }
  // Five primes, which are found sooner than two.
  make({.name = "root-rsa8192",
        .extensions = ca,
        .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:8192 -pkeyopt rsa_keygen_primes:5"});
  make({"leaf-rsa8192", "root-rsa8192"});
  for (const char* digest : {"sha384", "sha512"}) {
    make({.name = concat("leaf-rsa-", digest), .issuer = "root-rsa2048", .digest = digest});
  }
  make({.name = "leaf-pss",
        .issuer = "root-rsa2048",
        .options = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"});
  make({.name = "leaf-pss-sha1",
        .issuer = "root-rsa2048",
        .digest = "sha1",
        .options = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"});
  for (const char* curve : {"P-384", "P-521"}) {
    make({.name = concat("root-", curve),
          .extensions = ca,
          .key = concat("-algorithm EC -pkeyopt ec_paramgen_curve:", curve),
          .digest = "sha384"});
    make({.name = concat("leaf-", curve), .issuer = concat("root-", curve), .digest = "sha512"});
  }
  make({.name = "root-ed25519", .extensions = ca, .key = "-algorithm ED25519", .digest = "null"});
  make({.name = "leaf-ed25519", .issuer = "root-ed25519", .digest = "null"});
  make({.name = "secp256k1",
        .issuer = "root",
        .key = "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"});

  // Constraints of names.
  auto bound = [&](const char* name, const char* what) {
    make({name, "root", with(ca, concat("nameConstraints=critical,", what))});
  };
  bound("dns", "permitted;DNS:good.example");
  make({"dns-good", "dns", server_for("DNS:good.example,DNS:a.b.good.example")});
  make({"dns-evil", "dns", server_for("DNS:good.example,DNS:evil.example")});
  make({"dns-glued", "dns", server_for("DNS:evilgood.example")});
  make({"dns-wild", "dns", server_for("DNS:*.good.example")});
  make({"dns-address", "dns", server_for("IP:10.0.0.1")});
  make({.name = "dns-common",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "evil.example"});
  make({.name = "dns-common-good",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "good.example"});
  make({"below-dns", "dns", ca});
  make({"below-dns-good", "below-dns", server_for("DNS:www.good.example")});
  make({"below-dns-evil", "below-dns", server_for("DNS:evil.example")});
  bound("not-dns", "excluded;DNS:evil.example");
  make({"not-dns-good", "not-dns", server_for("DNS:good.example")});
  make({"not-dns-evil", "not-dns", server_for("DNS:www.evil.example")});
  make({"not-dns-wild", "not-dns", server_for("DNS:*.example")});
  bound("ip", "permitted;IP:10.0.0.0/255.0.0.0");
  make({"ip-in", "ip", server_for("IP:10.1.2.3")});
  make({"ip-out", "ip", server_for("IP:11.1.2.3")});
  make({"ip-six", "ip", server_for("IP:fd00::1")});
  bound("not-ip", "excluded;IP:fd00::/ffff::");
  make({"not-ip-in", "not-ip", server_for("IP:fd00::1")});
  make({"not-ip-out", "not-ip", server_for("IP:fe00::1")});
  in.write("dir.cnf", "");
  make({.name = "dir",
        .issuer = "root",
        .extensions =
            with(ca, "nameConstraints=critical,permitted;dirName:bound\n[bound]\nCN=somebody")});
  make({.name = "dir-in", .issuer = "dir", .subject = "somebody"});
  make({.name = "dir-out", .issuer = "dir", .subject = "somebody else"});
}

const CertificateFolder& folder() {
  static const TemporaryDirectory directory = std::move(TemporaryDirectory::create()).value();
  static const CertificateFolder all(directory.path());
  static const bool made = (make_all(all), true);
  EXPECT_TRUE(made);
  return all;
}

std::string describe(const std::optional<PathFault>& fault) {
  if (!fault) return "accepted";
  std::string whose = fault->is_server ? "server" : fault->subject;
  switch (fault->kind) {
    case PathFault::Kind::Expired: return concat(whose, " expired ", format_date(fault->not_after));
    case PathFault::Kind::NotYetValid:
      return concat(whose, " not before ", format_date(fault->not_before));
    case PathFault::Kind::UnknownIssuer: return concat("unknown ", fault->issuer);
    case PathFault::Kind::Refused: return concat(whose, ": ", fault->reason);
  }
  __builtin_unreachable();
}

std::string judge(std::span<const ByteVector> chain, std::string_view trusted) {
  Result<TrustStore> store = TrustStore::parse(as_bytes(trusted));
  if (!store.ok()) return store.error().message();
  std::vector<ConstBytes> views(chain.begin(), chain.end());
  return describe(find_path(views, store.value(), wall_clock_seconds()));
}

std::vector<ByteVector> ders(const std::vector<std::string>& names) {
  std::vector<ByteVector> all;
  for (const std::string& name : names) all.push_back(folder().der(name));
  return all;
}

struct Case {
  std::vector<std::string> chain;
  std::vector<std::string> trusted;
  std::string verdict;     // a part of it
  bool as_openssl = true;  // which says the same, in its own words
};

class Paths : public ::testing::TestWithParam<Case> {};

TEST_P(Paths, AreJudgedAsOpenSslDoes) {
  const Case& c = GetParam();
  const CertificateFolder& in = folder();
  std::string verdict = judge(ders(c.chain), in.pems(c.trusted));
  EXPECT_THAT(verdict, HasSubstr(c.verdict));
  in.write("trusted.crt", in.pems(c.trusted));
  in.write("sent.crt", in.pems(c.chain));
  // As libcurl asked it: partial chains, and level 2 as Debian's library has it.
  bool accepted = in.run(concat(
      "openssl verify -CAfile trusted.crt -no-CApath -untrusted sent.crt -purpose sslserver ",
      "-partial_chain -auth_level 2 ", c.chain.front(), ".pem"));
  EXPECT_EQ(accepted, (verdict == "accepted") == c.as_openssl) << verdict;
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  std::string name = concat(info.index, '_', info.param.chain.front());
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Trust, Paths,
    ::testing::Values(
        Case{{"leaf"}, {"root"}, "accepted"}, Case{{"leaf"}, {"other"}, "unknown root"},
        Case{{"leaf", "root"}, {"other"}, "unknown root"},
        Case{{"leaf", "root"}, {"root"}, "accepted"},
        Case{{"leaf"}, {"other", "root", "root", "other"}, "accepted"},
        Case{{"leaf-m", "middle"}, {"root"}, "accepted"},
        Case{{"leaf-m"}, {"root"}, "unknown middle"},
        Case{{"leaf-m"}, {"middle"}, "accepted"},  // an authority that is no root
        Case{{"leaf-m"}, {"leaf-m"}, "accepted"},  // the very one
        Case{{"self"}, {"self"}, "accepted"}, Case{{"self"}, {"root"}, "unknown self"},
        Case{{"leaf"}, {"leaf-m"}, "unknown root"},
        Case{{"expired"}, {"root"}, "server expired 2021-01-31"},
        Case{{"expired"}, {"expired"}, "server expired"},
        Case{{"future"}, {"root"}, "server not before 2090-01-01"},
        Case{{"leaf-me", "middle-expired"}, {"root"}, "middle-expired expired 2021-01-31"},
        Case{{"leaf-re"}, {"root-expired"}, "root-expired expired"},
        Case{{"leaf-twin"}, {"twin-a"}, "signature does not fit"},
        // OpenSSL looks at the first of a name alone.
        Case{{"leaf-twin"}, {"twin-a", "twin-b"}, "accepted", false},
        Case{{"leaf-twin", "twin-a", "twin-b"}, {"twin-b", "twin-a"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Order, Paths,
    ::testing::Values(
        Case{{"leaf-deep", "deep12", "deep11", "deep10", "deep9", "deep8", "deep7", "deep6",
              "deep5", "deep4", "deep3", "deep2", "deep1"},
             {"root"},
             "accepted"},
        Case{{"leaf-deep", "deep1", "other", "deep3", "deep2", "expired", "deep5", "deep4",
              "deep12", "deep11", "deep10", "root", "deep9", "deep8", "deep7", "deep6", "deep12"},
             {"root"},
             "accepted"},
        Case{{"leaf-deep", "deep12", "deep11", "deep9", "deep8", "deep7", "deep6", "deep5", "deep4",
              "deep3", "deep2", "deep1"},
             {"root"},
             "unknown deep10"},
        // Let's Encrypt, September 2021: with the new root trusted, the old one does not matter.
        Case{{"leaf-n", "middle-n", "cross"}, {"old", "new"}, "accepted"},
        Case{{"leaf-n", "middle-n", "cross"}, {"new"}, "accepted"},
        Case{{"leaf-n", "middle-n", "cross"}, {"old"}, "old expired"},
        Case{{"leaf-n", "middle-n", "cross-expired"}, {"new"}, "accepted"},
        Case{{"leaf-n", "middle-n", "cross-expired", "cross"}, {"root"}, "new expired"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Authorities, Paths,
    ::testing::Values(
        Case{{"leaf-nc", "no-ca"}, {"root"}, "no-ca: it is no CA"},
        Case{{"leaf-l", "leaf"}, {"root"}, "leaf: it is no CA"},
        Case{{"leaf-ns", "no-sign"}, {"root"}, "no-sign: its key is not for certificates"},
        Case{{"leaf-p", "plain"}, {"root"}, "plain: it is no CA"},
        Case{{"leaf-mv1", "middle-v1"}, {"root"}, "middle-v1: it is no CA"},
        Case{{"leaf-rv1"}, {"root-v1"}, "accepted"},
        Case{{"leaf-short", "short"}, {"root"}, "accepted"},
        Case{{"leaf-below-short", "below-short", "short"}, {"root"}, "too many CAs below it"},
        Case{{"leaf-below-short", "below-short"}, {"short"}, "too many CAs below it"},
        Case{{"leaf-again", "short-again", "short"}, {"root"}, "accepted"},
        Case{{"client"}, {"root"}, "not for servers"},
        Case{{"any-use"}, {"root"}, "accepted", false},
        Case{{"leaf-mc", "middle-client"}, {"root"}, "middle-client: it is not for servers"},
        Case{{"critical"}, {"root"}, "critical extension"}, Case{{"curious"}, {"root"}, "accepted"},
        Case{{"leaf-id-rsa"}, {"id-rsa-not"}, "accepted"},
        Case{{"leaf-id-ec"}, {"id-ec-not"}, "accepted"},
        Case{{"leaf-zero", "middle-zero", "root-zero"}, {"root-zero"}, "accepted"},
        Case{{"policies"}, {"root"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Strength, Paths,
    ::testing::Values(
        Case{{"sha1"}, {"root"}, "server: it is signed with SHA-1"},
        Case{{"leaf-ms1", "middle-sha1"}, {"root"}, "middle-sha1: it is signed with SHA-1"},
        Case{{"leaf-rs1"}, {"root-sha1"}, "accepted"},  // nobody looks at a root's signature
        Case{{"rsa1024"}, {"root"}, "server: its key of 1024 bits is too short"},
        Case{{"leaf-1024"}, {"root-1024"}, "root-1024: its key of 1024 bits"},
        Case{{"leaf-rsa2048"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-rsa3072"}, {"root-rsa3072"}, "accepted"},
        Case{{"leaf-rsa4096"}, {"root-rsa4096"}, "accepted"},
        Case{{"leaf-rsa8192"}, {"root-rsa8192"}, "accepted"},
        Case{{"leaf-rsa-sha384"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-rsa-sha512"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-pss"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-pss-sha1"}, {"root-rsa2048"}, "signed with SHA-1"},
        Case{{"leaf-P-384"}, {"root-P-384"}, "accepted"},
        Case{{"leaf-P-521"}, {"root-P-521"}, "accepted"},
        Case{{"leaf-ed25519"}, {"root-ed25519"}, "accepted"},
        // OpenSSL takes the path, and refuses the curve in the handshake.
        Case{{"secp256k1"}, {"root"}, "keys of its kind", false}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Constraints, Paths,
    ::testing::Values(
        Case{{"dns-good", "dns"}, {"root"}, "accepted"}, Case{{"dns-good"}, {"dns"}, "accepted"},
        Case{{"dns-evil", "dns"}, {"root"}, "dns: it may not vouch for the name of dns-evil"},
        Case{{"dns-glued", "dns"}, {"root"}, "may not vouch"},
        Case{{"dns-wild", "dns"}, {"root"}, "accepted"},
        Case{{"dns-address", "dns"}, {"root"}, "accepted"},  // of addresses it says nothing
        Case{{"dns-common", "dns"}, {"root"}, "may not vouch"},
        Case{{"dns-common-good", "dns"}, {"root"}, "accepted"},
        Case{{"below-dns-good", "below-dns", "dns"}, {"root"}, "accepted"},
        Case{{"below-dns-evil", "below-dns", "dns"}, {"root"}, "dns: it may not vouch"},
        Case{{"not-dns-good", "not-dns"}, {"root"}, "accepted"},
        Case{{"not-dns-evil", "not-dns"}, {"root"}, "may not vouch"},
        // *.example is for evil.example, too; OpenSSL takes it for a name.
        Case{{"not-dns-wild", "not-dns"}, {"root"}, "may not vouch", false},
        Case{{"ip-in", "ip"}, {"root"}, "accepted"},
        Case{{"ip-out", "ip"}, {"root"}, "may not vouch"},
        Case{{"ip-six", "ip"}, {"root"}, "may not vouch"},
        Case{{"not-ip-in", "not-ip"}, {"root"}, "may not vouch"},
        Case{{"not-ip-out", "not-ip"}, {"root"}, "accepted"},
        Case{{"dir-in", "dir"}, {"root"}, "accepted"},
        Case{{"dir-out", "dir"}, {"root"}, "may not vouch"}),
    name_of);

// --- names

struct Named {
  const char* names;  // subjectAltName
  const char* host;
  bool matches;
  bool as_openssl = true;
};

TEST(CertificateNames, AreMatchedAsOpenSslDoes) {
  static constexpr Named kCases[] = {
      {"DNS:a.example", "a.example", true},
      {"DNS:a.example", "A.Example", true},
      {"DNS:A.EXAMPLE", "a.example", true},
      {"DNS:a.example", "b.example", false},
      {"DNS:a.example", "a.example.org", false},
      {"DNS:a.example", "xa.example", false},
      {"DNS:b.example,DNS:a.example", "a.example", true},
      {"DNS:*.a.example", "www.a.example", true},
      {"DNS:*.a.example", "a.example", false},
      {"DNS:*.a.example", "x.www.a.example", false},
      {"DNS:*.a.example", "www.b.example", false},
      {"DNS:*.example", "a.example", false},
      {"DNS:*", "example", false},
      {"DNS:w*.a.example", "www.a.example", false, false},  // a part of a label: out of use
      {"DNS:www.*.example", "www.a.example", false},
      {"DNS:*.*.example", "www.a.example", false},
      {"DNS:10.0.0.1", "10.0.0.1", false},
      {"IP:10.0.0.1", "10.0.0.1", true},
      {"IP:10.0.0.1", "10.0.0.2", false},
      {"IP:fd00::1", "fd00::1", true},
      {"IP:fd00::1", "fd00:0:0:0::0001", true},
      {"IP:fd00::1", "fd00::2", false},
      {"IP:10.0.0.1", "::ffff:10.0.0.1", false},
      {"email:a.example", "a.example", false},
  };
  const CertificateFolder& in = folder();
  for (const Named& c : kCases) {
    SCOPED_TRACE(concat(c.names, " for ", c.host));
    in.make({.name = "named", .issuer = "root", .extensions = server_for(c.names)});
    ByteVector der = in.der("named");
    EXPECT_EQ(is_for_host(parse_x509(der).value(), c.host), c.matches);
    std::string_view host = c.host;
    bool address = host.find(':') != std::string_view::npos || host[0] == '1';
    std::string check = concat(address ? "-checkip " : "-checkhost ", host);
    bool agreed =
        in.run(concat("openssl x509 -noout ", check, " -in named.pem | grep -q 'does match'"));
    EXPECT_EQ(agreed == c.matches, c.as_openssl);
  }
  in.make({.name = "lone",
           .issuer = "root",
           .extensions = "basicConstraints=CA:FALSE\n",
           .subject = "lone.example"});
  ByteVector der = in.der("lone");
  EXPECT_TRUE(is_for_host(parse_x509(der).value(), "lone.example"));
  in.make({.name = "six", .issuer = "root", .extensions = server_for("IP:fd00::1")});
  der = in.der("six");
  EXPECT_TRUE(is_for_host(parse_x509(der).value(), "[fd00::1]"));  // as in a URL
}

// Whatever byte of a certificate changes, it is no longer what its authority signed.
TEST(CertificatePath, EveryByteIsSigned) {
  for (const auto& [leaf, root] :
       {std::pair("leaf-m", "middle"), std::pair("leaf-rsa2048", "root-rsa2048"),
        std::pair("leaf-pss", "root-rsa2048"), std::pair("leaf-ed25519", "root-ed25519")}) {
    ByteVector der = folder().der(leaf);
    std::string trusted = folder().pem(root);
    ASSERT_EQ(judge(std::span(&der, 1), trusted), "accepted");
    for (size_t at = 0; at < der.size(); ++at) {
      uint8_t before = der[at];
      der[at] = static_cast<uint8_t>(before ^ 1 << at % 8);
      if (judge(std::span(&der, 1), trusted) == "accepted") {
        ADD_FAILURE() << leaf << ": byte " << at;
      }
      der[at] = before;
    }
    for (size_t size = 0; size < der.size(); ++size) {
      ByteVector part(der.begin(), der.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_NE(judge(std::span(&part, 1), trusted), "accepted");
    }
  }
}

// A maze of authorities that all could have signed each other ends soon.
TEST(CertificatePath, AMazeEnds) {
  const CertificateFolder& in = folder();
  std::string ca = "basicConstraints=critical,CA:TRUE\n";
  std::vector<std::string> chain = {"leaf-maze"};
  for (int i = 0; i < 14; ++i) {
    in.make({.name = concat("maze", i), .extensions = ca, .subject = "maze"});
    chain.push_back(concat("maze", i));
  }
  in.make({"leaf-maze", "maze0", server_for("DNS:a.example")});
  Time before = now();
  EXPECT_NE(judge(ders(chain), in.pem("root")), "accepted");
  EXPECT_LT(now() - before, Duration(std::chrono::seconds(1)));
  EXPECT_EQ(judge(ders(chain), in.pem("maze0")), "accepted");
}

TEST(TrustStore, TakesTheWholeBundleOfTheSystem) {
  UniqueFd root = open_root("/").value();
  Result<std::string> bundle =
      read_text(root, "etc/ssl/certs/ca-certificates.crt", size_t{16} << 20);
  if (!bundle.ok()) GTEST_SKIP() << "ca-certificates is not installed";
  size_t count = 0;
  for (size_t at = 0; (at = bundle.value().find("BEGIN CERT", at)) != std::string::npos; ++at) {
    ++count;
  }
  Result<TrustStore> store = TrustStore::parse(as_bytes(bundle.value()));
  ASSERT_TRUE(store.ok()) << store.error().message();
  EXPECT_EQ(store.value().size(), count);
  // Each would be trusted, and so has nothing that is not understood; by wolfSSL as well, which
  // refuses a server's whole chain for one certificate in it that it cannot read.
  for (const ByteVector& der : read_pem_certificates(as_bytes(bundle.value()))) {
    ConstBytes view(der);
    std::optional<PathFault> fault =
        find_path(std::span(&view, 1), store.value(), wall_clock_seconds());
    if (fault && fault->kind == PathFault::Kind::Refused) ADD_FAILURE() << describe(fault);
    WOLFSSL_CERT_MANAGER* manager = wolfSSL_CertManagerNew();
    EXPECT_EQ(wolfSSL_CertManagerLoadCABuffer_ex(manager, der.data(), static_cast<long>(der.size()),
                                                 WOLFSSL_FILETYPE_ASN1, 0,
                                                 WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY),
              WOLFSSL_SUCCESS)
        << display_name(parse_x509(der).value().subject);
    wolfSSL_CertManagerFree(manager);
  }
}

TEST(TrustStore, OneThatCannotBeReadDoesNotSpoilTheOthers) {
  const CertificateFolder& in = folder();
  std::string junk =
      "-----BEGIN CERTIFICATE-----\nMIIB!!!\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nits end is lost\n";
  std::string key = "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
  std::string bundle =
      concat("text\r\n", junk, in.pem("other"), key, junk, in.pem("root"), "more text");
  Result<TrustStore> store = TrustStore::parse(as_bytes(bundle));
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(store.value().size(), 2U);
  EXPECT_EQ(judge(ders({"leaf"}), bundle), "accepted");
  EXPECT_FALSE(TrustStore::parse(as_bytes(junk)).ok());
  EXPECT_FALSE(TrustStore::parse(as_bytes(key)).ok());
  EXPECT_FALSE(TrustStore::parse({}).ok());
}

TEST(TrustStore, FilesThatAreMissing) { EXPECT_FALSE(TrustStore::load("/missing.pem").ok()); }

}  // namespace
}  // namespace curlingiron
