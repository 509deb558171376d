// Compressed clusters of a qcow2 image, one at a time; a thread has an unpacker of its own.
#pragma once

#include <memory>

#include "formats/qcow2.h"

namespace curlingiron {

class Qcow2Unpacker {
 public:
  static Result<std::unique_ptr<Qcow2Unpacker>> create(Qcow2Compression compression);
  ~Qcow2Unpacker();

  // Fills all of `cluster` from the stream at the start of `packed`; what follows the stream's
  // end is not looked at. A stream that gives less or more than a cluster is an error.
  Result<void> unpack(ConstBytes packed, MutableBytes cluster);

 private:
  struct State;
  explicit Qcow2Unpacker(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
