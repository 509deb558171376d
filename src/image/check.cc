#include "image/check.h"

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/disk_image.h"
#include "formats/foreign_file.h"
#include "io/decode.h"

namespace curlingiron {
namespace {

Error is_foreign(std::string_view what, const ForeignFile& file) {
  return Error(concat(what, " is ", file.name, ", not a disk image; ", file.advice));
}

// What must not be taken for a disk, whatever it begins with.
Result<void> check_format(ConstBytes head, std::string_view what) {
  if (std::optional<ForeignFile> kernel = find_kernel(head); kernel && !find_disk_image(head)) {
    return is_foreign(what, *kernel);
  }
  Format format = sniff(head.first(std::min(head.size(), kSniffBytes)));
  if (format == Format::Raw) return {};
  if (!is_decodable(format)) return not_decodable(format);
  return Error(concat("what is inside the image is ", format_name(format),
                      " again; compress the disk image once, or serve it raw"));
}

}  // namespace

Result<void> check_is_disk(ConstBytes head, std::string_view what) {
  std::optional<DiskImage> disk = find_disk_image(head);
  bool certain = disk && disk->kind != DiskImage::Kind::BootSector;
  if (certain) return {};
  TRY(check_format(head, what));
  if (std::optional<ForeignFile> file = find_foreign_file(head)) return is_foreign(what, *file);
  if (head.size() < kLeastSector) {
    return Error(concat(what, " is ", plural(head.size(), "byte", "bytes"),
                        " long, less than a disk's sector; it is cut off, or not the image"));
  }
  if (disk) return {};
  if (all_zero(head)) {
    return Error(concat("the image begins with ", format_size(head.size()),
                        " of zeros: it holds no boot sector and no partition table; check the "
                        "original, or pass ",
                        as_typed("boot=any")));
  }
  return Error(concat(what,
                      " is no disk image that is known: it has no partition table, no boot sector "
                      "and no file system; check that it is the right file and is not damaged, or "
                      "pass ",
                      as_typed("boot=any"), " if a machine boots it as it is"));
}

Result<void> check_ends_with_sector(uint64_t size, bool proven) {
  if (size % kLeastSector == 0) return {};
  std::string fact =
      concat("the image is ", size, " bytes long, which is no multiple of a sector (", kLeastSector,
             " bytes)");
  if (!proven) {
    return Error(concat(fact,
                        ": it is cut off, or more than the image; get it again, or prove it by "
                        "a digest (",
                        as_typed("sha256=HEX"), ")"));
  }
  log_warning_once(concat(fact, "; zeros fill the last one"));
  return {};
}

}  // namespace curlingiron
