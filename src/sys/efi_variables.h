// The variables that UEFI's firmware keeps (UEFI specification 2.10, 8.2), as efivarfs shows them
// (Documentation/filesystems/efivarfs.rst).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Those of the specification's own namespace, EFI_GLOBAL_VARIABLE, by their names: "BootOrder".
// A fake fits in a test. Errors carry the errno that the kernel makes of the firmware's status:
// ENOSPC where its memory is full, EROFS, EIO.
class EfiVariables {
 public:
  virtual ~EfiVariables() = default;
  virtual Result<std::vector<std::string>> names() = 0;
  // Its value. ENOENT: there is none. Bound: kLargestEfiVariable.
  virtual Result<ByteVector> read(const std::string& name) = 0;
  // Makes it or replaces its value, which is not empty. It stays over a restart.
  virtual Result<void> write(const std::string& name, ConstBytes value) = 0;
  // One that is not there is fine.
  virtual Result<void> remove(const std::string& name) = 0;
};

inline constexpr size_t kLargestEfiVariable = size_t{128} << 10;

// `path`: where efivarfs is mounted.
Result<std::unique_ptr<EfiVariables>> open_efi_variables(const UniqueFd& root,
                                                         const std::string& path);

}  // namespace curlingiron
