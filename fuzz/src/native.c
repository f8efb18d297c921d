/* What libFuzzer does not provide: the coverage of C code, which gcc reports by __sanitizer_cov_trace_pc and libFuzzer ignores,
   and the number of bytes that C and Rust hold together. */

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

#define NOT_COVERED __attribute__((no_sanitize_coverage, no_sanitize_address))

/* libFuzzer reads this section as coverage. */
#define COUNTERS (1 << 16)
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

NOT_COVERED void __sanitizer_cov_trace_pc(void) {
  uintptr_t here = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&__sanitizer_cov_trace_pc;
  uint8_t *counter = &counters[(here ^ (here >> 16)) % COUNTERS];
  if (*counter < UINT8_MAX) ++*counter;
}

/* Whether C code that was executed has been counted. */
NOT_COVERED int likeness_fuzz_covers_c(void) {
  for (size_t i = 0; i < COUNTERS; ++i)
    if (counters[i] != 0) return 1;
  return 0;
}

/* Bytes that this thread holds, and their peak since the last reset. */
static __thread ptrdiff_t held, peak;

NOT_COVERED void likeness_fuzz_reset_peak(void) { peak = held; }
NOT_COVERED ptrdiff_t likeness_fuzz_held(void) { return held; }
NOT_COVERED ptrdiff_t likeness_fuzz_peak(void) { return peak; }

#ifdef SANITIZED
NOT_COVERED int likeness_fuzz_counts_memory(void) { return 0; }
#else
NOT_COVERED int likeness_fuzz_counts_memory(void) { return 1; }

/* glibc's functions, whose public names are replaced below. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

NOT_COVERED static void *taken(void *memory) {
  held += (ptrdiff_t)malloc_usable_size(memory);
  if (held > peak) peak = held;
  return memory;
}

NOT_COVERED void *malloc(size_t size) { return taken(__libc_malloc(size)); }

NOT_COVERED void *calloc(size_t count, size_t size) { return taken(__libc_calloc(count, size)); }

NOT_COVERED void *realloc(void *memory, size_t size) {
  ptrdiff_t before = (ptrdiff_t)malloc_usable_size(memory);
  void *moved = __libc_realloc(memory, size);
  if (moved == NULL && size != 0) return NULL;
  held -= before;
  return moved == NULL ? NULL : taken(moved);
}

NOT_COVERED void *memalign(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }

NOT_COVERED void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

NOT_COVERED int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory == NULL && size != 0 ? ENOMEM : 0;
}

NOT_COVERED void free(void *memory) {
  held -= (ptrdiff_t)malloc_usable_size(memory);
  __libc_free(memory);
}

#endif
