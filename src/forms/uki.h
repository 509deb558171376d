// A unified kernel image: one UEFI program of kernel, initramfs and command line, around a stub
// that starts them (systemd-stub(7); UAPI Group, "UAPI.5 Unified Kernel Image").
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "forms/bootable.h"

namespace curlingiron {

// `stub`: linuxx64.efi.stub of systemd. Errors: not such a program, or one that has a kernel
// already.
Result<ByteVector> make_uki(const Bootable& payload, ConstBytes stub);
// What is in it. `release` is empty where it does not say it. Errors: no UEFI program, or none that
// holds a kernel and an initramfs.
Result<Bootable> read_uki(ConstBytes uki);
// Whether these bytes begin a UEFI program that is no kernel alone.
bool looks_like_uki(ConstBytes file);

}  // namespace curlingiron
