// Why a module or a file is in an initramfs image: the chains of reasons from it up to what was
// asked for. Ours say it (formats/module_index.h); from those of others it is read as far as they
// go: modules.dep, what ELF files need, what modules say of their firmware, lists of modules to
// load.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/module_index.h"
#include "io/source.h"
#include "payload/initramfs_image.h"

namespace curlingiron {

struct ReasonStep {
  std::string relation;  // "needed by"
  std::string name;      // a module, or a file's path
};

struct ReasonChain {
  std::vector<ReasonStep> steps;  // from the thing asked for upwards; empty: it is a root itself
  std::string root;               // "drives virtio:d…"; empty: the image does not say
};

class InitramfsReasons {
 public:
  // Reads the image twice or thrice: its names and texts, then what the question needs.
  static Result<InitramfsReasons> read(RandomSource& image);

  // What `name` means here: a module ("virtio-net"), a path ("/lib/x.so"), or a file name
  // ("x.so"), which several may have. None: an error with the nearest names.
  Result<std::vector<std::string>> resolve(std::string_view name) const;

  // For each root that leads to it, one of the shortest chains; shortest first, at most 200.
  // `subject` is one of resolve()'s. Never empty.
  Result<std::vector<ReasonChain>> chains(const std::string& subject);

  // The image's path of a subject: of a module, its file.
  std::string path_of(const std::string& subject) const;

 private:
  struct Place {
    std::string_view path;
    std::string_view reason;
  };
  struct Node {
    std::vector<ReasonStep> parents;
    std::vector<std::string> roots;
  };

  explicit InitramfsReasons(RandomSource& image) : image_(image) {}
  Result<void> read_names();
  Result<void> add_index(std::string_view text);
  Result<void> add_modules_dep(std::string_view text);
  void add_module_list(std::string_view text, const std::string& path);
  void add_places(std::span<const Place> places);
  bool is_subject(const std::string& name) const;
  std::string subject_of_path(const std::string& path) const;
  std::vector<ReasonStep> parents_of(const std::string& subject) const;
  std::vector<std::string> roots_of(const std::string& subject) const;
  Result<void> read_libraries();
  Result<void> read_firmware_of_modules();

  RandomSource& image_;
  bool ours_ = false;
  bool libraries_read_ = false;
  bool firmware_read_ = false;
  std::map<std::string, uint32_t> modes_;         // of every plain path
  std::map<std::string, std::string> links_;      // symlinks: where they lead
  std::map<std::string, std::string> modules_;    // paths by name
  std::map<std::string, std::string> module_at_;  // names by path
  std::vector<IndexedModule> dependencies_;       // of modules
  std::map<std::string, Node> nodes_;
};

// The chain as a sentence's end: "needed by net_failover, needed by virtio_net, which drives
// virtio:d…"; empty where it has neither steps nor a root. Foreign bytes are made printable.
std::string sentence(const ReasonChain& chain);

}  // namespace curlingiron
