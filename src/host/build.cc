#include "host/build.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/boot_mode.h"
#include "formats/checksums.h"
#include "host/form.h"
#include "host/machine.h"
#include "host/manifest.h"
#include "host/rescue_system.h"
#include "host/settings.h"
#include "image/origin.h"
#include "sys/file.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

// The kernel's own word where an image is named; else the running one, if its modules are there;
// else the only one there is.
Result<std::string> choose_release(const UniqueFd& modules_root, const BuildOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  if (!options.kernel.empty()) return TRY(wanted_kernel_image(root, options.kernel)).release;
  std::vector<std::string> releases = TRY(ModuleTree::releases(modules_root));
  std::string running = TRY(kernel_name()).release;
  if (std::find(releases.begin(), releases.end(), running) != releases.end()) return running;
  if (releases.size() == 1) return releases.front();
  if (releases.empty()) {
    return Error(concat(options.modules_dir,
                        ": holds no lib/modules/RELEASE; unpack a kernel package there, or name "
                        "another with --modules-dir"));
  }
  return Error(concat(options.modules_dir, ": holds modules of ", join(releases, ", "),
                      "; say which with --kernel FILE"));
}

struct Sizes {
  uint64_t form = 0;
  uint64_t initramfs = 0;
};

void print_summary(const BuildOptions& options, const std::string& output, const Sizes& sizes,
                   const std::string& release, const Initramfs& initramfs) {
  if (!options.json) {
    std::string whole = options.format == "initramfs"
                            ? ""
                            : concat(options.format, ", ", format_size(sizes.form), ", ");
    std::printf("%s: %sfor kernel %s\n%s", output.c_str(), whole.c_str(), release.c_str(),
                summarize(initramfs).c_str());
    return;
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const InitramfsPart& part : initramfs.parts)
    parts.push_back({{"path", part.path}, {"bytes", part.size}});
  nlohmann::ordered_json summary = {{"file", output},
                                    {"format", options.format},
                                    {"release", release},
                                    {"size", sizes.form},
                                    {"bytes", sizes.initramfs},
                                    {"unpacked", initramfs.unpacked_size},
                                    {"modules", initramfs.modules},
                                    {"parts", parts},
                                    {"warnings", initramfs.warnings}};
  std::printf("%s\n", summary.dump(2).c_str());
}

// One modalias a line, as sysfs shows them; blank lines and those that begin with '#' are skipped.
Result<std::vector<std::string>> read_hardware(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  constexpr size_t kLargest = 4_MiB;
  std::string text = TRY(read_text(root, TRY(real_path(file)), kLargest));
  std::vector<std::string> modaliases;
  for (std::string_view line : split(text, '\n')) {
    std::string_view modalias = trim(line);
    if (modalias.empty() || modalias.starts_with('#')) continue;
    if (modalias.find(':') == std::string_view::npos) {
      return Error(
          concat(file, ": \"", printable(modalias, 60),
                 "\" is no modalias; each line is one, as in /sys/bus/*/devices/*/modalias"));
    }
    modaliases.emplace_back(modalias);
  }
  if (modaliases.empty()) return Error(concat(file, ": holds no modalias"));
  return modaliases;
}

// Profiles, and the hardware that "host" stands for.
Result<void> choose_hardware(const UniqueFd& root, const BuildOptions& options,
                             InitramfsPlan& plan) {
  std::vector<std::string> names = options.profiles;
  if (names.empty() && options.modules.empty()) names.emplace_back("host");
  names.insert(names.end(), options.also.begin(), options.also.end());
  bool host = !options.hardware.empty();
  for (const std::string& name : names) {
    if (name == "host") {
      host = true;
    } else if (name != "none") {
      plan.profiles.push_back(TRY(parse_profile(name)));
    }
  }
  if (!host) return {};
  plan.modaliases = options.hardware.empty()
                        ? TRY(hardware_modaliases(root))
                        : TRY_CONTEXT("--hardware", read_hardware(options.hardware));
  return {};
}

Result<Compression> choose_compression(const UniqueFd& modules_root, const BuildOptions& options,
                                       const std::string& release) {
  if (!options.compression.empty()) return parse_compression(options.compression);
  if (!options.fast) return Compression::Xz;
  return quickest_compression(TRY(kernel_decompressors(modules_root, release)));
}

// The kernel that goes into a form, with its command line.
Result<Bootable> bootable_kernel(const UniqueFd& modules_root, const BuildOptions& options,
                                 const std::string& release) {
  constexpr size_t kLargestKernel = 256_MiB;
  // What the kernel's own buffer holds (COMMAND_LINE_SIZE of x86), and its NUL.
  constexpr size_t kLongestCommandLine = 2047;
  UniqueFd root = TRY(open_root("/"));
  bool named = !options.kernel.empty();
  KernelImage image = TRY(named ? wanted_kernel_image(root, options.kernel)
                                : running_kernel_image(modules_root, release));
  Bootable payload;
  payload.release = release;
  payload.kernel = TRY(read_file(named ? root : modules_root, image.path, kLargestKernel));
  // What goes wrong before /init runs ends in a restart.
  payload.command_line = "panic=30 oops=panic loglevel=4";
  if (!options.append.empty()) payload.command_line += concat(" ", options.append);
  if (payload.command_line.size() > kLongestCommandLine) {
    return Error(concat("--append: the kernel's command line would have ",
                        payload.command_line.size(), " characters; it takes ", kLongestCommandLine,
                        ": give settings by --set, which go into the initramfs"));
  }
  return payload;
}

// The files that SHA256SUMS of an earlier build names.
std::vector<std::string> files_before(const UniqueFd& base) {
  Result<std::string> sums = read_text(base, "SHA256SUMS", 64_KiB);
  if (!sums.ok() || !exists(base, "manifest.json")) return {};
  Result<std::vector<std::string>> listed = checksum_names(sums.value());
  return listed.ok() ? std::move(listed.value()) : std::vector<std::string>();
}

// All of them are written before the first one takes its place; what an earlier build left, and
// this one does not have, goes.
Result<void> write_directory(const std::string& folder, const std::vector<BootFile>& files,
                             unsigned mask) {
  UniqueFd here = TRY(open_root("."));
  TRY(make_directory(here, folder));
  UniqueFd base = TRY_CONTEXT(folder, open_root(folder));
  TemporaryDirectory staging = TRY(TemporaryDirectory::create(folder));
  TRY(write_boot_files(staging.path(), files, mask));
  std::vector<std::string> left = files_before(base);
  for (const BootFile& file : files) {
    TRY_CONTEXT(folder, make_folders_of(base, file.path));
    TRY(move_file(concat(staging.path(), "/", file.path), concat(folder, "/", file.path)));
    std::erase(left, file.path);
  }
  for (const std::string& path : left) {
    bool is_below = !path.starts_with('/') && path.find("..") == std::string::npos;
    if (is_below) TRY_CONTEXT(folder, remove_file(base, path));
  }
  return {};
}

// The files with their manifest and digests, which are written last. Returns the form's bytes.
Result<uint64_t> write_form(const std::string& output, Form form, std::vector<BootFile> files,
                            const Manifest& manifest, unsigned mask) {
  uint64_t size = 0;
  for (const BootFile& file : files) size += file.bytes.size();
  if (is_directory(form)) {
    files.push_back(text_file("manifest.json", format_manifest(manifest, files)));
    files.push_back(text_file("SHA256SUMS", format_sums(files)));
    TRY(write_directory(output, files, mask));
    return size;
  }
  BootFile& file = files.front();
  file.path = output.substr(output.rfind('/') + 1);
  TRY(write_file_atomically(output, file.bytes, file.mode & mask));
  TRY(write_file_atomically(concat(output, ".json"), as_bytes(format_manifest(manifest, files)),
                            0644 & mask));
  TRY(write_file_atomically(concat(output, ".sha256"), as_bytes(format_sums(files)), 0644 & mask));
  return size;
}

// What holds credentials is for its owner alone.
unsigned mask_for(const BuildOptions& options, const std::vector<SettingWord>& words) {
  auto is_secret = [](const SettingWord& word) { return holds_secret(word.key, word.value); };
  bool secret = !options.settings.certificate.empty() || std::ranges::any_of(words, is_secret);
  for (std::string_view word : split_command_line(options.append)) {
    constexpr std::string_view kPrefix = "curlingiron.";
    if (!word.starts_with(kPrefix)) continue;
    Result<SettingWord> setting = split_setting(word.substr(kPrefix.size()));
    secret = secret || (setting.ok() && is_secret(setting.value()));
  }
  return secret ? 0700 : 0755;
}

// A script without a kernel makes its initramfs where it runs, of what it finds there.
Result<void> build_plain_script(const BuildOptions& options, const CheckedSettings& checked) {
  bool of_a_kernel = !options.profiles.empty() || !options.also.empty() ||
                     !options.hardware.empty() || !options.modules.empty() ||
                     !options.omit.empty() || !options.firmware.empty() || !options.add.empty() ||
                     !options.network.empty() || !options.append.empty() || options.rescue;
  if (of_a_kernel) {
    return Error(
        "a script without a kernel takes kernel, drivers and network of the machine that runs it; "
        "put a kernel into it by --kernel FILE, or leave the options for drivers out");
  }
  ScriptSettings settings;
  settings.config = checked.config;
  if (!options.settings.ca.empty()) settings.ca_bundle = checked.ca_bundle;
  settings.client_certificate = checked.client_certificate;
  MadeForm made = TRY(make_plain_script(settings));
  std::string output = options.output.empty() ? default_name(Form::Script) : options.output;
  Manifest manifest{options.format, "", "", TRY(split_config(checked.config)), {}};
  uint64_t size = TRY(write_form(output, Form::Script, std::move(made.files), manifest,
                                 mask_for(options, manifest.settings)));
  if (options.json) {
    nlohmann::ordered_json summary = {{"file", output}, {"format", options.format}, {"size", size}};
    std::printf("%s\n", summary.dump(2).c_str());
  } else {
    std::printf("%s: script, %s, for any x86-64 machine with its own kernel\n", output.c_str(),
                format_size(size).c_str());
  }
  return {};
}

// A kernel of ours comes with its tree of modules, in which there are none.
Result<BuildOptions> with_own_kernel(BuildOptions options) {
  std::string_view kernel = options.kernel;
  if (!kernel.starts_with(kOwnKernel)) return options;
  if (options.modules_dir != "/") {
    return Error(concat("--modules-dir: ", kernel, " has its own; leave it out"));
  }
  options.modules_dir = TRY(find_own_kernel(kernel.substr(kOwnKernel.size()))).root;
  if (options.profiles.empty() && options.hardware.empty()) options.profiles = {"none"};
  return options;
}

// Each word as the kernel gets it: what a boot loader would make another of is refused.
Result<void> check_command_line(Form form, const std::string& text) {
  constexpr std::string_view kInstead = "; settings are better given by --set";
  if (std::ranges::any_of(text, is_control)) {
    return Error(concat("holds a control character or a line break", kInstead));
  }
  if (std::ranges::count(text, '"') % 2 != 0) return Error("a quote is not closed");
  bool has_grub = form == Form::Usb || form == Form::Iso || form == Form::Netboot;
  if (has_grub && text.find_first_of("'\\") != std::string::npos) {
    return Error(concat("GRUB would change ' and \\ in it", kInstead));
  }
  if (form == Form::Netboot) {
    if (text.find("${") != std::string::npos) {
      return Error(concat("iPXE would put something in place of \"${...}\"", kInstead));
    }
    // Quotes mean nothing to iPXE.
    for (std::string_view word : split(text, ' ')) {
      if (word == ";" || word == "||" || word == "&&" || word.starts_with('#')) {
        return Error(
            concat("iPXE would end its command at \"", printable(word, 40), "\"", kInstead));
      }
    }
  }
  Settings settings;
  return apply_command_line(text, settings);
}

// What has no meaning in a form is no wish that may go unheard.
Result<void> check_form_options(Form form, const BuildOptions& options) {
  if (options.sign_key.empty() != options.sign_certificate.empty()) {
    return Error("--sign-key and --sign-cert belong together; give both");
  }
  if (!options.append.empty() && form == Form::Initramfs) {
    return Error(
        "--append: an initramfs holds no kernel command line; give it to what starts it, or "
        "settings by --set");
  }
  TRY_CONTEXT("--append", check_command_line(form, options.append));
  bool has_program = form == Form::Uki || form == Form::Netboot;
  if (!has_program && !(options.sign_key.empty() && options.stub.empty())) {
    return Error(concat(options.stub.empty() ? "--sign-key" : "--stub", ": --format ",
                        options.format,
                        " holds no UEFI program of ours; choose --format uki or netboot"));
  }
  if (!options.ssh_keys.empty() && !options.rescue) {
    return Error("--ssh-key is for the system that --rescue adds; give that, too");
  }
  return {};
}

// For people.
BuiltIn built_in(const Settings& settings, const std::vector<SettingWord>& words) {
  BuiltIn text;
  if (!settings.sources.empty()) {
    Result<ImageOrigin> origin = parse_origin(settings.sources);
    text.image = origin.ok() ? origin.value().name() : "an image";
  }
  text.disk = settings.destination;
  for (const SettingWord& word : words) text.keys.emplace_back(word.key);
  return text;
}

// What is in it besides drivers.
Result<std::vector<ExtraEntry>> choose_extras(const UniqueFd& root, const BuildOptions& options,
                                              const Settings& settings) {
  if (!options.rescue) return collect_added(root, options.add, settings);
  RescueSystem system = TRY(collect_rescue_system(root, options.ssh_keys, options.add));
  for (const std::string& key : system.keys) log_info(concat("may log in: ", key));
  return std::move(system.extras);
}

Result<void> run_build(const BuildOptions& given) {
  BuildOptions options = TRY(with_own_kernel(given));
  Form form = TRY(parse_form(options.format));
  TRY(check_form_options(form, options));
  CheckedSettings checked = TRY(check_settings(options.settings));
  if (form == Form::Script && options.kernel.empty()) return build_plain_script(options, checked);
  UniqueFd modules_root = TRY_CONTEXT(options.modules_dir, open_root(options.modules_dir));
  InitramfsPlan plan;
  plan.settings.config = checked.config;
  plan.release = TRY(choose_release(modules_root, options));
  plan.compression = TRY(choose_compression(modules_root, options, plan.release));
  plan.effort = options.fast ? Effort::Fast : Effort::Best;

  UniqueFd root = TRY(open_root("/"));
  TRY(choose_hardware(root, options, plan));
  // Of other machines nobody knows how they start, and it is 0.3 percent of the smallest payload.
  bool only_here = options.hardware.empty() && plan.profiles.empty() && !plan.modaliases.empty();
  plan.for_uefi = !only_here || machine_boot_mode(root) != BootMode::Bios;
  plan.omit = options.omit;
  plan.firmware = options.firmware;
  plan.extras = TRY(choose_extras(root, options, checked.settings));
  plan.modules = options.modules;
  NetworkConfig network;
  if (!options.network.empty()) network = TRY(load_network(options.network));
  set_network(network, checked.settings, plan);
  plan.signatures = signatures_for(root, options.secure_boot);
  plan.init.assign(embedded_init().begin(), embedded_init().end());
  plan.settings.ca_bundle = checked.ca_bundle;
  if (!checked.settings.insecure && plan.settings.ca_bundle.empty()) {
    log_warning(
        "this machine has no CA bundle, so the installer can verify no https server; install "
        "ca-certificates, or pass --ca FILE");
  }
  plan.settings.client_certificate = checked.client_certificate;

  Bootable payload;
  plan.says_builtin = form != Form::Initramfs;
  if (form != Form::Initramfs) {
    payload = TRY(bootable_kernel(modules_root, options, plan.release));
  }
  Initramfs initramfs = TRY(build_initramfs(modules_root, plan));
  for (const std::string& warning : initramfs.warnings) log_warning(warning);
  Manifest manifest{options.format, plan.release, payload.command_line,
                    TRY(split_config(checked.config)), initramfs.modules};
  payload.initramfs = initramfs.bytes;
  FormTools tools{options.stub,
                  {options.sign_key, options.sign_certificate},
                  built_in(checked.settings, manifest.settings)};
  uint64_t initramfs_size = payload.initramfs.size();
  MadeForm made = TRY(make_form(root, form, std::move(payload), tools));
  for (const std::string& note : made.notes) log_info(note);
  std::string output = options.output.empty() ? default_name(form) : options.output;
  uint64_t size = TRY(write_form(output, form, std::move(made.files), manifest,
                                 mask_for(options, manifest.settings)));
  print_summary(options, output, {size, initramfs_size}, plan.release, initramfs);
  return {};
}

}  // namespace

int build(const BuildOptions& options) {
  Result<void> result = run_build(options);
  if (result.ok()) return kExitDone;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
