// A kernel and initramfs that take the place of the system that runs (kexec_file_load(2)).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "payload/kernel.h"
#include "sys/fd.h"

namespace curlingiron {

// Borrowed from whoever made them.
struct NextSystem {
  std::string_view name;  // for messages: "the installer"
  const KernelImage& kernel;
  ConstBytes kernel_bytes;  // where the kernel is no file of its own; empty: kernel.path
  ConstBytes initramfs;
  std::string_view command_line;
};

// That kexec can be had at all: no container, not switched off, /proc and /sys there.
Result<void> check_machine(const UniqueFd& root);
// That the kernel can take it in beside the system that runs, without ending programs for it.
Result<void> check_memory(const UniqueFd& root, const NextSystem& next);
// Settings of the running kernel that the next one needs to find its hardware and its consoles,
// each once, and then `last`, as it is: a payload may start the next one, and that another one.
std::string next_command_line(const UniqueFd& root, const std::string& last);

// That the kernel accepts it; it is not loaded afterwards.
Result<void> try_to_load(const NextSystem& next);
// Loads it and leaves for it; `before_leaving` says so. What fails, or is interrupted, leaves
// nothing loaded: any later restart of a machine with a loaded kernel may jump into it.
Result<void> load_and_leave(const NextSystem& next, const std::function<void()>& before_leaving);
// The exit status of a verb that was to leave for it; an error is reported. The jump does not come
// back: what came back left all as it was.
int end_of_replacing(const Result<int>& result);
// For whoever looks after this system is back: the kernel's log is what its journal keeps.
void note_in_kernel_log(std::string_view line);

}  // namespace curlingiron
