// One disk image in every form that the engine takes, each made by the field's own tools.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace curlingiron::testing {

struct Form {
  std::string name;
  ByteVector file;
  // A damaged file may decode to another image without an error: nothing in it is a checksum of
  // all.
  bool needs_digest = false;
};

// 2.5 MiB + 512 bytes: boot code and a partition table, then files and free space in turn.
const ByteVector& raw_image();
// Tools that are not installed (scripts/setup installs them) leave their form out.
const std::vector<Form>& forms();
const Form& form(const std::string& name);

}  // namespace curlingiron::testing
