// Bytes that no compressor makes smaller and that are the same for each seed, eight at a time:
// tests make many megabytes of them, in a program that is not optimised.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace curlingiron {

// SplitMix64 (Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators, 2014).
inline ByteVector random_bytes(size_t size, uint64_t seed = 1) {
  ByteVector bytes(size);
  uint8_t* out = bytes.data();
  for (size_t at = 0; at < size; at += sizeof seed) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t word = seed;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    word ^= word >> 31;
    std::memcpy(out + at, &word, std::min(sizeof word, size - at));
  }
  return bytes;
}

}  // namespace curlingiron
