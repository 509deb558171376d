// Terminals and the kernel's consoles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace curlingiron {

bool is_terminal(int fd);
// Columns of a terminal; 80 where it does not say.
unsigned terminal_columns(int fd);
// Writes to a non-blocking descriptor. A full output queue is waited for a moment (200 ms); then
// the rest is dropped: a dead UART must not stop anybody.
void write_patiently(const UniqueFd& fd, std::string_view text);
// Drops what was typed and not read yet.
void discard_input(const UniqueFd& fd);
// Waits until what was written to a serial console has left, at most `limit`.
void drain_terminal(const UniqueFd& fd, Duration limit);

}  // namespace curlingiron
