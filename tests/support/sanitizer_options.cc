// What AddressSanitizer is set to in every test program. Each big allocation would otherwise be new
// pages, and its shadow as well: most of the time of a test that makes thousands of decoders.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=16:clear_shadow_mmap_threshold=1073741824:allocator_release_to_os_"
         "interval_ms=-1";
}
