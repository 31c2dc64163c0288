/* target.c: CPUs by name and feature, for this machine and for others. */
#include <criterion/criterion.h>
#include <string.h>

#include "codegen/library.h"

typedef struct target_case {
  const char *cpu, *triple;
  int lanes, registers;
  bool fma;
} target_case;

/* Protects the width of vectors from following a feature that LLVM has switched off with another,
 * and from needing one that was not asked for. */
Test(target, vectors_follow_features) {
  static const target_case cases[] = {
      {"x86-64", "x86_64-linux-gnu", 4, 16, false},
      {"x86-64-v3", "x86_64-linux-gnu", 8, 16, true},
      {"x86-64-v3,-fma", "x86_64-linux-gnu", 8, 16, false},
      {"x86-64-v4", "x86_64-linux-gnu", 16, 32, true},
      {"x86-64-v4,-avx512f", "x86_64-linux-gnu", 8, 16, true},
      {"x86-64-v4,-fma", "x86_64-linux-gnu", 8, 16, false},
      {"x86-64-v4,-avx2", "x86_64-linux-gnu", 8, 16, true},
      {"x86-64-v4,-avx", "x86_64-linux-gnu", 4, 16, false},
      {"x86-64-v4,-sse4.1", "x86_64-linux-gnu", 4, 16, false},
      {"x86-64-v3,+avx512f,+avx512vl", "x86_64-linux-gnu", 16, 32, true},
      {"x86-64-v2,-avx,+avx,+fma", "x86_64-linux-gnu", 8, 16, true},
      {NULL, "aarch64-linux-gnu", 4, 32, true},
      {"neoverse-n1", "aarch64-linux-gnu", 4, 32, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const target_case *c = &cases[i];
    poa_error error = {0};
    poa_target target;
    cr_assert_eq(poa_target_init_for(&target, c->cpu, c->triple, &error), POA_OK, "%s",
                 error.message);
    cr_assert_eq(target.vector_lanes, c->lanes, "%s: %d lanes", c->cpu, target.vector_lanes);
    cr_assert_eq(target.vector_count, c->registers, "%s", c->cpu);
    cr_assert_eq(target.has_fma, c->fma, "%s", c->cpu);
    poa_target_free(&target);
  }
}

typedef struct wrong_case {
  const char *cpu, *triple, *said;
} wrong_case;

/* Protects users from an answer that does not help, and poa from what LLVM would abort on. */
Test(target, mistakes_are_explained) {
  static const wrong_case cases[] = {
      {"haswel", "x86_64-linux-gnu", "did you mean 'haswell'?"},
      {"neoverse-n", "aarch64-linux-gnu", "did you mean 'neoverse-n1'?"},
      {"haswell", "aarch64-linux-gnu", "unknown CPU 'haswell' for aarch64"},
      {"x86-64-v3,+avx51f", "x86_64-linux-gnu", "'+avx51f' is no feature of x86_64"},
      {"x86-64-v3,avx2", "x86_64-linux-gnu", "'avx2' is no feature"},
      {"x86-64-v3,", "x86_64-linux-gnu", "is no feature"},
      {"x86-64-v3,+neon", "x86_64-linux-gnu", "is no feature"},
      {"x86-64-v2,+avx512f", "x86_64-linux-gnu", "avx512vl"},
      {"x86-64-v3,+avx512bf16", "x86_64-linux-gnu", "avx512vl"},
      {"x86-64-v4,-avx512vl", "x86_64-linux-gnu", "avx512vl"},
      {"generic", "riscv64-linux-gnu", "expected x86_64-linux-gnu or aarch64-linux-gnu"},
      {"generic", "aarch64-apple-darwin", "expected x86_64-linux-gnu or aarch64-linux-gnu"},
      {"a-name-that-is-longer-than-that-of-any-processor", "x86_64-linux-gnu", "unknown CPU"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_error error = {0};
    poa_target target;
    cr_assert_eq(poa_target_init_for(&target, cases[i].cpu, cases[i].triple, &error), POA_BAD_INPUT,
                 "'%s' passes", cases[i].cpu);
    cr_assert(strstr(error.message, cases[i].said), "'%s': %s", cases[i].cpu, error.message);
    cr_assert_null(target.features);
  }
}

/* Protects "native" from meaning this machine where the code is for another architecture. */
Test(target, native_is_not_foreign) {
  poa_error error = {0};
  poa_target here, there;
  cr_assert_eq(poa_target_init(&here, NULL, &error), POA_OK);
  bool arm = strncmp(here.triple, "aarch64", 7) == 0;
  const char *other = arm ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  cr_assert_eq(poa_target_init_for(&there, "native", other, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, arm ? "'x86-64'" : "'generic'"), "%s", error.message);
  poa_target_free(&here);
}

/* Protects code from features of machines that it will not see: they are asked for by name. */
Test(target, features_are_told) {
  poa_error error = {0};
  poa_target target;
  cr_assert_eq(
      poa_target_init_for(&target, "x86-64-v4,+avx512bf16,-bmi2", "x86_64-linux-gnu", &error),
      POA_OK);
  cr_assert(poa_target_has(&target, "avx2") && poa_target_has(&target, "avx512bf16"));
  cr_assert(!poa_target_has(&target, "bmi2") && !poa_target_has(&target, "avx512vnni"));
  cr_assert(!poa_target_has(&target, "avx51"));
  cr_assert(poa_target_has_bf16(&target));
  poa_target_free(&target);
}
