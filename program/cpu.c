/* cpu.c: see cpu.h. Compilers want the name of a feature as a literal, so each has a row. */
#include "program/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#if defined __x86_64__
#define FEATURE(name) {name, __builtin_cpu_supports(name) != 0}
#endif

typedef struct feature {
  const char *name; /* LLVM's and GCC's are the same for these */
  bool present;
} feature;

static bool is_on(const char *features, const char *name) {
  size_t length = strlen(name);
  bool on = false;
  for (const char *item = features; *item;) {
    size_t here = strcspn(item, ",");
    if (here == length + 1 && strncmp(item + 1, name, length) == 0)
      on = *item == '+'; /* the last one counts */
    item += here + (item[here] == ',');
  }
  return on;
}

bool poa_cpu_supports(const char *features, char *missing, size_t size) {
  size_t used = 0;
  *missing = '\0';
#if defined __x86_64__
  __builtin_cpu_init();
  const feature table[] = {
      FEATURE("sse3"),
      FEATURE("ssse3"),
      FEATURE("sse4.1"),
      FEATURE("sse4.2"),
      FEATURE("popcnt"),
      FEATURE("avx"),
      FEATURE("avx2"),
      FEATURE("bmi"),
      FEATURE("bmi2"),
      FEATURE("fma"),
      FEATURE("f16c"),
      FEATURE("lzcnt"),
      FEATURE("avx512f"),
      FEATURE("avx512bw"),
      FEATURE("avx512cd"),
      FEATURE("avx512dq"),
      FEATURE("avx512vl"),
      FEATURE("avx512ifma"),
      FEATURE("avx512vbmi"),
      FEATURE("avx512vbmi2"),
      FEATURE("avx512vnni"),
      FEATURE("avx512bitalg"),
      FEATURE("avx512vpopcntdq"),
      FEATURE("avx512bf16"),
      FEATURE("avx512fp16"),
      FEATURE("gfni"),
      FEATURE("fma4"),
      FEATURE("xop"),
      FEATURE("sse4a"),
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!table[i].present && is_on(features, table[i].name) && used < size)
      used += (size_t)snprintf(missing + used, size - used, "%s%s", used ? " " : "", table[i].name);
#else
  (void)features;
  (void)size;
  (void)is_on;
#endif
  return used == 0;
}

poa_status poa_choose_variant(const poa_program *program, int *variant, poa_error *error) {
  char missing[400] = "";
  for (*variant = 0; *variant < program->variant_count; ++*variant)
    if (poa_cpu_supports(program->variants[*variant].features, missing, sizeof missing))
      return POA_OK;
  return poa_fail(error, POA_UNSUPPORTED,
                  "this program is compiled for %s, and this CPU lacks: %s; compile it for this "
                  "kind of CPU, as with --cpu x86-64-v3 or --cpu x86-64",
                  program->variants[program->variant_count - 1].cpu, missing);
}

void poa_warn_of_threads(const char *prefix, int64_t threads) {
  int processors = omp_get_num_procs();
  if (threads > processors)
    fprintf(stderr, "%swarning: %lld threads on %d processor%s: steps will be slower than on %d\n",
            prefix, (long long)threads, processors, processors == 1 ? "" : "s", processors);
}
