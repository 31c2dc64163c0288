/* products.c: the FLOPs that a step is measured by. They are those of the description, whatever the
 * compiler shares, cuts or computes twice: else a better compiler would seem to run slower. */
#include <criterion/criterion.h>

#include "driver/driver.h"
#include "driver/products.h"
#include "temporary_folder.h"

static double flops_of(const char *path, const char *point) {
  poa_flags flags = {.argument_count = 1, .arguments = {path}};
  poa_error error = {0};
  poa_model *model;
  poa_point at = {0};
  double flops = 0;
  cr_assert_eq(poa_load_model(&flags, &model, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_point_parse(poa_model_lattice(model), point, &at, &error), POA_OK, "%s",
               error.message);
  poa_arena *scratch = poa_arena_create();
  cr_assert_eq(poa_model_flops(model, "step", &at, scratch, &flops, &error), POA_OK, "%s",
               error.message);
  poa_arena_free(scratch);
  poa_model_free(model);
  return flops;
}

/* `body` is the step, of a network of two layers, 8 -> 16 -> 4, over 10 rows. */
static double flops_of_step(const char *body, const char *point) {
  char folder[64], path[100];
  make_folder(folder);
  snprintf(path, sizeof path, "%s/model.poa", folder);
  FILE *file = fopen(path, "w");
  cr_assert(file);
  fprintf(file,
          "elastic width: 8..16 step 8\n"
          "params student\n"
          "module layer(x[.., in], out) {\n"
          "  param weight[out, in] = ones\n"
          "  return (x * (max(in) / in)) @ transpose(weight)\n"
          "}\n"
          "module network(x) { return second: layer(first: layer(x, width), 4) }\n"
          "entry step(x[10, 8]) {\n%s}\n",
          body);
  cr_assert_eq(fclose(file), 0);
  double flops = flops_of(path, point);
  remove_folder(folder);
  return flops;
}

enum { FIRST = 2 * 10 * 8 * 16, SECOND = 2 * 10 * 16 * 4 };

/* The first layer's input needs no gradient. */
Test(products, gradients_where_they_are_needed) {
  double forward = flops_of_step("  y = student at max: network(x)\n"
                                 "  report \"y\" = sum(y)\n",
                                 "width=16");
  cr_expect_eq(forward, FIRST + SECOND, "%g", forward);
  double step = flops_of_step("  y = student at max: network(x)\n"
                              "  loss = sum(y * y)\n"
                              "  for p in student { update p = p - gradient(loss, p) }\n",
                              "width=16");
  cr_expect_eq(step, 2 * FIRST + 3 * SECOND, "%g", step);
}

/* At the top of the lattice both branches compute the same, which simplify makes one of. */
Test(products, what_branches_share_counts_for_each) {
  static const char body[] = "  y = student at max: network(x)\n"
                             "  z = student at sampled: network(x)\n"
                             "  report \"y\" = sum(y) + sum(z * z)\n";
  double top = flops_of_step(body, "width=16"), half = flops_of_step(body, "width=8");
  cr_expect_eq(top, 2 * (FIRST + SECOND), "%g", top);
  cr_expect_eq(half, 1.5 * (FIRST + SECOND), "%g", half);
}

/* A pass may compute the one row that is read; a framework computes them all. */
Test(products, rows_that_nobody_reads_count) {
  double flops = flops_of_step("  y = student at max: network(x)\n"
                               "  report \"y\" = sum(y[0])\n",
                               "width=16");
  cr_expect_eq(flops, FIRST + SECOND, "%g", flops);
}

/* Probes are there for those who debug a step. */
Test(products, what_only_probes_read_does_not_count) {
  double flops = flops_of_step("  y = student at max: network(x)\n"
                               "  z = student at sampled: network(x)\n"
                               "  probe \"z\" = z\n"
                               "  report \"y\" = sum(y)\n",
                               "width=8");
  cr_expect_eq(flops, FIRST + SECOND, "%g", flops);
}

/* Beside the count of PyTorch 2.15 (torch.utils.flop_counter) for the same step as
 * bench/peers/bench_step.py runs it. Beyond it we have the positions' interpolation and the KoLeo
 * term's distances as products, and as many masked patches as there may be. */
Test(products, recipes_beside_pytorch) {
  static const struct {
    const char *recipe, *point;
    double gflop;
  } rows[] = {{"tiny", "width=128,depth=4", 174.153},
              {"small", "width=256,depth=9", 1539.248},
              {"vits16", "width=256,depth=9", 1078.853},
              {"swin_small", "width=64,depth=6", 285.321},
              {"resnet_small", "width_index=1,depth1=2,depth2=3,depth3=4,depth4=2", 96.452}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.poa", POA_MODELS_DIR, rows[i].recipe);
    double gflop = flops_of(path, rows[i].point) * 1e-9;
    cr_expect(gflop >= rows[i].gflop && gflop < 1.003 * rows[i].gflop, "%s: %.3f GFLOP, not %.3f",
              rows[i].recipe, gflop, rows[i].gflop);
  }
}
