// Decoding in pieces, with what must hold for every decoder.
#pragma once

#include <gtest/gtest.h>

#include "io/decode.h"
#include "unit/io/encoders.h"
#include "unit/io/sources.h"

namespace curlingiron {

inline constexpr DecodeLimits kInline = {1_GiB, 1};
inline constexpr DecodeLimits kThreads = {1_GiB, 3};

inline Result<ByteVector> decode(Format format, ConstBytes compressed, size_t drip = 1 << 20,
                                 size_t chunk = 65536, DecodeLimits limits = kInline) {
  DripSource inner(compressed, drip);
  std::unique_ptr<Source> source = TRY(open_decoder(format, inner, limits));
  Result<ByteVector> all = read_all(*source, chunk);
  // The outcome is final, whichever it was.
  ByteVector more(16);
  Result<size_t> again = source->read(more);
  EXPECT_EQ(again.ok(), all.ok());
  EXPECT_TRUE(!again.ok() || again.value() == 0);
  EXPECT_EQ(source->zeros_ahead(), 0u);
  return all;
}

inline std::string decode_error(Format format, ConstBytes compressed,
                                DecodeLimits limits = kInline) {
  Result<ByteVector> result = decode(format, compressed, 1 << 20, 65536, limits);
  return result.ok() ? "no error" : result.error().message();
}

}  // namespace curlingiron
