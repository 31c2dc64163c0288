/* schedule: learning rates and their kin, step by step. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "runtime/safetensors.h"
#include "runtime/schedule.h"

static float *read_values(const char *name, int64_t count) {
  poa_safetensors *file;
  poa_error error = {0};
  poa_status status =
      poa_safetensors_open(&file, POA_GOLDEN_DIR "/ops/schedules.safetensors", &error);
  cr_assert_eq(status, POA_OK, "%s", error.message);
  const poa_file_tensor *tensor = poa_safetensors_find(file, name);
  cr_assert(tensor && tensor->shape.rank == 1 && tensor->shape.dim[0] == count);
  float *values = malloc((size_t)count * sizeof *values);
  poa_tensor_to_f32(tensor, values);
  poa_safetensors_close(file);
  return values;
}

/* Guards the arithmetic against recorded values of the reference implementation. */
Test(schedule, golden) {
  static const struct {
    const char *name;
    poa_cosine schedule;
  } cases[] = {
      {"lr", {0.004, 2e-05, 0, 0.78, 100, 10, 0}},
      {"wd", {0.04, 0.4, 0, 0.78, 100, 0, 0}},
      {"momentum", {0.992, 0.9999, 0, 1, 100, 0, 0}},
      {"temp", {0.07, 0.07, 0.04, 1, 30, 30, 0}},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const poa_cosine *schedule = &cases[c].schedule;
    float *expected = read_values(cases[c].name, schedule->total);
    for (int64_t i = 0; i < schedule->total; i++)
      cr_assert_eq((float)poa_cosine_at(schedule, i), expected[i], "%s at %lld: %.9g, not %.9g",
                   cases[c].name, (long long)i, poa_cosine_at(schedule, i), expected[i]);
    cr_assert_eq((float)poa_cosine_at(schedule, 1000), expected[schedule->total - 1]);
    free(expected);
  }
}

/* Guards the parts that no recorded case has: freezing, and a warm-up of one step. */
Test(schedule, freeze_and_short_warmup) {
  const poa_cosine s = {1, 0, 0.25, 1, 10, 1, 3};
  for (int step = 0; step < 3; step++)
    cr_assert_eq(poa_cosine_at(&s, step), 0);
  cr_assert_eq(poa_cosine_at(&s, 3), 0.25);
  cr_assert_eq(poa_cosine_at(&s, 4), 1);
  cr_assert_float_eq(poa_cosine_at(&s, 7), 0.5, 1e-12);
}

/* Guards linear: both ends reached, then the last value for good. */
Test(schedule, linear) {
  cr_assert_eq(poa_linear_at(0.04, 0.07, 4, 0), 0.04);
  cr_assert_float_eq(poa_linear_at(0.04, 0.07, 4, 1), 0.05, 1e-15);
  cr_assert_eq(poa_linear_at(0.04, 0.07, 4, 3), 0.07);
  cr_assert_eq(poa_linear_at(0.04, 0.07, 4, 99), 0.07);
  cr_assert_eq(poa_linear_at(1, 2, 1, 0), 1);
  cr_assert_eq(poa_linear_at(1, 2, 1, 1), 2);
  cr_assert_eq(poa_linear_at(1, 2, 0, 0), 2);
}
