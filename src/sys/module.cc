#include "sys/module.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace curlingiron {

Result<ModuleOutcome> load_module(const UniqueFd& root, const std::string& path) {
  UniqueFd fd = TRY_CONTEXT(path, open_at(root, path, O_RDONLY));
  if (::syscall(SYS_finit_module, fd.get(), "", 0) == 0) return ModuleOutcome::Loaded;
  int code = errno;
  switch (code) {
    case EEXIST: return ModuleOutcome::Loaded;
    case ENODEV: return ModuleOutcome::NoHardware;
    case EKEYREJECTED:
    case ENOKEY:
    case EBADMSG:
      return Error(
                 "the kernel takes only signed modules (Secure Boot, lockdown or "
                 "module.sig_enforce); build with signatures kept",
                 code)
          .with_context(path);
    case ENOEXEC:
      return Error(
                 "built for another kernel (vermagic) or damaged; build the initramfs for this "
                 "kernel",
                 code)
          .with_context(path);
    default: return system_error("finit_module", code).with_context(path);
  }
}

}  // namespace curlingiron
