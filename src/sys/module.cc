#include "sys/module.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"

namespace curlingiron {
namespace {

// A signed module ends so (Documentation/admin-guide/module-signing.rst).
constexpr std::string_view kSignatureMark = "~Module signature appended~\n";

// Modules that do something unasked when they are loaded, and what keeps them from it.
struct Parameters {
  std::string_view module;
  const char* text;
};
constexpr Parameters kQuieting[] = {
    {"bonding", "max_bonds=0"},  // else there is a bond0 that nobody wants
};

const char* parameters_for(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.find('.'));
  for (const Parameters& candidate : kQuieting) {
    if (candidate.module == name) return candidate.text;
  }
  return "";
}

bool is_signed(const UniqueFd& fd) {
  char end[kSignatureMark.size()];
  off_t size = ::lseek(fd.get(), 0, SEEK_END);
  if (size < static_cast<off_t>(sizeof end)) return false;
  if (::pread(fd.get(), end, sizeof end, size - static_cast<off_t>(sizeof end)) != sizeof end) {
    return false;
  }
  return std::string_view(end, sizeof end) == kSignatureMark;
}

}  // namespace

Result<ModuleOutcome> load_module(const UniqueFd& root, const std::string& path) {
  UniqueFd fd = TRY_CONTEXT(path, open_at(root, path, O_RDONLY));
  if (::syscall(SYS_finit_module, fd.get(), parameters_for(path), 0) == 0)
    return ModuleOutcome::Loaded;
  int code = errno;
  switch (code) {
    case EEXIST: return ModuleOutcome::Loaded;
    case ENODEV: return ModuleOutcome::NoHardware;
    case EKEYREJECTED:
    case ENOKEY:
    case EBADMSG:
      return Error(is_signed(fd) ? "the kernel trusts no key that this module is signed with; use "
                                   "the modules of the kernel's own package"
                                 : "the kernel takes only signed modules (Secure Boot, lockdown or "
                                   "module.sig_enforce), and this initramfs was built without "
                                   "signatures; build with --secure-boot",
                   code)
          .with_context(path);
    case EPERM:
      return Error(is_signed(fd)
                       ? "the kernel takes no modules any more (kernel.modules_disabled)"
                       : "the kernel is locked down, and this initramfs was built without "
                         "signatures; build with --secure-boot",
                   code)
          .with_context(path);
    case ENOENT:
      return Error(
                 "it uses a function that no module here has; what it needs was left out or did "
                 "not load, and the kernel's messages name it",
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
