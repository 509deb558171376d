// The disk inside a qcow2 image, from its first byte to its last, out of a file that is read where
// it needs to be: on a disk, in memory, or on a server.
#pragma once

#include <memory>

#include "io/source.h"

namespace curlingiron {

struct Qcow2Options {
  enum class Fetch {
    // As the reader asks for it, plain data straight into the reader's memory: for a local file,
    // which the kernel reads ahead of us.
    InReader,
    // On a thread of its own, up to 8 MiB (4 clusters, if they are large) ahead: for a network,
    // which is then never idle while the reader is busy.
    OnThread,
  };
  Fetch fetch = Fetch::OnThread;
};

class Qcow2Source final : public Source {
 public:
  // Reads the header and the first tables; refuses what cannot be read (formats/qcow2.h) and, for a
  // disk of up to 32 GiB (with clusters of 64 KiB), a truncated file. `file` must outlive the
  // source and is used by it alone, from one thread at a time.
  //
  // Memory: tables 5 MiB; buffers at most 24 MiB, none with InReader on images without compressed
  // clusters. Those are unpacked by as many threads as there are processors (at most 8).
  static Result<std::unique_ptr<Qcow2Source>> open(RandomSource& file,
                                                   const Qcow2Options& options = {});
  // Waits for the read of `file` that is under way.
  ~Qcow2Source() override;

  uint64_t virtual_size() const;
  // What is unallocated or said to be zeros is zeros_ahead(). The end comes after virtual_size()
  // bytes. An error stays; damage is said with its offset on the disk.
  Result<size_t> read(MutableBytes into) override;
  uint64_t zeros_ahead() override;
  void skip_zeros(uint64_t count) override;

  // For progress, from any thread: bytes of the disk given out, and bytes of the file read.
  uint64_t position() const;
  uint64_t consumed() const;

 private:
  struct State;
  explicit Qcow2Source(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
