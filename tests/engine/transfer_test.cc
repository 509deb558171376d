// The whole engine, from a server on loopback to a disk in memory, under everything that can go
// wrong on the way: whatever happens, the disk holds the exact image or boots nothing.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>

#include "base/log.h"
#include "base/text.h"
#include "engine/forms.h"
#include "image/installation.h"
#include "image/stream.h"
#include "support/effort.h"
#include "sys/file.h"
#include "unit/disk/fake_disk.h"
#include "unit/net/scripted_server.h"

namespace curlingiron::testing {
namespace {

constexpr size_t MiB = size_t{1} << 20;
constexpr size_t kDisk = 5 * MiB;

const ByteVector& old_system() {
  static const ByteVector system = [] {
    ByteVector disk(kDisk);
    std::minstd_rand random(3);
    for (uint8_t& byte : disk) byte = static_cast<uint8_t>(random() | 1);
    return disk;
  }();
  return system;
}

enum class Ending { Close, Reset, Stall };

// How a server fails; what is not set works.
struct Faults {
  std::vector<size_t> cuts =
      {};  // offsets in the file at which an answer ends, each once, ascending
  Ending ending = Ending::Close;
  bool ranges = true;
  bool chunked = false;
};

class FaultyServer {
 public:
  FaultyServer(const ByteVector& file, Faults faults)
      : file_(file),
        faults_(std::move(faults)),
        server_([this](const Request& r, Exchange& e) { answer(r, e); }) {}

  ImageOrigin origin() const { return parse_origin({server_.url("/disk.img")}).value(); }
  size_t requests() const { return server_.requests().size(); }

 private:
  void answer(const Request& request, Exchange& exchange) {
    bool part = request.range_start().has_value() && faults_.ranges;
    size_t first = part ? *request.range_start() : 0;
    size_t end = part && request.range_last() ? std::min(*request.range_last() + 1, file_.size())
                                              : file_.size();
    std::string head = part ? concat("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes ", first,
                                     "-", end - 1, "/", file_.size(), "\r\n")
                            : std::string("HTTP/1.1 200 OK\r\n");
    head +=
        faults_.ranges ? "ETag: \"one\"\r\nAccept-Ranges: bytes\r\n" : "Accept-Ranges: none\r\n";
    bool chunked = faults_.chunked && !part;
    head += chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                    : concat("Content-Length: ", end - first, "\r\n\r\n");
    if (!exchange.send(head)) return;
    size_t cut = next_cut(first, end);
    if (!send_body(exchange, first, std::min(cut, end), chunked)) return;
    if (cut >= end) {
      if (chunked) exchange.send("0\r\n\r\n");
      exchange.keep();
      return;
    }
    switch (faults_.ending) {
      case Ending::Close: return;
      case Ending::Reset: return exchange.reset();
      case Ending::Stall: return exchange.hang();
    }
  }

  bool send_body(Exchange& exchange, size_t first, size_t end, bool chunked) {
    constexpr size_t kPiece = 200'000;
    for (size_t at = first; at < end; at += kPiece) {
      std::string_view piece = as_text(ConstBytes(file_).subspan(at, std::min(kPiece, end - at)));
      if (chunked) {
        std::string length(16, '\0');
        length.resize(
            static_cast<size_t>(std::snprintf(length.data(), 16, "%zx\r\n", piece.size())));
        if (!exchange.send(concat(length, piece, "\r\n"))) return false;
      } else if (!exchange.send(piece)) {
        return false;
      }
    }
    return true;
  }

  // The first cut that this answer comes to; it happens once.
  size_t next_cut(size_t first, size_t end) {
    std::lock_guard lock(mutex_);
    for (auto cut = faults_.cuts.begin(); cut != faults_.cuts.end(); ++cut) {
      if (*cut >= first && *cut < end) {
        size_t at = *cut;
        faults_.cuts.erase(cut);
        return at;
      }
    }
    return end;
  }

  const ByteVector& file_;
  Faults faults_;
  std::mutex mutex_;
  ScriptedServer server_;
};

HttpOptions quick_options() {
  HttpOptions options;
  options.first_backoff = std::chrono::milliseconds(1);
  options.stall = std::chrono::milliseconds(150);
  return options;
}

struct Outcome {
  std::optional<Error> error;
  bool committed = false;
};

// What /init and write do.
Outcome transfer(const ImageOrigin& origin, BlockTarget& disk, const ImageProofs& proofs = {},
                 ProveWhen prove = ProveWhen::FirstIfItFits) {
  Outcome outcome;
  auto run = [&]() -> Result<void> {
    ImageReading reading;
    reading.any_content = true;
    reading.prove = prove;
    std::unique_ptr<ImageStream> image =
        TRY(ImageStream::open(origin, quick_options(), proofs, std::nullopt, reading));
    std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(disk, "disk"));
    if (image->rehearsal() != Rehearsal::None) {
      TRY(image->rehearse(kDisk));
      TRY(image->start_again());
    }
    BegunInstallation begun = TRY(BegunInstallation::begin(*image, *writer));
    CopiedImage copied = TRY(begun.copy());
    ProvenImage proven = TRY(copied.prove());
    TRY(proven.read_back());
    UnbootableImage whole = TRY(proven.write_ends());
    TRY(std::move(whole).make_bootable());
    outcome.committed = true;
    return {};
  };
  if (Result<void> result = run(); !result.ok()) outcome.error = result.error();
  return outcome;
}

bool holds_image(const ByteVector& disk) {
  return std::equal(raw_image().begin(), raw_image().end(), disk.begin());
}
bool boots_nothing(const ByteVector& disk) { return all_zero(ConstBytes(disk).first(512)); }
bool untouched(const ByteVector& disk) { return disk == old_system(); }

ImageProofs image_digest() {
  ImageProofs proofs;
  proofs.image_sha256 = digest_of(DigestKind::Sha256, raw_image());
  return proofs;
}

class Engine : public ::testing::Test {
 protected:
  // A thousand faults are a thousand warnings.
  void SetUp() override { set_log_sink(&silence_); }
  void TearDown() override { set_log_sink(nullptr); }

 private:
  class Silence final : public LogSink {
   public:
    void log(LogLevel, std::string_view) override {}
  };
  Silence silence_;
};

TEST_F(Engine, EveryFormIsTheImage) {
  EXPECT_GE(forms().size(), 10U) << "tools are missing; run scripts/setup";
  for (const Form& form : forms()) {
    for (bool ranges : {true, false}) {
      size_t requests = 0;
      for (ProveWhen prove : {ProveWhen::After, ProveWhen::First}) {
        FaultyServer server(form.file, {.ranges = ranges});
        FakeDisk disk(old_system());
        Outcome outcome = transfer(server.origin(), disk, image_digest(), prove);
        ASSERT_FALSE(outcome.error) << form.name << ": " << outcome.error->message();
        EXPECT_TRUE(holds_image(disk.content())) << form.name;
        EXPECT_EQ(disk.misuse(), "") << form.name;
        // What is proven first is not fetched twice.
        if (prove == ProveWhen::After) requests = server.requests();
        EXPECT_LE(server.requests(), requests) << form.name;
      }
    }
  }
}

TEST_F(Engine, AFileOfThisMachineIsProvenFirst) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  for (const Form& form : forms()) {
    std::string path = concat(directory.path(), "/image");
    UniqueFd file = open_path(path, O_WRONLY | O_CREAT | O_TRUNC).value();
    ASSERT_TRUE(write_all(file, form.file).ok());
    ImageProofs proofs = image_digest();
    proofs.sha256 = digest_of(DigestKind::Sha256, form.file);
    for (bool right : {true, false}) {
      if (!right) proofs.sha256->front() ^= 1;
      FakeDisk disk(old_system());
      Outcome outcome = transfer(parse_origin({path}).value(), disk, proofs);
      EXPECT_EQ(outcome.committed, right) << form.name;
      EXPECT_TRUE(right ? holds_image(disk.content()) : untouched(disk.content())) << form.name;
    }
  }
}

TEST_F(Engine, WhatIsProvenFirstAndDoesNotHoldLeavesTheOldSystem) {
  for (const Form& form : forms()) {
    ByteVector flipped = form.file;
    flipped[flipped.size() / 2] ^= 1;
    ByteVector cut = form.file;
    std::fill(cut.begin() + static_cast<ptrdiff_t>(cut.size() / 2), cut.end(), 0);
    for (const ByteVector& file : {flipped, cut}) {
      for (bool chunked : {false, true}) {
        FaultyServer server(file, {.chunked = chunked});
        FakeDisk disk(old_system());
        ImageProofs proofs;
        proofs.sha256 = digest_of(DigestKind::Sha256, form.file);
        Outcome outcome = transfer(server.origin(), disk, proofs, ProveWhen::First);
        EXPECT_TRUE(outcome.error) << form.name;
        EXPECT_TRUE(untouched(disk.content())) << form.name;
      }
    }
  }
}

// Of 64 parts of a file those whose ends are tried: all, or other ones of each form.
struct SixtyFourths {
  size_t step = static_cast<size_t>(repetitions(31, 1));
  size_t first = 0;
  size_t begin() { return first++ % step; }
};

TEST_F(Engine, ADropAtAnySixtyFourthIsResumed) {
  SixtyFourths ends;
  for (const Form& form : forms()) {
    for (size_t k = ends.begin(); k < 64; k += ends.step) {
      size_t at = form.file.size() * k / 64;
      Faults faults{.cuts = {at}, .ending = k % 2 == 0 ? Ending::Close : Ending::Reset};
      if (k % 16 == 7) faults.ending = Ending::Stall;
      faults.ranges = k % 4 < 3;
      faults.chunked = k % 8 == 3;
      FaultyServer server(form.file, faults);
      FakeDisk disk(old_system());
      Outcome outcome = transfer(server.origin(), disk);
      ASSERT_FALSE(outcome.error) << form.name << " at " << at << ": " << outcome.error->message();
      ASSERT_TRUE(holds_image(disk.content())) << form.name << " at " << at;
    }
  }
}

TEST_F(Engine, ManyDropsInOneDownloadAreResumed) {
  std::mt19937_64 random(11);
  for (const Form& form : forms()) {
    Faults faults;
    for (int i = 0; i < 40; ++i) faults.cuts.push_back(random() % form.file.size());
    std::sort(faults.cuts.begin(), faults.cuts.end());
    FaultyServer server(form.file, faults);
    FakeDisk disk(old_system());
    Outcome outcome = transfer(server.origin(), disk, image_digest());
    ASSERT_FALSE(outcome.error) << form.name << ": " << outcome.error->message();
    EXPECT_TRUE(holds_image(disk.content())) << form.name;
  }
}

TEST_F(Engine, AFileThatEndsTooEarlyIsNeverAnImage) {
  SixtyFourths ends;
  for (const Form& form : forms()) {
    for (size_t k = ends.begin(); k < 64; k += ends.step) {
      ByteVector shorter(form.file.begin(),
                         form.file.begin() + static_cast<ptrdiff_t>(form.file.size() * k / 64));
      FaultyServer server(shorter, {.ranges = k % 2 == 0});
      FakeDisk disk(old_system());
      Outcome outcome =
          transfer(server.origin(), disk, form.needs_digest ? image_digest() : ImageProofs());
      EXPECT_TRUE(outcome.error) << form.name << " with " << shorter.size() << " bytes";
      EXPECT_FALSE(outcome.committed);
      ASSERT_TRUE(boots_nothing(disk.content()) || untouched(disk.content())) << form.name;
    }
  }
}

TEST_F(Engine, AFlippedBitIsNeverAnotherImage) {
  std::mt19937_64 random(23);
  for (const Form& form : forms()) {
    for (int trial = repetitions(2, 60); trial > 0; --trial) {
      ByteVector damaged = form.file;
      size_t bit = random() % (damaged.size() * 8);
      damaged[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
      FaultyServer server(damaged, {});
      FakeDisk disk(old_system());
      Outcome outcome =
          transfer(server.origin(), disk, form.needs_digest ? image_digest() : ImageProofs());
      if (outcome.committed) {
        // A name or a time in a header, or what pads it.
        ASSERT_TRUE(holds_image(disk.content())) << form.name << " bit " << bit;
      } else {
        ASSERT_TRUE(boots_nothing(disk.content()) || untouched(disk.content()))
            << form.name << " bit " << bit;
      }
    }
  }
}

TEST_F(Engine, AFaultOrAPowerCutOfTheDiskLeavesNothingThatBoots) {
  std::mt19937_64 random(31);
  for (const char* name : {"raw", "gzip", "xz", "qcow2"}) {
    const Form& form = testing::form(name);
    FakeDisk whole(old_system());
    {
      FaultyServer server(form.file, {});
      ASSERT_TRUE(transfer(server.origin(), whole).committed);
    }
    const auto step = static_cast<size_t>(repetitions(7, 1));
    for (size_t n = 0; n < whole.operations(); ++n) {
      // The beginning and the end, where it matters what boots, are always tried.
      if (n > 3 && n + 5 < whole.operations() && n % step != 0) continue;
      FaultyServer server(form.file, {});
      FakeDisk disk(old_system());
      bool power = n % 2 == 0;
      power ? disk.cut_power_at(n) : disk.fail_at(n);
      Outcome outcome = transfer(server.origin(), disk);
      EXPECT_TRUE(outcome.error) << name << " operation " << n;
      for (int trial = 0; trial < (power ? 5 : 1); ++trial) {
        ByteVector left = power ? disk.after_power_cut(random) : disk.content();
        // Before anything was flushed the old system is there, at the last flush the new one may
        // be.
        bool old_head = std::equal(left.begin(), left.begin() + 512, old_system().begin());
        ASSERT_TRUE(boots_nothing(left) || (old_head && n <= 1) || holds_image(left))
            << name << " operation " << n;
      }
    }
  }
}

TEST_F(Engine, AWrongDigestLeavesNothingThatBoots) {
  for (const Form& form : forms()) {
    for (bool served : {true, false}) {
      for (ProveWhen prove : {ProveWhen::FirstIfItFits, ProveWhen::After}) {
        FaultyServer server(form.file, {});
        FakeDisk disk(old_system());
        ImageProofs proofs;
        (served ? proofs.sha256 : proofs.image_sha256) = ByteVector(32, 0x42);
        Outcome outcome = transfer(server.origin(), disk, proofs, prove);
        ASSERT_TRUE(outcome.error) << form.name;
        EXPECT_NE(outcome.error->message().find("4242"), std::string::npos)
            << outcome.error->message();
        bool first = prove == ProveWhen::FirstIfItFits;
        EXPECT_TRUE(first ? untouched(disk.content()) : boots_nothing(disk.content())) << form.name;
      }
    }
  }
}

TEST_F(Engine, WhatDecodesToMoreThanTheDiskIsRefused) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  UniqueFd root = open_root(directory.path()).value();
  for (const char* tool : {"gzip -9", "xz -6", "zstd -q -19", "bzip2 -9", "lz4 -q -9"}) {
    std::string command =
        concat("cd '", directory.path(), "' && ( printf x; head -c 100000000 /dev/zero ) | ", tool,
               " > bomb");
    ASSERT_EQ(std::system(command.c_str()), 0) << tool;
    ByteVector bomb = read_file(root, "bomb", 16 * MiB).value();
    FaultyServer server(bomb, {});
    FakeDisk disk(old_system());
    Outcome outcome = transfer(server.origin(), disk);
    ASSERT_TRUE(outcome.error) << tool;
    EXPECT_NE(outcome.error->message().find("larger than the disk"), std::string::npos)
        << tool << ": " << outcome.error->message();
    EXPECT_TRUE(boots_nothing(disk.content())) << tool;
  }
}

// --- lists of digests and signatures

// Files below one folder of a server.
class Folder {
 public:
  void add(std::string path, std::string_view text) { files_[std::move(path)] = text; }
  void add(std::string path, ConstBytes bytes) { add(std::move(path), as_text(bytes)); }
  ImageOrigin origin() const { return parse_origin({server_.url("/images/disk.img")}).value(); }

 private:
  std::map<std::string, std::string> files_;
  ScriptedServer server_{[this](const Request& request, Exchange& exchange) {
    auto file = files_.find(request.path());
    if (file == files_.end()) {
      exchange.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    exchange.send(concat("HTTP/1.1 200 OK\r\nContent-Length: ", file->second.size(), "\r\n\r\n",
                         file->second));
  }};
};

std::string sums_line(ConstBytes file, std::string_view name) {
  return concat(to_hex(digest_of(DigestKind::Sha256, file)), "  ", name, "\n");
}

TEST_F(Engine, AListOfDigestsBesideTheImageProvesIt) {
  const ByteVector& gzip = form("gzip").file;
  Folder folder;
  folder.add("/images/disk.img", gzip);
  folder.add("/images/SHA256SUMS", sums_line({}, "other.img") + sums_line(gzip, "disk.img"));
  folder.add("/sums/wrong", sums_line({}, "disk.img"));
  folder.add("/sums/other", sums_line({}, "other.img"));
  FakeDisk disk(old_system());
  ImageProofs proofs;
  proofs.sums = "SHA256SUMS";
  Outcome outcome = transfer(folder.origin(), disk, proofs);
  ASSERT_FALSE(outcome.error) << outcome.error->message();
  EXPECT_TRUE(holds_image(disk.content()));

  proofs.sums = "../sums/wrong";
  FakeDisk second(old_system());
  EXPECT_TRUE(transfer(folder.origin(), second, proofs).error);
  EXPECT_TRUE(untouched(second.content()));  // It fits into memory, and was proven first.

  for (const char* refused : {"/sums/other", "nothing"}) {
    proofs.sums = refused;
    FakeDisk third(old_system());
    EXPECT_TRUE(transfer(folder.origin(), third, proofs).error) << refused;
    EXPECT_TRUE(untouched(third.content())) << refused;
  }
}

// A directory with keys of minisign, and what it signs.
class Signer {
 public:
  Signer() : directory_(TemporaryDirectory::create().value()) {
    EXPECT_EQ(shell("minisign -G -W -p key.pub -s key.sec"), 0);
  }
  std::string key() { return read("key.pub"); }
  std::string sign(std::string_view text, std::string_view flags = "") {
    EXPECT_TRUE(write_file_atomically(concat(directory_.path(), "/m"), as_bytes(text)).ok());
    EXPECT_EQ(shell(concat("minisign -S ", flags, " -s key.sec -m m -x m.minisig")), 0);
    return read("m.minisig");
  }

 private:
  int shell(const std::string& command) {
    return std::system(
        concat("cd '", directory_.path(), "' && ", command, " > log 2>&1 < /dev/null").c_str());
  }
  std::string read(const std::string& name) {
    return read_text(open_root(directory_.path()).value(), name).value();
  }
  TemporaryDirectory directory_;
};

TEST_F(Engine, ASignatureOfTheImageOrItsListProvesIt) {
  if (std::system("command -v minisign > /dev/null") != 0)
    GTEST_SKIP() << "no minisign; run scripts/setup";
  const ByteVector& xz = form("xz").file;
  Signer signer;
  std::string sums = sums_line(xz, "disk.img");
  Folder folder;
  folder.add("/images/disk.img", xz);
  folder.add("/images/disk.img.minisig", signer.sign(as_text(xz)));
  folder.add("/images/SHA256SUMS", sums);
  folder.add("/images/SHA256SUMS.minisig", signer.sign(sums));
  folder.add("/images/of-another", signer.sign("another"));
  folder.add("/images/legacy", signer.sign(as_text(xz), "-l"));

  auto attempt = [&](std::string list, std::string signature, std::string key) {
    ImageProofs proofs;
    proofs.sums = std::move(list);
    proofs.signature = std::move(signature);
    proofs.public_key = std::move(key);
    FakeDisk disk(old_system());
    Outcome outcome = transfer(folder.origin(), disk, proofs);
    if (outcome.committed) {
      EXPECT_TRUE(holds_image(disk.content()));
    } else {
      EXPECT_TRUE(boots_nothing(disk.content()) || untouched(disk.content()));
    }
    return outcome;
  };
  EXPECT_TRUE(attempt("", "", signer.key()).committed);
  EXPECT_TRUE(attempt("SHA256SUMS", "", signer.key()).committed);
  EXPECT_FALSE(attempt("", "of-another", signer.key()).committed);
  EXPECT_FALSE(attempt("SHA256SUMS", "of-another", signer.key()).committed);
  EXPECT_FALSE(attempt("", "legacy", signer.key()).committed);
  EXPECT_FALSE(attempt("", "nothing", signer.key()).committed);
  EXPECT_FALSE(attempt("", "", Signer().key()).committed);
  EXPECT_FALSE(attempt("", "", "no key").committed);
  EXPECT_FALSE(attempt("", "of-another", "").committed)
      << "a signature without a key proves nothing";
}

}  // namespace
}  // namespace curlingiron::testing
