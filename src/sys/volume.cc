#include "sys/volume.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/text.h"
#include "sys/file.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr size_t kLongestMessage = 200;

// "errors=remount-ro", or a word alone.
Result<void> set_option(const UniqueFd& context, std::string_view option) {
  size_t equals = option.find('=');
  std::string key(option.substr(0, equals));
  bool has_value = equals != std::string_view::npos;
  std::string value(has_value ? option.substr(equals + 1) : "");
  unsigned command = has_value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
  if (::fsconfig(context.get(), command, key.c_str(), has_value ? value.c_str() : nullptr, 0) !=
      0) {
    return last_system_error(concat("its driver does not take ", option));
  }
  return {};
}

// What the driver says of a failure: "e ext4: ..."; most say nothing there.
std::string driver_message(const UniqueFd& context) {
  char text[kLongestMessage];
  ssize_t size = ::read(context.get(), text, sizeof text);
  constexpr std::string_view kError = "e ";
  std::string_view message(text, size > 0 ? static_cast<size_t>(size) : 0);
  if (!message.starts_with(kError)) return "";
  return concat(" (", printable(trim(message.substr(kError.size())), kLongestMessage), ")");
}

// A mount that has no place among those of this machine: nobody but who holds it can see it, and
// with the last who does it goes.
Result<UniqueFd> mount_apart(const VolumeSource& source) {
  UniqueFd context(::fsopen(source.type.c_str(), FSOPEN_CLOEXEC));
  if (!context.valid()) return last_system_error(concat("the file system ", source.type));
  TRY(set_option(context, concat("source=", source.device)));
  for (std::string_view option : split(source.options, ',')) {
    if (!option.empty()) TRY(set_option(context, option));
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    int why = errno;
    std::string message = driver_message(context);
    errno = why;
    return last_system_error(concat("cannot mount it as ", source.type,
                                    ", which may be damaged or have features that this kernel "
                                    "does not know",
                                    message));
  }
  constexpr unsigned kAttributes =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME;
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, kAttributes));
  if (!mount.valid()) return last_system_error("cannot mount it");
  return mount;
}

Result<void> enter(const UniqueFd& directory) {
  if (::fchdir(directory.get()) != 0 || ::chroot(".") != 0) return last_system_error("chroot");
  return {};
}

Result<void> use_volume(const VolumeSource& source,
                        const std::function<Result<void>(const UniqueFd& root)>& use) {
  // From here on the thread has a root directory of its own.
  if (::unshare(CLONE_FS) != 0) return last_system_error("unshare");
  UniqueFd old_root = TRY(open_root("/"));
  UniqueFd mount = TRY(mount_apart(source));
  Result<void> used = [&]() -> Result<void> {
    TRY(enter(mount));
    UniqueFd root = TRY(open_path("/", O_RDONLY | O_DIRECTORY));
    TRY(use(root));
    if (::syncfs(root.get()) != 0) return last_system_error("writing to it");
    return {};
  }();
  // A thread that is gone may hold its root directory for a moment longer.
  Result<void> left = enter(old_root);
  return used.ok() ? left : used;
}

}  // namespace

Result<bool> has_file_system(const std::string& type) {
  UniqueFd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (context.valid()) return true;
  if (errno == ENODEV) return false;
  if (errno == EPERM) return Error("only root can mount file systems; run it with sudo", EPERM);
  if (errno == ENOSYS) return Error("this kernel cannot mount a file system apart: Linux 5.2 can");
  return last_system_error(concat("the file system ", type));
}

Result<void> with_volume(const VolumeSource& source,
                         const std::function<Result<void>(const UniqueFd& root)>& use) {
  Result<void> result;
  Thread thread = TRY(Thread::start([&] { result = use_volume(source, use); }));
  thread.join();
  return result;
}

}  // namespace curlingiron
