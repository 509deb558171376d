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
  // The `n`th write reports success and stores nothing, or stores everything one sector too far.
  void drop_write(size_t n) { drop_write_ = n; }
  void misdirect_write(size_t n) { misdirect_write_ = n; }
  // Zeroing reports success and does nothing.
  void ignore_zeroing() { ignore_zeroing_ = true; }
  // From operation `since` on the sector at `offset` cannot be read, or written, or either: a
  // request that touches it ends there with an error, and what lies before it is done.
  struct BadSector {
    uint64_t offset = 0;
    bool reads = true;
    bool writes = true;
    size_t since = 0;
  };
  void break_sector(BadSector sector) { bad_ = sector; }

  BlockGeometry geometry() const override { return {view_.size(), sector_, sector_}; }

  Result<void> write(uint64_t offset, ConstBytes bytes) override {
    std::lock_guard lock(mutex_);
    check(offset, bytes.size(), bytes.data());
    if (!next()) return broken();
    log_.push_back({Kind::Write, offset, bytes.size(), {}});
    size_t n = writes_++;
    if (drop_write_ == n) return {};
    if (misdirect_write_ == n && offset + bytes.size() < view_.size()) offset += sector_;
    uint64_t length = good_bytes(bad_ && bad_->writes, offset, bytes.size());
    ByteVector copy(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    if (corrupt_write_ == n) copy[copy.size() / 2] ^= 0x10;
    std::copy(copy.begin(), copy.end(), view_.begin() + static_cast<ptrdiff_t>(offset));
    pending_.push_back({Kind::Write, offset, length, std::move(copy)});
    if (length != bytes.size()) return broken();
    return {};
  }

  Result<void> zero(uint64_t offset, uint64_t length) override {
    std::lock_guard lock(mutex_);
    check(offset, length, nullptr);
    if (!next()) return broken();
    log_.push_back({Kind::Zero, offset, length, {}});
    if (ignore_zeroing_) return {};
    uint64_t good = good_bytes(bad_ && bad_->writes, offset, length);
    std::memset(view_.data() + offset, 0, good);
    pending_.push_back({Kind::Zero, offset, good, ByteVector(good, 0)});
    if (good != length) return broken();
    return {};
  }

  Result<void> read(uint64_t offset, MutableBytes into) override {
    std::lock_guard lock(mutex_);
    check(offset, into.size(), into.data());
    if (!next()) return broken();
    if (!pending_.empty()) misuse_ = "read back before it was flushed";
    log_.push_back({Kind::Read, offset, into.size(), {}});
    if (good_bytes(bad_ && bad_->reads, offset, into.size()) != into.size()) return broken();
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

  // Bytes of the request before the bad sector.
  uint64_t good_bytes(bool matters, uint64_t offset, uint64_t length) const {
    // The operation under way has been counted.
    if (!matters || operations_ <= bad_->since) return length;
    if (bad_->offset < offset || bad_->offset >= offset + length) return length;
    return bad_->offset - offset;
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
  std::optional<size_t> drop_write_;
  std::optional<size_t> misdirect_write_;
  std::optional<BadSector> bad_;
  bool ignore_zeroing_ = false;
};

// A writer past its commit point.
inline Result<std::unique_ptr<BlockWriter>> begin_writer(BlockTarget& target,
                                                         std::vector<DiskPatch> patches = {}) {
  std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(target));
  TRY(writer->amend(std::move(patches)));
  TRY(writer->begin());
  return writer;
}

}  // namespace curlingiron
