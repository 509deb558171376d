#include "forms/script.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "formats/gpt.h"
#include "unpack/text.h"

namespace curlingiron {
namespace {

// forms/script.sh
constexpr std::string_view kScript =
#include "script.inc"
    ;
constexpr std::string_view kOptionsMark = "@options@";
constexpr std::string_view kEnd = "END_OF_PART";  // '_' is no digit: no line of a part is that
constexpr size_t kLine = 100;

// printf(1) knows octal numbers alone everywhere.
void add_octal(std::string& text, uint8_t byte) {
  text += '\\';
  text += static_cast<char>('0' + (byte >> 6));
  text += static_cast<char>('0' + (byte >> 3 & 7));
  text += static_cast<char>('0' + (byte & 7));
}

// As cksum(1) prints it of standard input: the checksum, and the size.
std::string posix_sum(ConstBytes bytes) {
  uint32_t crc = 0;
  auto add = [&](uint8_t byte) {
    crc ^= uint32_t{byte} << 24;
    for (int bit = 0; bit < 8; ++bit) crc = crc << 1 ^ ((crc >> 31) != 0 ? 0x04C11DB7u : 0);
  };
  for (uint8_t byte : bytes) add(byte);
  for (uint64_t size = bytes.size(); size != 0; size >>= 8) add(static_cast<uint8_t>(size));
  return concat(~crc, " ", bytes.size());
}

std::string unpacker_function(ConstBytes program) {
  constexpr size_t kPerLine = kLine / 4 - 3;
  std::string text = "curlingiron_unpacker() {\n";
  for (size_t at = 0; at < program.size(); at += kPerLine) {
    text += "  printf '";
    for (uint8_t byte : program.subspan(at, std::min(kPerLine, program.size() - at))) {
      add_octal(text, byte);
    }
    text += "'\n";
  }
  return text + "}\n\n";
}

void add_base85(std::string& text, ConstBytes bytes) {
  size_t column = 0;
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t group = 0;
    for (size_t i = 0; i < 4; ++i) group = group << 8 | (at + i < bytes.size() ? bytes[at + i] : 0);
    char digits[5];
    for (size_t i = 5; i > 0; --i) {
      digits[i - 1] = unpack::kDigits[group % 85];
      group /= 85;
    }
    text.append(digits, sizeof digits);
    column += sizeof digits;
    if (column < kLine) continue;
    text += '\n';
    column = 0;
  }
  if (column != 0) text += '\n';
}

std::string unpack_function(const std::vector<ScriptPart>& parts) {
  std::string text = "curlingiron_unpack() {\n";
  std::set<std::string> folders;
  for (const ScriptPart& part : parts) {
    size_t slash = part.path.rfind('/');
    if (slash == std::string::npos || !folders.insert(part.path.substr(0, slash)).second) continue;
    text += concat("  mkdir -p \"$place/", part.path.substr(0, slash), "\" || return 1\n");
  }
  for (const ScriptPart& part : parts) {
    text +=
        concat("  \"$place/unpack\" > \"$place/", part.path, "\" << '", kEnd, "' || return 1\n");
    add_base85(text, part.packed);
    text += concat(kEnd, "\n");
    if (part.is_program) text += concat("  chmod 700 \"$place/", part.path, "\" || return 1\n");
  }
  return text + "}\n\n";
}

ByteWriter header_of(ConstBytes bytes, unpack::Method method, uint8_t properties) {
  ByteWriter out;
  out.le32(crc32(bytes));
  out.le64(bytes.size());
  out.u8(static_cast<uint8_t>(method));
  out.u8(properties);
  out.le16(0);
  return out;
}

}  // namespace

std::string make_script(const ScriptDescription& script) {
  constexpr uint64_t kBeside = 256;  // KiB
  // What is unpacked, and the text of one part, which some shells write to a file first.
  uint64_t room = script.unpacker.size();
  uint64_t longest = 0;
  for (const ScriptPart& part : script.parts) {
    room += part.size;
    longest = std::max<uint64_t>(longest, part.packed.size() / 4 * 5);
  }
  room += longest;
  std::string text(kScript);
  text.replace(text.find(kOptionsMark), kOptionsMark.size(), script.options);
  text +=
      concat("curlingiron_machine=", script.machine, "\ncurlingiron_room=", room / 1024 + kBeside,
             "\ncurlingiron_sum='", posix_sum(script.unpacker), "'\n\n");
  text += unpacker_function(script.unpacker);
  text += unpack_function(script.parts);
  // Half of this line is no command.
  return text + "{ curlingiron_main \"$@\"; exit; }\n";
}

ByteVector store_part(ConstBytes bytes) {
  ByteWriter out = header_of(bytes, unpack::Method::Stored, 0);
  out.append(bytes);
  return std::move(out).bytes();
}

ByteVector lzma_part(ConstBytes bytes, uint8_t properties, ConstBytes lzma) {
  ByteWriter out = header_of(bytes, unpack::Method::Lzma, properties);
  out.append(lzma);
  return std::move(out).bytes();
}

}  // namespace curlingiron
