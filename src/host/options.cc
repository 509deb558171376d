#include "host/options.h"

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kForms =
    " of the image: raw, gzip, xz, zstd, bzip2, lz4, zip, qcow2 or vhd";

void add_setting_options(CLI::App& verb, SettingOptions& settings) {
  verb.add_option("--sha256", settings.sha256,
                  "SHA-256 of the file as served (64 hexadecimal digits)");
  verb.add_option("--image-sha256", settings.image_sha256, "SHA-256 of the raw image inside it");
  verb.add_option("--member", settings.member,
                  "the disk image's name in a zip archive that holds several");
  verb.add_option(
      "--sums", settings.sums,
      "list of digests with the file in it, such as SHA256SUMS: URL, or name beside it");
  verb.add_option("--pubkey", settings.public_key,
                  "minisign or signify key that signs the list, or else the file: base64 or file");
  verb.add_option("--sig", settings.signature,
                  "URL of the signature (default: that of the signed file and .minisig or .sig)");
  verb.add_flag("--grow", settings.grow, "let the image's last partition fill the disk");
  verb.add_option("--ca", settings.ca,
                  "trust the CA certificates in this PEM file, instead of this machine's");
  verb.add_option("--cert", settings.certificate,
                  "PEM file with the certificate and key to show to the server");
  verb.add_option(
          "--set", settings.set,
          "another setting, KEY=VALUE, such as insecure, pin=sha256//BASE64, header=, proxy=, "
          "prove=stream or boot=any: docs/settings.md lists them (repeatable)")
      ->allow_extra_args(false);
}

// IMAGE DISK, and other places of IMAGE.
void add_image_and_disk(CLI::App& verb, const char* image_help, std::string& image,
                        std::string& disk, std::vector<std::string>& mirrors) {
  verb.add_option("IMAGE", image, image_help);
  verb.add_option("DISK", disk, "the disk to overwrite: /dev/sda, serial:..., only, ...");
  verb.add_option("--mirror", mirrors, "another URL of the same file (repeatable)")
      ->allow_extra_args(false);
}

void add_also(CLI::App& verb, std::vector<std::string>& also) {
  verb.add_option("--also", also,
                  "another profile besides, such as vm: drivers for hardware that is not here")
      ->check(CLI::IsMember({"vm", "server", "all"}))
      ->delimiter(',')
      ->allow_extra_args(false);
}

void add_modules(CLI::App& verb, std::vector<std::string>& modules) {
  verb.add_option("--module", modules, "include this module (repeatable)")->allow_extra_args(false);
}

void add_network(CLI::App& verb, std::string& network, const char* otherwise) {
  verb.add_option(
      "--network", network,
      concat("the network of this file, which capture wrote or you (default: ", otherwise, ")"));
}

void add_extras(CLI::App& verb, std::vector<std::string>& extras) {
  verb.add_option("--add", extras,
                  "SRC[:DST]: include this file, symlink or directory; a program brings its "
                  "libraries (repeatable)")
      ->allow_extra_args(false);
}

void add_hand_over(CLI::App& verb, HandOverOptions& options, std::string_view of_this_machine) {
  verb.add_option(
          "--ssh-key", options.ssh_keys,
          concat("file of public keys that may log in to the new system (repeatable",
                 of_this_machine.empty() ? "" : "; default: those that may log in here", ")"))
      ->allow_extra_args(false);
  verb.add_option("--hostname", options.hostname, concat("the new system's name", of_this_machine));
  verb.add_flag(
      "--keep-network", options.keep_network,
      concat("give it this machine's network", of_this_machine.empty() ? "" : " (default)"));
  verb.add_flag("--keep-host-keys", options.keep_host_keys, "give it this machine's SSH host keys");
  verb.add_option("--user-data", options.user_data,
                  "file for its cloud-init: #cloud-config, a script, ...");
  verb.add_option("--seed-dir", options.seed_directory,
                  "directory of more files for its cloud-init");
  verb.add_flag("--seed", options.seed,
                "add a partition with these, which its cloud-init reads (implied by each of them)");
  verb.add_flag("--no-seed", options.no_seed, "add no such partition");
  verb.add_option("--put", options.puts,
                  "SRC:PARTITION:/path[:MODE[:UID[:GID]]]: put this file or directory into a file "
                  "system of the image; PARTITION is a number, a name, root, boot or esp "
                  "(repeatable)")
      ->allow_extra_args(false);
  verb.add_flag("--force-put", options.force_put, "let --put replace files that the image has");
}

// IMAGE and --mirror, of flash and write.
struct ImageWords {
  std::string first;
  std::vector<std::string> mirrors;

  std::vector<std::string> all() && {
    if (!first.empty()) mirrors.insert(mirrors.begin(), std::move(first));
    return std::move(mirrors);
  }
};

// What inspect is asked.
struct InspectWords {
  bool size = false;
  std::vector<std::string> question;
};

void add_flash(CLI::App& app, ImageWords& image, FlashOptions& flash) {
  CLI::App* verb = app.add_subcommand("flash", "reimage this machine in place");
  add_image_and_disk(*verb, concat("URL", kForms).c_str(), image.first, flash.disk, image.mirrors);
  add_setting_options(*verb, flash.settings);
  verb->add_option("--config", flash.config,
                   "file of settings, KEY=VALUE a line, which options win over; IMAGE and "
                   "DISK may be among them");
  verb->add_option("--payload", flash.payload,
                   "start this directory or uki of build, instead of building for this "
                   "machine; IMAGE and DISK may be built into it");
  verb->add_option("--kernel", flash.kernel, "kernel to start (default: the running one's image)");
  add_also(*verb, flash.also);
  add_modules(*verb, flash.modules);
  add_extras(*verb, flash.add);
  add_network(*verb, flash.network, "this machine's, unless --set gives one");
  add_hand_over(*verb, flash.hand_over, " (default: this machine's)");
  verb->add_flag("--dry-run", flash.dry_run, "prove and show everything, change nothing");
  verb->add_flag("-y,--yes", flash.yes, "do not ask");
  verb->footer(
      "Example:\n  sudo curlingiron flash https://example.org/debian.img.zst /dev/sda --sha256 "
      "DIGEST");
}

void add_start(CLI::App& app, StartOptions& start) {
  CLI::App* verb = app.add_subcommand(
      "start", "start a payload in place of the running system, for what it finds to do");
  verb->add_option("PAYLOAD", start.payload, "a directory (tree) or uki of build")->required();
  verb->add_option("--set", start.settings.set,
                   "a setting, KEY=VALUE: docs/settings.md lists them (repeatable)")
      ->allow_extra_args(false);
  add_network(*verb, start.network, "this machine's, unless --set gives one");
  verb->add_flag("--dry-run", start.dry_run, "prove and show everything, change nothing");
  verb->add_flag("-y,--yes", start.yes, "do not ask");
  verb->footer(
      "Example:\n  curlingiron build --format tree --rescue --ssh-key ~/.ssh/id_ed25519.pub -o "
      "rescue\n  sudo curlingiron start rescue");
}

void add_write(CLI::App& app, ImageWords& image, WriteOptions& write) {
  CLI::App* verb = app.add_subcommand("write", "write an image to a disk that is not in use");
  add_image_and_disk(*verb, concat("URL or file", kForms, "; - is standard input").c_str(),
                     image.first, write.disk, image.mirrors);
  add_setting_options(*verb, write.settings);
  add_hand_over(*verb, write.hand_over, "");
  verb->add_flag("--dry-run", write.dry_run, "prove and show everything, change nothing");
  verb->add_flag("-y,--yes", write.yes, "do not ask");
  verb->add_flag("--json", write.json, "print the result as JSON");
  verb->footer(
      "Example:\n  sudo curlingiron write https://example.org/debian.qcow2 /dev/sdb --sums "
      "SHA256SUMS");
}

void add_kernel_and_drivers(CLI::App& verb, BuildOptions& build) {
  verb.add_option("--kernel", build.kernel,
                  "kernel image that it is for, or ours:vm, ours:metal of scripts/kernel "
                  "(default: the running one's)");
  verb.add_option("--modules-dir", build.modules_dir, "directory that holds lib/modules/RELEASE")
      ->capture_default_str();
  verb.add_option("--profile", build.profiles,
                  "drivers to include: host (this machine's hardware), vm (every hypervisor and "
                  "cloud), server (real machines, too), all, or none; several by commas "
                  "(default: host, unless --module is given)")
      ->check(CLI::IsMember({"host", "vm", "server", "all", "none"}))
      ->delimiter(',')
      ->allow_extra_args(false);
  add_also(verb, build.also);
  verb.add_option("--hardware", build.hardware,
                  "host: modaliases of another machine, one a line: there, cat "
                  "/sys/bus/*/devices/*/modalias");
  add_modules(verb, build.modules);
  verb.add_option("--omit", build.omit, "leave this module out (repeatable)")
      ->allow_extra_args(false);
  verb.add_option("--firmware", build.firmware,
                  "include this file below lib/firmware; may be a glob (repeatable)")
      ->allow_extra_args(false);
}

// What only some formats have.
void add_of_forms(CLI::App& verb, BuildOptions& build) {
  verb.add_flag("--rescue", build.rescue,
                "add a system in memory (busybox, dropbear) that starts where no image is "
                "named, to log in to by ssh");
  verb.add_option("--ssh-key", build.ssh_keys,
                  "rescue: file of public keys that may log in (repeatable)")
      ->allow_extra_args(false);
  verb.add_option("--append", build.append, "more kernel command line, such as console=ttyS0");
  verb.add_option("--sign-key", build.sign_key,
                  "sign UEFI programs by this key, a PEM file (sbsign)");
  verb.add_option("--sign-cert", build.sign_certificate, "the certificate of that key, a PEM file");
  verb.add_option("--stub", build.stub,
                  "what starts the kernel of a uki (default: systemd's "
                  "linuxx64.efi.stub)");
}

void add_build(CLI::App& app, BuildOptions& build) {
  CLI::App* verb = app.add_subcommand("build", "write an installer that others can start");
  verb->add_option(
          "--format", build.format,
          "initramfs; with a kernel: tree (directory for kexec), uki (one UEFI program), "
          "script (for curl URL | sudo sh; the kernel only with --kernel), usb (disk image "
          "for a stick), iso (CD and stick) or netboot (directory for iPXE, PXE and UEFI "
          "HTTP boot)")
      ->check(CLI::IsMember({"initramfs", "tree", "script", "uki", "usb", "iso", "netboot"}))
      ->capture_default_str();
  verb->add_option("-o,--output", build.output,
                   "file or directory to write (default: curlingiron.img, -tree, .sh, .efi, "
                   "-usb.img, .iso or -netboot, by the format)");
  add_kernel_and_drivers(*verb, build);
  add_extras(*verb, build.add);
  add_network(*verb, build.network, "as --set or the kernel command line say, or DHCP");
  verb->add_option("--compress", build.compression,
                   "xz, zstd, gzip or none (default: xz; with --fast zstd)")
      ->check(CLI::IsMember({"xz", "zstd", "gzip", "none"}));
  verb->add_flag("--fast", build.fast, "compress quickly rather than small");
  verb->add_flag("--secure-boot", build.secure_boot,
                 "keep the modules' signatures; they are kept by themselves where this "
                 "kernel enforces them");
  add_of_forms(*verb, build);
  verb->add_flag("--json", build.json, "print the summary as JSON");
  add_setting_options(*verb, build.settings);
  verb->footer(
      "Example:\n  curlingiron build -o installer.img --profile vm --set "
      "src=https://example.org/debian.img.zst --set dst=only");
}

void add_inspect(CLI::App& app, InspectWords& words, InspectOptions& inspect) {
  CLI::App* verb = app.add_subcommand("inspect", "show what is in an initramfs");
  verb->add_option("FILE", inspect.file,
                   "an initramfs, of build or of others, packed in any way that the kernel unpacks")
      ->required();
  verb->footer(
      "Examples:\n  curlingiron inspect --size installer.img\n  curlingiron inspect installer.img "
      "why e1000\n\nExit status: 0, and 1 on failure. Of diff, as diff(1): 0 where both hold the "
      "same, 1 where "
      "they differ, 2 on failure.");
  verb->add_flag("--size", words.size, "a tree by share of the compressed bytes");
  verb->add_flag("--json", inspect.json, "print as JSON");
  verb->add_option("QUESTION", words.question,
                   "why NAME: what brought this module or file in; diff FILE2: what differs (none: "
                   "list all)")
      ->expected(0, 2);
}

void add_capture(CLI::App& app, CaptureOptions& capture) {
  CLI::App* verb = app.add_subcommand(
      "capture", "print this machine's network, as flash hands it to the installer");
  verb->footer("Example:\n  sudo curlingiron capture -o network.conf");
  verb->add_option("-o,--output", capture.output, "file to write (default: print it)");
}

void add_run(CLI::App& app, RunOptions& run) {
  CLI::App* verb = app.add_subcommand("run", "boot a payload in QEMU with a scratch disk");
  verb->add_option("PAYLOAD", run.payload, "what build made, in any format but script")->required();
  verb->add_option("--kernel", run.kernel, "kernel image to boot (default: the running one's)");
  verb->add_option("--disk", run.disks,
                   "FILE[:MODEL]: disk image to attach, as virtio, scsi, sata, nvme or usb "
                   "(repeatable; default: a scratch disk of 4 GiB)")
      ->allow_extra_args(false);
  verb->add_option("--append", run.append, "more kernel command line, such as curlingiron.src=URL");
  verb->add_option("--serve", run.serve,
                   "directory whose files the machine gets from http://10.0.2.100/");
  verb->add_flag("--keep", run.keep,
                 "write to the disk images (default: what is written is gone at the end)");
  verb->add_option("--firmware", run.firmware,
                   "bios, uefi or secure-boot (with Microsoft's keys, or those of --variables)")
      ->check(CLI::IsMember({"bios", "uefi", "secure-boot"}))
      ->capture_default_str();
  verb->add_option("--variables", run.variables,
                   "file of UEFI variables to start with (default: the distribution's)");
  verb->add_option("--nic", run.nic, "network card, as QEMU calls it")->capture_default_str();
  verb->add_option("--memory", run.memory, "memory of the machine")->capture_default_str();
  verb->add_option("QEMU_OPTIONS", run.qemu, "after --: passed to QEMU as they are");
  verb->footer(
      "Example:\n  curlingiron run installer.img --append "
      "\"curlingiron.src=http://10.0.2.100/debian.img curlingiron.dst=only\" --serve .");
}

// An empty value is what an unset variable of a shell leaves: it must not mean "not given", as that
// would leave out a proof that was asked for.
void refuse_empty_values(CLI::App& app) {
  auto no_empty_value = [](const std::string& value) {
    return value.empty() ? std::string("the value is empty; is a variable unset?") : std::string();
  };
  for (CLI::App* verb : app.get_subcommands({})) {
    for (CLI::Option* option : verb->get_options()) option->check(no_empty_value);
  }
}

// CLI11 says only that a subcommand is missing; here it is named, with what may have been meant.
bool check_verb(const CLI::App& app, std::string_view word) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  if (std::ranges::find(names, word) != names.end()) return true;
  std::vector<std::string_view> known(names.begin(), names.end());
  std::optional<std::string_view> near = nearest(word, known);
  log_error(concat("\"", printable(word, 40), "\" is not a verb of curlingiron; ",
                   near ? concat("did you mean ", *near, "?") : "see curlingiron --help"));
  return false;
}

// What is to be done where nothing can be: --help and --version were answered, or a mistake
// reported.
std::optional<Usage> parse(CLI::App& app, int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-' && !check_verb(app, argv[1])) return Usage{kExitUsage};
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return Usage{kExitDone};
    }
    std::string verb =
        app.get_subcommands().empty() ? "" : concat(app.get_subcommands()[0]->get_name(), " ");
    log_error(concat(error.what(), "; see curlingiron ", verb, "--help"));
    return Usage{kExitUsage};
  }
}

bool has_image_and_disk(const ImageWords& image, std::string_view disk, std::string_view verb) {
  if (!image.first.empty() && !disk.empty()) return true;
  log_error(concat(image.first.empty() ? "IMAGE and DISK are missing" : "DISK is missing",
                   "; see curlingiron ", verb, " --help"));
  return false;
}

Command with_question(InspectOptions inspect, const InspectWords& words) {
  if (words.size) inspect.task = InspectTask::Size;
  const std::vector<std::string>& question = words.question;
  if (question.empty()) return inspect;
  bool why = question[0] == "why";
  if (question.size() != 2 || words.size || (!why && question[0] != "diff")) {
    log_error("inspect FILE takes --size, why NAME or diff FILE2; see curlingiron inspect --help");
    return Usage{kExitUsage};
  }
  inspect.task = why ? InspectTask::Why : InspectTask::Diff;
  (why ? inspect.name : inspect.other) = question[1];
  return inspect;
}

}  // namespace

Command parse_command(int argc, char** argv) {
  CLI::App app{
      "Replaces the operating system of a running Linux machine with a disk image from a URL.",
      "curlingiron"};
  app.set_version_flag("--version",
                       "curlingiron " CURLINGIRON_VERSION "\n\nWith\n" CURLINGIRON_LIBRARIES
                       "Licences: NOTICE, beside the source.");
  app.require_subcommand(1);
  app.footer(
      "Example:\n  sudo curlingiron flash https://example.org/debian.img.zst /dev/sda\n\n"
      "Exit status: 0 done, 1 failed, 2 usage.");

  ImageWords image;
  InspectWords words;
  FlashOptions flash;
  StartOptions start;
  WriteOptions write;
  BuildOptions build;
  InspectOptions inspect;
  CaptureOptions capture;
  RunOptions run;
  add_flash(app, image, flash);
  add_start(app, start);
  add_write(app, image, write);
  add_build(app, build);
  add_inspect(app, words, inspect);
  add_capture(app, capture);
  add_run(app, run);
  refuse_empty_values(app);
  if (std::optional<Usage> usage = parse(app, argc, argv)) return *usage;

  if (app.got_subcommand("flash")) {
    bool elsewhere = !flash.payload.empty() || !flash.config.empty();
    if (!elsewhere && !has_image_and_disk(image, flash.disk, "flash")) return Usage{kExitUsage};
    flash.settings.sources = std::move(image).all();
    return flash;
  }
  if (app.got_subcommand("write")) {
    if (!has_image_and_disk(image, write.disk, "write")) return Usage{kExitUsage};
    write.settings.sources = std::move(image).all();
    return write;
  }
  if (app.got_subcommand("start")) return start;
  if (app.got_subcommand("build")) return build;
  if (app.got_subcommand("capture")) return capture;
  if (app.got_subcommand("inspect")) return with_question(inspect, words);
  return run;
}

}  // namespace curlingiron
