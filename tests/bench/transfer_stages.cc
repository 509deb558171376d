// One stage of the transfer engine alone, for tests/bench/transfer: prints the seconds it took.
//   transfer_stages fetch URL CA        from the server to nowhere
//   transfer_stages prove URL CA        the same, with its SHA-256
//   transfer_stages decode FILE         from a file (in the page cache) to nowhere
//   transfer_stages write DISK IMAGE    a raw image, read into memory before, to a disk
//   transfer_stages digest KIND FILE    sha256, sha512 or blake2b of a file in memory
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "base/text.h"
#include "base/units.h"
#include "disk/block_writer.h"
#include "formats/url.h"
#include "image/stream.h"
#include "io/adapters.h"
#include "io/digest.h"
#include "net/http/source.h"
#include "net/tls/trust_store.h"
#include "sys/clock.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

Result<uint64_t> drain(Source& source) {
  ByteVector chunk(1_MiB);
  for (uint64_t total = 0;;) {
    if (uint64_t zeros = source.zeros_ahead(); zeros != 0) {
      source.skip_zeros(zeros);
      total += zeros;
      continue;
    }
    size_t n = TRY(source.read(chunk));
    if (n == 0) return total;
    total += n;
  }
}

Result<Duration> fetch(const std::string& url, const std::string& ca, bool with_digest) {
  HttpOptions options;
  UniqueFd root = TRY(open_root("/"));
  options.trusted = TRY(TrustStore::parse(TRY(read_file(root, TRY(real_path(ca)), 16_MiB))));
  Time start = now();
  std::unique_ptr<HttpSource> source =
      TRY(HttpSource::open({TRY(parse_url(url))}, options, now() + 10s));
  source->set_deadline(std::nullopt);
  MessageDigest digest(DigestKind::Sha256);
  DigestSource hashed(*source, digest);
  TRY(drain(with_digest ? static_cast<Source&>(hashed) : *source));
  return now() - start;
}

Result<Duration> decode(const std::string& path) {
  Time start = now();
  std::unique_ptr<ImageStream> image =
      TRY(ImageStream::open(TRY(parse_origin({path})), {}, {}, std::nullopt));
  TRY(drain(image->image()));
  return now() - start;
}

Result<ByteVector> read_whole(const std::string& path) {
  UniqueFd fd = TRY(open_path(path, O_RDONLY));
  uint64_t size = TRY(rewound_size(fd)).value_or(0);
  ByteVector bytes(size);
  TRY(pread_exact(fd, bytes, 0));
  return bytes;
}

Result<Duration> write(const std::string& path, const std::string& image) {
  ByteVector bytes = TRY(read_whole(image));
  Time start = now();
  std::unique_ptr<BlockTarget> disk = TRY(open_block_device(path));
  std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(*disk));
  TRY(writer->begin());
  MemorySource source(bytes);
  TRY(writer->copy(source));
  TRY(writer->finish());
  TRY(writer->commit(VerifiedDigest::none_given()));
  return now() - start;
}

// As the engine feeds it: a piece that the processor's caches hold after the network put it there.
Result<Duration> digest(const std::string& kind, const std::string& file) {
  ByteVector bytes = TRY(read_whole(file));
  MessageDigest digest(kind == "sha256"   ? DigestKind::Sha256
                       : kind == "sha512" ? DigestKind::Sha512
                                          : DigestKind::Blake2b512);
  Time start = now();
  for (ConstBytes left = bytes; !left.empty();) {
    ConstBytes piece = left.first(std::min<size_t>(left.size(), 64_KiB));
    digest.update(piece);
    left = left.subspan(piece.size());
  }
  digest.finish();
  return now() - start;
}

Result<Duration> run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "fetch") return fetch(words[1], words[2], false);
  if (words.size() == 3 && words[0] == "prove") return fetch(words[1], words[2], true);
  if (words.size() == 2 && words[0] == "decode") return decode(words[1]);
  if (words.size() == 3 && words[0] == "write") return write(words[1], words[2]);
  if (words.size() == 3 && words[0] == "digest") return digest(words[1], words[2]);
  return Error(
      "usage: transfer_stages fetch URL CA | prove URL CA | decode FILE | write DISK IMAGE | "
      "digest KIND FILE");
}

}  // namespace
}  // namespace curlingiron

int main(int argc, char** argv) {
  curlingiron::Result<curlingiron::Duration> took = curlingiron::run({argv + 1, argv + argc});
  if (!took.ok()) {
    std::fprintf(stderr, "%s\n", took.error().message().c_str());
    return 1;
  }
  std::printf("%.6f\n", std::chrono::duration<double>(took.value()).count());
  return 0;
}
