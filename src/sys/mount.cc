#include "sys/mount.h"

#include <sys/mount.h>

#include <cerrno>

#include "base/text.h"
#include "sys/fd.h"

namespace curlingiron {

Result<void> mount_kernel_fs(const std::string& type, const std::string& target) {
  if (::mount(type.c_str(), target.c_str(), type.c_str(), MS_NOSUID | MS_NOEXEC, nullptr) != 0 &&
      errno != EBUSY) {
    return last_system_error(concat("cannot mount ", type, " on ", target));
  }
  return {};
}

}  // namespace curlingiron
