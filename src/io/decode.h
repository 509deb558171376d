// Compressed streams by their magic, never by name or content type.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "io/source.h"

namespace curlingiron {

enum class Format { Raw, Gzip, Zstd, Xz, Bzip2, Lz4, Qcow2, Zip, Html };

inline constexpr size_t kSniffBytes = 512;

Format sniff(ConstBytes head);
std::string_view format_name(Format format);

// A Source of the decoded bytes that pulls from `inner`, which must outlive it. Raw is passed
// through. The formats that this program does not decode, and html, are errors that say what to do.
// Truncation, a bad checksum and bytes behind the end are errors; gzip may have several members,
// zstd several frames (windows up to 128 MiB).
Result<std::unique_ptr<Source>> open_decoder(Format format, Source& inner);

// The decoded size, where the compressed head tells it: a zstd frame with content size. A file of
// several frames (pzstd, cat) has more than its first frame says, so this is a lower bound.
std::optional<uint64_t> decoded_size_hint(Format format, ConstBytes head);

}  // namespace curlingiron
