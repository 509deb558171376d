// What the tests of downloads share: files, answers, a recorded log, and certificates.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "net/http/file.h"
#include "net/http/path.h"
#include "net/http/source.h"
#include "net/tls/client_certificate.h"
#include "net/tls/trust_store.h"
#include "unit/net/scripted_server.h"

namespace curlingiron::testing {

inline constexpr std::string_view kEtag = "\"v1\"";

// Bytes that differ everywhere, so that an offset that is off shows. Another seed, another file.
std::string make_file(size_t size, uint64_t seed = 88172645463325252);

std::string ok_head(size_t length, std::string_view more = "ETag: \"v1\"\r\n");
std::string partial_head(size_t first, size_t size, std::string_view more = "ETag: \"v1\"\r\n");
std::string status_head(std::string_view status, std::string_view more = "");

// A server as it should be, with If-Range, for the whole file and for parts; `limit` bytes of each
// answer's body are sent, then the line is cut.
void serve_file(const std::string& file, const Request& request, Exchange& out,
                size_t limit = SIZE_MAX, std::string_view etag = kEtag);

class RecordingLog final : public LogSink {
 public:
  RecordingLog();
  ~RecordingLog() override;
  void log(LogLevel level, std::string_view line) override;
  std::string text() const;
  std::vector<std::string> warning_lines() const;
  size_t warnings() const { return warning_lines().size(); }

 private:
  mutable std::mutex mutex_;
  std::string text_;
  std::vector<std::string> warnings_;
};

// Of PEM files, each of which is there and good.
std::shared_ptr<const TrustStore> trust(const std::string& file);
std::shared_ptr<const ClientCertificate> client(const std::string& certificate,
                                                const std::string& key);

// One path to the servers, and what is reported of it.
class FixedPath final : public PathChooser {
 public:
  explicit FixedPath(HttpPath path) : path_(std::move(path)) {}
  HttpPath path() override;
  void failed(const HttpPath& path, const Error& why) override;
  bool is_gone(const HttpPath& path) override;
  void set(HttpPath path);
  void lose();  // what path() gives is gone
  std::vector<std::string> failures() const;

 private:
  mutable std::mutex mutex_;
  HttpPath path_;
  bool gone_ = false;
  std::vector<std::string> failures_;
};

class HttpTest : public ::testing::Test {
 protected:
  HttpTest();

  using Opened = Result<std::unique_ptr<HttpSource>>;
  // `limit` is the deadline; nullopt: none.
  Opened open(const std::string& url, std::optional<Duration> limit = std::chrono::seconds(5));
  Opened open(const std::vector<std::string>& mirrors,
              std::optional<Duration> limit = std::chrono::seconds(5));
  Result<std::unique_ptr<HttpFile>> open_file(
      const std::vector<std::string>& mirrors,
      std::optional<Duration> limit = std::chrono::seconds(5));
  Result<std::string> drain(HttpSource& source, size_t step = 70'001);
  Result<std::string> fetch(const std::string& url,
                            std::optional<Duration> limit = std::chrono::seconds(5));
  Result<std::string> fetch(const std::vector<std::string>& mirrors,
                            std::optional<Duration> limit = std::chrono::seconds(5));
  std::string error_of(const std::string& url,
                       std::optional<Duration> limit = std::chrono::seconds(5));
  std::string error_of(const std::vector<std::string>& mirrors,
                       std::optional<Duration> limit = std::chrono::seconds(5));

  HttpOptions options_;
  RecordingLog log_;
  unsigned resumptions_ = 0;
};

// Made by the openssl program, once for all tests: ca.pem, other.pem (another CA), and signed by
// the first: good, expired, future, named (for a.example and b.example), client, and stranger,
// which other.pem signed.
class HttpsTest : public HttpTest {
 protected:
  static void SetUpTestSuite();
  static std::string folder();
  static TlsIdentity identity(const std::string& name);

  HttpsTest();
};

}  // namespace curlingiron::testing
