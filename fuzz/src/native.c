/* The coverage of C code, which gcc reports by __sanitizer_cov_trace_pc and libFuzzer ignores. */

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
