// unpack: what a script carries first. Reads text (unpack/text.h) from standard input, and writes
// what it stands for to standard output, once all of it is there and right. No library, so that it
// is a few kilobytes and runs wherever the kernel does.
//   unpack < TEXT > FILE      exit 0, or 1 with a message
#include "unpack/lzma.h"
#include "unpack/text.h"

namespace {

using namespace curlingiron::unpack;

// The kernel's own interface (syscalls(2)).
#if defined(__x86_64__)
constexpr long kRead = 0;
constexpr long kWrite = 1;
constexpr long kMap = 9;
constexpr long kExit = 231;
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long result = 0;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
constexpr long kRead = 63;
constexpr long kWrite = 64;
constexpr long kMap = 222;
constexpr long kExit = 94;
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}
#else
#error "which system calls does this processor have?"
#endif

constexpr long kInterrupted = -4;  // EINTR
constexpr uint64_t kMost = uint64_t{1} << 30;

class StandardInput {
 public:
  int next() {
    if (at_ == end_ && !fill()) return -1;
    return buffer_[at_++];
  }

 private:
  bool fill() {
    long n = kInterrupted;
    while (n == kInterrupted) n = call(kRead, 0, reinterpret_cast<long>(buffer_), sizeof buffer_);
    at_ = 0;
    end_ = n > 0 ? static_cast<size_t>(n) : 0;
    return end_ != 0;
  }

  uint8_t buffer_[65536];
  size_t at_ = 0;
  size_t end_ = 0;
};

bool write_all(int file, const uint8_t* bytes, size_t size) {
  while (size != 0) {
    long n = call(kWrite, file, reinterpret_cast<long>(bytes), static_cast<long>(size));
    if (n == kInterrupted) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

[[noreturn]] void leave(int status) {
  for (;;) call(kExit, status);
}

template <size_t size>
[[noreturn]] void fail(const char (&words)[size]) {
  write_all(2, reinterpret_cast<const uint8_t*>(words), size - 1);
  leave(1);
}

// Writable pages for so many bytes; nullptr: there are none.
uint8_t* allocate(size_t size) {
  constexpr long kReadWrite = 3;
  constexpr long kPrivateAnonymous = 0x22;
  long address = call(kMap, 0, static_cast<long>(size), kReadWrite, kPrivateAnonymous, -1, 0);
  return address < 0 && address > -4096 ? nullptr : reinterpret_cast<uint8_t*>(address);
}

StandardInput text;
LzmaDecoder decoder;

Outcome unpack_part(Base85<StandardInput>& in, const Header& header, uint8_t* out, size_t size) {
  if (header.method == Method::Lzma) return decoder.decode(in, header.properties, out, size);
  for (size_t i = 0; i < size; ++i) {
    int value = in.next();
    if (value < 0) return Outcome::CutOff;
    out[i] = static_cast<uint8_t>(value);
  }
  return Outcome::Done;
}

}  // namespace

extern "C" {

// The compiler may ask for these of any program.
void* memset(void* to, int value, size_t size) {
  for (size_t i = 0; i < size; ++i)
    static_cast<volatile uint8_t*>(to)[i] = static_cast<uint8_t>(value);
  return to;
}
void* memcpy(void* to, const void* from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    static_cast<volatile uint8_t*>(to)[i] = static_cast<const uint8_t*>(from)[i];
  }
  return to;
}

[[noreturn]] void unpack_main() {
  Base85<StandardInput> in(text);
  Header header;
  if (!read_header(in, header) || header.size == 0 || header.size > kMost) {
    fail("curlingiron: what the script carries is damaged; get it once more\n");
  }
  auto size = static_cast<size_t>(header.size);
  uint8_t* out = allocate(size);
  if (out == nullptr)
    fail("curlingiron: there is not enough memory to unpack it; stop what uses much of it\n");
  Outcome outcome = unpack_part(in, header, out, size);
  if (outcome != Outcome::Done || in.is_damaged() || crc32_of(out, size) != header.crc) {
    fail("curlingiron: what the script carries is damaged; get it once more\n");
  }
  if (!write_all(1, out, size)) fail("curlingiron: it cannot be written here; free some room\n");
  leave(0);
}
}

#if defined(__x86_64__)
asm(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call unpack_main\n  hlt\n");
#else
asm(".globl _start\n_start:\n  bl unpack_main\n  brk #0\n");
#endif
