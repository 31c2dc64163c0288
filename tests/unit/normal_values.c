/* normal_values.c: many normal numbers at once, and parameters filled piece by piece. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/first_values.h"
#include "runtime/normal_values.h"
#include "runtime/philox.h"

enum { COUNT = 3 * (1 << 16) + 7 };

/* Protects: they are the numbers of the stream that poa_random_normal draws one by one. */
Test(normal_values, are_those_of_the_stream) {
  float *values = malloc(COUNT * sizeof *values);
  poa_random random;
  poa_random_open(&random, 5, UINT64_C(1) << 40, 9);
  poa_normal_values(values, 0, COUNT, 0.5, 5, UINT64_C(1) << 40, 9);
  for (int i = 0; i < COUNT; i++) {
    double expected = 0.5 * poa_random_normal(&random);
    cr_assert(fabs(values[i] - expected) <= 0x1p-23 * fabs(expected), "number %d is %.9g, not %.9g",
              i, (double)values[i], expected);
    cr_assert_lt(fabs(values[i]), 0.5 * POA_LARGEST_NORMAL);
  }
  free(values);
}

/* Protects: a stream in parts, of lengths that fill no vector, has the bits of the whole. */
Test(normal_values, split_anywhere) {
  float whole[100], parts[100];
  poa_normal_values(whole, 0, 100, 1, 1, 2, 3);
  for (int first = 0, count = 1; first < 100; first += count, count += 5)
    poa_normal_values(parts + first, first, first + count < 100 ? count : 100 - first, 1, 1, 2, 3);
  cr_assert_arr_eq(parts, whole, sizeof whole);
}

static poa_plan_parameter parameter(const char *set, int slot, poa_initializer initializer,
                                    double a) {
  return (poa_plan_parameter){.set = set,
                              .name = "large",
                              .shape = {.rank = 1, .dim = {COUNT}},
                              .offset = (int64_t)slot * COUNT * 4,
                              .initializer = initializer,
                              .a = a,
                              .copy_of = "student"};
}

/* Protects: parameters of several pieces, and their copies, are filled whole and alike on any
 * number of threads. */
Test(normal_values, parameters_of_many_pieces) {
  const poa_plan_parameter list[] = {
      parameter("teacher", 0, POA_INIT_COPY, 0),
      parameter("student", 1, POA_INIT_TRUNC_NORMAL, 0.02),
      parameter("adam_v", 2, POA_INIT_CONSTANT, 3),
      parameter("probe", 3, POA_INIT_COPY, 0),
  };
  const poa_plan plan = {.entry = "test",
                         .parameter_bytes = (int64_t)4 * COUNT * 4,
                         .parameter_count = 4,
                         .parameters = list};
  float expected[] = {0, 0};
  for (int threads = 1; threads <= 3; threads++) {
    poa_parameter_store *store;
    cr_assert_eq(poa_parameter_store_create(&store, &plan, NULL), POA_OK);
    cr_assert_eq(poa_parameter_store_initialize(store, 7, threads, NULL), POA_OK);
    const float *values[4];
    for (int i = 0; i < 4; i++)
      values[i] = poa_parameter_store_values(store, &list[i]);
    cr_expect_arr_eq(values[0], values[1], COUNT * sizeof **values);
    cr_expect_arr_eq(values[3], values[1], COUNT * sizeof **values);
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) {
      cr_assert_eq(values[2][i], 3);
      sum += values[1][i];
      squares += (double)values[1][i] * values[1][i];
    }
    cr_expect(fabs(sum / COUNT) < 2e-4 && fabs(sqrt(squares / COUNT) - 0.02) < 2e-4);
    if (threads > 1)
      cr_expect(expected[0] == values[1][0] && expected[1] == values[1][COUNT - 1]);
    expected[0] = values[1][0];
    expected[1] = values[1][COUNT - 1];
    poa_parameter_store_free(store);
  }
}
