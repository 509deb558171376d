#include "unit/net/http_fixture.h"

#include <cstdlib>

#include "sys/clock.h"
#include "sys/file.h"

namespace curlingiron::testing {

std::string make_file(size_t size, uint64_t seed) {
  std::string file(size, '\0');
  uint64_t x = seed;
  for (char& c : file) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>(x);
  }
  return file;
}

std::string ok_head(size_t length, std::string_view more) {
  return concat("HTTP/1.1 200 OK\r\nContent-Length: ", length, "\r\n", more, "\r\n");
}

std::string partial_head(size_t first, size_t size, std::string_view more) {
  return concat("HTTP/1.1 206 Partial Content\r\nContent-Length: ", size - first,
                "\r\nContent-Range: bytes ", first, '-', size - 1, '/', size, "\r\n", more, "\r\n");
}

std::string status_head(std::string_view status, std::string_view more) {
  return concat("HTTP/1.1 ", status, "\r\nContent-Length: 0\r\n", more, "\r\n");
}

void serve_file(const std::string& file, const Request& request, Exchange& out, size_t limit,
                std::string_view etag) {
  std::optional<uint64_t> start = request.range_start();
  std::string condition = request.header("If-Range");
  std::string more = etag.empty() ? "" : concat("ETag: ", etag, "\r\n");
  if (!start || (!condition.empty() && condition != etag)) {
    out.send(ok_head(file.size(), more));
    out.send(std::string_view(file).substr(0, limit));
  } else if (*start >= file.size()) {
    out.send(status_head("416 Range Not Satisfiable",
                         concat("Content-Range: bytes */", file.size(), "\r\n")));
  } else {
    size_t last = std::min<size_t>(request.range_last().value_or(file.size() - 1), file.size() - 1);
    out.send(concat("HTTP/1.1 206 Partial Content\r\nContent-Length: ", last - *start + 1,
                    "\r\nContent-Range: bytes ", *start, '-', last, '/', file.size(), "\r\n", more,
                    "\r\n"));
    out.send(std::string_view(file).substr(*start, std::min<size_t>(limit, last - *start + 1)));
  }
}

RecordingLog::RecordingLog() {
  set_log_sink(this);
  set_log_level(LogLevel::Debug);
}
RecordingLog::~RecordingLog() { set_log_sink(nullptr); }

void RecordingLog::log(LogLevel level, std::string_view line) {
  std::lock_guard lock(mutex_);
  if (level == LogLevel::Warning) warnings_.emplace_back(line);
  text_ += concat(line, '\n');
}

std::string RecordingLog::text() const {
  std::lock_guard lock(mutex_);
  return text_;
}

std::vector<std::string> RecordingLog::warning_lines() const {
  std::lock_guard lock(mutex_);
  return warnings_;
}

// --- paths

HttpPath FixedPath::path() {
  std::lock_guard lock(mutex_);
  return path_;
}

void FixedPath::failed(const HttpPath& /*path*/, const Error& why) {
  std::lock_guard lock(mutex_);
  failures_.push_back(why.message());
}

bool FixedPath::is_gone(const HttpPath& path) {
  std::lock_guard lock(mutex_);
  return gone_ && path == path_;
}

void FixedPath::lose() {
  std::lock_guard lock(mutex_);
  gone_ = true;
}

void FixedPath::set(HttpPath path) {
  std::lock_guard lock(mutex_);
  path_ = std::move(path);
}

std::vector<std::string> FixedPath::failures() const {
  std::lock_guard lock(mutex_);
  return failures_;
}

// --- downloads

namespace {

std::optional<Time> deadline_in(std::optional<Duration> limit) {
  if (!limit) return std::nullopt;
  return now() + *limit;
}

Result<std::vector<Url>> parse_all(const std::vector<std::string>& texts) {
  std::vector<Url> urls;
  for (const std::string& text : texts) urls.push_back(TRY(parse_url(text)));
  return urls;
}

}  // namespace

HttpTest::HttpTest() {
  options_.stall = std::chrono::seconds(3);  // shorter where a test is about it
  options_.first_backoff = std::chrono::milliseconds(4);
}

HttpTest::Opened HttpTest::open(const std::string& url, std::optional<Duration> limit) {
  return HttpSource::open(TRY(parse_url(url)), options_, deadline_in(limit));
}

HttpTest::Opened HttpTest::open(const std::vector<std::string>& mirrors,
                                std::optional<Duration> limit) {
  return HttpSource::open(TRY(parse_all(mirrors)), options_, deadline_in(limit));
}

Result<std::unique_ptr<HttpFile>> HttpTest::open_file(const std::vector<std::string>& mirrors,
                                                      std::optional<Duration> limit) {
  return HttpFile::open(TRY(parse_all(mirrors)), options_, deadline_in(limit));
}

Result<std::string> HttpTest::drain(HttpSource& source, size_t step) {
  std::string all;
  ByteVector buffer(step);
  for (;;) {
    size_t n = TRY(source.read(buffer));
    if (n == 0) break;
    all += as_text(ConstBytes(buffer).first(n));
  }
  EXPECT_EQ(source.delivered(), all.size());
  return all;
}

Result<std::string> HttpTest::fetch(const std::string& url, std::optional<Duration> limit) {
  return fetch(std::vector<std::string>{url}, limit);
}

Result<std::string> HttpTest::fetch(const std::vector<std::string>& mirrors,
                                    std::optional<Duration> limit) {
  std::unique_ptr<HttpSource> source = TRY(open(mirrors, limit));
  Result<std::string> all = drain(*source);
  resumptions_ = source->resumptions();
  return all;
}

std::string HttpTest::error_of(const std::string& url, std::optional<Duration> limit) {
  return error_of(std::vector<std::string>{url}, limit);
}

std::string HttpTest::error_of(const std::vector<std::string>& mirrors,
                               std::optional<Duration> limit) {
  Result<std::string> result = fetch(mirrors, limit);
  return result.ok() ? "no error" : result.error().message();
}

// --- TLS

namespace {

void run(const std::string& folder, const std::string& command) {
  int status = std::system(concat("cd ", folder, " && (", command, ") >/dev/null 2>&1").c_str());
  ASSERT_EQ(status, 0) << command;
}

void make_authority(const std::string& folder, const std::string& name, const std::string& title) {
  run(folder,
      concat("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ", name,
             ".key -out ", name, ".pem -subj '/CN=", title, "' -days 3650"));
}

// x509 cannot date back in OpenSSL 3.0; `ca` can.
void make_certificate(const std::string& folder, const std::string& name, const std::string& names,
                      const std::string& from, const std::string& until,
                      const std::string& authority = "ca") {
  run(folder,
      concat("printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=", name, ".txt\\nserial=", name,
             ".srl\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nunique_subject=no\\n"
             "[p]\\ncommonName=supplied\\n[x]\\nsubjectAltName=",
             names, "\\n' > ", name, ".cnf && : > ", name, ".txt && echo 01 > ", name, ".srl && ",
             "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ", name,
             ".key -out ", name, ".csr -subj /CN=server && openssl ca -batch -notext -config ",
             name, ".cnf -extensions x -cert ", authority, ".pem -keyfile ", authority,
             ".key -startdate ", from, " -enddate ", until, " -in ", name, ".csr -out ", name,
             ".pem"));
}

}  // namespace

std::string HttpsTest::folder() {
  static TemporaryDirectory directory = std::move(TemporaryDirectory::create()).value();
  return directory.path();
}

void HttpsTest::SetUpTestSuite() {
  static const bool made = [] {
    constexpr auto kLong = "20991231000000Z";
    constexpr auto kAgo = "20200101000000Z";
    make_authority(folder(), "ca", "Test CA");
    make_authority(folder(), "other", "Other CA");
    make_certificate(folder(), "good", "IP:127.0.0.1,DNS:localhost", kAgo, kLong);
    make_certificate(folder(), "expired", "IP:127.0.0.1", kAgo, "20210131000000Z");
    make_certificate(folder(), "future", "IP:127.0.0.1", "20900101000000Z", kLong);
    make_certificate(folder(), "named", "DNS:a.example,DNS:b.example", kAgo, kLong);
    make_certificate(folder(), "client", "DNS:client", kAgo, kLong);
    make_certificate(folder(), "stranger", "DNS:stranger", kAgo, kLong, "other");
    for (const char* bits : {"512", "1024"}) {
      run(folder(), concat("openssl req -x509 -newkey rsa:", bits, " -nodes -keyout weak", bits,
                           ".key -out weak", bits, ".pem -subj /CN=weak -days 9999 -sha256"));
    }
    run(folder(), "openssl ec -in client.key -aes256 -passout pass:secret -out locked.key");
    return true;
  }();
  ASSERT_TRUE(made);
}

TlsIdentity HttpsTest::identity(const std::string& name) {
  return {concat(folder(), '/', name, ".pem"), concat(folder(), '/', name, ".key"), "", false};
}

HttpsTest::HttpsTest() { options_.trusted = trust(concat(folder(), "/ca.pem")); }

std::shared_ptr<const TrustStore> trust(const std::string& file) {
  UniqueFd root = open_root("/").value();
  return TrustStore::parse(read_file(root, file, 16_MiB).value()).value();
}

std::shared_ptr<const ClientCertificate> client(const std::string& certificate,
                                                const std::string& key) {
  UniqueFd root = open_root("/").value();
  std::string pem = read_text(root, certificate).value();
  if (key != certificate) pem += read_text(root, key).value();
  return ClientCertificate::parse(pem).value();
}

}  // namespace curlingiron::testing
