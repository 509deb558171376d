#include "payload/initramfs_diff.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "formats/payload_layout.h"
#include "formats/settings.h"
#include "formats/url.h"
#include "io/digest.h"

namespace curlingiron {
namespace {

constexpr uint64_t kMaxText = 256_KiB;
// Of the table that finds the longest common lines.
constexpr size_t kMaxCells = 16'000'000;

using Entries = std::map<std::string, DiffEntry>;
using Texts = std::map<std::string, std::string>;

Result<Entries> read_entries(RandomSource& image) {
  Entries entries;
  InitramfsReader reader(image);
  ByteVector piece(256_KiB);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) return entries;
    DiffEntry found{std::string(plain_path(entry->path)), *entry, {}};
    MessageDigest digest(DigestKind::Sha256);
    for (;;) {
      size_t n = TRY(reader.read(piece));
      if (n == 0) break;
      digest.update(ConstBytes(piece).first(n));
    }
    found.digest = digest.finish();
    std::string path = found.path;
    entries.insert_or_assign(std::move(path), std::move(found));  // the kernel keeps the last one
  }
}

Result<Texts> read_texts(RandomSource& image, const std::set<std::string>& paths) {
  Texts texts;
  if (paths.empty()) return texts;
  InitramfsReader reader(image);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) return texts;
    std::string path(plain_path(entry->path));
    if (!paths.contains(path)) continue;
    // An earlier one of that name may be larger: it is not the one that counts.
    ByteVector data;
    if (entry->size <= kMaxText) data = TRY(reader.read_data(kMaxText));
    texts.insert_or_assign(std::move(path), std::string(as_text(data)));
  }
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127);
  });
}

// Our settings may hold credentials; other files that not everyone may read are not shown at all.
bool may_show(const DiffEntry& file) {
  return file.path == kConfigFile.path || (file.entry.mode & S_IROTH) != 0;
}

// A line of our settings without what is secret in it.
std::string public_setting(std::string_view line) {
  size_t equals = line.find('=');
  if (equals == std::string_view::npos) return std::string(line);
  std::string_view key = trim(line.substr(0, equals));
  std::string_view value = trim(line.substr(equals + 1));
  std::vector<std::string_view> known = setting_keys();
  bool shown = !is_secret_key(key) && std::find(known.begin(), known.end(), key) != known.end();
  if (!shown) return concat(key, "=(not shown)");
  if (value.find("://") == std::string_view::npos) return concat(key, "=", value);
  Result<Url> url = parse_url(value);
  if (!url.ok()) return concat(key, "=(not shown)");
  bool hides = url.value().text() != url.value().display();
  return concat(key, "=", url.value().display(), hides ? " (and more, not shown)" : "");
}

// Lines that are not in a longest common subsequence. Empty where that is too much work.
std::vector<LineChange> changed_lines(std::string_view first, std::string_view second) {
  std::vector<std::string_view> a = split(first, '\n');
  std::vector<std::string_view> b = split(second, '\n');
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a.pop_back();
    b.pop_back();
  }
  size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) ++same;
  a.erase(a.begin(), a.begin() + static_cast<ptrdiff_t>(same));
  b.erase(b.begin(), b.begin() + static_cast<ptrdiff_t>(same));
  if ((a.size() + 1) * (b.size() + 1) > kMaxCells) return {};
  size_t width = b.size() + 1;
  std::vector<uint32_t> common((a.size() + 1) * width);  // of the lines from i and from j on
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      common[i * width + j] =
          a[i] == b[j] ? common[(i + 1) * width + j + 1] + 1
                       : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  std::vector<LineChange> changes;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i;
      ++j;
    } else if (j == b.size() ||
               (i < a.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      changes.push_back({false, std::string(a[i++])});
    } else {
      changes.push_back({true, std::string(b[j++])});
    }
  }
  return changes;
}

std::optional<ChangedEntry> compare(const DiffEntry& first, const DiffEntry& second) {
  const ImageEntry& a = first.entry;
  const ImageEntry& b = second.entry;
  ChangedEntry changed{first, second, false, false, false, {}};
  changed.type = (a.mode & S_IFMT) != (b.mode & S_IFMT);
  changed.permissions = ((a.mode ^ b.mode) & 07777) != 0 || a.uid != b.uid || a.gid != b.gid;
  changed.content = first.digest != second.digest || a.size != b.size || a.target != b.target ||
                    a.device_major != b.device_major || a.device_minor != b.device_minor;
  if (!changed.type && !changed.permissions && !changed.content) return std::nullopt;
  return changed;
}

Result<void> add_lines(ImageDiff& diff, RandomSource& first, RandomSource& second,
                       const std::string& first_name, const std::string& second_name) {
  std::set<std::string> wanted;
  for (const ChangedEntry& changed : diff.changed) {
    bool files = S_ISREG(changed.first.entry.mode) && S_ISREG(changed.second.entry.mode);
    bool small = changed.first.entry.size <= kMaxText && changed.second.entry.size <= kMaxText;
    if (files && small && changed.content && may_show(changed.first) && may_show(changed.second)) {
      wanted.insert(changed.first.path);
    }
  }
  Texts a = TRY_CONTEXT(first_name, read_texts(first, wanted));
  Texts b = TRY_CONTEXT(second_name, read_texts(second, wanted));
  for (ChangedEntry& changed : diff.changed) {
    const std::string& path = changed.first.path;
    if (!wanted.contains(path) || !is_text(a[path]) || !is_text(b[path])) continue;
    changed.lines = changed_lines(a[path], b[path]);
    if (path != kConfigFile.path) continue;
    for (LineChange& change : changed.lines) change.line = public_setting(change.line);
  }
  return {};
}

}  // namespace

Result<ImageDiff> diff_images(RandomSource& first, RandomSource& second,
                              const std::string& first_name, const std::string& second_name) {
  Entries a = TRY_CONTEXT(first_name, read_entries(first));
  Entries b = TRY_CONTEXT(second_name, read_entries(second));
  ImageDiff diff;
  for (const auto& [path, entry] : a) {
    auto other = b.find(path);
    if (other == b.end()) {
      diff.only_first.push_back(entry);
    } else if (std::optional<ChangedEntry> changed = compare(entry, other->second)) {
      diff.changed.push_back(std::move(*changed));
    } else {
      ++diff.same;
    }
  }
  for (const auto& [path, entry] : b) {
    if (!a.contains(path)) diff.only_second.push_back(entry);
  }
  TRY(add_lines(diff, first, second, first_name, second_name));
  return diff;
}

}  // namespace curlingiron
