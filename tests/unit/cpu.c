/* cpu: what generated code may use, against what the kernel says of this machine. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "program/cpu.h"

#if defined __x86_64__

/* LLVM's name, and Linux's. */
static const char *const names[][2] = {
    {"sse3", "pni"},
    {"ssse3", "ssse3"},
    {"sse4.1", "sse4_1"},
    {"sse4.2", "sse4_2"},
    {"popcnt", "popcnt"},
    {"avx", "avx"},
    {"avx2", "avx2"},
    {"bmi", "bmi1"},
    {"bmi2", "bmi2"},
    {"fma", "fma"},
    {"f16c", "f16c"},
    {"lzcnt", "abm"},
    {"avx512f", "avx512f"},
    {"avx512bw", "avx512bw"},
    {"avx512cd", "avx512cd"},
    {"avx512dq", "avx512dq"},
    {"avx512vl", "avx512vl"},
    {"avx512ifma", "avx512ifma"},
    {"avx512vbmi", "avx512vbmi"},
    {"avx512vbmi2", "avx512_vbmi2"},
    {"avx512vnni", "avx512_vnni"},
    {"avx512bitalg", "avx512_bitalg"},
    {"avx512vpopcntdq", "avx512_vpopcntdq"},
    {"avx512bf16", "avx512_bf16"},
    {"avx512fp16", "avx512_fp16"},
    {"gfni", "gfni"},
    {"fma4", "fma4"},
    {"xop", "xop"},
    {"sse4a", "sse4a"},
};

/* Instructions of Bulldozer and of Cannon Lake: no CPU has both. */
#define NOWHERE "+fma4,+avx512ifma"

/* " flag flag .. " of the first CPU. */
static bool read_flags(char *flags, int size) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  bool found = false;
  while (file && !found && fgets(flags, size, file))
    found = strncmp(flags, "flags", 5) == 0;
  if (file)
    fclose(file);
  char *end = found ? strchr(flags, '\n') : NULL;
  if (end)
    *end = ' ';
  return end != NULL;
}

/* Guards each name of the table: a wrong one would let a program die of an illegal instruction. */
Test(cpu, agrees_with_the_kernel) {
  static char flags[8192];
  if (!read_flags(flags, sizeof flags))
    cr_skip_test("/proc/cpuinfo lists no flags");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char asked[64], kernel[64], missing[64];
    snprintf(asked, sizeof asked, "+64bit,+%s,+cx8", names[i][0]);
    snprintf(kernel, sizeof kernel, " %s ", names[i][1]);
    bool there = strstr(flags, kernel) != NULL;
    cr_assert_eq(poa_cpu_supports(asked, missing, sizeof missing), there, "%s", names[i][0]);
    cr_assert_str_eq(missing, there ? "" : names[i][0]);
  }
}

/* Guards how a list is read: whole names, the last mention counts, what is off is not needed. */
Test(cpu, lists) {
  char missing[64];
  cr_assert(poa_cpu_supports("", missing, sizeof missing));
  cr_assert(poa_cpu_supports("-fma4,-avx512ifma", missing, sizeof missing));
  cr_assert(poa_cpu_supports(NOWHERE ",-fma4,-avx512ifma", missing, sizeof missing));
  cr_assert(poa_cpu_supports("+fma4x,+xfma4,+avx512ifm,fma4,,+,+no-such", missing, sizeof missing));
  cr_assert_not(poa_cpu_supports("-fma4,-avx512ifma," NOWHERE, missing, sizeof missing));
}

/* Guards that all that is missing is named, and a small buffer is not overrun. */
Test(cpu, names_what_is_missing) {
  char all[1000] = "", missing[1000], small[20];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s+%s", i ? "," : "", names[i][0]);
  cr_assert_not(poa_cpu_supports(all, missing, sizeof missing));
  cr_assert(strstr(missing, "fma4") || strstr(missing, "avx512ifma"), "%s", missing);
  memset(small, '#', sizeof small);
  cr_assert_not(poa_cpu_supports(all, small, 10));
  cr_assert(strlen(small) < 10 && small[10] == '#');
  cr_assert(strncmp(small, missing, strlen(small)) == 0);
}

/* Guards the choice: the first that can run, else a word on what the least one lacks. */
Test(cpu, variants) {
  poa_program_variant variants[] = {{"imaginary", NOWHERE}, {"x86-64", "+sse2"}, {"other", ""}};
  poa_program program = {.variants = variants, .variant_count = 3};
  poa_error error = {0};
  int variant;
  cr_assert_eq(poa_choose_variant(&program, &variant, &error), POA_OK, "%s", error.message);
  cr_assert_eq(variant, 1);
  program.variant_count = 1;
  cr_assert_eq(poa_choose_variant(&program, &variant, &error), POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "compiled for imaginary"), "%s", error.message);
  cr_assert(strstr(error.message, "fma4") || strstr(error.message, "avx512ifma"), "%s",
            error.message);
}

#else

/* Guards that a name that is not of this kind of CPU is no reason to refuse. */
Test(cpu, other_architectures) {
  char missing[64];
  cr_assert(poa_cpu_supports("+neon", missing, sizeof missing));
}

#endif
