#include "payload/extras.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/text.h"
#include "formats/elf_dynamic.h"
#include "formats/rescue_shell.h"
#include "payload/extra_tree.h"
#include "payload/libraries.h"

namespace curlingiron {
namespace {

constexpr std::string_view kAddOption = "--add ";

struct Spec {
  std::string source;       // absolute
  std::string destination;  // absolute, with its name
  std::string reason;
};

// Without repeated and trailing slashes and "." parts; ".." is refused.
Result<std::string> plain_path(std::string_view path) {
  if (!path.starts_with("/")) {
    return Error(concat("\"", printable(path), "\" is no absolute path; write it from / on"));
  }
  std::string plain;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return Error(concat(printable(path),
                          ": leads out of a directory with \"..\"; write the path "
                          "without it"));
    }
    plain += concat("/", part);
  }
  if (plain.empty()) return Error("\"/\" cannot be added; name what is to be added of it");
  return plain;
}

Result<Spec> parse_spec(const std::string& text) {
  Spec spec;
  spec.reason = concat(kAddOption, text);
  size_t colon = text.rfind(":/");
  spec.source = TRY(plain_path(std::string_view(text).substr(0, colon)));
  spec.destination = spec.source;
  if (colon == std::string::npos) return spec;
  std::string destination = text.substr(colon + 1);
  if (destination.ends_with("/")) destination += spec.source.substr(spec.source.rfind('/') + 1);
  spec.destination = TRY(plain_path(destination));
  return spec;
}

struct Shebang {
  std::string interpreter;
  std::string argument;  // one, as the kernel passes it
};

// The first line of a script, as the kernel reads it (fs/binfmt_script.c).
std::optional<Shebang> parse_shebang(ConstBytes file) {
  constexpr size_t kLimit = 256;  // BINPRM_BUF_SIZE
  std::string_view line = as_text(file.first(std::min(file.size(), kLimit)));
  if (!line.starts_with("#!")) return std::nullopt;
  line = trim(line.substr(2, line.substr(2).find('\n')));
  size_t end = std::min(line.find_first_of(" \t"), line.size());
  if (end == 0) return std::nullopt;
  return Shebang{std::string(line.substr(0, end)), std::string(trim(line.substr(end)))};
}

// The program that env(1) starts: "python3", "-S python3 -u", "LANG=C python3".
std::optional<std::string> program_of_env(std::string_view argument) {
  for (std::string_view word : split_blank(argument)) {
    if (word.starts_with("-S") && word.size() > 2) word.remove_prefix(2);
    if (word.starts_with("-") || word.find('=') != std::string_view::npos) continue;
    return std::string(word);
  }
  return std::nullopt;
}

class Collector {
 public:
  explicit Collector(const UniqueFd& root) : tree_(root), loader_(tree_) {}

  Result<void> take(const Spec& spec) {
    std::optional<std::string> source = TRY(tree_.resolve(spec.source, ExtraTree::LastLink::Keep));
    if (!source) return Error(concat(printable(spec.source), ": no such file or directory"));
    std::string target = TRY(tree_.prepare(spec.destination, spec.reason));
    return tree_.take({*source, target}, spec.reason, Claim::Named);
  }

  // Until nothing that came in needs anything more.
  Result<void> bring_needs() {
    for (std::vector<std::string> targets = tree_.take_uninspected(); !targets.empty();
         targets = tree_.take_uninspected()) {
      for (const std::string& target : targets) {
        TRY(tree_.find(target)->kind == NodeKind::Link ? follow_link(target) : inspect(target));
      }
    }
    return loader_.add_cache();
  }

  // Messages name both ends of SRC:DST; an initramfs does not say where its parts lay on the
  // machine that made it, so that two machines make the same.
  std::vector<ExtraEntry> entries() && {
    std::vector<ExtraEntry> entries = std::move(tree_).entries();
    for (ExtraEntry& entry : entries) {
      size_t colon =
          entry.reason.starts_with(kAddOption) ? entry.reason.rfind(":/") : std::string::npos;
      if (colon != std::string::npos)
        entry.reason = concat(kAddOption, entry.reason.substr(colon + 1));
    }
    return entries;
  }

 private:
  Result<void> follow_link(const std::string& target) {
    const ExtraNode& link = *tree_.find(target);
    std::string text(as_text(link.bytes));
    std::string shown = concat("/", printable(target));
    std::string reason = concat("what ", shown, " leads to");
    Place from = {parent_path(link.source), parent_path(target)};
    ExtraTree::Walk walk = TRY_CONTEXT(shown, tree_.walk(from, text, OnMissing::Stop));
    switch (walk.found) {
      case Found::Runtime: return {};
      case Found::Missing:
        return Error(concat(shown, " (", printable(link.reason), "): leads to ", printable(text),
                            ", which is not there"));
      case Found::File: return tree_.keep(std::move(walk), reason, Inspection::Wanted);
      case Found::Directory: break;
    }
    Place directory = walk.place;
    if (directory.target.empty()) {
      return Error(concat(shown, ": leads to the root directory, which cannot be added whole"));
    }
    TRY(tree_.keep(std::move(walk), reason, Inspection::Done));
    return tree_.take(directory, reason, Claim::Implied);
  }

  Result<void> inspect(const std::string& target) {
    const ExtraNode& file = *tree_.find(target);
    if (is_elf(file.bytes)) {
      Result<ElfDynamic> elf = read_elf_dynamic(file.bytes);
      if (!elf.ok() && file.in_directory) {
        // Test data, firmware: a directory may hold what was never meant to run here.
        log_warning(concat("/", printable(target), " is added without what it may need"),
                    elf.error());
        return {};
      }
      return loader_.bring_needs(target);
    }
    // Data may begin like a script.
    if ((file.permissions & 0111) == 0) return {};
    std::optional<Shebang> shebang = parse_shebang(file.bytes);
    if (!shebang) return {};
    TRY(bring_program(target, shebang->interpreter));
    if (!shebang->interpreter.ends_with("/env")) return {};
    std::optional<std::string> program = program_of_env(shebang->argument);
    if (!program) return {};
    if (program->starts_with("/")) return bring_program(target, *program);
    return bring_by_path(target, *program);
  }

  Result<void> bring_program(const std::string& script, const std::string& path) {
    std::string shown = concat("/", printable(script));
    if (!path.starts_with("/")) {
      return Error(
          concat(shown, ": its interpreter \"", printable(path), "\" is no absolute path"));
    }
    ExtraTree::Walk walk = TRY_CONTEXT(shown, tree_.walk({}, path, OnMissing::Stop));
    if (walk.found != Found::File) {
      return Error(
          concat(shown, ": is a script for ", printable(path),
                 ", which is not there; install it, or give it with --add FILE:", printable(path)));
    }
    return tree_.keep(std::move(walk), concat("needed by ", shown), Inspection::Wanted);
  }

  Result<void> bring_by_path(const std::string& script, const std::string& program) {
    std::string shown = concat("/", printable(script));
    for (std::string_view directory : split(kProgramPath, ':')) {
      ExtraTree::Walk walk =
          TRY_CONTEXT(shown, tree_.walk({}, concat(directory, "/", program), OnMissing::Stop));
      if (walk.found != Found::File) continue;
      return tree_.keep(std::move(walk), concat("needed by ", shown), Inspection::Wanted);
    }
    return Error(concat(shown, ": is a script for ", printable(program), ", which is in none of ",
                        kProgramPath, "; install it, or give it with --add"));
  }

  ExtraTree tree_;
  LibraryLoader loader_;
};

}  // namespace

Result<std::vector<ExtraEntry>> collect_extras(const UniqueFd& root,
                                               std::span<const std::string> specs) {
  std::vector<Spec> parsed;
  for (const std::string& text : specs) parsed.push_back(TRY(parse_spec(text)));
  // The result does not depend on the order of the options, and directories come before what is put
  // into them.
  std::sort(parsed.begin(), parsed.end(), [](const Spec& a, const Spec& b) {
    return std::tie(a.destination, a.source) < std::tie(b.destination, b.source);
  });
  Collector collector(root);
  for (const Spec& spec : parsed) TRY(collector.take(spec));
  TRY(collector.bring_needs());
  return std::move(collector).entries();
}

std::optional<std::string> find_rescue_shell(std::span<const ExtraEntry> extras) {
  std::map<std::string, const ExtraEntry*> entries;
  for (const ExtraEntry& entry : extras) entries.emplace(entry.path, &entry);
  // True when the path, links followed, is a file.
  auto is_file = [&](std::string_view path) {
    std::vector<std::string> pending;
    auto push = [&](std::string_view text) {
      std::vector<std::string_view> parts = split(text, '/');
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) pending.emplace_back(*part);
    };
    push(path);
    std::string at;
    for (unsigned links = 0; !pending.empty();) {
      std::string part = std::move(pending.back());
      pending.pop_back();
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        at = parent_path(at);
        continue;
      }
      std::string child = join_path(at, part);
      auto found = entries.find(child);
      if (found == entries.end()) return false;
      if (S_ISREG(found->second->mode)) return pending.empty();
      if (S_ISLNK(found->second->mode)) {
        std::string_view text = as_text(found->second->bytes);
        constexpr unsigned kMaxLinks = 40;
        if (++links > kMaxLinks) return false;
        if (text.starts_with("/")) at.clear();
        push(text);
        continue;
      }
      at = std::move(child);
    }
    return false;
  };
  for (const ShellCommand& shell : kShells) {
    if (is_file(shell.path)) return shell.path;
  }
  return std::nullopt;
}

}  // namespace curlingiron
