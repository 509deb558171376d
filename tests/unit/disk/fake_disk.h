// A disk in memory that can lose its power, fail, and lie.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "disk/block_writer.h"

namespace curlingiron {

class FakeDisk final : public BlockTarget {
 public:
  enum class Kind { Write, Zero, Read, Flush };
  struct Operation {
    Kind kind;
    uint64_t offset = 0;
    uint64_t length = 0;
    ByteVector bytes;  // of a write
  };

  explicit FakeDisk(ByteVector content, uint32_t sector = 512)
      : sector_(sector), medium_(content), view_(std::move(content)) {}

  // The power goes before operation `n` (from 0): it and all later ones fail.
  void cut_power_at(size_t n) { cut_at_ = n; }
  // Operation `n` fails, the others do not.
  void fail_at(size_t n) { fail_at_ = n; }
  // The `n`th write (from 0) stores one wrong bit and reports success.
  void corrupt_write(size_t n) { corrupt_write_ = n; }
  void corrupt_read(size_t n) { corrupt_read_ = n; }
  // Zeroing reports success and does nothing.
  void ignore_zeroing() { ignore_zeroing_ = true; }

  BlockGeometry geometry() const override { return {view_.size(), sector_, sector_}; }

  Result<void> write(uint64_t offset, ConstBytes bytes) override {
    std::lock_guard lock(mutex_);
    check(offset, bytes.size(), bytes.data());
    if (!next()) return broken();
    ByteVector copy(bytes.begin(), bytes.end());
    if (corrupt_write_ == writes_++) copy[copy.size() / 2] ^= 0x10;
    std::memcpy(view_.data() + offset, copy.data(), copy.size());
    pending_.push_back({Kind::Write, offset, copy.size(), std::move(copy)});
    log_.push_back({Kind::Write, offset, bytes.size(), {}});
    return {};
  }

  Result<void> zero(uint64_t offset, uint64_t length) override {
    std::lock_guard lock(mutex_);
    check(offset, length, nullptr);
    if (!next()) return broken();
    log_.push_back({Kind::Zero, offset, length, {}});
    if (ignore_zeroing_) return {};
    std::memset(view_.data() + offset, 0, length);
    pending_.push_back({Kind::Zero, offset, length, ByteVector(length, 0)});
    return {};
  }

  Result<void> read(uint64_t offset, MutableBytes into) override {
    std::lock_guard lock(mutex_);
    check(offset, into.size(), into.data());
    if (!next()) return broken();
    if (!pending_.empty()) misuse_ = "read back before it was flushed";
    log_.push_back({Kind::Read, offset, into.size(), {}});
    std::memcpy(into.data(), view_.data() + offset, into.size());
    if (corrupt_read_ == reads_++) into[into.size() / 2] ^= 0x10;
    return {};
  }

  Result<void> flush() override {
    std::lock_guard lock(mutex_);
    if (!next()) return broken();
    log_.push_back({Kind::Flush, 0, 0, {}});
    medium_ = view_;
    pending_.clear();
    return {};
  }

  size_t operations() const { return operations_; }
  size_t writes() const { return writes_; }
  size_t reads() const { return reads_; }
  const std::vector<Operation>& log() const { return log_; }
  // Requests that broke the contract of BlockTarget.
  const std::string& misuse() const { return misuse_; }

  // What a reader sees while the power is on.
  const ByteVector& content() const { return view_; }
  // What is left when the power goes: nothing that was not flushed…
  const ByteVector& after_power_cut() const { return medium_; }
  // … or any sectors of it.
  ByteVector after_power_cut(std::mt19937_64& random) const {
    ByteVector result = medium_;
    for (const Operation& operation : pending_) {
      bool all = random() % 4 == 0;
      for (uint64_t at = 0; at < operation.length; at += sector_) {
        if (!all && random() % 2 == 0) continue;
        std::memcpy(result.data() + operation.offset + at, operation.bytes.data() + at, sector_);
      }
    }
    return result;
  }

 private:
  bool next() {
    size_t n = operations_++;
    return !(cut_at_ && n >= *cut_at_) && fail_at_ != n;
  }

  static Error broken() { return Error("Input/output error", EIO); }

  void check(uint64_t offset, uint64_t length, const void* buffer) {
    if (offset % sector_ != 0 || length % sector_ != 0 || length == 0)
      misuse_ = "unaligned request";
    if (offset + length > view_.size()) misuse_ = "request past the end";
    if (reinterpret_cast<uintptr_t>(buffer) % 4096 != 0) misuse_ = "unaligned buffer";
  }

  uint32_t sector_;
  std::mutex mutex_;
  ByteVector medium_;
  ByteVector view_;
  std::vector<Operation> pending_;
  std::vector<Operation> log_;
  std::string misuse_;
  size_t operations_ = 0;
  size_t writes_ = 0;
  size_t reads_ = 0;
  std::optional<size_t> cut_at_;
  std::optional<size_t> fail_at_;
  std::optional<size_t> corrupt_write_;
  std::optional<size_t> corrupt_read_;
  bool ignore_zeroing_ = false;
};

// A writer past its commit point.
inline Result<std::unique_ptr<BlockWriter>> begin_writer(BlockTarget& target) {
  std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(target));
  TRY(writer->begin());
  return writer;
}

}  // namespace curlingiron
