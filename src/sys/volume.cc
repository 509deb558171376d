#include "sys/volume.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "sys/file.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// Any directory that is there, in /init as in every system; only this thread finds it covered.
constexpr const char* kPlace = "/tmp";

// From here on the thread has a root directory of its own and, where the kernel can, mounts of its
// own.
Result<void> leave_others() {
  if (::unshare(CLONE_NEWNS) == 0) {
    // EINVAL: the root directory is no mount, as after chroot(1).
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 && errno != EINVAL) {
      return last_system_error("mounts of its own");
    }
    return {};
  }
  if (errno == EPERM) return Error("only root can mount file systems; run it with sudo", EPERM);
  if (::unshare(CLONE_FS) != 0) return last_system_error("unshare");
  return {};
}

class MountedVolume {
 public:
  static Result<MountedVolume> mount(const VolumeSource& source) {
    UniqueFd old_root = TRY(open_root("/"));
    const char* options = source.options.empty() ? nullptr : source.options.c_str();
    if (::mount(source.device.c_str(), kPlace, source.type.c_str(),
                MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, options) != 0) {
      return last_system_error(concat("cannot mount it as ", source.type,
                                      ", which may be damaged or have features that this kernel "
                                      "does not know"));
    }
    return MountedVolume(std::move(old_root));
  }
  MountedVolume(MountedVolume&&) noexcept = default;
  MountedVolume& operator=(MountedVolume&&) = delete;
  ~MountedVolume() {
    if (!old_root_.valid()) return;
    (void)go_back();
    (void)::umount2(kPlace, MNT_DETACH);
  }

  Result<UniqueFd> enter() {
    if (::chroot(kPlace) != 0 || ::chdir("/") != 0) return last_system_error("chroot");
    return open_path("/", O_RDONLY | O_DIRECTORY);
  }

  Result<void> unmount() {
    TRY(go_back());
    if (::umount2(kPlace, 0) != 0) return last_system_error("cannot unmount it");
    old_root_.reset();
    return {};
  }

 private:
  explicit MountedVolume(UniqueFd old_root) : old_root_(std::move(old_root)) {}

  Result<void> go_back() {
    if (::fchdir(old_root_.get()) != 0 || ::chroot(".") != 0) return last_system_error("chroot");
    return {};
  }

  UniqueFd old_root_;
};

Result<void> use_volume(const VolumeSource& source,
                        const std::function<Result<void>(const UniqueFd& root)>& use) {
  TRY(leave_others());
  MountedVolume volume = TRY(MountedVolume::mount(source));
  Result<void> used = [&]() -> Result<void> {
    UniqueFd root = TRY(volume.enter());
    TRY(use(root));
    if (::syncfs(root.get()) != 0) return last_system_error("writing to it");
    return {};
  }();
  Result<void> unmounted = volume.unmount();
  return used.ok() ? unmounted : used;
}

}  // namespace

bool has_file_system(const std::string& type) {
  // "nodev\ttmpfs" or "\text4"; asked first, as what follows writes a line into the kernel's log.
  Result<UniqueFd> root = open_root("/");
  Result<std::string> known =
      root.ok() ? read_text(root.value(), "proc/filesystems") : root.error();
  if (known.ok() &&
      concat("\n", known.value()).find(concat("\n\t", type, "\n")) != std::string::npos) {
    return true;
  }
  // mount(2) looks for the file system, and loads its module, before it looks at the device, which
  // is none here.
  return ::mount("/dev/null", kPlace, type.c_str(), MS_RDONLY, nullptr) != 0 && errno == ENOTBLK;
}

Result<void> with_volume(const VolumeSource& source,
                         const std::function<Result<void>(const UniqueFd& root)>& use) {
  Result<void> result;
  Thread thread = TRY(Thread::start([&] { result = use_volume(source, use); }));
  thread.join();
  return result;
}

}  // namespace curlingiron
