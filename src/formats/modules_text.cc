#include "formats/modules_text.h"

#include "base/text.h"
#include "formats/alias_pattern.h"

namespace curlingiron {
namespace {

// Calls `use` with every line that says something; a failure is given the line's number.
template <typename Use>
Result<void> for_each_line(std::string_view text, Use use) {
  if (text.size() > kMaxModulesText) {
    return Error(concat("larger than the ", kMaxModulesText, " bytes that make sense here"));
  }
  uint64_t number = 0;
  while (!text.empty()) {
    ++number;
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (Result<void> used = use(line); !used.ok()) {
      return used.error().with_context(concat("line ", number, " \"", printable(line, 60), "\""));
    }
  }
  return {};
}

Result<std::vector<std::string_view>> words_after(std::string_view keyword, size_t at_least,
                                                  std::string_view line) {
  std::vector<std::string_view> words = split_blank(line);
  if (words.size() < at_least + 1 || words[0] != keyword) {
    return Error(concat("not a line of the form \"", keyword, " ...\"; run depmod again"));
  }
  words.erase(words.begin());
  return words;
}

}  // namespace

Result<std::string> module_name_of_path(std::string_view path) {
  size_t slash = path.rfind('/');
  std::string_view file = slash == std::string_view::npos ? path : path.substr(slash + 1);
  size_t dot = file.find(".ko");
  bool ends = dot != std::string_view::npos && (dot + 3 == file.size() || file[dot + 3] == '.');
  if (!ends || dot == 0) return Error(concat(printable(path), ": not a kernel module's path"));
  return normalize_module_name(file.substr(0, dot));
}

Result<std::vector<DependencyLine>> parse_modules_dep(std::string_view text) {
  std::vector<DependencyLine> lines;
  auto read_line = [&](std::string_view line) -> Result<void> {
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return Error("no \"PATH:\"");
    DependencyLine parsed;
    parsed.path = std::string(line.substr(0, colon));
    TRY(module_name_of_path(parsed.path));
    for (std::string_view path : split_blank(line.substr(colon + 1))) {
      TRY(module_name_of_path(path));
      parsed.dependencies.emplace_back(path);
    }
    lines.push_back(std::move(parsed));
    return {};
  };
  TRY(for_each_line(text, read_line));
  return lines;
}

Result<std::vector<AliasLine>> parse_modules_alias(std::string_view text) {
  std::vector<AliasLine> lines;
  auto read_line = [&](std::string_view line) -> Result<void> {
    // A pattern may hold blanks (of: and dmi: aliases): the module is the last word.
    std::vector<std::string_view> words = TRY(words_after("alias", 2, line));
    std::string_view module = words.back();
    auto begin = static_cast<size_t>(words.front().data() - line.data());
    auto end = static_cast<size_t>(module.data() - line.data());
    std::string_view pattern = trim(line.substr(begin, end - begin));
    lines.push_back({normalize_module_name(pattern), normalize_module_name(module)});
    return {};
  };
  TRY(for_each_line(text, read_line));
  return lines;
}

Result<std::vector<SoftDependencyLine>> parse_modules_softdep(std::string_view text) {
  std::vector<SoftDependencyLine> lines;
  auto read_line = [&](std::string_view line) -> Result<void> {
    std::vector<std::string_view> words = TRY(words_after("softdep", 1, line));
    SoftDependencyLine parsed;
    parsed.module = normalize_module_name(words[0]);
    std::vector<std::string>* list = nullptr;
    for (std::string_view word : std::span(words).subspan(1)) {
      if (word == "pre:") {
        list = &parsed.pre;
      } else if (word == "post:") {
        list = &parsed.post;
      } else if (list != nullptr) {
        list->push_back(normalize_module_name(word));
      }
    }
    lines.push_back(std::move(parsed));
    return {};
  };
  TRY(for_each_line(text, read_line));
  return lines;
}

Result<std::vector<WeakDependencyLine>> parse_modules_weakdep(std::string_view text) {
  std::vector<WeakDependencyLine> lines;
  auto read_line = [&](std::string_view line) -> Result<void> {
    std::vector<std::string_view> words = TRY(words_after("weakdep", 1, line));
    WeakDependencyLine parsed;
    parsed.module = normalize_module_name(words[0]);
    for (std::string_view word : std::span(words).subspan(1)) {
      parsed.wanted.push_back(normalize_module_name(word));
    }
    lines.push_back(std::move(parsed));
    return {};
  };
  TRY(for_each_line(text, read_line));
  return lines;
}

Result<std::vector<std::string>> parse_modules_builtin(std::string_view text) {
  std::vector<std::string> names;
  auto read_line = [&](std::string_view line) -> Result<void> {
    names.push_back(TRY(module_name_of_path(line)));
    return {};
  };
  TRY(for_each_line(text, read_line));
  return names;
}

Result<std::vector<AliasLine>> parse_builtin_aliases(ConstBytes bytes) {
  if (bytes.size() > kMaxModulesText) {
    return Error(concat("larger than the ", kMaxModulesText, " bytes that make sense here"));
  }
  std::vector<AliasLine> lines;
  std::string_view text = as_text(bytes);
  while (!text.empty()) {
    size_t end = std::min(text.find('\0'), text.size());
    std::string_view record = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (record.empty()) continue;
    size_t equals = record.find('=');
    size_t dot = record.substr(0, equals).find('.');
    if (equals == std::string_view::npos || dot == std::string_view::npos || dot == 0) {
      return Error(concat("\"", printable(record, 60), "\": not MODULE.KEY=VALUE"));
    }
    if (record.substr(dot + 1, equals - dot - 1) != "alias") continue;
    lines.push_back({normalize_module_name(record.substr(equals + 1)),
                     normalize_module_name(record.substr(0, dot))});
  }
  return lines;
}

}  // namespace curlingiron
