// What AddressSanitizer is set to in every test program.
#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

extern "C" {

// Each big allocation would otherwise be new pages, and its shadow as well: most of the time of a
// test that makes thousands of decoders.
const char* __asan_default_options();
const char* __asan_default_options() {
  return "quarantine_size_mb=16:clear_shadow_mmap_threshold=1073741824:allocator_release_to_os_"
         "interval_ms=-1";
}

// The sanitizer moves memory byte by byte, and every copy of a vector is a move. What does not
// overlap is copied, with the same checks. (The linker's --wrap.)
void* __asan_memcpy(void* to, const void* from, size_t size);
void* __real___asan_memmove(void* to, const void* from, size_t size);
void* __wrap___asan_memmove(void* to, const void* from, size_t size);
void* __wrap___asan_memmove(void* to, const void* from, size_t size) {
  auto target = reinterpret_cast<uintptr_t>(to);
  auto source = reinterpret_cast<uintptr_t>(from);
  bool apart = target + size <= source || source + size <= target;
  return apart ? __asan_memcpy(to, from, size) : __real___asan_memmove(to, from, size);
}

// What is big is mapped anew each time: in huge pages that is a few page faults, not thousands.
void* __wrap__ZN11__sanitizer21MmapOrDieOnFatalErrorEmPKc(unsigned long size, const char* what);
[[gnu::weak]] void* __real__ZN11__sanitizer21MmapOrDieOnFatalErrorEmPKc(unsigned long size,
                                                                        const char* what);
void* __wrap__ZN11__sanitizer21MmapOrDieOnFatalErrorEmPKc(unsigned long size, const char* what) {
  void* memory = __real__ZN11__sanitizer21MmapOrDieOnFatalErrorEmPKc(size, what);
  if (memory != nullptr) ::madvise(memory, size, MADV_HUGEPAGE);
  return memory;
}
}

// OpenSSL's own end puts a null into a default context that nobody made
// (ossl_release_default_drbg_ctx), for which it allocates: a leak of 64 bytes, in programs that
// have it.
[[gnu::weak]] decltype(OPENSSL_init_crypto) OPENSSL_init_crypto;
[[gnu::constructor]] static void leave_out_the_end_of_openssl() {
  if (OPENSSL_init_crypto != nullptr) OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
}
