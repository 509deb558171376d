#include "host/put.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>

#include "base/text.h"
#include "base/units.h"
#include "formats/put_order.h"
#include "image/put.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr std::string_view kForm = "SRC:PARTITION:/path[:MODE[:UID[:GID]]]";
constexpr size_t kLongestPartition = 64;
constexpr uint32_t kMostMode = 07777;
constexpr unsigned kDeepest = 128;
constexpr std::string_view kNeither = ": neither a file nor a directory; leave it out";

Error not_of_form(std::string_view text, std::string_view why) {
  return Error(concat(printable(text), ": ", why, "; write ", kForm));
}

Result<uint32_t> parse_mode(std::string_view text) {
  uint32_t mode = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > kMostMode) {
    return Error(concat("\"", printable(text, 20), "\" is no octal mode, such as 0600"));
  }
  return mode;
}

Result<uint32_t> parse_owner(std::string_view text) {
  Result<uint32_t> id = parse_u32(text);
  // (uid_t)-1 means "as it is" to chown(2).
  if (id.ok() && id.value() != UINT32_MAX) return id;
  return Error(concat("\"", printable(text, 40),
                      "\" is no number of a user or group (names of this machine mean others in "
                      "the new system)"));
}

// Where SRC really is. Errors say what is wrong with it as it was typed.
Result<std::string> resolve(const std::string& source) {
  Result<std::string> real = real_path(source);
  if (real.ok()) return real;
  UniqueFd here = TRY(open_root("."));
  Result<FileStatus> status = file_status(here, source);
  // A pipe of the shell's is a link to a name that is none.
  if (status.ok()) return Error(concat(source, kNeither));
  bool is_link = file_status(here, source, FollowLinks::No).ok();
  if (is_link) return Error(concat(source, ": a link that leads to nothing"));
  return real;
}

// What SRC holds, owned, for an order that borrows.
class Collected {
 public:
  Collected(const UniqueFd& root, const PutWord& word) : root_(root), word_(word) {}

  Result<void> take(const std::string& real) {
    source_ = real;
    return take("", 0);
  }

  // Valid for as long as this and its word.
  Put put(std::string_view name) const {
    Put put{word_.partition, word_.path, name, word_.uid, word_.gid, {}};
    for (const Entry& entry : entries_) {
      put.entries.push_back({entry.kind, entry.path, entry.mode, entry.bytes});
    }
    return put;
  }

 private:
  struct Entry {
    PutEntry::Kind kind = PutEntry::Kind::File;
    std::string path;
    uint32_t mode = 0;
    ByteVector bytes;
  };

  uint32_t file_mode(const FileStatus& status) const {
    return word_.mode ? *word_.mode : status.permissions & 0777u;
  }
  uint32_t directory_mode(const FileStatus& status) const {
    if (!word_.mode) return status.permissions & 0777u;
    return (*word_.mode & 0777u) | (*word_.mode & 0444u) >> 2;
  }

  Result<void> take(const std::string& path, unsigned depth) {
    std::string at = path.empty() ? source_ : concat(source_, "/", path);
    FileStatus status = TRY(file_status(root_, at, FollowLinks::No));
    if (entries_.size() >= kMostPutEntries || depth > kDeepest) {
      return Error(concat(at, ": more than ", kMostPutEntries,
                          " files and directories, or deeper than ", kDeepest));
    }
    switch (status.type) {
      case FileType::Regular: return take_file(path, at, status);
      case FileType::Directory: break;
      case FileType::SymbolicLink: {
        std::string target = TRY(read_link(root_, at));
        ConstBytes bytes = as_bytes(target);
        entries_.push_back(
            {PutEntry::Kind::Link, path, 0777, ByteVector(bytes.begin(), bytes.end())});
        return {};
      }
      case FileType::BlockDevice:
      case FileType::CharacterDevice:
      case FileType::Other: return Error(concat(at, kNeither));
    }
    entries_.push_back({PutEntry::Kind::Directory, path, directory_mode(status), {}});
    for (const std::string& name : TRY(list_directory(root_, at))) {
      TRY(take(concat(path, path.empty() ? "" : "/", name), depth + 1));
    }
    return {};
  }

  Result<void> take_file(const std::string& path, const std::string& at, const FileStatus& status) {
    Error too_much(concat(at, ": more than ", format_size(kLargestPutOrder),
                          ", which is all that can be put: it travels in memory"));
    bytes_ += status.size;
    if (bytes_ > kLargestPutOrder) return too_much;
    Result<ByteVector> read = read_file(root_, at, kLargestPutOrder);
    if (!read.ok()) return read.error().code() == EFBIG ? too_much : read.error();
    ByteVector bytes = std::move(read).value();
    entries_.push_back({PutEntry::Kind::File, path, file_mode(status), std::move(bytes)});
    return {};
  }

  const UniqueFd& root_;
  const PutWord& word_;
  std::string source_;
  uint64_t bytes_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace

Result<PutWord> parse_put(std::string_view text) {
  // The first ":PARTITION:/": a file of this machine may have colons in its name.
  PutWord word;
  size_t path_begin = std::string_view::npos;
  for (size_t colon = text.find(':'); colon != std::string_view::npos;
       colon = text.find(':', colon + 1)) {
    size_t end = text.find(':', colon + 1);
    if (end == std::string_view::npos) break;
    std::string_view partition = text.substr(colon + 1, end - colon - 1);
    bool fits = !partition.empty() && partition.find('/') == std::string_view::npos;
    if (!fits || !text.substr(end + 1).starts_with('/')) continue;
    word.source = text.substr(0, colon);
    word.partition = partition;
    path_begin = end + 1;
    break;
  }
  if (path_begin == std::string_view::npos) {
    return not_of_form(text, "names no partition and no absolute path on it");
  }
  if (word.source.empty()) return not_of_form(text, "names no file of this machine");
  if (word.partition.size() > kLongestPartition) {
    return not_of_form(text, "no partition has a name of that length");
  }
  std::vector<std::string_view> fields = split(text.substr(path_begin), ':');
  constexpr size_t kMostFields = 4;
  if (fields.size() > kMostFields) {
    return not_of_form(text, "has more fields, or a path with a colon");
  }
  word.path = fields[0];
  if (!is_put_path(word.path)) {
    return not_of_form(
        text, concat("\"", printable(word.path), "\" is no absolute path without . and .."));
  }
  if (fields.size() > 1) word.mode = TRY_CONTEXT(printable(text), parse_mode(fields[1]));
  if (fields.size() > 2) word.uid = TRY_CONTEXT(printable(text), parse_owner(fields[2]));
  word.gid = word.uid;
  if (fields.size() > 3) word.gid = TRY_CONTEXT(printable(text), parse_owner(fields[3]));
  return word;
}

Result<PutFiles> collect_puts(const UniqueFd& root, const HandOverOptions& options) {
  PutFiles files;
  if (options.puts.empty()) {
    if (options.force_put) return Error("--force-put: nothing is put; give --put, too");
    return files;
  }
  // The order borrows of all of these.
  std::deque<PutWord> words;
  std::deque<Collected> collected;
  std::deque<std::string> names;
  PutOrder order;
  order.replace = options.force_put ? ReplaceFiles::Yes : ReplaceFiles::No;
  for (const std::string& text : options.puts) {
    const PutWord& word = words.emplace_back(TRY_CONTEXT("--put", parse_put(text)));
    std::string real = TRY_CONTEXT("--put", resolve(word.source));
    std::string_view typed = word.source;
    while (typed.ends_with('/')) typed.remove_suffix(1);
    std::string name(typed.substr(typed.rfind('/') + 1));
    // "." and ".." are called as they are.
    if (!is_plain_path(name)) name = real.substr(real.rfind('/') + 1);
    if (name.empty()) return Error("--put /: the root directory cannot be put whole");
    names.push_back(std::move(name));
    Collected& one = collected.emplace_back(root, word);
    TRY_CONTEXT("--put", one.take(real));
    order.puts.push_back(one.put(names.back()));
    PutOrder alone{order.replace, {order.puts.back()}};
    files.ones.push_back({word.source, word.path, alone.files(), alone.bytes(), {}});
  }
  files.archive = TRY_CONTEXT("--put", format_put_order(order));
  return files;
}

std::vector<std::string> PutFiles::lines() const {
  std::vector<std::string> lines;
  for (const One& one : ones) {
    lines.push_back(concat(one.partition.describe(), ": ", printable(one.path), " from ",
                           printable(one.source), ", ", plural(one.files, "file", "files"), ", ",
                           format_size(one.bytes)));
  }
  return lines;
}

std::vector<FileSystemWish> PutFiles::file_systems() const {
  std::vector<FileSystemWish> wishes;
  for (const One& one : ones) {
    std::string reason = concat("--put into ", one.partition.describe());
    bool known = std::ranges::any_of(
        wishes, [&](const FileSystemWish& wish) { return wish.reason == reason; });
    if (!known) wishes.push_back({file_systems_for(one.partition), std::move(reason)});
  }
  return wishes;
}

}  // namespace curlingiron
