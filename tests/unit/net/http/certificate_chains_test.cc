// Whom the client takes a server for: chains of every kind that went wrong somewhere, each sent by
// a real server to the real client, by TLS 1.2 and 1.3. The verdicts are OpenSSL's under the policy
// of net/tls/policy.h; what is tested is that policy, and the words for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "formats/http_text.h"
#include "support/patience.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/certificates.h"
#include "unit/net/dns_answers.h"
#include "unit/net/dns_server.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using namespace testing;
using ::testing::HasSubstr;

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
  make({"leaf-twin", "twin-b",
        "basicConstraints=CA:FALSE\nauthorityKeyIdentifier=none\n"
        "subjectAltName=DNS:server.example\n"});

  // Usages and extensions.
  make({"client", "root",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n"
        "subjectAltName=DNS:server.example\n"});
  make({"any-use", "root",
        "basicConstraints=CA:FALSE\nextendedKeyUsage=anyExtendedKeyUsage\n"
        "subjectAltName=DNS:server.example\n"});
  make({"middle-client", "root", with(ca, "extendedKeyUsage=clientAuth")});
  make({"leaf-mc", "middle-client"});
  make({"critical", "root", with(kServer, "1.2.3.4=critical,DER:0500")});
  make({"curious", "root", with(kServer, "1.2.3.4=DER:0500")});
  make({"policies", "root",
        with(kServer,
             "certificatePolicies=critical,2.23.140.1.2.1\n"
             "policyConstraints=critical,requireExplicitPolicy:3")});

  // An authority that says no identifier of its key, though those below it do.
  for (const char* kind : {"RSA -pkeyopt rsa_keygen_primes:3 -pkeyopt rsa_keygen_bits:2048",
                           "EC -pkeyopt ec_paramgen_curve:P-256"}) {
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

  // Every kind of key, signing and signed. Of three or more primes, which are found sooner than
  // two.
  for (const char* bits : {"2048", "3072", "4096"}) {
    std::string key =
        concat("-algorithm RSA -pkeyopt rsa_keygen_primes:3 -pkeyopt rsa_keygen_bits:", bits);
    make({.name = concat("root-rsa", bits), .extensions = ca, .key = key});
    make({concat("leaf-rsa", bits), concat("root-rsa", bits)});
  }
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

  // What the library cannot read, or may not count.
  make({.name = "root-ed448", .extensions = ca, .key = "-algorithm ED448", .digest = "null"});
  make({.name = "leaf-ed448", .issuer = "root-ed448", .digest = "null"});
  make({.name = "key-ed448", .issuer = "root", .key = "-algorithm ED448"});
  make({.name = "leaf-sha3", .issuer = "root", .digest = "sha3-256"});
  make({.name = "leaf-sha224", .issuer = "root", .digest = "sha224"});

  // An authority that is over, and the same one vouched for by another.
  make({.name = "cross-root",
        .extensions = ca,
        .subject = "crossed",
        .key = "root-expired.key",
        .until = kPast});
  make({.name = "crossed",
        .issuer = "other",
        .extensions = ca,
        .subject = "crossed",
        .key = "root-expired.key"});
  make({"leaf-crossed", "crossed"});

  for (const auto& [name, issuer, from, until] :
       {std::tuple{"fork-old", "cross-root", "20200101000000Z", "20991231000000Z"},
        std::tuple{"fork-new", "other", "20200101000000Z", "20991231000000Z"},
        std::tuple{"fork-over", "other", "20200101000000Z", kPast},
        std::tuple{"fork-young", "other", kFuture, "20991231000000Z"}}) {
    make({.name = name,
          .issuer = issuer,
          .extensions = ca,
          .subject = "fork",
          .key = "middle.key",
          .from = from,
          .until = until});
  }
  make({"leaf-fork", "fork-new"});

  // Constraints of names.
  auto bound = [&](const char* name, const char* what) {
    make({name, "root", with(ca, concat("nameConstraints=critical,", what))});
  };
  bound("dns", "permitted;DNS:good.example");
  make({"dns-good", "dns", server_for("DNS:good.example,DNS:a.b.good.example")});
  make({"dns-evil", "dns", server_for("DNS:good.example,DNS:evil.example")});
  make({"dns-glued", "dns", server_for("DNS:evilgood.example")});
  make({"dns-wild", "dns", server_for("DNS:*.good.example")});
  make({"dns-address", "dns", server_for("IP:127.0.0.1")});
  make({.name = "dns-common",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "evil.example"});
  make({.name = "dns-common-good",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "good.example"});
  // What matches hosts, but is not compared with the constraints as it is.
  make({.name = "dns-common-wild",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "*.evil.example"});
  make({.name = "dns-common-single",
        .issuer = "dns",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "localhost"});
  bound("not-dns-one", "excluded;DNS:a.evil.example");
  make({"not-dns-one-wild", "not-dns-one", server_for("DNS:*.evil.example")});
  make({"below-dns", "dns", ca});
  make({"below-dns-good", "below-dns", server_for("DNS:www.good.example")});
  make({"below-dns-evil", "below-dns", server_for("DNS:evil.example")});
  bound("not-dns", "excluded;DNS:evil.example");
  make({"not-dns-good", "not-dns", server_for("DNS:good.example")});
  make({"not-dns-evil", "not-dns", server_for("DNS:www.evil.example")});
  make({"not-dns-wild", "not-dns", server_for("DNS:*.evil.example")});
  bound("ip", "permitted;IP:127.0.0.0/255.0.0.0");
  make({"ip-in", "ip", server_for("IP:127.0.0.1")});
  bound("ip-ten", "permitted;IP:10.0.0.0/255.0.0.0");
  make({"ip-out", "ip-ten", server_for("IP:127.0.0.1")});
  make({"ip-six", "ip", server_for("IP:127.0.0.1,IP:fd00::1")});
  bound("not-ip", "excluded;IP:127.0.0.0/255.0.0.0");
  make({"not-ip-in", "not-ip", server_for("IP:127.0.0.1")});
  bound("not-six", "excluded;IP:fd00::/ffff::");
  make({"not-ip-out", "not-six", server_for("IP:127.0.0.1")});
  make({.name = "dir",
        .issuer = "root",
        .extensions =
            with(ca, "nameConstraints=critical,permitted;dirName:bound\n[bound]\nCN=somebody")});
  make({.name = "dir-in", .issuer = "dir", .subject = "somebody"});
  make({.name = "dir-out", .issuer = "dir", .subject = "somebody else"});

  // Keys for something else than a server's.
  make({"ku-crl", "root", with(kServer, "keyUsage=critical,cRLSign")});
  make({"ku-sign", "root", with(kServer, "keyUsage=critical,digitalSignature")});
  make({"ku-certs", "root", with(kServer, "keyUsage=critical,keyCertSign")});

  // A server's certificate that is trusted is that server's alone; what it signs is nothing.
  make({"anchor", "", "subjectAltName=DNS:anchor.example\nsubjectKeyIdentifier=hash\n"});
  make({"leaf-anchor", "anchor"});
  make({"anchor-ku", "", "keyUsage=keyCertSign,digitalSignature\nsubjectKeyIdentifier=hash\n"});
  make({"leaf-anchor-ku", "anchor-ku"});
  make({"middle-ku", "root", "keyUsage=keyCertSign\nsubjectKeyIdentifier=hash\n"});
  make({"leaf-middle-ku", "middle-ku"});
  make({"self-ca", "", "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:server.example\n"});

  // An authority that may not vouch for a name, and a certificate that hides its own in the
  // subject.
  make({.name = "dns-common-ca",
        .issuer = "dns",
        .extensions = "basicConstraints=critical,CA:TRUE\n",
        .subject = "evil.example"});

  // Curves that nobody uses for this.
  for (const char* curve : {"P-224", "secp256k1", "brainpoolP256r1"}) {
    std::string key = concat("-algorithm EC -pkeyopt ec_paramgen_curve:", curve);
    make({.name = concat("root-", curve), .extensions = ca, .key = key});
    make({concat("leaf-", curve), concat("root-", curve)});
    make({.name = concat("key-", curve), .issuer = "root", .key = key});
  }
  make({.name = "root-explicit",
        .extensions = ca,
        .key = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit"});
  make({"leaf-explicit", "root-explicit"});
  make({.name = "key-explicit",
        .issuer = "root",
        .key = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit"});

  // Names.
  make({"wild", "root", server_for("DNS:*.wild.example")});
  make({"wild-part", "root", server_for("DNS:w*.wild.example")});
  make({"wild-inner", "root", server_for("DNS:www.*.example")});
  make({"wild-two", "root", server_for("DNS:*.*.example")});
  make({"wild-top", "root", server_for("DNS:*.example")});
  make({"wild-all", "root", server_for("DNS:*")});
  make({"upper", "root", server_for("DNS:SERVER.Example")});
  make({"idn", "root", server_for("DNS:xn--bcher-kva.example")});
  make({"address", "root", server_for("IP:127.0.0.1")});
  make({"address-as-name", "root", server_for("DNS:127.0.0.1")});
  make({"address-other", "root", server_for("IP:127.0.0.2")});
  make({"address6", "root", server_for("IP:::1")});
  make({"address6-other", "root", server_for("IP:::2,IP:127.0.0.1,DNS:server.example")});
  make({"address6-as-name", "root", server_for("DNS:::1,DNS:[::1]")});
  make({"email", "root", server_for("email:server.example")});
  make({.name = "lone",
        .issuer = "root",
        .extensions = "basicConstraints=CA:FALSE\n",
        .subject = "lone.example"});
  make({.name = "common-beside",
        .issuer = "root",
        .extensions = server_for("DNS:other.example"),
        .subject = "server.example"});

  // A maze of authorities that all could have signed each other.
  std::string maze =
      "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\n"
      "authorityKeyIdentifier=none\n";
  for (int i = 0; i < 14; ++i) {
    make({.name = concat("maze", i), .extensions = maze, .subject = "maze"});
  }
  make({"leaf-maze", "maze0", server_for("DNS:server.example")});
}

const CertificateFolder& folder() {
  static const TemporaryDirectory directory = std::move(TemporaryDirectory::create()).value();
  static const CertificateFolder all(directory.path());
  static const bool made = (make_all(all), true);
  EXPECT_TRUE(made);
  return all;
}

struct Case {
  std::vector<std::string> chain;
  std::vector<std::string> trusted;
  std::string verdict;  // a part of the message; "accepted"
  std::string host = "server.example";
  std::string verdict12 = "";  // by TLS 1.2, where that differs
};

void PrintTo(const Case& c, std::ostream* out) { *out << join(c.chain, " ") << " for " << c.host; }

class Chains : public HttpTest, public ::testing::WithParamInterface<Case> {
 protected:
  Chains() { options_.paths = &paths_; }

  static bool is_ipv6(std::string_view host) { return host.starts_with('['); }

  static HttpPath path(const DnsServer& dns) {
    HttpPath path;
    path.family = is_ipv6(GetParam().host) ? Family::V6 : Family::V4;
    path.resolver.servers = {dns.as_name_server()};
    return path;
  }

  // What a download from a server with this chain ends with.
  std::string download(int version, const std::string& host) {
    TlsIdentity own;
    own.certificate_file = folder().file("sent.crt");
    own.key_file = key_;
    own.oldest = own.newest = version;
    ScriptedServer server(
        [](const Request&, Exchange& out) { out.send(concat(ok_head(3), "yes")); }, &own, 0,
        is_ipv6(host));
    Time before = now();
    Result<std::string> all = fetch(server.url("/", host), std::chrono::milliseconds(1500));
    EXPECT_LT(now() - before, patience(std::chrono::seconds(1)));
    return all.ok() ? "accepted" : all.error().message();
  }

  void put(const std::vector<std::string>& chain, const std::vector<std::string>& trusted) {
    options_.trusted = TrustStore::parse(as_bytes(folder().pems(trusted))).value();
    folder().write("sent.crt", folder().pems(chain));
    key_ = folder().file(concat(chain.front(), ".key"));
  }

  std::string key_;
  DnsServer dns_{[](ConstBytes query, DnsServer::Transport) -> std::vector<ByteVector> {
    return {dns_answer(query, {ip("127.0.0.1")})};
  }};
  FixedPath paths_{path(dns_)};
};

// A part of a message; but "accepted" alone is no part of "not accepted".
::testing::Matcher<std::string> says(const std::string& verdict) {
  return verdict == "accepted" ? ::testing::Matcher<std::string>(verdict) : HasSubstr(verdict);
}

TEST_P(Chains, AreJudged) {
  const Case& c = GetParam();
  put(c.chain, c.trusted);
  EXPECT_THAT(download(TLS1_3_VERSION, c.host), says(c.verdict));
  EXPECT_THAT(download(TLS1_2_VERSION, c.host),
              says(c.verdict12.empty() ? c.verdict : c.verdict12));
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  std::string name = concat(info.index, '_', info.param.chain.front());
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Trust, Chains,
    ::testing::Values(
        Case{{"leaf"}, {"root"}, "accepted"}, Case{{"leaf"}, {"other"}, "unknown CA (issuer root)"},
        Case{{"leaf", "root"}, {"other"}, "unknown CA (issuer root)"},
        Case{{"leaf", "root"}, {"root"}, "accepted"},
        Case{{"leaf"}, {"other", "root", "root", "other"}, "accepted"},
        Case{{"leaf-m", "middle"}, {"root"}, "accepted"},
        Case{{"leaf-m"}, {"root"}, "unknown CA (issuer middle)"},
        Case{{"leaf-m"}, {"middle"}, "accepted"},  // an authority that is no root
        Case{{"leaf-m"}, {"leaf-m"}, "accepted"},  // the very one
        Case{{"self"}, {"self"}, "accepted"}, Case{{"self"}, {"root"}, "self-signed (by self)"},
        Case{{"leaf"}, {"leaf-m"}, "unknown CA (issuer root)"},
        Case{{"expired"}, {"root"}, "certificate expired on 2021-01-31"},
        Case{{"expired"}, {"expired"}, "certificate expired on"},
        Case{{"future"}, {"root"}, "certificate is not valid before 2090-01-01"},
        Case{{"leaf-me", "middle-expired"},
             {"root"},
             "certificate of the CA middle-expired expired on 2021-01-31"},
        Case{{"leaf-re"}, {"root-expired"}, "certificate of the CA root-expired expired on"},
        Case{{"leaf-twin"}, {"twin-a"}, "signature does not fit"},
        // OpenSSL alone looks at the first of a name, where no key identifier tells them apart.
        Case{{"leaf-twin"}, {"twin-a", "twin-b"}, "accepted"},
        Case{{"leaf-twin"}, {"twin-b", "twin-a"}, "accepted"},
        Case{{"leaf-twin", "twin-a", "twin-b"}, {"twin-b", "twin-a"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Order, Chains,
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
             "unknown CA (issuer deep10)"},
        // Let's Encrypt, September 2021: with the new root trusted, the old one does not matter.
        Case{{"leaf-n", "middle-n", "cross"}, {"old", "new"}, "accepted"},
        Case{{"leaf-n", "middle-n", "cross"}, {"new"}, "accepted"},
        Case{{"leaf-n", "middle-n", "cross"}, {"old"}, "certificate of the CA old expired on"},
        Case{{"leaf-n", "middle-n", "cross-expired"}, {"new"}, "accepted"},
        Case{
            {"leaf-n", "middle-n", "cross-expired", "cross"}, {"root"}, "unknown CA (issuer old)"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Authorities, Chains,
    ::testing::Values(
        Case{{"leaf-nc", "no-ca"},
             {"root"},
             "certificate of the CA no-ca is not accepted (it is no CA"},
        Case{{"leaf-l", "leaf"},
             {"root"},
             "certificate of the CA leaf is not accepted (it is no CA"},
        Case{{"leaf-ns", "no-sign"}, {"root"}, "certificate of the CA no-sign is not accepted ("},
        Case{{"leaf-p", "plain"},
             {"root"},
             "certificate of the CA plain is not accepted (it is no CA"},
        Case{{"leaf-mv1", "middle-v1"},
             {"root"},
             "certificate of the CA middle-v1 is not accepted (it is no CA"},
        // It cannot say that it is an authority; as a server's own it counts.
        Case{{"leaf-rv1"}, {"root-v1"}, "is no CA"},
        Case{{"root-v1"}, {"root-v1"}, "accepted", "root-v1"},
        Case{{"leaf-short", "short"}, {"root"}, "accepted"},
        Case{{"leaf-below-short", "below-short", "short"}, {"root"}, "too many CAs below it"},
        Case{{"leaf-below-short", "below-short"}, {"short"}, "too many CAs below it"},
        Case{{"leaf-again", "short-again", "short"}, {"root"}, "accepted"},
        Case{{"client"}, {"root"}, "certificate is not accepted (it is not for servers)"},
        Case{{"any-use"}, {"root"}, "it is not for servers"},
        Case{{"leaf-mc", "middle-client"},
             {"root"},
             "certificate of the CA middle-client is not accepted (it may not vouch for servers)"},
        Case{{"critical"}, {"root"}, "critical extension"}, Case{{"curious"}, {"root"}, "accepted"},
        Case{{"leaf-id-rsa"}, {"id-rsa-not"}, "accepted"},
        Case{{"leaf-id-ec"}, {"id-ec-not"}, "accepted"},
        Case{{"leaf-zero", "middle-zero", "root-zero"}, {"root-zero"}, "accepted"},
        Case{{"policies"}, {"root"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Strength, Chains,
    ::testing::Values(
        Case{{"sha1"}, {"root"}, "certificate is not accepted (it is signed with SHA1"},
        Case{{"leaf-ms1", "middle-sha1"},
             {"root"},
             "certificate of the CA middle-sha1 is not accepted (it is signed with SHA1"},
        Case{{"leaf-rs1"}, {"root-sha1"}, "accepted"},  // nobody looks at a root's signature
        Case{{"rsa1024"},
             {"root"},
             "certificate is not accepted (its key of 1024 bits is too short)"},
        Case{{"leaf-1024"},
             {"root-1024"},
             "certificate of the CA root-1024 is not accepted (its key of 1024 bits"},
        Case{{"leaf-rsa2048"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-rsa3072"}, {"root-rsa3072"}, "accepted"},
        Case{{"leaf-rsa4096"}, {"root-rsa4096"}, "accepted"},
        Case{{"leaf-rsa8192"}, {"root-rsa8192"}, "accepted"},
        Case{{"leaf-rsa-sha384"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-rsa-sha512"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-pss"}, {"root-rsa2048"}, "accepted"},
        Case{{"leaf-pss-sha1"}, {"root-rsa2048"}, "signed with SHA1"},
        Case{{"leaf-P-384"}, {"root-P-384"}, "accepted"},
        Case{{"leaf-P-521"}, {"root-P-521"}, "accepted"},
        Case{{"leaf-ed25519"}, {"root-ed25519"}, "accepted"},
        Case{{"secp256k1"}, {"root"}, "the TLS handshake failed"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Constraints, Chains,
    ::testing::Values(
        Case{{"dns-good", "dns"}, {"root"}, "accepted", "good.example"},
        Case{{"dns-good"}, {"dns"}, "accepted", "good.example"},
        Case{{"dns-evil", "dns"}, {"root"}, "may not vouch for its name", "good.example"},
        Case{{"dns-glued", "dns"}, {"root"}, "may not vouch", "evilgood.example"},
        Case{{"dns-wild", "dns"}, {"root"}, "accepted", "www.good.example"},
        Case{{"dns-address", "dns"},
             {"root"},
             "accepted",
             "127.0.0.1"},  // of addresses it says nothing
        Case{{"dns-common", "dns"}, {"root"}, "may not vouch", "evil.example"},
        Case{{"dns-common-good", "dns"}, {"root"}, "accepted", "good.example"},
        Case{{"dns-common-wild", "dns"}, {"root"}, "may not vouch", "www.evil.example"},
        Case{{"dns-common-single", "dns"}, {"root"}, "may not vouch", "localhost"},
        Case{{"not-dns-one-wild", "not-dns-one"}, {"root"}, "may not vouch", "a.evil.example"},
        Case{{"not-dns-one-wild", "not-dns-one"}, {"root"}, "accepted", "b.evil.example"},
        Case{{"dns-good", "dns"}, {"root"}, "accepted", "good.example."},
        Case{{"below-dns-good", "below-dns", "dns"}, {"root"}, "accepted", "www.good.example"},
        Case{{"below-dns-evil", "below-dns", "dns"}, {"root"}, "may not vouch", "evil.example"},
        Case{{"not-dns-good", "not-dns"}, {"root"}, "accepted", "good.example"},
        Case{{"not-dns-evil", "not-dns"}, {"root"}, "may not vouch", "www.evil.example"},
        Case{{"not-dns-wild", "not-dns"}, {"root"}, "may not vouch", "www.evil.example"},
        Case{{"ip-in", "ip"}, {"root"}, "accepted", "127.0.0.1"},
        Case{{"ip-out", "ip-ten"}, {"root"}, "may not vouch", "127.0.0.1"},
        Case{{"ip-six", "ip"}, {"root"}, "may not vouch", "127.0.0.1"},
        Case{{"not-ip-in", "not-ip"}, {"root"}, "may not vouch", "127.0.0.1"},
        Case{{"not-ip-out", "not-six"}, {"root"}, "accepted", "127.0.0.1"},
        Case{{"dir-in", "dir"}, {"root"}, "accepted"},
        Case{{"dir-out", "dir"}, {"root"}, "may not vouch"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Usages, Chains,
    ::testing::Values(  // By TLS 1.2 the tests' server does not even use such a key.
        Case{{"ku-crl"}, {"root"}, "it is not for servers", "server.example", "handshake failed"},
        Case{{"ku-certs"}, {"root"}, "it is not for servers", "server.example", "handshake failed"},
        Case{{"ku-sign"}, {"root"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Anchors, Chains,
    ::testing::Values(Case{{"anchor"}, {"anchor"}, "accepted", "anchor.example"},
                      Case{{"leaf-anchor"},
                           {"anchor"},
                           "certificate of the CA anchor is not accepted (it is no CA"},
                      Case{{"leaf-anchor", "anchor"}, {"anchor"}, "it is no CA"},
                      Case{{"leaf-anchor-ku"}, {"anchor-ku"}, "it is no CA"},
                      Case{{"leaf-middle-ku", "middle-ku"}, {"root"}, "it is no CA"},
                      Case{{"leaf-middle-ku"}, {"middle-ku"}, "it is no CA"},
                      Case{{"self-ca"}, {"self-ca"}, "accepted"},
                      Case{{"leaf-maze", "maze1", "maze2", "maze3", "maze4", "maze5", "maze6",
                            "maze7", "maze8", "maze9", "maze10", "maze11", "maze12", "maze13",
                            "maze0"},
                           {"root"},
                           "certificate"},
                      Case{{"leaf-maze", "maze0"}, {"maze0"}, "accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Curves, Chains,
    ::testing::Values(
        Case{{"leaf-P-224"}, {"root-P-224"}, "is not accepted (its key is of a kind"},
        Case{{"leaf-secp256k1"}, {"root-secp256k1"}, "its key is of a kind"},
        Case{{"leaf-brainpoolP256r1"}, {"root-brainpoolP256r1"}, "its key is of a kind"},
        Case{{"leaf-explicit"}, {"root-explicit"}, "certificate of the CA"},
        Case{{"key-P-224"}, {"root"}, "the TLS handshake failed"},
        Case{{"key-brainpoolP256r1"}, {"root"}, "the TLS handshake failed"},
        Case{{"key-explicit"}, {"root"}, "has explicit ECC parameters"},
        Case{{"leaf-ed448"}, {"root-ed448"}, "it is signed with ED448, which is not accepted"},
        Case{{"key-ed448"}, {"root"}, "the TLS handshake failed"},
        Case{{"leaf-sha3"},
             {"root"},
             "it is signed with ecdsa_with_SHA3-256, which is not accepted"},
        Case{{"leaf-sha224"}, {"root"}, "it is signed with SHA224, which is not accepted"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Crossed, Chains,
    ::testing::Values(
        Case{{"leaf-crossed"},
             {"cross-root"},
             "certificate of the CA crossed expired on 2021-01-31"},
        Case{{"leaf-crossed", "crossed"}, {"other"}, "accepted"},
        Case{{"leaf-crossed", "crossed"}, {"cross-root", "other"}, "accepted"},
        Case{{"leaf-crossed", "crossed", "cross-root"}, {"other", "cross-root"}, "accepted"},
        Case{{"leaf-crossed"}, {"cross-root", "crossed"}, "accepted"},
        Case{{"leaf-crossed", "crossed"}, {"cross-root"}, "certificate of the CA crossed expired"},
        // Two ways up to the same key, of which the first one ends nowhere, or is over.
        Case{{"leaf-fork", "fork-old", "fork-new"}, {"cross-root", "other"}, "accepted"},
        Case{{"leaf-fork", "fork-new", "fork-old"}, {"cross-root", "other"}, "accepted"},
        Case{{"leaf-fork", "fork-old"},
             {"cross-root", "other"},
             "certificate of the CA crossed expired on 2021-01-31"},
        Case{{"leaf-fork", "fork-over", "fork-new"}, {"other"}, "accepted"},
        Case{{"leaf-fork", "fork-young", "fork-new"}, {"other"}, "accepted"},
        Case{{"leaf-fork", "fork-young"},
             {"other"},
             "certificate of the CA fork is not valid before"},
        Case{{"leaf-fork", "fork-new"}, {"fork-young", "other"}, "accepted"},
        // Going around it is no way around what else is wanted.
        Case{{"leaf-crossed", "crossed"},
             {"cross-root", "other"},
             "certificate is for server.example",
             "other.example"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Names, Chains,
    ::testing::Values(
        Case{{"leaf"},
             {"root"},
             "certificate is for server.example and not for other.example",
             "other.example"},
        Case{{"leaf"}, {"root"}, "and not for xserver.example", "xserver.example"},
        Case{{"leaf"}, {"root"}, "and not for server.example.org", "server.example.org"},
        Case{{"leaf"}, {"root"}, "accepted", "SERVER.example"},
        Case{{"leaf"}, {"root"}, "accepted", "server.example."},
        Case{{"upper"}, {"root"}, "accepted"},
        Case{{"wild"}, {"root"}, "accepted", "www.wild.example"},
        Case{{"wild"}, {"root"}, "not for wild.example", "wild.example"},
        Case{{"wild"}, {"root"}, "not for a.www.wild.example", "a.www.wild.example"},
        Case{{"wild-part"}, {"root"}, "not for www.wild.example", "www.wild.example"},
        Case{{"wild-inner"}, {"root"}, "not for www.a.example", "www.a.example"},
        Case{{"wild-two"}, {"root"}, "not for www.a.example", "www.a.example"},
        Case{{"wild-top"}, {"root"}, "not for server.example", "server.example"},
        Case{{"wild-all"}, {"root"}, "not for server.example", "server.example"},
        Case{{"idn"}, {"root"}, "accepted", "xn--bcher-kva.example"},
        Case{{"address"}, {"root"}, "accepted", "127.0.0.1"},
        Case{{"address-as-name"},
             {"root"},
             "make one with subjectAltName=IP:127.0.0.1",
             "127.0.0.1"},
        Case{{"address-other"},
             {"root"},
             "certificate is for 127.0.0.2 and not for 127.0.0.1",
             "127.0.0.1"},
        Case{{"address6"}, {"root"}, "accepted", "[::1]"},
        Case{{"address6"}, {"root"}, "accepted", "[0:0::0:1]"},
        Case{{"address6"}, {"root"}, "not for 127.0.0.1", "127.0.0.1"},
        Case{{"address6-other"}, {"root"}, "not for [::1]", "[::1]"},
        Case{{"address6-as-name"}, {"root"}, "make one with subjectAltName=IP:::1", "[::1]"},
        Case{{"email"}, {"root"}, "not for server.example"},
        // As curl has it: the common name counts where there is no other.
        Case{{"lone"}, {"root"}, "accepted", "lone.example"},
        Case{{"common-beside"}, {"root"}, "certificate is for other.example and not for server"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(HiddenNames, Chains,
                         ::testing::Values(Case{
                             {"dns-common-ca", "dns"}, {"root"}, "may not vouch", "evil.example"}),
                         name_of);

}  // namespace
}  // namespace curlingiron
