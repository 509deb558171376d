#include "sys/efi_variables.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

// A variable is a file NAME-NAMESPACE: four bytes of attributes, then its value.
constexpr std::string_view kGlobal = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
constexpr size_t kAttributeBytes = 4;
constexpr uint32_t kLasting = 1 | 2 | 4;  // non-volatile, for boot and for runtime

class Efivarfs final : public EfiVariables {
 public:
  explicit Efivarfs(UniqueFd directory) : directory_(std::move(directory)) {}

  Result<std::vector<std::string>> names() override {
    std::vector<std::string> names;
    for (std::string& file : TRY(list_directory(directory_, "."))) {
      if (!file.ends_with(kGlobal)) continue;
      file.resize(file.size() - kGlobal.size());
      names.push_back(std::move(file));
    }
    return names;
  }

  Result<ByteVector> read(const std::string& name) override {
    ByteVector bytes = TRY(read_file(directory_, concat(name, kGlobal), kLargestEfiVariable));
    if (bytes.size() < kAttributeBytes) return Error(concat(name, ": has no value"), ENOENT);
    bytes.erase(bytes.begin(), bytes.begin() + kAttributeBytes);
    return bytes;
  }

  Result<void> write(const std::string& name, ConstBytes value) override {
    std::string file = concat(name, kGlobal);
    bool is_new = !exists(directory_, file);
    ByteWriter bytes;
    bytes.le32(kLasting);
    bytes.append(value);
    auto attempt = [&]() -> Result<void> {
      if (!is_new) allow_changes(file);
      UniqueFd fd = TRY(open_at(directory_, file, is_new ? O_WRONLY | O_CREAT : O_WRONLY));
      // One write(2) is one SetVariable(): a part of it would be a variable of its own.
      ssize_t n = 0;
      do n = ::write(fd.get(), bytes.bytes().data(), bytes.size());
      while (n < 0 && errno == EINTR);
      if (n < 0) return last_system_error("cannot be written");
      if (static_cast<size_t>(n) != bytes.size()) return Error("was written in part", EIO);
      return {};
    };
    Result<void> written = attempt();
    // The kernel keeps the name of a variable that the firmware did not take.
    if (!written.ok() && is_new) ::unlinkat(directory_.get(), file.c_str(), 0);
    return std::move(written).with_context(name);
  }

  Result<void> remove(const std::string& name) override {
    std::string file = concat(name, kGlobal);
    if (exists(directory_, file)) allow_changes(file);
    return remove_file(directory_, file);
  }

 private:
  // The kernel protects variables that it does not know from `rm -r`.
  void allow_changes(const std::string& file) {
    Result<UniqueFd> fd = open_at(directory_, file, O_RDONLY);
    int flags = 0;
    if (!fd.ok() || ::ioctl(fd.value().get(), FS_IOC_GETFLAGS, &flags) != 0) return;
    if ((flags & FS_IMMUTABLE_FL) == 0) return;
    flags &= ~FS_IMMUTABLE_FL;
    // Where it cannot be, what follows fails and says so.
    (void)::ioctl(fd.value().get(), FS_IOC_SETFLAGS, &flags);
  }

  UniqueFd directory_;
};

}  // namespace

Result<std::unique_ptr<EfiVariables>> open_efi_variables(const UniqueFd& root,
                                                         const std::string& path) {
  UniqueFd directory = TRY_CONTEXT(path, open_at(root, path, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<EfiVariables>(std::make_unique<Efivarfs>(std::move(directory)));
}

}  // namespace curlingiron
