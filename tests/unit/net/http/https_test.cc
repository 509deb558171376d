// TLS under the downloads: what is accepted, and what is said when it is not. Whom a certificate is
// accepted from is in certificate_chains_test.cc.
#include <openssl/ssl.h>

#include <cstdlib>

#include "base/text.h"
#include "formats/http_text.h"
#include "net/http/source.h"
#include "support/patience.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/certificates.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing;

class HttpsSourceTest : public HttpsTest {
 protected:
  std::string https_error(const std::string& name, std::optional<Duration> limit = 5s) {
    TlsIdentity own = identity(name);
    std::string file = make_file(100);
    ScriptedServer server(
        [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &own);
    return error_of(server.url("/a.img"), limit);
  }
};

TEST_F(HttpsSourceTest, GoodCertificate) {
  TlsIdentity own = identity("good");
  std::string file = make_file(3'000'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) {
        serve_file(file, request, out, request.number == 0 ? 1'000'000 : SIZE_MAX);
        if (request.number == 0) out.reset();
      },
      &own);
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/a.img"));
  ASSERT_TRUE(source.ok()) << source.error().message();
  EXPECT_EQ(source.value()->answer().tls, "TLSv1.3");
  Result<std::string> all = drain(*source.value());
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

TEST_F(HttpsSourceTest, ExpiredCertificate) {
  EXPECT_EQ(https_error("expired"),
            "127.0.0.1: certificate expired on 2021-01-31; set the clock, renew it, or "
            "pass insecure");
}

TEST_F(HttpsSourceTest, NotYetValidCertificateNamesTheClock) {
  EXPECT_THAT(https_error("future"),
              HasSubstr(concat("not valid before 2090-01-01, but this machine's clock says ",
                               format_date(wall_clock_seconds()))));
}

TEST_F(HttpsSourceTest, WrongName) {
  EXPECT_THAT(https_error("named"),
              HasSubstr("certificate is for a.example, b.example and not for 127.0.0.1"));
}

TEST_F(HttpsSourceTest, UnknownCa) {
  options_.trusted = trust(concat(folder(), "/other.pem"));
  EXPECT_THAT(https_error("good"), HasSubstr("unknown CA (issuer Test CA); pass"));
}

TEST_F(HttpsSourceTest, InsecureIsOnlyWhenAskedFor) {
  options_.trusted.reset();
  EXPECT_THAT(https_error("expired"), HasSubstr("no CA certificates"));
  options_.insecure = true;
  EXPECT_EQ(https_error("expired"), "no error");
}

// Servers offer what each kind of resumption needs; all of the proof is demanded again.
TEST_F(HttpsSourceTest, NoSessionIsResumed) {
  std::string file = make_file(2'000'000);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsIdentity own = identity("good");
    own.oldest = own.newest = version;
    std::atomic<unsigned> resumed = 0;
    ScriptedServer server(
        [&](const Request& request, Exchange& out) {
          if (out.is_resumed()) ++resumed;
          serve_file(file, request, out, request.number < 3 ? 300'000 : SIZE_MAX);
          if (request.number < 3) out.reset();
        },
        &own);
    Result<std::string> all = fetch(server.url("/"));
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_GT(server.requests().size(), 3u);
    EXPECT_EQ(resumed, 0u);
  }
}

// Warnings change nothing, and one that comes while a kept connection is closed finds nobody to
// warn.
TEST_F(HttpsSourceTest, WarningsAreNoFailures) {
  constexpr int kWarning = 1;
  constexpr int kFatal = 2;
  constexpr int kUnrecognizedName = 112;
  constexpr int kNoRenegotiation = 100;
  TlsIdentity own = identity("good");
  own.newest = TLS1_2_VERSION;
  std::string file = make_file(300'000);
  for (bool cut : {false, true}) {
    ScriptedServer server(
        [&](const Request& request, Exchange& out) {
          out.alert(kWarning, kUnrecognizedName);
          serve_file(file, request, out, cut && request.number == 0 ? 100'000 : SIZE_MAX);
          if (cut && request.number == 0) return out.reset();
          out.alert(kWarning, kNoRenegotiation);
          out.alert(kFatal, kUnrecognizedName);
          out.keep();
        },
        &own);
    Result<std::string> all = fetch(server.url("/"));
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_TRUE(all.value() == file);
  }
}

TEST_F(HttpsSourceTest, NeverFromHttpsToHttp) {
  TlsIdentity own = identity("good");
  ScriptedServer plain([](const Request&, Exchange& out) { out.send(ok_head(0)); });
  ScriptedServer server(
      [&](const Request&, Exchange& out) {
        out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", plain.url("/b"),
                        "\r\n\r\n"));
      },
      &own);
  EXPECT_THAT(error_of(server.url("/a")), HasSubstr("redirects from https to http"));
  EXPECT_TRUE(plain.requests().empty());
}

TEST_F(HttpsSourceTest, PlainHttpOnTheTlsPortSaysSo) {
  ScriptedServer plain([](const Request&, Exchange& out) { out.send(ok_head(0)); });
  EXPECT_THAT(error_of(concat("https://127.0.0.1:", plain.port(), "/"), 3s),
              HasSubstr("TLS handshake"));
}

// What is cut may be cut by the network: it is tried again.
TEST_F(HttpsSourceTest, AHandshakeThatIsCutIsRetried) {
  for (bool reset : {false, true}) {
    SCOPED_TRACE(reset);
    // Whoever speaks no TLS gets the first bytes of it as a request, and ends the connection.
    ScriptedServer plain([&](const Request&, Exchange& out) {
      if (reset) out.reset();
    });
    EXPECT_THAT(error_of(concat("https://127.0.0.1:", plain.port(), "/"), 2s),
                HasSubstr("the TLS handshake failed: the connection ended in it"));
    EXPECT_GT(plain.requests().size(), 1U);
  }
}

// The library reads on for as long as messages come, and meanwhile nobody looks at the deadline.
TEST_F(HttpsSourceTest, MessagesWithoutEndInTheHandshake) {
  constexpr std::string_view kHelloRequest("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9);
  std::string many;
  while (many.size() < 60'000) many += kHelloRequest;
  ScriptedServer endless([&](const Request&, Exchange& out) {
    while (out.send(many)) continue;
  });
  Time before = now();
  EXPECT_THAT(error_of(concat("https://127.0.0.1:", endless.port(), "/"), 500ms),
              HasSubstr("the TLS handshake failed (the server sends handshake messages without "
                        "end)"));
  EXPECT_LT(now() - before, patience(2s));
}

TEST_F(HttpsSourceTest, MessagesWithoutEndAfterTheHandshake) {
  TlsIdentity own = identity("good");
  ScriptedServer endless(
      [](const Request&, Exchange& out) {
        while (out.update_key()) continue;
      },
      &own);
  Time before = now();
  EXPECT_THAT(error_of(endless.url("/"), 500ms),
              HasSubstr("the connection broke at byte 0 (the server sends handshake messages "
                        "without end)"));
  EXPECT_LT(now() - before, patience(2s));
}

// What a proxy sends with a refusal, nobody reads but the library: it must not keep it for ever.
TEST_F(HttpsSourceTest, ARefusalOfAProxyThatDoesNotEnd) {
  for (const char* head : {"Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n"}) {
    ScriptedServer proxy([&](const Request&, Exchange& out) {
      std::string chunk = concat("1000\r\n", std::string(4096, 'y'), "\r\n");
      out.send(concat("HTTP/1.1 407 No\r\n", head, "\r\n"));
      while (out.send(chunk)) continue;
    });
    options_.proxy = parse_proxy_url(concat("127.0.0.1:", proxy.port())).value();
    Time before = now();
    EXPECT_THAT(error_of("https://server.example/a", 500ms),
                HasSubstr("407, asks for credentials"));
    EXPECT_LT(now() - before, patience(2s));
  }
}

// Where data comes between them, they are no fault.
TEST_F(HttpsSourceTest, KeysThatChangeOften) {
  TlsIdentity own = identity("good");
  std::string file = make_file(1'000'000);
  ScriptedServer server(
      [&](const Request&, Exchange& out) {
        out.send(ok_head(file.size()));
        for (size_t at = 0; at < file.size(); at += 2000) {
          out.update_key();
          out.send(std::string_view(file).substr(at, 2000));
        }
      },
      &own);
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

// Whatever the environment asks for.
TEST_F(HttpsSourceTest, KeysOfAConnectionAreWrittenNowhere) {
  std::string log = concat(folder(), "/keys.log");
  ASSERT_EQ(::setenv("SSLKEYLOGFILE", log.c_str(), 1), 0);
  std::string error = https_error("good");
  ::unsetenv("SSLKEYLOGFILE");
  EXPECT_EQ(error, "no error");
  UniqueFd root = open_root("/").value();
  EXPECT_FALSE(exists(root, log) && !read_text(root, log).value().empty());
}

TEST_F(HttpsSourceTest, ARefusedCertificateIsRetriedOnlyBehindTheCommitPoint) {
  // The first connection is good; then another server with a bad certificate takes the port's
  // place after a redirect.
  TlsIdentity good = identity("good");
  TlsIdentity expired = identity("expired");
  std::string file = make_file(1000);
  ScriptedServer bad([&](const Request&, Exchange&) {}, &expired);
  std::atomic<unsigned> asked = 0;
  ScriptedServer server(
      [&](const Request& request, Exchange& out) {
        unsigned turn = asked++;
        if (turn == 0) {
          serve_file(file, request, out, 500);
        } else if (turn < 3) {
          out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", bad.url("/b"),
                          "\r\n\r\n"));
        } else {
          serve_file(file, request, out);
        }
      },
      &good);
  EXPECT_THAT(error_of(server.url("/a"), 5s), HasSubstr("certificate expired"));
  asked = 0;
  Result<std::string> all = fetch(server.url("/a"), std::nullopt);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

// --- client certificates

class ClientCertificateTest : public HttpsSourceTest {
 protected:
  // A server that demands a certificate of the test CA.
  std::string error_with(const std::string& certificate, const std::string& key) {
    if (!certificate.empty()) {
      options_.client_certificate =
          client(concat(folder(), '/', certificate), concat(folder(), '/', key));
    }
    TlsIdentity own = identity("good");
    own.client_ca_file = concat(folder(), "/ca.pem");
    std::string file = make_file(100);
    ScriptedServer server(
        [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &own);
    return error_of(server.url("/a.img"), 3s);
  }
};

TEST_F(ClientCertificateTest, IsSentAndAccepted) {
  EXPECT_EQ(error_with("client.pem", "client.key"), "no error");
}

TEST_F(ClientCertificateTest, IsDemandedButNotGiven) {
  EXPECT_EQ(error_with("", ""),
            "127.0.0.1: the server demands a client certificate; pass one (--cert)");
}

TEST_F(ClientCertificateTest, OfAnotherCaIsNotAccepted) {
  EXPECT_THAT(error_with("stranger.pem", "stranger.key"),
              HasSubstr("127.0.0.1: the server does not accept the client certificate"));
}

TEST_F(ClientCertificateTest, IsTooWeak) {
  CertificateFolder(folder()).make({.name = "client-sha1", .issuer = "ca", .digest = "sha1"});
  EXPECT_THAT(error_with("client-sha1.pem", "client-sha1.key"),
              HasSubstr("127.0.0.1: the client certificate is not accepted"));
}

TEST_F(ClientCertificateTest, ARefusalByStatusHintsAtIt) {
  // As nginx does it: the handshake is good, the answer is not.
  options_.client_certificate.reset();
  TlsIdentity own = identity("good");
  own.client_ca_file = concat(folder(), "/ca.pem");
  own.client_optional = true;
  ScriptedServer server(
      [&](const Request&, Exchange& out) { out.send(status_head("403 Forbidden")); }, &own);
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("asks for a client certificate: pass one"));
}

TEST_F(ClientCertificateTest, StaysHomeWhenRedirected) {
  options_.client_certificate =
      client(concat(folder(), "/client.pem"), concat(folder(), "/client.key"));
  TlsIdentity own = identity("good");
  own.client_ca_file = concat(folder(), "/ca.pem");
  ScriptedServer other([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &own);
  ScriptedServer server(
      [&](const Request&, Exchange& out) {
        out.send(status_head("302 Found", concat("Location: ", other.url("/b"), "\r\n")));
      },
      &own);
  EXPECT_THAT(error_of(server.url("/a"), 3s), HasSubstr("demands a client certificate"));
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(ClientCertificateTest, MayBeAskedForBehindTheRequest) {
  TlsIdentity own = identity("good");
  own.client_ca_file = concat(folder(), "/ca.pem");
  own.client_later = true;
  std::string file = make_file(100'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &own);
  options_.client_certificate =
      client(concat(folder(), "/client.pem"), concat(folder(), "/client.key"));
  EXPECT_EQ(error_of(server.url("/"), 2s), "no error");
  options_.client_certificate.reset();
  EXPECT_THAT(error_of(server.url("/"), 2s),
              HasSubstr("the server demands a client certificate; pass one (--cert)"));
}

// --- pinned keys

class PinTest : public HttpsSourceTest {
 protected:
  static KeyPin pin(const std::string& name) {
    std::string out = concat(folder(), "/pin.txt");
    std::string command =
        concat("openssl x509 -in ", folder(), '/', name,
               ".pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 "
               "-binary | openssl base64 -A > ",
               out);
    EXPECT_EQ(std::system(command.c_str()), 0);
    UniqueFd root = std::move(open_root("/")).value();
    return parse_key_pin(concat("sha256//", read_text(root, out.substr(1)).value())).value();
  }
};

TEST_F(PinTest, TheRightKeyIsAccepted) {
  options_.pinned_key = pin("good");
  EXPECT_EQ(https_error("good"), "no error");
}

TEST_F(PinTest, AnotherKeyIsRefusedAndNamed) {
  options_.pinned_key = pin("client");
  EXPECT_EQ(https_error("good"),
            concat("127.0.0.1: the server's key is not the pinned one but ",
                   format_key_pin(pin("good")), "; check the pin, and that nobody stands between"));
}

TEST_F(PinTest, ThePinDoesNotReplaceTheCertificate) {
  options_.pinned_key = pin("expired");
  EXPECT_THAT(https_error("expired"), HasSubstr("certificate expired"));
}

TEST_F(PinTest, WithInsecureThePinAloneCounts) {
  options_.insecure = true;
  options_.trusted.reset();
  options_.pinned_key = pin("expired");
  EXPECT_EQ(https_error("expired"), "no error");
  options_.pinned_key = pin("good");
  EXPECT_THAT(https_error("expired"),
              HasSubstr(concat("not the pinned one but ", format_key_pin(pin("expired")))));
}

TEST_F(PinTest, IsNotDroppedByARedirect) {
  TlsIdentity own = identity("good");
  ScriptedServer other([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &own);
  ScriptedServer server(
      [&](const Request&, Exchange& out) {
        out.send(status_head("302 Found", concat("Location: ", other.url("/b"), "\r\n")));
      },
      &own);
  options_.pinned_key = pin("good");
  for (bool insecure : {false, true}) {
    options_.insecure = insecure;
    EXPECT_THAT(error_of(server.url("/a"), 3s),
                HasSubstr("whose key is not pinned; give that URL"));
  }
  EXPECT_TRUE(other.requests().empty());
}

// Anybody can find out such a key, and then is who is pinned.
TEST_F(PinTest, AWeakKeyProvesNothing) {
  options_.insecure = true;
  options_.trusted.reset();
  for (std::string bits : {"512", "1024"}) {
    TlsIdentity own = identity(concat("weak", bits));
    own.newest = TLS1_2_VERSION;  // the shorter one is too short for a signature of TLS 1.3
    ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &own);
    options_.pinned_key.reset();
    EXPECT_EQ(error_of(server.url("/")), "no error");
    options_.pinned_key = pin(concat("weak", bits));
    EXPECT_THAT(error_of(server.url("/")),
                HasSubstr(concat("its key of ", bits, " bits is too short")));
  }
}

TEST_F(PinTest, OverHttpItProvesNothing) {
  options_.pinned_key = pin("good");
  EXPECT_THAT(error_of("http://127.0.0.1/"), HasSubstr("proves nothing over http"));
}

// --- proxies

class ProxyTest : public HttpsSourceTest {
 protected:
  // A proxy that asks for bob's password where `credentials` says so.
  static ScriptedServer::Script proxy(uint16_t to, std::string_view credentials = "") {
    return [to, credentials](const Request& request, Exchange& out) {
      if (request.header("Proxy-Authorization") != credentials) {
        out.send(status_head("407 Who Are You", "Proxy-Authenticate: Basic realm=x\r\n"));
      } else if (request.text.starts_with("CONNECT ")) {
        out.send("HTTP/1.1 200 Go\r\n\r\n");
        out.tunnel(to);
      } else {
        out.send(ok_head(3));
        out.send("via");
      }
    };
  }
};

TEST_F(ProxyTest, HttpsGoesThroughATunnelAndSecretsDoNotGoToTheProxy) {
  TlsIdentity own = identity("good");
  std::string file = make_file(1'000'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) {
        serve_file(file, request, out, request.number == 0 ? 300'000 : SIZE_MAX);
      },
      &own);
  // bob:s3cret
  ScriptedServer gate(proxy(server.port(), "Basic Ym9iOnMzY3JldA=="));
  options_.proxy = parse_proxy_url(concat("http://bob:s3cret@127.0.0.1:", gate.port())).value();
  options_.headers = {"X-Token: hidden"};
  Result<std::string> all = fetch(server.url("/a"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  ASSERT_EQ(gate.requests().size(), 2U);
  EXPECT_EQ(gate.requests()[0].header("X-Token"), "");
  EXPECT_EQ(server.requests()[0].header("X-Token"), "hidden");
  EXPECT_EQ(server.requests()[0].header("Proxy-Authorization"), "");
  EXPECT_THAT(log_.text(), Not(HasSubstr("s3cret")));
}

TEST_F(ProxyTest, HttpIsAskedOfIt) {
  ScriptedServer gate(proxy(0));
  options_.proxy = parse_proxy_url(concat("127.0.0.1:", gate.port())).value();
  Result<std::string> all = fetch("http://image.example/a");
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value(), "via");
  EXPECT_TRUE(gate.requests()[0].text.starts_with("GET http://image.example/a "));
}

TEST_F(ProxyTest, MissingOrWrongCredentialsAreNamedButNotShown) {
  ScriptedServer gate(proxy(0, "Basic Ym9iOnMzY3JldA=="));
  for (std::string_view url : {"https://image.example/a", "http://image.example/a"}) {
    options_.proxy = parse_proxy_url(concat("http://127.0.0.1:", gate.port())).value();
    EXPECT_THAT(error_of(std::string(url)), HasSubstr("407"));
    options_.proxy = parse_proxy_url(concat("http://bob:hidden@127.0.0.1:", gate.port())).value();
    std::string error = error_of(std::string(url));
    EXPECT_THAT(error, AllOf(HasSubstr("407"), HasSubstr("redentials"), Not(HasSubstr("hidden"))));
  }
  EXPECT_EQ(gate.requests().size(), 4U);
}

TEST_F(ProxyTest, ARefusalToConnectIsTheProxys) {
  ScriptedServer gate(
      [](const Request&, Exchange& out) { out.send(status_head("403 Forbidden")); });
  options_.proxy = parse_proxy_url(concat("http://127.0.0.1:", gate.port())).value();
  EXPECT_THAT(error_of("https://image.example/a"),
              HasSubstr("proxy 127.0.0.1: 403, does not connect to image.example port 443"));
  EXPECT_EQ(gate.requests().size(), 1U);
  ScriptedServer busy([](const Request& request, Exchange& out) {
    out.send(status_head(request.number < 2 ? "503 Busy" : "403 Forbidden"));
  });
  options_.proxy = parse_proxy_url(concat("http://127.0.0.1:", busy.port())).value();
  EXPECT_THAT(error_of("https://image.example/a"), HasSubstr("proxy 127.0.0.1: 403"));
  EXPECT_THAT(log_.text(), HasSubstr("proxy 127.0.0.1: 503"));
  EXPECT_EQ(busy.requests().size(), 3U);
}

TEST_F(ProxyTest, OneThatIsDownIsNamed) {
  uint16_t port = 0;
  {
    port = ScriptedServer([](const Request&, Exchange&) {}).port();
  }
  options_.proxy = parse_proxy_url(concat("http://127.0.0.1:", port)).value();
  EXPECT_THAT(error_of("https://image.example/a", 300ms),
              HasSubstr(concat("proxy 127.0.0.1: connection refused on port ", port)));
}

TEST_F(ProxyTest, TheEnvironmentIsNotAsked) {
  ScriptedServer gate([](const Request&, Exchange&) {});
  std::string file = make_file(10);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); });
  std::string url = concat("http://127.0.0.1:", gate.port());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::setenv(name, url.c_str(), 1);
  ::setenv("no_proxy", "*", 1);
  EXPECT_EQ(error_of(server.url("/")), "no error");
  // And no_proxy does not switch off the one that was named.
  ScriptedServer named(proxy(0));
  options_.proxy = parse_proxy_url(concat("127.0.0.1:", named.port())).value();
  EXPECT_EQ(error_of("http://image.example/a"), "no error");
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY", "no_proxy"}) ::unsetenv(name);
  EXPECT_TRUE(gate.requests().empty());
}

// --- records

TEST_F(HttpsSourceTest, RecordsOfEverySizeArriveBeforeASilence) {
  // Many records in one segment, the last of them small, then nothing: all must be delivered though
  // the socket says no more.
  std::string file = make_file(300'000);
  TlsIdentity own = identity("good");
  options_.stall = 5s;
  for (size_t record : {1U, 100U, 5'000U, 16'384U}) {
    SCOPED_TRACE(record);
    size_t sent = record == 1 ? 2'000 : 250'000;
    ScriptedServer server(
        [&](const Request&, Exchange& out) {
          out.send("HTTP/1.1 200 O");
          out.send(concat("K\r\nContent-Length: ", file.size(), "\r\n"));
          out.send("\r\n");
          for (size_t at = 0; at < sent; at += record) {
            out.send(std::string_view(file).substr(at, std::min(record, sent - at)));
          }
          out.hang();
        },
        &own);
    Result<std::unique_ptr<HttpSource>> source = open(server.url("/"), 4s);
    ASSERT_TRUE(source.ok()) << source.error().message();
    ByteVector got(sent);
    Time before = now();
    Result<size_t> n = read_full(*source.value(), got);
    ASSERT_TRUE(n.ok()) << n.error().message();
    EXPECT_TRUE(as_text(got) == std::string_view(file).substr(0, sent));
    EXPECT_LT(now() - before, patience(2s));
  }
}

TEST_F(HttpsSourceTest, ALineThatIsCutIsNoEnd) {
  // Without a length, the end of the connection is that of the body: only TLS's own word for it
  // counts, since anybody can cut a line.
  TlsIdentity own = identity("good");
  std::string file = make_file(50'000);
  for (int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    own.newest = newest;
    bool cut = true;
    ScriptedServer server(
        [&](const Request&, Exchange& out) {
          out.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
          out.send(file);
          if (cut) out.cut();
        },
        &own);
    EXPECT_NE(error_of(server.url("/"), 1s), "no error");
    cut = false;
    Result<std::string> all = fetch(server.url("/"));
    // A body whose length nobody told is not taken at all, or whole.
    if (all.ok()) {
      EXPECT_TRUE(all.value() == file);
    }
  }
}

// --- what servers are like

class TlsServerTest : public HttpsSourceTest {
 protected:
  // What a server says that has this identity, or the version of TLS.
  std::string result(const TlsIdentity& own) {
    std::string file = make_file(100'000);
    ScriptedServer server(
        [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &own);
    Result<std::unique_ptr<HttpSource>> source = open(server.url("/a.img"), 2s);
    if (!source.ok()) return source.error().message();
    Result<std::string> all = drain(*source.value());
    if (!all.ok()) return all.error().message();
    EXPECT_TRUE(all.value() == file);
    return source.value()->answer().tls;
  }

  CertificateFolder certificates_{folder()};
};

TEST_F(TlsServerTest, Versions) {
  TlsIdentity own = identity("good");
  own.oldest = own.newest = TLS1_3_VERSION;
  EXPECT_EQ(result(own), "TLSv1.3");
  own.oldest = own.newest = TLS1_2_VERSION;
  EXPECT_EQ(result(own), "TLSv1.2");
  own.oldest = own.newest = TLS1_1_VERSION;
  EXPECT_THAT(result(own), AllOf(HasSubstr("the TLS handshake failed (the server says: protocol "
                                           "version)"),
                                 HasSubstr("TLS 1.2 or 1.3")));
}

TEST_F(TlsServerTest, Ciphers) {
  TlsIdentity own = identity("good");
  own.newest = TLS1_2_VERSION;
  auto refused = HasSubstr("the TLS handshake failed (the server says: handshake failure)");
  for (const char* cipher : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                             "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    own.ciphers = cipher;
    EXPECT_EQ(result(own), "TLSv1.2") << cipher;
  }
  for (const char* cipher : {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384",
                             "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM"}) {
    own.ciphers = cipher;
    EXPECT_THAT(result(own), refused) << cipher;
  }
  certificates_.make({.name = "rsa",
                      .issuer = "ca",
                      .extensions = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n",
                      .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"});
  TlsIdentity rsa = identity("rsa");
  rsa.newest = TLS1_2_VERSION;
  for (const char* cipher : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                             "ECDHE-RSA-CHACHA20-POLY1305"}) {
    rsa.ciphers = cipher;
    EXPECT_EQ(result(rsa), "TLSv1.2") << cipher;
  }
  for (const char* cipher : {"DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256",
                             "AES128-GCM-SHA256", "AES128-SHA"}) {
    rsa.ciphers = cipher;
    EXPECT_THAT(result(rsa), refused) << cipher;
  }
  own.ciphers = "aNULL";
  EXPECT_THAT(result(own), HasSubstr("the TLS handshake failed"));
}

TEST_F(TlsServerTest, Groups) {
  // Not the one that is offered first: the server asks for another hello.
  TlsIdentity own = identity("good");
  for (int newest : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    own.newest = newest;
    for (const char* group : {"P-256", "P-384", "P-521", "X25519"}) {
      own.groups = group;
      EXPECT_THAT(result(own), HasSubstr("TLSv1.")) << group;
    }
    for (const char* group : {"P-224", "secp256k1", "X448", "ffdhe2048"}) {
      own.groups = group;
      EXPECT_THAT(result(own), HasSubstr("the TLS handshake failed")) << group;
    }
  }
}

TEST_F(TlsServerTest, Keys) {
  std::string extensions = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
  for (const char* key :
       {"-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096 -pkeyopt rsa_keygen_primes:4",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:8192 -pkeyopt rsa_keygen_primes:5",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "-algorithm ED25519"}) {
    SCOPED_TRACE(key);
    certificates_.make({.name = "kind", .issuer = "ca", .extensions = extensions, .key = key});
    TlsIdentity own = identity("kind");
    EXPECT_EQ(result(own), "TLSv1.3");
    own.newest = TLS1_2_VERSION;
    EXPECT_EQ(result(own), "TLSv1.2");
  }
  certificates_.make({.name = "kind",
                      .issuer = "ca",
                      .extensions = extensions,
                      .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"});
  EXPECT_THAT(result(identity("kind")), HasSubstr("its key of 1024 bits is too short"));
}

TEST_F(TlsServerTest, LongChainsInAnyOrderWithOthersBetween) {
  std::string names = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1";
  // Hundreds of names, as shared hosts have, and a message of several records.
  for (int i = 0; i < 600; ++i) names += concat(",DNS:a-rather-long-name-", i, ".example.org");
  std::vector<std::string> chain;
  std::string above = "ca";
  for (int i = 0; i < 10; ++i) {
    std::string name = concat("link", i);
    certificates_.make({name, above, std::string(kAuthority)});
    chain.push_back(name);
    above = name;
  }
  certificates_.make({"end", above, names});
  certificates_.make({.name = "zero", .extensions = std::string(kAuthority), .serial = "00"});
  certificates_.write("chain.pem", certificates_.pem("end") + certificates_.pem("expired") +
                                       certificates_.pems(chain) +
                                       certificates_.pems({"other", "zero", "ca", "future"}));
  TlsIdentity own = identity("end");
  own.certificate_file = certificates_.file("chain.pem");
  EXPECT_EQ(result(own), "TLSv1.3");
  own.newest = TLS1_2_VERSION;
  EXPECT_EQ(result(own), "TLSv1.2");
  // One is missing.
  chain.erase(chain.begin() + 5);
  certificates_.write("chain.pem", certificates_.pem("end") + certificates_.pems(chain));
  EXPECT_THAT(result(own), HasSubstr("unknown CA (issuer link5)"));
}

TEST_F(TlsServerTest, OneAlonePathIsAsBadAsItsWorst) {
  std::string names = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
  certificates_.make({.name = "tired",
                      .issuer = "ca",
                      .extensions = std::string(kAuthority),
                      .until = "20210131000000Z"});
  certificates_.make({"below-tired", "tired", names});
  certificates_.write("chain.pem", certificates_.pems({"below-tired", "tired"}));
  TlsIdentity own = identity("below-tired");
  own.certificate_file = certificates_.file("chain.pem");
  EXPECT_THAT(result(own), HasSubstr("certificate of the CA tired expired on 2021-01-31"));
  options_.insecure = true;
  EXPECT_EQ(result(own), "TLSv1.3");
}

TEST_F(TlsServerTest, AServersOwnCertificateMayBeTheOneTrusted) {
  certificates_.make({"lone", "", "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n"});
  options_.trusted = trust(certificates_.file("lone.pem"));
  EXPECT_EQ(result(identity("lone")), "TLSv1.3");
  options_.trusted = trust(certificates_.file("ca.pem"));
  EXPECT_THAT(result(identity("lone")),
              HasSubstr("certificate is self-signed (by lone) and not trusted"));
}

TEST_F(TlsServerTest, ABundleOfWhichPartCannotBeRead) {
  certificates_.write("bundle.pem",
                      concat("-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n",
                             certificates_.pems({"other", "ca", "ca"})));
  options_.trusted = trust(certificates_.file("bundle.pem"));
  EXPECT_EQ(result(identity("good")), "TLSv1.3");
}

TEST_F(TlsServerTest, TheClientsChainIsSent) {
  // The server knows the root alone.
  certificates_.make({"client-ca", "ca", std::string(kAuthority)});
  certificates_.make({"below", "client-ca", "extendedKeyUsage=clientAuth\n"});
  certificates_.write("below-chain.pem", certificates_.pems({"below", "client-ca"}));
  options_.client_certificate =
      client(certificates_.file("below-chain.pem"), certificates_.file("below.key"));
  TlsIdentity own = identity("good");
  own.client_ca_file = certificates_.file("ca.pem");
  EXPECT_EQ(result(own), "TLSv1.3");
  own.newest = TLS1_2_VERSION;
  EXPECT_EQ(result(own), "TLSv1.2");
  options_.client_certificate =
      client(certificates_.file("below.pem"), certificates_.file("below.key"));
  EXPECT_THAT(result(own), HasSubstr("does not accept the client certificate"));
}

}  // namespace
}  // namespace curlingiron
