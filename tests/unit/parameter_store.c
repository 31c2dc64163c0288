/* parameter_store.c: parameters found by name and initialized by name. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "runtime/parameter_store.h"

enum { COUNT = 4000 };

static poa_plan_parameter parameter(const char *set, const char *name, int64_t offset,
                                    poa_initializer initializer, double a) {
  return (poa_plan_parameter){.set = set,
                              .name = name,
                              .shape = {2, {COUNT / 4, 4}},
                              .offset = offset * COUNT * 4,
                              .initializer = initializer,
                              .a = a,
                              .copy_of = "student"};
}

static poa_parameter_store *create(const poa_plan *plan) {
  poa_error error = {0};
  poa_parameter_store *store;
  cr_assert_eq(poa_parameter_store_create(&store, plan, &error), POA_OK, "%s", error.message);
  return store;
}

static const float *values(const poa_parameter_store *store, const char *set, const char *name) {
  const poa_plan_parameter *found = poa_parameter_store_find(store, set, name);
  cr_assert_not_null(found);
  return poa_parameter_store_values(store, found);
}

static void statistics(const float *x, double *mean, double *deviation, double *largest) {
  double sum = 0, squares = 0;
  *largest = 0;
  for (int i = 0; i < COUNT; i++) {
    sum += x[i];
    squares += (double)x[i] * x[i];
    *largest = fmax(*largest, fabs(x[i]));
  }
  *mean = sum / COUNT;
  *deviation = sqrt(squares / COUNT - *mean * *mean);
}

/* Protects: each initializer draws from its distribution; a copy is exact, also through
 * another copy and listed before its source; the block is aligned. */
Test(parameter_store, initializers) {
  const poa_plan_parameter list[] = {
      parameter("teacher", "tn", 0, POA_INIT_COPY, 0),
      parameter("student", "tn", 1, POA_INIT_TRUNC_NORMAL, 0.02),
      parameter("student", "wide", 2, POA_INIT_TRUNC_NORMAL, 100),
      parameter("student", "normal", 3, POA_INIT_NORMAL, 0.5),
      parameter("student", "uniform", 4, POA_INIT_UNIFORM, 0.25),
      parameter("", "scale", 5, POA_INIT_CONSTANT, 7),
  };
  poa_plan plan = {
      .entry = "test", .parameter_bytes = 6 * COUNT * 4, .parameter_count = 6, .parameters = list};
  poa_parameter_store *store = create(&plan);
  poa_error error = {0};
  cr_assert_eq((uintptr_t)poa_parameter_store_data(store) % POA_ALIGNMENT, 0);
  cr_assert_eq(poa_parameter_store_initialize(store, 3, 2, &error), POA_OK, "%s", error.message);
  double mean, deviation, largest;
  statistics(values(store, "student", "tn"), &mean, &deviation, &largest);
  cr_expect(fabs(mean) < 0.002 && fabs(deviation - 0.02) < 0.001);
  statistics(values(store, "student", "wide"), &mean, &deviation, &largest);
  cr_expect(fabs(mean) < 0.1 && fabs(deviation - 2 / sqrt(3)) < 0.05 && largest <= 2);
  statistics(values(store, "student", "normal"), &mean, &deviation, &largest);
  cr_expect(fabs(mean) < 0.05 && fabs(deviation - 0.5) < 0.03);
  statistics(values(store, "student", "uniform"), &mean, &deviation, &largest);
  cr_expect(fabs(mean) < 0.02 && fabs(deviation - 0.25 / sqrt(3)) < 0.01 && largest <= 0.25);
  cr_expect_eq(values(store, "", "scale")[COUNT - 1], 7);
  cr_expect_arr_eq(values(store, "teacher", "tn"), values(store, "student", "tn"), COUNT * 4);
  cr_expect_null(poa_parameter_store_find(store, "teacher", "wide"));
  poa_parameter_store_free(store);
}

/* Protects: a parameter gets the same numbers whatever else the model has, in whatever order, on
 * any number of threads; another name or seed gets others. */
Test(parameter_store, values_follow_from_seed_and_name) {
  const poa_plan_parameter one[] = {
      parameter("student", "a", 0, POA_INIT_NORMAL, 1),
      parameter("student", "b", 1, POA_INIT_NORMAL, 1),
  };
  const poa_plan_parameter two[] = {
      parameter("student", "b", 0, POA_INIT_NORMAL, 1),
      parameter("student", "c", 1, POA_INIT_NORMAL, 1),
      parameter("other", "a", 2, POA_INIT_NORMAL, 1),
  };
  poa_plan plan_one = {
      .entry = "one", .parameter_bytes = 2 * COUNT * 4, .parameter_count = 2, .parameters = one};
  poa_plan plan_two = {
      .entry = "two", .parameter_bytes = 3 * COUNT * 4, .parameter_count = 3, .parameters = two};
  poa_parameter_store *x = create(&plan_one), *y = create(&plan_two), *z = create(&plan_one);
  cr_assert_eq(poa_parameter_store_initialize(x, 1, 1, NULL), POA_OK);
  cr_assert_eq(poa_parameter_store_initialize(y, 1, 3, NULL), POA_OK);
  cr_assert_eq(poa_parameter_store_initialize(z, 2, 1, NULL), POA_OK);
  cr_expect_arr_eq(values(x, "student", "b"), values(y, "student", "b"), COUNT * 4);
  cr_expect_arr_eq(values(x, "student", "a"), values(y, "other", "a"), COUNT * 4);
  cr_expect_neq(values(x, "student", "a")[0], values(x, "student", "b")[0]);
  cr_expect_neq(values(x, "student", "a")[0], values(z, "student", "a")[0]);
  poa_parameter_store_free(x);
  poa_parameter_store_free(y);
  poa_parameter_store_free(z);
}

/* Protects: plans and initializers that cannot be followed are refused with a reason. */
Test(parameter_store, refusals) {
  poa_plan_parameter copy_of_nothing = parameter("teacher", "w", 0, POA_INIT_COPY, 0);
  poa_plan_parameter circle = parameter("student", "w", 0, POA_INIT_COPY, 0);
  poa_plan_parameter negative = parameter("student", "w", 0, POA_INIT_NORMAL, -1);
  poa_plan_parameter not_finite = parameter("student", "w", 0, POA_INIT_TRUNC_NORMAL, NAN);
  poa_plan_parameter outside = parameter("student", "w", 1, POA_INIT_CONSTANT, 0);
  poa_plan_parameter good = parameter("student", "w", 0, POA_INIT_CONSTANT, 0);
  poa_plan_parameter reshaped = parameter("teacher", "w", 0, POA_INIT_COPY, 0);
  reshaped.shape.rank = 1;
  const struct {
    poa_plan_parameter list[2];
    int count;
    const char *expected;
  } rows[] = {
      {{copy_of_nothing}, 1, "which has no parameter of that name"},
      {{circle}, 1, "which in turn copies it"},
      {{good, reshaped}, 2, "another shape"},
      {{negative}, 1, "must be a finite number"},
      {{not_finite}, 1, "must be a finite number"},
      {{outside}, 1, "the plan is damaged"},
      {{good, good}, 2, "listed twice"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_parameter_store *store;
    poa_plan plan = {.entry = "test",
                     .parameter_bytes = COUNT * 4,
                     .parameter_count = rows[i].count,
                     .parameters = rows[i].list};
    poa_status status = poa_parameter_store_create(&store, &plan, &error);
    if (status == POA_OK)
      status = poa_parameter_store_initialize(store, 1, 1, &error);
    cr_expect_eq(status, POA_BAD_INPUT, "row %zu", i);
    cr_expect(strstr(error.message, rows[i].expected), "%s", error.message);
    poa_parameter_store_free(store);
  }
}
