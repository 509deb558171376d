// The part of the initramfs that --add fills, while it grows over the root its files come from.
//
// Inside it looks as the root does: every link of the root that is passed on the way to a file is
// there, too, and leads to the same. The few directories that the initramfs itself has (lib, for
// lib/modules) stay directories where the root has a link (lib -> usr/lib); what is wanted below is
// a link to its real place then (lib/x86_64-linux-gnu -> /usr/lib/x86_64-linux-gnu).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "payload/extras.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace curlingiron {

// A file or directory: its path in the root and the one it has, or would have, in the initramfs.
// Relative, without links in its directories; "" is the root. They differ where SRC:DST says so.
struct Place {
  std::string source;
  std::string target;
};

enum class NodeKind { File, Directory, Link };
// Named: --add itself says it, and it goes before what the root has there.
enum class Claim { Named, Implied };

struct ExtraNode {
  NodeKind kind = NodeKind::File;
  std::string source;  // path in the root
  uint32_t permissions = 0;
  ByteVector bytes;  // a file's content, a link's text
  std::string reason;
  Claim claim = Claim::Implied;
  bool in_directory = false;  // it came with a directory that was taken whole
};

// Runtime: below /dev, /proc, /sys or /run, which are filled when the machine runs.
enum class Found { Missing, File, Directory, Runtime };
enum class OnMissing { Stop, MakeDirectory };
enum class Inspection { Wanted, Done };

class ExtraTree {
 public:
  // One entry that a walk passed and that is not in the tree yet.
  struct Step {
    std::string target;
    ExtraNode node;
    bool loaded = false;  // the bytes of a file have been read
  };
  struct Walk {
    Found found = Found::Missing;
    Place place;
    Place directory;  // where the last part of the path was looked for, before links of its own
    // A directory of the initramfs where the root has a link, which leads to place.source.
    bool stands_in = false;
    std::vector<Step> steps;
  };

  explicit ExtraTree(const UniqueFd& root) : root_(root) {}

  // Follows `path` from `from` (from the root where it is absolute), through the tree and, where
  // that has nothing, through the root. Links in a circle and a way out of the root are errors.
  Result<Walk> walk(const Place& from, std::string_view path, OnMissing on_missing) const;
  // The content of the file that a walk found.
  Result<ConstBytes> content(Walk& walk) const;
  // Takes in what a walk passed. The file is to be inspected later, unless that is done.
  Result<void> keep(Walk walk, const std::string& reason, Inspection inspection);
  // Makes the directories above `path`, absolute, and says which path it then has in the initramfs.
  Result<std::string> prepare(const std::string& path, const std::string& reason);
  // Takes in a file, link or directory of the root with all that is in it, as it is.
  Result<void> take(const Place& place, const std::string& reason, Claim claim);
  Result<void> add(const std::string& target, ExtraNode node);

  // A path of the root with every link resolved, or all but that of the last part; nullopt when it
  // is not there.
  enum class LastLink { Follow, Keep };
  Result<std::optional<std::string>> resolve(std::string_view path, LastLink last) const;

  // Files and links that came in since and whose needs are not known yet, in order; each once.
  std::vector<std::string> take_uninspected();
  const ExtraNode* find(const std::string& target) const;
  const std::map<std::string, ExtraNode>& nodes() const { return nodes_; }
  const UniqueFd& root() const { return root_; }
  // Everything, and the directories of the initramfs itself that it lies in.
  std::vector<ExtraEntry> entries() &&;

 private:
  class Walker;

  Result<std::optional<FileStatus>> status(const std::string& source) const;
  Result<ByteVector> read(const std::string& source) const;
  Result<void> count(size_t bytes);
  Result<void> take(const Place& place, const std::string& reason, Claim claim, bool in_directory);

  const UniqueFd& root_;
  std::map<std::string, ExtraNode> nodes_;
  std::set<std::string> uninspected_;
  std::set<std::string> whole_;  // directories taken with all that is in them
  uint64_t bytes_ = 0;
};

// "a/b" of "a" and "b"; the root's parts have no slash before them.
std::string join_path(const std::string& directory, std::string_view name);
std::string parent_path(const std::string& path);

}  // namespace curlingiron
