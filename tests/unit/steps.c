/* steps.c: which descriptions a trainer may run for another number of steps than it was compiled
 * for: those alone whose schedules follow the number evenly, to the bit. Anything else would train
 * otherwise than `poa train` without a word. */
#include <criterion/criterion.h>

#include "driver/steps.h"
#include "temporary_folder.h"

/* A network of one parameter; filled in are constants, the lattice, a schedule and a factor. */
static const char description[] = "%s\n"
                                  "elastic width: %s\n"
                                  "params student\n"
                                  "module part() {\n"
                                  "  param weight[width] = ones\n"
                                  "  return weight\n"
                                  "}\n"
                                  "entry step(lr from cosine(base = 1, final = 0, total = %s)) {\n"
                                  "  w = student at sampled: part()\n"
                                  "  for p in student {\n"
                                  "    update p = p * %s\n"
                                  "  }\n"
                                  "  report \"loss.total\" = lr * sum(w)\n"
                                  "}\n";

typedef struct variation {
  const char *constants, *lattice, *total, *factor;
} variation;

#define STEPS "const steps = 20"
#define WIDTHS "2..4 step 2"

static char folder[64];

static void setup(void) {
  make_folder(folder);
}

static void teardown(void) {
  remove_folder(folder);
}

TestSuite(steps, .init = setup, .fini = teardown);

/* The growth of `total` per step; NAN where the number of steps cannot be changed. */
static double growth(variation v) {
  char path[100];
  poa_error error = {0};
  poa_arena *arena = poa_arena_create();
  poa_deployment d;
  poa_step_slopes slopes;
  snprintf(path, sizeof path, "%s/model.poa", folder);
  FILE *file = fopen(path, "w");
  cr_assert(file && fprintf(file, description, v.constants, v.lattice, v.total, v.factor) > 0 &&
            fclose(file) == 0);
  poa_flags flags = {.argument_count = 1, .arguments = {path}};
  cr_assert_eq(poa_deployment_open(&d, &flags, arena, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_find_step_slopes(&d, "step", arena, &slopes, &error), POA_OK, "%s",
               error.message);
  double result = slopes.vary ? -1 : __builtin_nan("");
  for (int i = 0; slopes.vary && i < slopes.count; i++)
    if (strcmp(slopes.slopes[i].argument, "total") == 0)
      result = slopes.slopes[i].per_step;
    else
      cr_expect_eq(slopes.slopes[i].per_step, 0, "%s", slopes.slopes[i].argument);
  poa_deployment_close(&d);
  poa_arena_free(arena);
  return result;
}

static void expect_growth(const char *total, double per_step) {
  double found = growth((variation){STEPS, WIDTHS, total, "0.5"});
  cr_expect_eq(found, per_step, "total = %s: %g per step, not %g", total, found, per_step);
}

Test(steps, schedules_that_follow) {
  expect_growth("steps", 1);
  expect_growth("3 * steps + 5", 3);
  expect_growth("steps / 2", 0.5);
  expect_growth("100", 0);
}

static void expect_fixed(variation v) {
  double found = growth(v);
  cr_expect(found != found, "%s, width %s, total = %s, factor %s: taken to grow by %g", v.constants,
            v.lattice, v.total, v.factor, found);
}

Test(steps, schedules_that_do_not) {
  const char *const totals[] = {"steps * steps",  "steps // 4",         "1 + steps // 1000",
                                "min(steps, 50)", "max(steps, 5)",      "steps / 3",
                                "1 + steps % 2",  "min(steps, 500000)", "max(steps, 22)"};
  for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
    expect_fixed((variation){STEPS, WIDTHS, totals[i], "0.5"});
}

Test(steps, what_else_depends_on_them) {
  expect_fixed((variation){STEPS, WIDTHS, "steps", "(1 - 1 / steps)"});
  expect_fixed((variation){STEPS, "2..steps step 2", "steps", "0.5"});
  expect_fixed((variation){STEPS "\nsampling steps", WIDTHS, "steps", "0.5"});
  expect_fixed((variation){STEPS "\nconst eval_images = 2 * steps", WIDTHS, "steps", "0.5"});
  expect_fixed((variation){"const total_steps = 20", WIDTHS, "total_steps", "0.5"});
}
