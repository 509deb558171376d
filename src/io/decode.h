// Compressed streams by their magic, never by name or content type.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "formats/zip_directory.h"
#include "io/source.h"

namespace curlingiron {

enum class Format {
  // Decoded by open_decoder(), or raw: whatever has no magic of these.
  Raw,
  Gzip,
  Zstd,
  Xz,
  Bzip2,
  Lz4,
  Zip,
  // A disk that is read at random: io/qcow2.h.
  Qcow2,
  // Decoded as members alone (io/member.h): no disk image comes in these.
  Lzma,
  Lzop,
};

// What sniff() looks at.
inline constexpr size_t kSniffBytes = 33_KiB;

// By the magic alone; what else a raw file may be is for formats/disk_image.h and foreign_file.h.
Format sniff(ConstBytes head);
std::string_view format_name(Format format);
// Whether open_decoder() takes it.
bool is_decodable(Format format);
// What a format is that is not decoded here, and what to do: "the image is lzop-compressed, ...".
Error not_decodable(Format format);

// What the rest of the pipeline takes beside the decoder.
inline constexpr uint64_t kBesideDecoder = 48_MiB;

// Bounds for a decoder. `memory`: bytes that the whole pipeline may use; kBesideDecoder of them are
// left to the others. `threads`: that decode at the same time; with 1 no thread is started.
struct DecodeLimits {
  uint64_t memory;
  unsigned threads;
  // What may follow the end of the stream and is passed over with a warning that counts it, as
  // gzip(1) does: bytes, where every byte of the image was covered by a checksum of its own, and
  // where not. Beyond that it is an error; zeros may always follow, as tapes pad.
  uint64_t most_after_checked = 0;
  uint64_t most_after_unchecked = 0;
  // Of a zip archive: the file to be taken, with or without its folders. Empty: the one that begins
  // is known to be a disk; texts, checksums, pictures and the like may stand beside it. Outlives
  // the decoder.
  std::string_view member = {};
  // The same as the archive's directory has it, where that was read before: nothing else of the
  // archive is looked at then.
  std::optional<ZipEntry> entry = {};
  // The same where the directory's sizes are modulo 2^32: the place of its local header.
  std::optional<uint64_t> member_offset = {};
  // Without a name, a file that is not known to be a disk may be the image, too.
  bool any_content = false;
};
// This machine's free memory and its processors.
DecodeLimits machine_limits();

// A Source of the decoded bytes that pulls from `inner`, which must outlive it. Raw is passed
// through, zeros_ahead() as well. Formats that are not decodable are errors that say what to do.
// Truncation and a bad checksum are errors, and so are bytes after the end beyond the limits.
// Several members, streams and frames in one file are decoded one after the other; a zip archive
// has one disk image (DecodeLimits::member), and two are an error. The legacy lz4 format has no
// checksum and no end mark: a digest must prove it.
//
// Memory beyond 1 MiB is the format's window: zstd's, up to 128 MiB; xz's dictionary; 16 MiB for
// legacy lz4, 4 MiB for bzip2. One that does not fit in the limits is an error that names it. With
// several threads, xz takes two blocks as `xz -T` makes them (24 MiB for xz -6) and bzip2 16 MiB
// for each thread; where that does not fit in the limits, fewer threads decode.
Result<std::unique_ptr<Source>> open_decoder(Format format, Source& inner,
                                             DecodeLimits limits = machine_limits());

// The decoded size, where the compressed head has it: a zstd or lz4 frame with content size, a
// zip archive's file. A file of several frames (pzstd, cat) has more than its first frame says, so
// this is a lower bound. It is what the file says, not proven.
std::optional<uint64_t> decoded_size_hint(Format format, ConstBytes head);

}  // namespace curlingiron
