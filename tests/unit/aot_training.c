/* aot_training.c: a training step as a library, on this machine and on another. */
#include <math.h>

#include "aot_fixture.h"
#include "runtime/parameter_store.h"

TestSuite(aot_training, .init = setup, .fini = teardown);

/* A training step as a program: reads the first parameters from a file, makes its inputs up, alike
 * on every machine (numbers around 0, of a single one 0.05; rows 0, 1, ..; either bool), and writes
 * results and updated parameters. */
static const char stepper_start[] =
    "#include \"net.h\"\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "enum { REALS, ROWS, BOOLS, ZEROS };\n"
    "static uint32_t seed = 1;\n"
    "static void *make(size_t n, int kind) {\n"
    "  char *p = aligned_alloc(64, (n * 4 + 63) / 64 * 64);\n"
    "  memset(p, 0, n * 4);\n"
    "  for (size_t i = 0; kind != ZEROS && i < n; i++) {\n"
    "    float *real = (float *)(void *)p + i;\n"
    "    int32_t *row = (int32_t *)(void *)p + i;\n"
    "    seed = seed * 1664525u + 1013904223u;\n"
    "    if (kind == REALS) *real = n == 1 ? 0.05f : (float)(seed >> 8) / 8388608.0f - 1;\n"
    "    if (kind == ROWS) *row = (int32_t)i;\n"
    "    if (kind == BOOLS) p[i] = seed >> 31;\n"
    "  }\n"
    "  return p;\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "  float *parameters = make(NET_WEIGHT_BYTES / 4, ZEROS);\n"
    "  void *workspace = make(net_workspace_bytes() / 4 + 1, ZEROS);\n"
    "  FILE *f = fopen(argv[1], \"rb\");\n"
    "  if (argc != 3 || fread(parameters, NET_WEIGHT_BYTES, 1, f) != 1) return 9;\n";

static void write_stepper(const poa_plan *plan) {
  FILE *out = fopen(in_folder("stepper.c"), "w");
  fputs(stepper_start, out);
  for (int i = 0; i < plan->input_count; i++)
    fprintf(out, "  void *i%d = make(%lld, %d);\n", i,
            (long long)poa_plan_elements(plan->inputs[i].shape), (int)plan->inputs[i].dtype);
  for (int i = 0; i < plan->output_count; i++)
    fprintf(out, "  float *o%d = make(%lld, ZEROS);\n", i,
            (long long)poa_plan_elements(plan->outputs[i].shape));
  fprintf(out, "  fclose(f);\n  int code = net_step(parameters,");
  for (int i = 0; i < plan->input_count; i++)
    fprintf(out, " i%d,", i);
  for (int i = 0; i < plan->output_count; i++)
    fprintf(out, " o%d,", i);
  fprintf(out, " workspace, 2);\n  if (code) return code;\n  f = fopen(argv[2], \"wb\");\n");
  for (int i = 0; i < plan->output_count; i++)
    fprintf(out, "  fwrite(o%d, 4, %lld, f);\n", i,
            (long long)poa_plan_elements(plan->outputs[i].shape));
  fprintf(out, "  fwrite(parameters, 1, NET_WEIGHT_BYTES, f);\n  return fclose(f);\n}\n");
  fclose(out);
}

static void write_first_parameters(const poa_plan *plan) {
  poa_error error = {0};
  poa_parameter_store *store;
  cr_assert_eq(poa_parameter_store_create(&store, plan, &error), POA_OK);
  cr_assert_eq(poa_parameter_store_initialize(store, 0, 0, &error), POA_OK);
  write_file("weights", poa_parameter_store_data(store), (size_t)plan->parameter_bytes);
  poa_parameter_store_free(store);
}

/* How many of the plan's results come before the first that is about gradients. */
static int count_losses(const poa_plan *plan) {
  int count = 0;
  while (count < plan->output_count && strncmp(plan->outputs[count].name, "clip.", 5) != 0)
    count++;
  return count;
}

/* What a step of the smallest network leaves, by a program for `made_for`: its results, of which
 * the first are *losses losses, and the parameters; *count numbers in all. */
static float *run_step(const poa_target *made_for, const char *compiler, const char *emulator,
                       size_t *count, int *losses) {
  poa_error error = {0};
  poa_model_options options = {.path = POA_TESTS_DIR "/support/micro.poa",
                               .models_dir = POA_MODELS_DIR};
  poa_options top = {.vector_lanes = made_for->vector_lanes};
  poa_graph *graph;
  if (!model)
    cr_assert_eq(poa_model_load(&model, &options, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_model_graph(model, "step", arena, &graph, &error), POA_OK, "%s", error.message);
  poa_lowered lowered = lower(schedule(graph, &top), made_for);
  poa_aot_library library = library_of("net", &lowered, made_for, NULL);
  write_library(&library, POA_AOT_OBJECT, "net.o");
  write_stepper(lowered.plan);
  write_first_parameters(lowered.plan);
  const char *build[] = {compiler,
                         "-Wall",
                         "-Werror",
                         in_folder("stepper.c"),
                         in_folder("net.o"),
                         "-o",
                         in_folder("stepper"),
                         "-fopenmp",
                         emulator ? "-static" : NULL,
                         NULL};
  const char *run[] = {emulator, in_folder("stepper"), in_folder("weights"), in_folder("state"),
                       NULL};
  cr_assert_eq(poa_tool_run(build, NULL), 0);
  cr_assert_eq(poa_tool_run(emulator ? run : run + 1, NULL), 0);
  float *state = (float *)(void *)read_file("state", count);
  *count /= 4;
  *losses = count_losses(lowered.plan);
  return state;
}

/* How many of `count` numbers are further apart than `tolerance` * (1 + |a|). */
static int count_different(const float *a, const float *b, size_t count, float tolerance) {
  int different = 0;
  for (size_t i = 0; i < count; i++)
    different += !(fabsf(a[i] - b[i]) <= tolerance * (1 + fabsf(a[i])));
  return different;
}

/* Protects every family of kernels, those of gradients and optimizers too, on processors with
 * other vectors. Losses agree to rounding. The norms of gradients, of a network that has learned
 * nothing yet, magnify rounding a thousandfold; and Adam takes a step of the learning rate
 * whatever a gradient's size, so where one is rounding alone its parameter may go either way. */
Test(aot_training, aarch64_agrees) {
  if (!poa_tool_exists("aarch64-linux-gnu-gcc") || !poa_tool_exists("qemu-aarch64"))
    cr_skip_test("needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user");
  poa_error error = {0};
  poa_target arm;
  int losses;
  size_t count, arm_count, size;
  cr_assert_eq(poa_target_init_for(&arm, NULL, "aarch64-linux-gnu", &error), POA_OK);
  float *here = run_step(&target, "cc", NULL, &count, &losses);
  float *there = run_step(&arm, "aarch64-linux-gnu-gcc", "qemu-aarch64", &arm_count, &losses);
  float *before = (float *)(void *)read_file("weights", &size);
  size_t state = size / 4, results = count - state;
  cr_assert_eq(count, arm_count);
  cr_assert(losses > 10 && (size_t)losses < results);
  cr_assert_gt(count_different(before, here + results, state, 1e-5f), (int)state / 4);
  cr_assert_eq(count_different(here, there, (size_t)losses, 1e-5f), 0);
  cr_assert_eq(count_different(here, there, results, 1e-2f), 0);
  int different = count_different(here + results, there + results, state, 1e-5f);
  cr_assert_lt(different, (int)state / 100, "%d of %zu parameters differ", different, state);
  free(before);
  free(here);
  free(there);
  poa_target_free(&arm);
}
