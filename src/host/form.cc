#include "host/form.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "forms/boot_disk.h"
#include "forms/grub_words.h"
#include "forms/netboot.h"
#include "forms/script.h"
#include "forms/tree.h"
#include "forms/uki.h"
#include "host/machine.h"
#include "io/digest.h"
#include "payload/compress.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestLoader = 16_MiB;
constexpr uint64_t kLargestForm = 2_GiB;
constexpr std::string_view kBiosGrub = "usr/lib/grub/i386-pc";

struct NamedForm {
  std::string_view name;
  Form form;
  std::string_view file;
};
constexpr NamedForm kForms[] = {
    {"initramfs", Form::Initramfs, "curlingiron.img"}, {"tree", Form::Tree, "curlingiron-tree"},
    {"script", Form::Script, "curlingiron.sh"},        {"uki", Form::Uki, "curlingiron.efi"},
    {"usb", Form::Usb, "curlingiron-usb.img"},         {"iso", Form::Iso, "curlingiron.iso"},
    {"netboot", Form::Netboot, "curlingiron-netboot"},
};

// Runs a tool of the field; what it prints is shown where it fails.
Result<void> run_tool(const std::vector<std::string>& argv, std::string_view package) {
  if (!program_exists(argv[0])) {
    return Error(concat(argv[0], " is not installed; install the package ", package));
  }
  int status = TRY(run_quiet_on_success(argv));
  if (status != 0) return Error(concat(argv[0], " failed with status ", status));
  return {};
}

// A file that was just made here, or that the user named.
Result<ByteVector> read_whole(const std::string& path, size_t limit) {
  UniqueFd here = TRY(open_root("."));
  return read_file(here, path, limit);
}

Result<void> write_whole(const std::string& path, ConstBytes bytes) {
  UniqueFd file = TRY_CONTEXT(path, open_path(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  return write_all(file, bytes).with_context(path);
}

Result<ByteVector> read_stub(const UniqueFd& root, const std::string& named) {
  constexpr std::string_view kPlace = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
  if (!named.empty()) {
    ByteVector stub = TRY_CONTEXT("--stub", read_whole(named, kLargestLoader));
    // systemd-stub(7): by this text loaders know it.
    if (as_text(stub).find("#### LoaderInfo: systemd-stub") == std::string_view::npos) {
      return Error(concat("--stub: ", named,
                          " is no stub of systemd; name a file such as linuxx64.efi.stub"));
    }
    return stub;
  }
  std::string place(kPlace);
  if (!exists(root, place)) {
    return Error(concat("/", place,
                        " is not there; install the package systemd-boot-efi (systemd-boot, "
                        "systemd-ukify), or name a stub by --stub FILE"));
  }
  return read_file(root, place, kLargestLoader);
}

Result<ByteVector> sign(ConstBytes program, const Signer& signer) {
  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  std::string unsigned_file = concat(scratch.path(), "/unsigned.efi");
  std::string signed_file = concat(scratch.path(), "/signed.efi");
  TRY(write_whole(unsigned_file, program));
  TRY_CONTEXT(concat("--sign-key ", signer.key, " and --sign-cert ", signer.certificate,
                     ", which have to be PEM files that belong together"),
              run_tool({"sbsign", "--key", signer.key, "--cert", signer.certificate, "--output",
                        signed_file, unsigned_file},
                       "sbsigntool"));
  return read_whole(signed_file, kLargestForm);
}

Result<ByteVector> make_signed_uki(const UniqueFd& root, const Bootable& payload,
                                   const FormTools& tools) {
  ByteVector uki = TRY_CONTEXT("the stub", make_uki(payload, TRY(read_stub(root, tools.stub))));
  return tools.signer.key.empty() ? uki : TRY(sign(uki, tools.signer));
}

// What UEFI starts on a disk or a CD: the distribution's own chain, which Secure Boot accepts.
struct SignedLoader {
  std::string shim;
  std::string grub;
  std::string folder;  // where that GRUB looks for its configuration, below EFI
};

std::optional<SignedLoader> find_signed_loader(const UniqueFd& root) {
  static const SignedLoader kPlaces[] = {
      // Ubuntu has the name of Debian's file as well.
      {"usr/lib/shim/shimx64.efi.signed.latest",
       "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "ubuntu"},
      {"usr/lib/shim/shimx64.efi.signed", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
       "debian"},
      {"boot/efi/EFI/fedora/shimx64.efi", "boot/efi/EFI/fedora/grubx64.efi", "fedora"},
  };
  for (const SignedLoader& loader : kPlaces) {
    if (exists(root, loader.shim) && exists(root, loader.grub)) return loader;
  }
  return std::nullopt;
}

// Read by every GRUB: the installer starts at once.
std::string grub_commands(const Bootable& payload) {
  return concat("linux /vmlinuz ", quoted_for_grub(payload.command_line),
                "\ninitrd /initrd\nboot\n");
}

// Of the folder with the distribution's GRUB for that platform, or its loader's image made of it.
Result<ByteVector> make_grub_image(std::string_view platform, std::string_view prefix,
                                   const std::string& commands,
                                   const std::vector<std::string>& modules,
                                   std::string_view package) {
  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  std::string config = concat(scratch.path(), "/grub.cfg");
  std::string image = concat(scratch.path(), "/image");
  TRY(write_whole(config, as_bytes(commands)));
  std::vector<std::string> argv = {"grub-mkimage", "-O", std::string(platform), "-o",
                                   image,          "-p", std::string(prefix),   "-c",
                                   config};
  argv.insert(argv.end(), modules.begin(), modules.end());
  TRY(run_tool(argv, package));
  return read_whole(image, kLargestLoader);
}

// The files of a system partition that start the installer from it, or from a medium that holds
// vmlinuz and initrd, as `commands` say.
Result<std::vector<BootFile>> make_efi_loader(const UniqueFd& root, const std::string& commands,
                                              MadeForm& made) {
  std::vector<BootFile> files;
  if (std::optional<SignedLoader> loader = find_signed_loader(root)) {
    files.push_back({"EFI/BOOT/BOOTX64.EFI", TRY(read_file(root, loader->shim, kLargestLoader))});
    files.push_back({"EFI/BOOT/grubx64.efi", TRY(read_file(root, loader->grub, kLargestLoader))});
    files.push_back(text_file(concat("EFI/", loader->folder, "/grub.cfg"), commands));
    return files;
  }
  made.notes.emplace_back(
      "shim and a signed GRUB are not installed (Debian: shim-signed, grub-efi-amd64-signed), so "
      "Secure Boot will not start this");
  files.push_back(
      {"EFI/BOOT/BOOTX64.EFI", TRY(make_grub_image("x86_64-efi", "/EFI/BOOT", commands,
                                                   {"part_gpt", "part_msdos", "fat", "iso9660",
                                                    "search", "search_fs_file", "linux"},
                                                   "grub-efi-amd64-bin"))});
  return files;
}

Result<void> require_bios_grub(const UniqueFd& root) {
  if (exists(root, concat(kBiosGrub, "/boot.img"))) return {};
  return Error(concat("/", kBiosGrub, " is not there; install the package grub-pc-bin"));
}

ByteVector identity_of(const Bootable& payload) {
  MessageDigest digest(DigestKind::Sha256);
  digest.update(payload.kernel);
  digest.update(payload.initramfs);
  digest.update(as_bytes(payload.command_line));
  return digest.finish();
}

Result<ByteVector> make_usb(const UniqueFd& root, Bootable payload, MadeForm& made) {
  TRY(require_bios_grub(root));
  BootDisk disk;
  disk.identity = identity_of(payload);
  std::string commands = grub_commands(payload);
  disk.files = TRY(make_efi_loader(root, commands, made));
  disk.bios.boot_sector = TRY(read_file(root, concat(kBiosGrub, "/boot.img"), kLargestLoader));
  disk.bios.core = TRY(make_grub_image("i386-pc", kBootPartition, commands,
                                       {"biosdisk", "part_gpt", "fat", "linux"}, "grub-pc-bin"));
  disk.files.push_back({"vmlinuz", std::move(payload.kernel)});
  disk.files.push_back({"initrd", std::move(payload.initramfs)});
  return make_boot_disk(disk);
}

// The date of everything on it, so that the same payload makes the same bytes; xorriso(1) takes it
// for the identity of the medium, too.
std::string iso_epoch(ConstBytes identity) {
  constexpr uint64_t kBegin = 1735689600;  // 2025-01-01
  constexpr uint64_t kSpan = uint64_t{365} * 86400;
  uint64_t number = 0;
  for (size_t i = 0; i < 7; ++i) number = number << 8 | identity[i];
  return concat(kBegin + number % kSpan);
}

Result<ByteVector> make_iso(const UniqueFd& root, Bootable payload, MadeForm& made) {
  TRY(require_bios_grub(root));
  ByteVector identity = identity_of(payload);
  // By this file both GRUBs find the medium that they were started from, and no other one.
  std::string mark = concat("boot/curlingiron-", to_hex(ConstBytes(identity).first(8)));
  std::string commands = grub_commands(payload);
  std::string from_medium = concat("search --file --set=root /", mark, "\n", commands);
  std::vector<BootFile> efi = TRY(make_efi_loader(root, from_medium, made));
  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  std::string system = concat(scratch.path(), "/system.img");
  TRY(write_whole(system, TRY(make_system_partition(efi, identity, 0))));

  std::string tree = concat(scratch.path(), "/tree");
  TRY(make_directory(TRY(open_root(scratch.path())), "tree"));
  std::vector<BootFile> files;
  files.push_back({"boot/grub/bios.img",
                   TRY(make_grub_image("i386-pc-eltorito", "/boot/grub", from_medium,
                                       {"biosdisk", "iso9660", "search", "search_fs_file", "linux"},
                                       "grub-pc-bin"))});
  files.push_back(text_file("boot/grub/grub.cfg", commands));
  files.push_back(text_file(mark, concat("curlingiron ", payload.release, "\n")));
  files.push_back({"vmlinuz", std::move(payload.kernel)});
  files.push_back({"initrd", std::move(payload.initramfs)});
  TRY(write_boot_files(tree, files, 0700));

  std::string iso = concat(scratch.path(), "/image.iso");
  if (!program_exists("xorriso")) {
    return Error("xorriso is not installed; install the package xorriso");
  }
  // boot_hybrid.img makes a stick of it for a BIOS; the appended partition is what UEFI reads, on a
  // stick and on a CD.
  std::string epoch = iso_epoch(identity);
  TRY(run_tool({"env",
                concat("SOURCE_DATE_EPOCH=", epoch),
                "xorriso",
                "-as",
                "mkisofs",
                "-r",
                "--set_all_file_dates",
                concat("=", epoch),
                "-V",
                "CURLINGIRON",
                "-o",
                iso,
                "--grub2-mbr",
                concat("/", kBiosGrub, "/boot_hybrid.img"),
                "--protective-msdos-label",
                "-b",
                "boot/grub/bios.img",
                "-no-emul-boot",
                "-boot-load-size",
                "4",
                "-boot-info-table",
                "--grub2-boot-info",
                "-eltorito-alt-boot",
                "-append_partition",
                "2",
                "0xef",
                system,
                "-appended_part_as_gpt",
                "-e",
                "--interval:appended_partition_2:all::",
                "-no-emul-boot",
                tree},
               "xorriso"));
  return read_whole(iso, kLargestForm);
}

// This program, as it runs.
Result<ScriptPart> own_program() {
  constexpr size_t kLargest = 256_MiB;
  ByteVector bytes = TRY(read_whole("/proc/self/exe", kLargest));
  RawLzma packed = TRY(compress_lzma(bytes));
  return ScriptPart{"curlingiron", lzma_part(bytes, packed.properties, packed.bytes), bytes.size(),
                    true};
}

ScriptPart stored(std::string path, ConstBytes bytes) {
  return {std::move(path), store_part(bytes), bytes.size(), false};
}

BootFile script_file(std::vector<ScriptPart> parts, std::string options) {
  ScriptDescription script;
  script.machine = "x86_64";
  script.unpacker = embedded_unpacker();
  script.parts = std::move(parts);
  script.options = std::move(options);
  return text_file("", make_script(script), 0755);
}

// With a kernel, for machines whose own cannot be used.
Result<BootFile> make_payload_script(const Bootable& payload) {
  std::vector<ScriptPart> parts;
  parts.push_back(TRY(own_program()));
  for (const BootFile& file : make_tree(payload, {})) {
    if (file.path != kTreeScript)
      parts.push_back(stored(concat("payload/", file.path), file.bytes));
  }
  return script_file(std::move(parts), "--payload \"$place/payload\"");
}

}  // namespace

Result<MadeForm> make_plain_script(const ScriptSettings& settings) {
  std::vector<ScriptPart> parts;
  parts.push_back(TRY(own_program()));
  std::string options;
  auto add = [&](std::string_view option, const std::string& name, ConstBytes bytes) {
    if (bytes.empty()) return;
    parts.push_back(stored(name, bytes));
    options += concat(options.empty() ? "" : " ", option, " \"$place/", name, "\"");
  };
  add("--config", "config", as_bytes(settings.config));
  add("--ca", "ca.pem", settings.ca_bundle);
  add("--cert", "client.pem", settings.client_certificate);
  MadeForm made;
  made.files.push_back(script_file(std::move(parts), std::move(options)));
  return made;
}

Result<Form> parse_form(std::string_view name) {
  std::vector<std::string> names;
  for (const NamedForm& each : kForms) {
    if (each.name == name) return each.form;
    names.emplace_back(each.name);
  }
  return Error(concat("\"", printable(name, 40), "\" is none of ", join(names, ", ")));
}

bool is_directory(Form form) { return form == Form::Tree || form == Form::Netboot; }

std::string default_name(Form form) {
  return std::string(std::ranges::find(kForms, form, &NamedForm::form)->file);
}

Result<void> make_folders_of(const UniqueFd& base, std::string_view path) {
  for (size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    TRY(make_directory(base, std::string(path.substr(0, slash))));
  }
  return {};
}

Result<void> write_boot_files(const std::string& folder, const std::vector<BootFile>& files,
                              unsigned mask) {
  UniqueFd base = TRY_CONTEXT(folder, open_root(folder));
  for (const BootFile& file : files) {
    TRY_CONTEXT(folder, make_folders_of(base, file.path));
    TRY(write_file_atomically(concat(folder, "/", file.path), file.bytes, file.mode & mask));
  }
  return {};
}

Result<MadeForm> make_form(const UniqueFd& root, Form form, Bootable payload,
                           const FormTools& tools) {
  MadeForm made;
  auto one = [&](ByteVector bytes) { made.files.push_back({"", std::move(bytes)}); };
  switch (form) {
    case Form::Initramfs: one(std::move(payload.initramfs)); break;
    case Form::Tree: made.files = make_tree(std::move(payload), tools.built_in); break;
    case Form::Script: made.files.push_back(TRY(make_payload_script(payload))); break;
    case Form::Uki: one(TRY(make_signed_uki(root, payload, tools))); break;
    case Form::Usb: one(TRY(make_usb(root, std::move(payload), made))); break;
    case Form::Iso: one(TRY(make_iso(root, std::move(payload), made))); break;
    case Form::Netboot: {
      Result<ByteVector> uki = make_signed_uki(root, payload, tools);
      if (!uki.ok() && !(tools.stub.empty() && tools.signer.key.empty())) return uki.error();
      if (!uki.ok()) {
        made.notes.push_back(concat("curlingiron.efi for UEFI's own HTTP boot is left out: ",
                                    uki.error().message()));
      }
      made.files =
          make_netboot(std::move(payload), uki.ok() ? std::move(uki).value() : ByteVector());
      break;
    }
  }
  return made;
}

}  // namespace curlingiron
