// What each way to fail on the wire is said to be: object, cause and next step, and whether it may
// pass. Facts are made up; that curl and TLS report such ones, the tests with servers show.
#include "net/http/wire_failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cerrno>

#include "sys/file.h"
#include "unit/net/certificates.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

class WireFailureTest : public ::testing::Test {
 protected:
  WireFailureTest() {
    ask_.url = parse_url("https://image.test/a").value();
    ask_.trusted = true;
  }

  WireEnd end(CURLcode code) {
    return {.options = options_,
            .ask = ask_,
            .verdict = verdict_,
            .progress = progress_,
            .stage = HttpStage::Connect,
            .proven = true,
            .dns_error = nullptr,
            .socket_error = nullptr,
            .code = code,
            .curl_error = {},
            .os_error = 0,
            .proxy_status = 0,
            .connect_patience = 15s};
  }
  void expect(const WireEnd& end, FailureKind kind, std::string_view text) {
    HttpFailure failure = explain(end, 1234);
    EXPECT_EQ(failure.error.message(), text);
    EXPECT_EQ(failure.kind, kind);
  }

  HttpOptions options_;
  HttpAsk ask_;
  TlsVerdict verdict_;
  WireProgress progress_;
};

TEST_F(WireFailureTest, ConnectionIsNotMade) {
  WireEnd refused = end(CURLE_COULDNT_CONNECT);
  refused.os_error = ECONNREFUSED;
  expect(refused, FailureKind::Transient,
         "image.test: connection refused on port 443; check the port and that the server runs");
  refused.os_error = EHOSTUNREACH;
  expect(refused, FailureKind::Transient,
         "image.test: no route to the host; check address, gateway and firewall");
  expect(end(CURLE_OPERATION_TIMEDOUT), FailureKind::Transient,
         "image.test: no connection on port 443 within 15.0 s; check the address, the route and "
         "firewalls");
  EXPECT_EQ(explain(refused, 0).stage, HttpStage::Connect);
}

TEST_F(WireFailureTest, PeerIsTheProxy) {
  options_.proxy = parse_url("http://proxy.test:3128").value();
  WireEnd refused = end(CURLE_COULDNT_CONNECT);
  refused.os_error = ECONNREFUSED;
  expect(refused, FailureKind::Transient,
         "proxy proxy.test: connection refused on port 3128; check the port and that the "
         "server runs");
  WireEnd answered = end(CURLE_RECV_ERROR);
  answered.proxy_status = 407;
  expect(answered, FailureKind::Final,
         "proxy proxy.test: 407, asks for credentials; check "
         "proxy=http://USER:PASSWORD@HOST:PORT");
  answered.proxy_status = 403;
  expect(answered, FailureKind::Final,
         "proxy proxy.test: 403, does not connect to image.test port 443; check the URL and what "
         "the proxy allows");
  answered.proxy_status = 503;
  EXPECT_EQ(explain(answered, 0).kind, FailureKind::Transient);
}

TEST_F(WireFailureTest, NameIsNotFound) {
  Error unknown("no such name");
  WireEnd failed = end(CURLE_OK);
  failed.dns_error = &unknown;
  expect(failed, FailureKind::Transient, "image.test: no such name");
  EXPECT_EQ(explain(failed, 0).stage, HttpStage::Dns);
}

TEST_F(WireFailureTest, ConnectionBreaks) {
  WireEnd broke = end(CURLE_RECV_ERROR);
  broke.curl_error = "reset\x1b[2J";
  HttpFailure failure = explain(broke, 1234);
  EXPECT_EQ(failure.kind, FailureKind::Transient);
  EXPECT_THAT(failure.error.message(),
              HasSubstr("image.test: the connection broke at byte 1234 (reset"));
  EXPECT_THAT(failure.error.message(), ::testing::Not(HasSubstr("\x1b")));
}

TEST_F(WireFailureTest, ServerWantsACertificate) {
  verdict_.note_certificate_request();
  expect(end(CURLE_GOT_NOTHING), FailureKind::Transient,
         "image.test: the connection broke at byte 1234 (Server returned nothing (no headers, no "
         "data)); the server asks for a client certificate: pass one (--cert)");
  // It has answered: its certificate was not the reason.
  progress_.has_head = true;
  EXPECT_THAT(explain(end(CURLE_PARTIAL_FILE), 0).error.message(),
              ::testing::Not(HasSubstr("--cert")));

  verdict_.note_alert(42, TLS1_3_VERSION);  // bad_certificate, RFC 8446 section 6
  HttpFailure demanded = explain(end(CURLE_RECV_ERROR), 0);
  EXPECT_EQ(demanded.kind, FailureKind::Certificate);
  EXPECT_TRUE(demanded.wants_client_certificate);
  // The one that was sent is not good enough.
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  testing::CertificateFolder certificates(folder.path());
  certificates.make({.name = "me"});
  options_.client_certificate =
      testing::client(certificates.file("me.pem"), certificates.file("me.key"));
  HttpFailure refused = explain(end(CURLE_RECV_ERROR), 0);
  EXPECT_FALSE(refused.wants_client_certificate);
  EXPECT_THAT(refused.error.message(), HasSubstr("does not accept the client certificate ("));
}

// Bytes of a server that has not proved itself are no broken connection, whatever curl says.
TEST_F(WireFailureTest, UnprovenServer) {
  progress_.began = true;
  WireEnd stopped = end(CURLE_WRITE_ERROR);
  EXPECT_EQ(explain(stopped, 0).kind, FailureKind::Transient);
  stopped.proven = false;
  EXPECT_EQ(explain(stopped, 0).kind, FailureKind::Certificate);
}

TEST_F(WireFailureTest, HandshakeFails) {
  // The connection ended in it: that may pass. What the server objects to does not.
  EXPECT_EQ(explain(end(CURLE_SSL_CONNECT_ERROR), 0).kind, FailureKind::Transient);
  verdict_.note_alert(40, TLS1_3_VERSION);  // handshake_failure
  HttpFailure failure = explain(end(CURLE_SSL_CONNECT_ERROR), 0);
  EXPECT_EQ(failure.kind, FailureKind::Certificate);
  EXPECT_THAT(failure.error.message(), HasSubstr("the server says: handshake failure"));
}

TEST_F(WireFailureTest, ClientCertificateIsTooWeak) {
  HttpFailure failure = explain(end(CURLE_SSL_CERTPROBLEM), 0);
  EXPECT_EQ(failure.kind, FailureKind::Final);
  EXPECT_THAT(failure.error.message(), HasSubstr("the client certificate is not accepted"));
}

}  // namespace
}  // namespace curlingiron
