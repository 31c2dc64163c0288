/* frontend.c: descriptions become the graphs and parameters that they should, and no text,
 * however hostile, does harm. What single mistakes are told is in tests/errors. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "frontend/model.h"
#include "passes/passes.h"
#include "runtime/safetensors.h"
#include "runtime/sources.h"
#include "tests/unit/temporary_folder.h"

/* Loading */

typedef struct loaded {
  poa_model *model; /* NULL: refused */
  poa_error error;
  char *shown; /* what diagnostics said */
} loaded;

static loaded load_path(const char *path, int count, const char *const *overrides) {
  loaded l = {0};
  size_t size;
  FILE *out = open_memstream(&l.shown, &size);
  poa_model_options options = {.path = path,
                               .models_dir = POA_MODELS_DIR,
                               .override_count = count,
                               .overrides = overrides,
                               .diagnostics = out,
                               .source_exists = poa_source_exists};
  poa_status status = poa_model_load(&l.model, &options, &l.error);
  fclose(out);
  cr_assert_eq(status == POA_OK, l.model != NULL);
  cr_assert_eq(status == POA_OK, *l.error.message == '\0');
  return l;
}

static loaded load_bytes(const char *text, size_t size, int count, const char *const *overrides) {
  char path[64];
  int file = memfd_create("description", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  cr_assert_eq(write(file, text, size), (ssize_t)size);
  loaded l = load_path(path, count, overrides);
  close(file);
  return l;
}

static loaded load_text(const char *text) {
  return load_bytes(text, strlen(text), 0, NULL);
}

static void release(loaded *l) {
  poa_model_free(l->model);
  free(l->shown);
}

static poa_graph *graph_of(const loaded *l, const char *entry, poa_arena *arena) {
  poa_error error = {0};
  poa_graph *graph = NULL;
  cr_assert(l->model, "%s", l->error.message);
  cr_assert_eq(poa_model_graph(l->model, entry, arena, &graph, &error), POA_OK, "%s",
               error.message);
  cr_assert_eq(poa_graph_verify(graph, &error), POA_OK, "%s", error.message);
  return graph;
}

/* Numbers */

typedef struct number_row {
  const char *expression;
  double value;
} number_row;

/* Protects: the arithmetic of known numbers, its precedence, and which of them are integers. */
Test(frontend, known_numbers) {
  static const number_row rows[] = {
      {"2 + 3 * 4", 14},
      {"-2 ^ 2", -4},
      {"2 ^ 3 ^ 2", 512},
      {"2 ^ -1", 0.5},
      {"7 // 2", 3},
      {"-7 // 2", -4},
      {"-7 % 3", 2},
      {"10 - 4 - 3", 3},
      {"1e-3 * 2", 0.002},
      {"int(7 / 2)", 3},
      {"int(-3.5)", -3},
      {"max(3, 4.5)", 4.5},
      {"min(3, 4.5)", 3},
      {"length(range(4 / 2))", 2},
      {"[1, 2, 3][-1]", 3},
      {"sqrt(16)", 4},
      {"abs(-3)", 3},
      {"length([[1, 2], 3])", 2},
      {"where(1 < 2, 5, 6)", 5},
      {"(1 + 2) * 3", 9},
      {"9007199254740992", 9007199254740992.0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[200];
    double value = -1;
    snprintf(text, sizeof text, "const a = %s", rows[i].expression);
    loaded l = load_text(text);
    cr_assert(l.model, "%s: %s", text, l.error.message);
    cr_assert(poa_model_number(l.model, "a", &value));
    cr_assert_float_eq(value, rows[i].value, 1e-12, "%s is %g", text, value);
    release(&l);
  }
}

/* Protects: quotients of extents stay exact, at every point of the lattice, and are refused as an
 * extent where they are no integer at some point. */
Test(frontend, quotients_stay_exact) {
  static const struct {
    const char *expression;
    int64_t at_96, at_192; /* -1: no extent */
  } rows[] = {
      {"width", 96, 192},
      {"4 * width", 384, 768},
      {"width / 32", 3, 6},
      {"(width / 5) * 5", 96, 192},
      {"width / 5", -1, -1},
      {"(width + 64) / 32", 5, 8},
      {"width * 2 ^ 3", 768, 1536},
      {"width ^ 2 / width", 96, 192},
      {"width // 5", 19, 38},
      {"width % 64", 32, 0},
      {"max(width) / 32", 6, 6},
      {"max(width) / width * width", 192, 192},
      {"(width / 3 + width / 6) * 2", 96, 192},
      {"width / 64", -1, -1},
      {"width * 0.5", -1, -1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[300];
    snprintf(text, sizeof text,
             "elastic width: 96..192 step 32\nentry step() { return zeros([%s]) }",
             rows[i].expression);
    loaded l = load_text(text);
    cr_assert_eq(l.model != NULL, rows[i].at_96 >= 0, "%s: %s", rows[i].expression, l.shown);
    if (l.model) {
      poa_arena *arena = poa_arena_create();
      poa_graph *graph = graph_of(&l, "step", arena);
      poa_extent extent = poa_node_of(graph, graph->node_count - 1)->type.dim[0];
      poa_point low = {{96}}, high = {{192}};
      cr_assert_eq(poa_extent_at(extent, &low), rows[i].at_96, "%s", rows[i].expression);
      cr_assert_eq(poa_extent_at(extent, &high), rows[i].at_192, "%s", rows[i].expression);
      poa_arena_free(arena);
    }
    release(&l);
  }
}

/* Parameters */

/* Protects: depth keeps the blocks of the recorded lists, and they keep their own parameters. */
static void check_kept_blocks(const poa_file_tensor *recorded, int kept, int of) {
  char text[500];
  snprintf(text, sizeof text,
           "elastic depth: 1..%d\nparams student\n"
           "module block(x) {\n param w[4] = ones\n return x * w\n}\n"
           "module net(x) {\n for i in keep(depth) { x = blocks[i]: block(x) }\n return x\n}\n"
           "entry step(x[4]) { return student at sampled: net(x) }",
           of);
  loaded l = load_text(text);
  poa_error error = {0};
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = graph_of(&l, "step", arena);
  poa_options options = {.has_point = true, .point = {{kept}}};
  cr_assert_eq(
      poa_pipeline_run(graph, "specialize,simplify", NULL, &options, true, NULL, NULL, &error),
      POA_OK, "%s", error.message);
  int32_t blocks[64];
  cr_assert_eq(poa_tensor_to_i32(recorded, blocks, &error), POA_OK);
  int found = 0;
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = poa_node_of(graph, i);
    if (node->op != POA_OP_parameter)
      continue;
    char name[32];
    snprintf(name, sizeof name, "blocks.%d.w", blocks[found++]);
    cr_assert_str_eq(poa_node_string(node, "name"), name, "%s", recorded->name);
  }
  cr_assert_eq(found, kept, "%s", recorded->name);
  poa_arena_free(arena);
  release(&l);
}

Test(frontend, kept_blocks) {
  poa_error error = {0};
  poa_safetensors *file;
  const char *path = POA_GOLDEN_DIR "/ops/elastic_choices.safetensors";
  cr_assert_eq(poa_safetensors_open(&file, path, &error), POA_OK, "%s", error.message);
  int checked = 0;
  for (int i = 0; i < file->tensor_count; i++) {
    int kept, of;
    if (sscanf(file->tensors[i].name, "blocks.%dof%d", &kept, &of) != 2)
      continue;
    check_kept_blocks(&file->tensors[i], kept, of);
    checked++;
  }
  cr_assert_geq(checked, 50);
  poa_safetensors_close(file);
}

static const char *const recorded_size[] = {
    "img_size=16",    "patch_size=4",       "min_width=16", "max_width=48",
    "head_dim=16",    "min_depth=2",        "max_depth=4",  "prototypes=[32,48]",
    "head_hidden=64", "head_bottleneck=16", "n_local=2",    "batch_size=4"};
enum { RECORDED_SIZE = sizeof recorded_size / sizeof *recorded_size };

/* Protects: parameters bear the names and the shapes that timm and DINOv2 give them, no more and
 * no fewer, in the student and in the teacher. */
Test(frontend, parameters_are_those_of_the_recorded_network) {
  poa_error error = {0};
  poa_safetensors *file;
  cr_assert_eq(poa_safetensors_open(&file, POA_GOLDEN_DIR "/vit_a.safetensors", &error), POA_OK,
               "%s", error.message);
  loaded l = load_path("tiny", RECORDED_SIZE, recorded_size);
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = graph_of(&l, "step", arena);
  int recorded = 0, ours = 0;
  for (int i = 0; i < file->tensor_count; i++) {
    const poa_file_tensor *tensor = &file->tensors[i];
    char set[16], name[200];
    if (sscanf(tensor->name, "%15[a-z].%199s", set, name) != 2 ||
        (strcmp(set, "student") != 0 && strcmp(set, "teacher") != 0))
      continue;
    recorded++;
    int index = poa_graph_find_parameter(graph, set, name);
    cr_assert(index >= 0, "no parameter %s", tensor->name);
    const poa_type *type = &graph->parameters[index].file_type;
    cr_assert_eq(type->rank, tensor->shape.rank, "%s", tensor->name);
    for (int axis = 0; axis < type->rank; axis++)
      cr_assert_eq(type->dim[axis].value, tensor->shape.dim[axis], "%s", tensor->name);
  }
  for (int i = 0; i < graph->parameter_count; i++)
    ours += strcmp(graph->parameters[i].set, "student") == 0 ||
            strcmp(graph->parameters[i].set, "teacher") == 0;
  cr_assert_gt(recorded, 100);
  cr_assert_eq(ours, recorded);
  poa_arena_free(arena);
  poa_safetensors_close(file);
  release(&l);
}

/* Protects: a loop over a set sees parameters that a later entry declares, and what it makes of
 * them starts as its set says. */
Test(frontend, loops_see_parameters_declared_later) {
  loaded l = load_text("params student\nparams moment = zeros\n"
                       "module a() {\n param w[3] = ones\n return sum(w)\n}\n"
                       "entry step() {\n loss = student at max: a()\n"
                       " for p in student { update moment[p] = gradient(loss, p) }\n}\n"
                       "entry later() { return student at max: b() }\n"
                       "module b() {\n param v[5] = ones\n return sum(v)\n}\n");
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = graph_of(&l, "step", arena);
  int index = poa_graph_find_parameter(graph, "moment", "v");
  cr_assert(index >= 0);
  cr_assert_str_eq(graph->parameters[index].initializer, "constant");
  cr_assert_eq(graph->parameters[index].argument, 0);
  cr_assert_eq(graph->parameters[index].type.dim[0].value, 5);
  poa_arena_free(arena);
  release(&l);
}

static char *print(const poa_graph *graph) {
  char *text;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  poa_graph_print(graph, out);
  fclose(out);
  return text;
}

/* Protects: a model gives the same graph each time it is asked, which also reads back. */
Test(frontend, graphs_can_be_asked_for_again) {
  loaded l = load_path("tiny", RECORDED_SIZE, recorded_size);
  poa_error error = {0};
  poa_graph *again;
  poa_arena *arena = poa_arena_create();
  char *first = print(graph_of(&l, "step", arena));
  char *second = print(graph_of(&l, "step", arena));
  cr_assert_str_eq(first, second);
  cr_assert_eq(poa_graph_parse(arena, "printed", first, &again, &error), POA_OK, "%s",
               error.message);
  char *third = print(again);
  cr_assert_str_eq(first, third);
  free(first);
  free(second);
  free(third);
  poa_arena_free(arena);
  release(&l);
}

/* Constants */

/* Protects: the command line counts over `set`, the last one wins, constants that follow from
 * others follow, and strings need no quotes. */
Test(frontend, overrides) {
  const char text[] = "const size = 8, patch = 2, grid = size // patch, name = \"a\", list = [1]\n"
                      "set size = 16\n"
                      "const chosen = where(name == \"b\", length(list), 0)";
  const char *const overrides[] = {"patch=3", "patch=4", "name=b", "list=[1,2,3]"};
  loaded l = load_bytes(text, strlen(text), 4, overrides);
  double grid = 0, chosen = 0, missing;
  cr_assert(l.model, "%s", l.shown);
  cr_assert(poa_model_number(l.model, "grid", &grid));
  cr_assert(poa_model_number(l.model, "chosen", &chosen));
  cr_assert_eq(grid, 4);
  cr_assert_eq(chosen, 3);
  cr_assert(poa_model_has_const(l.model, "list"));
  cr_assert_not(poa_model_number(l.model, "list", &missing));
  cr_assert_not(poa_model_number(l.model, "none_such", &missing));
  release(&l);
  static const char *const wrong[][2] = {{"patch=\"two\"", "is set to a string here"},
                                         {"pacth=2", "did you mean 'patch'"},
                                         {"patch", "expected NAME=VALUE"},
                                         {"patch=", "expected an expression"},
                                         {"patch=1 2", "expected one value"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    l = load_bytes(text, strlen(text), 1, wrong[i]);
    cr_assert_null(l.model);
    cr_assert(strstr(l.shown, wrong[i][1]), "%s", l.shown);
    release(&l);
  }
}

/* Protects: what a recorded tensor's shape can set is found by the name of its constant. */
Test(frontend, extents_named_by_constants) {
  loaded l = load_text("const batch = 4\nentry step(x[2 * batch, batch], y) {\n}");
  cr_assert_null(poa_model_extent_const(l.model, "step", "x", 0));
  cr_assert_str_eq(poa_model_extent_const(l.model, "step", "x", 1), "batch");
  cr_assert_null(poa_model_extent_const(l.model, "step", "x", 2));
  cr_assert_null(poa_model_extent_const(l.model, "step", "y", 0));
  cr_assert_null(poa_model_extent_const(l.model, "none", "x", 0));
  release(&l);
}

/* Protects: one run tells of mistakes in several places, and the first is the error's. */
Test(frontend, several_errors_in_one_run) {
  loaded l = load_text("module f(x) {\n  return x +\n}\nmodule g(x {\n}\nconst = 3\n");
  int errors = 0;
  for (const char *at = l.shown; (at = strstr(at, ": error: ")); at++)
    errors++;
  cr_assert_null(l.model);
  cr_assert_geq(errors, 3, "%s", l.shown);
  cr_assert(strstr(l.error.message, ":2:13: "), "%s", l.error.message);
  release(&l);
}

/* Hostile input */

static char *repeated(const char *before, const char *part, int times, const char *after) {
  size_t size = strlen(before) + strlen(part) * (size_t)times + strlen(after) + 1;
  char *text = malloc(size), *at = stpcpy(text, before);
  for (int i = 0; i < times; i++)
    at = stpcpy(at, part);
  stpcpy(at, after);
  return text;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void refuse(char *text, const char *what) {
  double start = now();
  loaded l = load_text(text);
  cr_assert_null(l.model, "%s was accepted", what);
  cr_assert_lt(strlen(l.shown), (size_t)100000, "%s", what);
  cr_assert_lt(now() - start, 30, "%s took %g seconds", what, now() - start);
  release(&l);
  free(text);
}

/* Protects: nesting of any kind ends in a message, not in the end of the stack. */
Test(frontend, deep_nesting) {
  enum { DEEP = 200000 };
  refuse(repeated("const a = ", "(", DEEP, "1"), "parentheses");
  refuse(repeated("const a = ", "[", DEEP, "1"), "lists");
  refuse(repeated("const a = ", "-", DEEP, "1"), "minus signs");
  refuse(repeated("const a = ", "not ", DEEP, "1"), "nots");
  refuse(repeated("const a = ", "2^", DEEP, "1"), "powers");
  refuse(repeated("const a = 1", "+1", DEEP, ""), "a long sum");
  refuse(repeated("const a = [1]", "[0]", DEEP, ""), "subscripts");
  refuse(repeated("const a = b", ".c", DEEP, ""), "members");
  refuse(repeated("const a = ", "abs(", DEEP, "1"), "calls");
  refuse(repeated("const a = ", "x[", DEEP, "1"), "open subscripts");
  refuse(repeated("const a = ", "x[0]:", DEEP, "1"), "labels");
  refuse(repeated("module f() ", "{ if true ", DEEP, ""), "blocks");
  refuse(repeated("module f() { if a { } ", "else if a { } ", DEEP, "}"), "a chain of ifs");
  refuse(repeated("module f(x", "[", DEEP, ""), "patterns");
}

/* Protects: recursion through modules ends, also where each level is a deep expression itself. */
Test(frontend, recursion) {
  refuse(strdup("module f() { return f() }\nconst a = f()"), "plain recursion");
  refuse(strdup("module f() { return g() }\nmodule g() { return f() }\nconst a = f()"), "a cycle");
  refuse(repeated("module f(x) { return ", "abs(", 150, "f(x)"), "an open recursion");
  char *calls = repeated("module f(x) { return ", "abs(", 150, "f(x)");
  char *text = repeated(calls, ")", 150, " }\nconst a = f(1)");
  free(calls);
  refuse(text, "a recursion of deep expressions");
  refuse(strdup("module f(g) { return g(g) }\nconst a = f(f)"), "self-application");
  refuse(strdup("module f(x = f()) { return x }\nconst a = f()"), "recursion by default");
  refuse(strdup("const a = b\nconst b = c\nconst c = a"), "constants in a circle");
}

/* Protects: what doubles or multiplies at each round ends before memory does. */
Test(frontend, growth) {
  refuse(strdup("elastic w: 1..4\nentry step() {\n n = w\n for i in range(64) { n = n + n }\n}"),
         "an extent that doubles");
  refuse(strdup("elastic w: 1..4\nentry step() {\n x = zeros([w])\n"
                " for i in range(64) { x = concat([x, x], 0) }\n}"),
         "an axis that doubles");
  refuse(
      strdup("entry step() {\n x = zeros([2])\n for i in range(80) { x = concat([x, x], 0) }\n}"),
      "a tensor that doubles");
  refuse(strdup("entry step() {\n s = \"0123456789\"\n for i in range(64) { s = \"{s}{s}\" }\n}"),
         "a string that doubles");
  refuse(strdup("entry step() {\n a = [1]\n b = [1]\n for i in range(64) {\n  a = [a, a]\n"
                "  b = [b, b]\n }\n if a == b { c = 1 }\n}"),
         "lists that double");
  refuse(strdup("entry step() {\n a = []\n for i in range(100000) { a = append(a, i) }\n}"),
         "a list that grows");
  refuse(strdup("entry step() {\n for i in range(100000) {\n  for j in range(100000) { a = 1 }\n"
                " }\n}"),
         "loops in loops");
  refuse(strdup("entry step() {\n for i in range(100000) { a = range(100000) }\n}"),
         "many long lists");
  refuse(strdup("entry step(x[2]) {\n for i in range(100000) {\n"
                "  for j in range(100000) { x = exp(x) }\n }\n}"),
         "operations without end");
  refuse(strdup("params s\nmodule p() {\n param w[2] = ones\n return w\n}\n"
                "module f() {\n for i in range(100000) {\n"
                "  for j in range(100000) { x = a[i].b[j]: p() }\n }\n}\n"
                "entry step() { student = s at max: f() }"),
         "parameters without end");
  refuse(strdup("elastic a: 1..9007199254740992\nelastic b: 1..9007199254740992\nconst c = 1"),
         "a lattice without end");
}

/* Protects: long names, many definitions and large files are refused or read, in time. */
Test(frontend, size) {
  enum { LONG = 1000000 };
  refuse(repeated("const ", "a", LONG, " = 1"), "a long name");
  refuse(repeated("const a = ", "b", LONG, ""), "a long unknown name");
  refuse(repeated("const a = \"", "b", LONG, "\""), "a long string");
  refuse(repeated("const a = ", "9", LONG, ""), "a long number");
  refuse(repeated("const a = 0.", "9", LONG, "e999999"), "a long real number");
  refuse(repeated("entry step() { x = ", "a.", LONG, "b: f() }"), "a long label");
  refuse(repeated("module f(", "a, ", LONG, "b) { }"), "many arguments");
  refuse(repeated("const a = f(", "1, ", LONG, "1)"), "many values");
  refuse(repeated("", "module f() { }\n", 250000, ""), "many modules");
  refuse(repeated("", "const a = 1\n", 300000, ""), "many constants");
  refuse(repeated("import \"", "../", LONG, "a\""), "a long path");
  refuse(repeated("", "$", LONG, ""), "signs without meaning");
  refuse(repeated("const a = 1\n", " ", 5 << 20, ""), "a file of 5 MiB");
  char *comment = repeated("const a = 1 #", " ", 4000000, "");
  loaded l = load_text(comment);
  cr_assert(l.model, "%s", l.error.message);
  release(&l);
  free(comment);
}

/* Protects: bytes that are no text. */
Test(frontend, no_text) {
  loaded l = load_bytes("const a = 1\0const b = 2", 23, 0, NULL);
  cr_assert_null(l.model);
  cr_assert(strstr(l.shown, "it is no text"), "%s", l.shown);
  release(&l);
  unsigned state = 1;
  char noise[4000];
  for (int round = 0; round < 200; round++) {
    for (size_t i = 0; i < sizeof noise; i++) {
      state = state * 1664525 + 1013904223;
      noise[i] = (char)(state >> 24 ? state >> 24 : 1);
    }
    l = load_bytes(noise, sizeof noise, 0, NULL);
    cr_assert_null(l.model);
    release(&l);
  }
  l = load_bytes("", 0, 0, NULL);
  cr_assert(l.model, "an empty file is a model without entries");
  cr_assert_eq(poa_model_entry_count(l.model), 0);
  release(&l);
}

static void write_file(const char *folder, const char *name, const char *text) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Protects: imports in a circle are read once each, what a file sets counts over what its imports
 * set, and what is no file is refused. */
Test(frontend, imports) {
  char folder[64], path[200];
  double value = 0;
  make_folder(folder);
  write_file(folder, "a.poa", "import \"b.poa\"\nimport \"a.poa\"\nset size = 3\n");
  write_file(folder, "b.poa", "import \"a.poa\"\nconst size = 1\nset size = 2\n");
  write_file(folder, "folder.poa", "import \"../\"\n");
  snprintf(path, sizeof path, "%s/a.poa", folder);
  loaded l = load_path(path, 0, NULL);
  cr_assert(l.model, "%s", l.shown);
  cr_assert(poa_model_number(l.model, "size", &value));
  cr_assert_eq(value, 3);
  release(&l);
  snprintf(path, sizeof path, "%s/folder.poa", folder);
  l = load_path(path, 0, NULL);
  cr_assert_null(l.model);
  cr_assert(strstr(l.shown, "is no file"), "%s", l.shown);
  release(&l);
  l = load_path(folder, 0, NULL);
  cr_assert_null(l.model);
  cr_assert(strstr(l.error.message, "no model"), "%s", l.error.message);
  release(&l);
  remove_folder(folder);
}
