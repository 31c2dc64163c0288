/* aot.c: a library compiled ahead of time computes the bits that the JIT computes.
 *
 * Libraries are linked into C programs by the system's compiler, as a user would; those for
 * AArch64 run in an emulator where there is one. */
#include <math.h>

#include "aot_fixture.h"
#include "passes/extract.h"

TestSuite(aot, .init = setup, .fini = teardown);

/* The demo's smallest vision transformer, two images at a time, with its own parameters alone. */
static poa_graph *small_vit(const poa_target *made_for) {
  poa_error error = {0};
  const char *overrides[] = {"eval_batch=2"};
  poa_model_options options = {
      .path = "fashion", .models_dir = POA_MODELS_DIR, .override_count = 1, .overrides = overrides};
  poa_options point = {.has_point = true, .vector_lanes = made_for->vector_lanes};
  poa_graph *graph;
  if (!model)
    cr_assert_eq(poa_model_load(&model, &options, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_model_graph(model, "features", arena, &graph, &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_point_parse(poa_model_lattice(model), "width=64,depth=3", &point.point, &error),
               POA_OK);
  poa_extraction extraction;
  cr_assert_eq(poa_extract_parameters(graph, &point, &extraction, &error), POA_OK, "%s",
               error.message);
  return schedule(graph, &point);
}

/* The JIT. */

typedef struct jit {
  poa_target target;
  poa_kernel_library *library;
  poa_plan *plan;
  char *arena;
} jit;

static jit start_jit(const poa_graph *graph) {
  poa_error error = {0};
  jit j = {0};
  poa_status status = poa_target_init(&j.target, NULL, &error);
  if (status == POA_OK)
    status = poa_kernel_library_create(&j.library, &j.target, NULL, &error);
  if (status == POA_OK)
    status = poa_lower(graph, j.library, arena, &j.plan, &error);
  cr_assert_eq(status, POA_OK, "%s", error.message);
  j.arena = aligned_alloc(64, (size_t)(j.plan->arena_bytes + 63) / 64 * 64);
  return j;
}

static void stop_jit(jit *j) {
  free(j->arena);
  poa_kernel_library_free(j->library);
  poa_target_free(&j->target);
}

static void run_jit(const jit *j, void *parameters) {
  for (int i = 0; i < j->plan->launch_count; i++) {
    const poa_plan_launch *launch = &j->plan->launches[i];
    void *pointers[64];
    for (int b = 0; b < launch->buffer_count; b++)
      pointers[b] = (launch->buffers[b].space == POA_SPACE_ARENA ? j->arena : (char *)parameters) +
                    launch->buffers[b].offset;
    launch->kernel(pointers, 0, launch->tiles);
  }
}

/* Features of `count` images, in batches. */
static float *jit_features(const poa_graph *graph, void *weights, const float *images,
                           int64_t count) {
  jit j = start_jit(graph);
  const poa_plan_input *in = &j.plan->inputs[0];
  const poa_plan_output *out = &j.plan->outputs[0];
  int64_t batch = in->shape.dim[0], elements = poa_plan_elements(in->shape) / batch;
  int64_t dimension = out->shape.dim[1];
  float *features = calloc((size_t)(count * dimension), sizeof *features);
  for (int64_t done = 0; done < count; done += batch) {
    int64_t some = count - done < batch ? count - done : batch;
    memset(j.arena + in->buffer.offset, 0, (size_t)in->buffer.bytes);
    memcpy(j.arena + in->buffer.offset, images + done * elements, (size_t)(some * elements) * 4);
    run_jit(&j, weights);
    memcpy(features + done * dimension, j.arena + out->buffer.offset,
           (size_t)(some * dimension) * 4);
  }
  stop_jit(&j);
  return features;
}

/* Libraries and their callers. */

/* caller IMAGES THREADS FEATURES [WEIGHTS]; WEIGHTED: the library takes weights. The workspace is
 * full of what would show. */
static const char caller[] =
    "#include \"net.h\"\n"
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "static void *slurp(const char *path, size_t *size) {\n"
    "  FILE *f = fopen(path, \"rb\");\n"
    "  fseek(f, 0, SEEK_END); *size = (size_t)ftell(f); rewind(f);\n"
    "  void *p = aligned_alloc(64, (*size + 64) / 64 * 64);\n"
    "  if (fread(p, 1, *size, f) != *size) exit(9);\n"
    "  fclose(f); return p;\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "  size_t size, weight_size = 0, room = (net_workspace_bytes() + 63) / 64 * 64;\n"
    "  float *images = slurp(argv[1], &size);\n"
    "  int64_t count = (int64_t)(size / 4 / ELEMENTS);\n"
    "  void *weights = argc > 4 ? slurp(argv[4], &weight_size) : NULL;\n"
    "  if (weights && weight_size != NET_WEIGHT_BYTES) return 8;\n"
    "  if (!net_cpu_supported()) return 7;\n"
    "  float *features = malloc((size_t)count * NET_DIMENSION * 4 + 4);\n"
    "  void *workspace = aligned_alloc(64, room);\n"
    "  memset(workspace, 0xff, room);\n"
    "  features[count * NET_DIMENSION] = 42;\n"
    "  int code = net_features(WEIGHTS images, count, features, workspace, atoi(argv[2]));\n"
    "  if (code) return code;\n"
    "  if (features[count * NET_DIMENSION] != 42) return 6;\n"
    "  FILE *f = fopen(argv[3], \"wb\");\n"
    "  fwrite(features, 4, (size_t)count * NET_DIMENSION, f);\n"
    "  return fclose(f);\n"
    "}\n";

/* Builds the caller with `object` into the program "caller". */
static void build_caller(const char *compiler, const char *object, int64_t elements, bool weighted,
                         bool is_static) {
  write_file("caller.c", caller, strlen(caller));
  const char *argv[] = {compiler,
                        "-std=c11",
                        "-Wall",
                        "-Wextra",
                        "-Werror",
                        poa_arena_format(arena, "-DELEMENTS=%lld", (long long)elements),
                        weighted ? "-DWEIGHTS=weights," : "-DWEIGHTS=",
                        in_folder("caller.c"),
                        in_folder(object),
                        "-o",
                        in_folder("caller"),
                        "-fopenmp",
                        is_static ? "-static" : NULL,
                        NULL};
  cr_assert_eq(poa_tool_run(argv, NULL), 0, "the caller does not compile and link");
}

/* Runs it, by `emulator` if not NULL, and returns what it wrote. */
static float *run_caller(const char *emulator, const char *threads, bool weighted) {
  const char *argv[8] = {emulator};
  int n = emulator ? 1 : 0;
  size_t size;
  argv[n++] = in_folder("caller");
  argv[n++] = in_folder("images");
  argv[n++] = threads;
  argv[n++] = in_folder("features");
  argv[n++] = weighted ? in_folder("weights") : NULL;
  cr_assert_eq(poa_tool_run(argv, NULL), 0, "the caller fails");
  return (float *)(void *)read_file("features", &size);
}

/* A graph with weights, images that are no whole number of batches, and what the JIT makes of
 * them. */
typedef struct sample {
  poa_graph *graph;
  poa_lowered lowered;
  float *weights, *images, *expected;
  int64_t count, elements, dimension;
} sample;

static sample take_sample(poa_graph *graph, int64_t count) {
  sample s = {.graph = graph, .lowered = lower(graph, &target), .count = count};
  const poa_plan *plan = s.lowered.plan;
  s.elements = poa_plan_elements(plan->inputs[0].shape) / plan->inputs[0].shape.dim[0];
  s.dimension = plan->outputs[0].shape.dim[1];
  s.weights = made_up(plan->parameter_bytes / 4, 1);
  s.images = made_up(count * s.elements, 2);
  s.expected = jit_features(graph, s.weights, s.images, count);
  write_file("weights", s.weights, (size_t)plan->parameter_bytes);
  write_file("images", s.images, (size_t)(count * s.elements) * 4);
  return s;
}

static void free_sample(sample *s) {
  free(s->weights);
  free(s->images);
  free(s->expected);
}

static void assert_same_bits(const sample *s, float *features, const char *what) {
  size_t bytes = (size_t)(s->count * s->dimension) * 4;
  cr_assert_eq(memcmp(features, s->expected, bytes), 0, "%s: other bits than the JIT's", what);
  free(features);
}

/* Protects from a library that computes something else than the JIT: with one thread and without
 * OpenMP, with several, with as many as there are, and with weights passed or inside. */
Test(aot, library_computes_what_the_jit_does) {
  sample s = take_sample(small_vit(&target), 5);
  static const char *const threads[] = {"1", "2", "3", "0"};
  for (int inside = 0; inside < 2; inside++) {
    poa_aot_library library = library_of("net", &s.lowered, &target, inside ? s.weights : NULL);
    write_library(&library, POA_AOT_OBJECT, "net.o");
    build_caller("cc", "net.o", s.elements, !inside, false);
    for (int i = 0; i < 4; i++)
      assert_same_bits(&s, run_caller(NULL, threads[i], !inside), threads[i]);
  }
  free_sample(&s);
}

/* Protects text that LLVM's tools cannot read back, and assembly that the system's assembler
 * cannot, or that means something else. */
Test(aot, text_means_the_same) {
  sample s = take_sample(parse(two_layers), 7);
  poa_aot_library library = library_of("net", &s.lowered, &target, NULL);
  write_library(&library, POA_AOT_ASSEMBLY, "net.s");
  build_caller("cc", "net.s", s.elements, true, false);
  assert_same_bits(&s, run_caller(NULL, "2", true), "assembly");
  write_library(&library, POA_AOT_LLVM, "net.ll");
  if (!poa_tool_exists("opt-19") || !poa_tool_exists("llc-19"))
    cr_skip_test("no opt-19 and llc-19 (Debian: llvm-19)");
  const char *opt[] = {"opt-19", "-passes=verify",    in_folder("net.ll"),
                       "-o",     in_folder("net.bc"), NULL};
  const char *llc[] = {"llc-19",
                       "-relocation-model=pic",
                       "-filetype=obj",
                       in_folder("net.bc"),
                       "-o",
                       in_folder("net.o"),
                       NULL};
  cr_assert_eq(poa_tool_run(opt, NULL), 0, "opt cannot read the text");
  cr_assert_eq(poa_tool_run(llc, NULL), 0, "llc cannot compile it");
  build_caller("cc", "net.o", s.elements, true, false);
  assert_same_bits(&s, run_caller(NULL, "2", true), "LLVM");
  free_sample(&s);
}

/* Protects two libraries with the same kernels from clashing in one program. */
Test(aot, two_libraries_in_one_program) {
  sample s = take_sample(parse(two_layers), 4);
  poa_aot_library one = library_of("one", &s.lowered, &target, s.weights);
  poa_aot_library two = library_of("two", &s.lowered, &target, s.weights);
  write_library(&one, POA_AOT_OBJECT, "one.o");
  write_library(&two, POA_AOT_OBJECT, "two.o");
  static const char both[] = "#include \"one.h\"\n#include \"two.h\"\n#include <string.h>\n"
                             "static float x[4 * 21], y[4 * ONE_DIMENSION], z[4 * TWO_DIMENSION];\n"
                             "static _Alignas(64) char workspace[65536];\n"
                             "int main(void) {\n"
                             "  for (int i = 0; i < 84; i++) x[i] = (float)i / 50;\n"
                             "  if (one_workspace_bytes() > sizeof workspace) return 2;\n"
                             "  if (one_features(x, 4, y, workspace, 2) || two_features(x, 4, z, "
                             "workspace, 1)) return 3;\n"
                             "  return y[5] == 0 || memcmp(y, z, sizeof y) != 0;\n"
                             "}\n";
  write_file("both.c", both, strlen(both));
  const char *argv[] = {"cc",
                        "-Wall",
                        "-Werror",
                        in_folder("both.c"),
                        in_folder("one.o"),
                        in_folder("two.o"),
                        "-o",
                        in_folder("both"),
                        "-fopenmp",
                        NULL};
  cr_assert_eq(poa_tool_run(argv, NULL), 0, "the two do not link");
  const char *run[] = {in_folder("both"), NULL};
  cr_assert_eq(poa_tool_run(run, NULL), 0);
  free_sample(&s);
}

/* Protects an entry that updates its parameters and has inputs and results of every type; results
 * that are not wanted; and callers from being crashed by what they pass. */
Test(aot, plain_entry_and_its_arguments) {
  poa_graph *graph = parse(one_step);
  poa_lowered lowered = lower(graph, &target);
  poa_aot_library library = library_of("net", &lowered, &target, NULL);
  write_library(&library, POA_AOT_OBJECT, "net.o");
  static const char program[] =
      "#include \"net.h\"\n#include <stdio.h>\n"
      "static _Alignas(64) char workspace[65536], parameters[NET_WEIGHT_BYTES];\n"
      "static float x[30], product[30], loss[6];\n"
      "static int32_t rows[6] = {5, 0, 3, 3, 1, 2};\n"
      "static uint8_t keep[30];\n"
      "#define STEP(p, w, t) net_step(p, x, rows, keep, product, loss, w, t)\n"
      "int main(int argc, char **argv) {\n"
      "  float *w = (float *)(void *)parameters;\n"
      "  for (int i = 0; i < 30; i++) x[i] = (float)i / 7, w[i] = (float)(i % 4), keep[i] = i % 3 "
      "> 0;\n"
      "  if (STEP(NULL, workspace, 1) != NET_BAD_ARGUMENT) return 2;\n"
      "  if (STEP(parameters + 4, workspace, 1) != NET_BAD_ARGUMENT) return 3;\n"
      "  if (STEP(parameters, NULL, 1) != NET_BAD_ARGUMENT) return 4;\n"
      "  if (STEP(parameters, workspace + 32, 1) != NET_BAD_ARGUMENT) return 5;\n"
      "  if (STEP(parameters, workspace, -1) != NET_BAD_ARGUMENT) return 6;\n"
      "  if (net_step(parameters, NULL, rows, keep, product, loss, workspace, 1) != 1) return 7;\n"
      "  if (w[1] != 1) return 8;\n"
      "  if (STEP(parameters, workspace, 2)) return 9;\n"
      "  if (net_step(parameters, x, rows, keep, NULL, NULL, workspace, 1)) return 10;\n"
      "  FILE *f = fopen(argv[argc - 1], \"wb\");\n"
      "  fwrite(w, 4, 30, f); fwrite(product, 4, 30, f); fwrite(loss, 4, 6, f);\n"
      "  return fclose(f);\n"
      "}\n";
  write_file("step.c", program, strlen(program));
  const char *argv[] = {"cc",
                        "-Wall",
                        "-Werror",
                        in_folder("step.c"),
                        in_folder("net.o"),
                        "-o",
                        in_folder("step"),
                        "-fopenmp",
                        NULL};
  const char *run[] = {in_folder("step"), in_folder("results"), NULL};
  cr_assert_eq(poa_tool_run(argv, NULL), 0);
  cr_assert_eq(poa_tool_run(run, NULL), 0, "a step, or the refusal of a wrong argument, fails");
  size_t size;
  float *found = (float *)(void *)read_file("results", &size), w[30], product[30];
  static const int rows[6] = {5, 0, 3, 3, 1, 2};
  for (int step = 0; step < 2; step++)
    for (int i = 0; i < 30; i++) {
      w[i] = step ? w[i] : (float)(i % 4);
      float chosen = i % 3 > 0 ? (float)(rows[i / 5] * 5 + i % 5) / 7 : w[i];
      product[i] = step ? product[i] : chosen * w[i];
      w[i] -= chosen;
    }
  for (int i = 0; i < 30; i++) {
    cr_assert_eq(found[i], w[i], "parameter %d: %g, expected %g", i, (double)found[i],
                 (double)w[i]);
    cr_assert_eq(found[30 + i], product[i], "product %d", i);
  }
  for (int row = 0; row < 6; row++) {
    float sum = 0;
    for (int i = 0; i < 5; i++)
      sum += product[5 * row + i];
    cr_assert_float_eq(found[60 + row], sum, 1e-5f * (1 + fabsf(sum)), "row %d", row);
  }
  free(found);
}

/* Protects the batched function from counts and pointers that it cannot take. */
Test(aot, batched_arguments) {
  sample s = take_sample(parse(two_layers), 1);
  poa_aot_library library = library_of("net", &s.lowered, &target, s.weights);
  write_library(&library, POA_AOT_OBJECT, "net.o");
  static const char program[] =
      "#include \"net.h\"\n"
      "static _Alignas(64) char workspace[65536];\n"
      "static float x[21], y[NET_DIMENSION];\n"
      "int main(void) {\n"
      "  y[0] = 5;\n"
      "  if (net_features(x, 0, y, workspace, 1) || y[0] != 5) return 2;\n"
      "  if (net_features(x, -1, y, workspace, 1) != NET_BAD_ARGUMENT) return 3;\n"
      "  if (net_features(0, 1, y, workspace, 1) != NET_BAD_ARGUMENT) return 4;\n"
      "  if (net_features(x, 1, 0, workspace, 1) != NET_BAD_ARGUMENT) return 5;\n"
      "  if (net_features(x, 1, y, workspace + 8, 1) != NET_BAD_ARGUMENT) return 6;\n"
      "  if (net_features((float *)((char *)x + 1), 1, y, workspace, 1) != 1) return 7;\n"
      "  if (net_features(x, 1, y, workspace, -2) != NET_BAD_ARGUMENT) return 8;\n"
      "  return net_features(x, 1, y, workspace, 0);\n"
      "}\n";
  write_file("arguments.c", program, strlen(program));
  const char *argv[] = {"cc", in_folder("arguments.c"), in_folder("net.o"),
                        "-o", in_folder("arguments"),   "-fopenmp",
                        NULL};
  const char *run[] = {in_folder("arguments"), NULL};
  cr_assert_eq(poa_tool_run(argv, NULL), 0);
  cr_assert_eq(poa_tool_run(run, NULL), 0);
  free_sample(&s);
}

/* Protects users of other compilers from headers that only ours reads. */
Test(aot, header_is_c99_and_cxx) {
  sample s = take_sample(parse(two_layers), 1);
  poa_aot_library library = library_of("net", &s.lowered, &target, NULL);
  library.title = "a title that */ ends no comment";
  write_library(&library, POA_AOT_OBJECT, "net.o");
  static const char user[] = "#include \"net.h\"\nint main(void) { return NET_BATCH - 4; }\n";
  write_file("user.c", user, strlen(user));
  const char *c99[] = {"cc",      "-std=c99",      "-pedantic",         "-Wall", "-Wextra",
                       "-Werror", "-fsyntax-only", in_folder("user.c"), NULL};
  cr_assert_eq(poa_tool_run(c99, NULL), 0);
  if (!poa_tool_exists("g++"))
    cr_skip_test("no g++");
  const char *cxx[] = {
      "g++", "-std=c++11", "-pedantic",         "-Wall", "-Werror", "-fsyntax-only",
      "-x",  "c++",        in_folder("user.c"), NULL};
  cr_assert_eq(poa_tool_run(cxx, NULL), 0);
  free_sample(&s);
}

/* Protects from libraries that could not work, and from half a file. */
Test(aot, refuses_what_cannot_be_a_library) {
  poa_error error = {0};
  static const float weights[30];
  poa_lowered lowered = lower(parse(one_step), &target);
  poa_aot_library library = library_of("net", &lowered, &target, weights);
  cr_assert_neq(poa_aot_library_write(&library, POA_AOT_OBJECT, in_folder("net.o"), &error),
                POA_OK);
  cr_assert(strstr(error.message, "updates"), "%s", error.message);
  error = (poa_error){0};
  library = library_of("my-net", &lowered, &target, NULL);
  cr_assert_eq(poa_aot_library_write(&library, POA_AOT_OBJECT, in_folder("net.o"), &error),
               POA_BAD_INPUT);
  cr_assert(strstr(error.message, "my-net"), "%s", error.message);
  cr_assert_eq(count_files(folder), 0);
}

Test(aot, refuses_external_calls) {
  poa_error error = {0};
  poa_plan_external external = {.symbol = "swish"};
  poa_plan_launch launch = {.external = &external, .tiles = 1, .label = "", .family = "external"};
  poa_plan plan = {.entry = "features", .launch_count = 1, .launches = &launch};
  poa_kernel_request request = {0};
  poa_lowered lowered = {.plan = &plan, .launches = &launch, .requests = &request};
  poa_aot_library library = library_of("net", &lowered, &target, NULL);
  cr_assert_eq(poa_aot_library_write(&library, POA_AOT_OBJECT, in_folder("net.o"), &error),
               POA_UNSUPPORTED);
  cr_assert(strstr(error.message, "'swish'") && strstr(error.message, "plugin"), "%s",
            error.message);
}

/* Protects cross-compilation: the same network for another processor, emulated, gives the same
 * features up to the order of sums in its shorter vectors. */
Test(aot, aarch64_agrees) {
  if (!poa_tool_exists("aarch64-linux-gnu-gcc") || !poa_tool_exists("qemu-aarch64"))
    cr_skip_test("needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user");
  poa_error error = {0};
  poa_target arm;
  sample s = take_sample(small_vit(&target), 3);
  cr_assert_eq(poa_target_init_for(&arm, NULL, "aarch64-linux-gnu", &error), POA_OK, "%s",
               error.message);
  cr_assert(arm.vector_lanes == 4 && arm.vector_count == 32 && arm.has_fma);
  poa_lowered lowered = lower(small_vit(&arm), &arm);
  for (int inside = 0; inside < 2; inside++) {
    poa_aot_library library = library_of("net", &lowered, &arm, inside ? s.weights : NULL);
    write_library(&library, POA_AOT_OBJECT, "net.o");
    build_caller("aarch64-linux-gnu-gcc", "net.o", s.elements, !inside, true);
    float *features = run_caller("qemu-aarch64", inside ? "1" : "2", !inside), largest = 0;
    for (int64_t i = 0; i < s.count * s.dimension; i++)
      largest = fmaxf(largest, fabsf(s.expected[i]));
    cr_assert_gt(largest, 0.1f);
    for (int64_t i = 0; i < s.count * s.dimension; i++)
      cr_assert(fabsf(features[i] - s.expected[i]) <= 1e-5f * largest, "feature %d: %g and %g",
                (int)i, (double)features[i], (double)s.expected[i]);
    free(features);
  }
  poa_target_free(&arm);
  free_sample(&s);
}
