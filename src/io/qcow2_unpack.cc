#include "io/qcow2_unpack.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/text.h"

namespace curlingiron {
namespace {

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error truncated() { return Error("its compressed data ends early"); }
Error too_long() { return Error("its compressed data is longer than a cluster"); }
Error too_short() { return Error("its compressed data is shorter than a cluster"); }
Error corrupt() { return Error("its compressed data is corrupt"); }

Result<void> inflate_cluster(inflate_state& state, ConstBytes packed, MutableBytes cluster) {
  isal_inflate_reset(&state);
  // The library takes a pointer to mutable bytes, and only reads them.
  state.next_in = const_cast<uint8_t*>(packed.data());
  state.avail_in = static_cast<uint32_t>(packed.size());
  state.next_out = cluster.data();
  state.avail_out = static_cast<uint32_t>(cluster.size());
  switch (isal_inflate_stateless(&state)) {
    case ISAL_DECOMP_OK: break;
    case ISAL_END_INPUT: return truncated();
    case ISAL_OUT_OVERFLOW: return too_long();
    default: return corrupt();
  }
  if (state.avail_out != 0) return too_short();
  return {};
}

// One frame or several, which together give the cluster (QEMU reads such, too). A whole frame at a
// time goes straight into the cluster and needs no window of its own.
Result<void> unzstd_cluster(ZSTD_DCtx* context, ConstBytes packed, MutableBytes cluster) {
  while (!cluster.empty()) {
    size_t frame = ZSTD_findFrameCompressedSize(packed.data(), packed.size());
    if (ZSTD_isError(frame) != 0 || frame == 0 || frame > packed.size()) {
      return packed.empty() ? too_short() : Error("its compressed data is corrupt or ends early");
    }
    size_t n = ZSTD_decompressDCtx(context, cluster.data(), cluster.size(), packed.data(), frame);
    if (ZSTD_isError(n) != 0) {
      return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? too_long() : corrupt();
    }
    packed = packed.subspan(frame);
    cluster = cluster.subspan(n);
  }
  return {};
}

}  // namespace

struct Qcow2Unpacker::State {
  std::unique_ptr<inflate_state> deflate;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd;
};

Qcow2Unpacker::Qcow2Unpacker(std::unique_ptr<State> state) : state_(std::move(state)) {}
Qcow2Unpacker::~Qcow2Unpacker() = default;

Result<std::unique_ptr<Qcow2Unpacker>> Qcow2Unpacker::create(Qcow2Compression compression) {
  auto state = std::make_unique<State>();
  switch (compression) {
    case Qcow2Compression::Zlib:
      state->deflate = std::make_unique<inflate_state>();
      isal_inflate_init(state->deflate.get());
      break;
    case Qcow2Compression::Zstd:
      state->zstd.reset(ZSTD_createDCtx());
      if (state->zstd == nullptr) return Error("not enough memory for a zstd decoder");
      break;
  }
  return std::unique_ptr<Qcow2Unpacker>(new Qcow2Unpacker(std::move(state)));
}

Result<void> Qcow2Unpacker::unpack(ConstBytes packed, MutableBytes cluster) {
  if (state_->deflate != nullptr) return inflate_cluster(*state_->deflate, packed, cluster);
  return unzstd_cluster(state_->zstd.get(), packed, cluster);
}

}  // namespace curlingiron
