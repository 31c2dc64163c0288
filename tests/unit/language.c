/* language.c: what expressions over tensors compute. Each is elaborated, taken through the
 * passes up to simplify, and interpreted, with x = [[1, 2, 3], [4, 5, 6]], rows = [1, 0, 1]
 * and the elastic name width at 2 of 4. */
#include <criterion/criterion.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/model.h"
#include "passes/passes.h"

typedef struct row {
  const char *expression; /* of no axes */
  double value;
} row;

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  static const double x[6] = {1, 2, 3, 4, 5, 6}, rows[6] = {1, 0, 1};
  (void)context, (void)graph, (void)error;
  const char *name = poa_node_string(node, "name");
  const double *known = strcmp(name, "x") == 0 ? x : strcmp(name, "rows") == 0 ? rows : NULL;
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++)
    tensor->data[i] = known && i < 6 ? known[i] : 10 + (double)i;
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)graph, (void)error;
  if (node->op == POA_OP_output)
    *(double *)context = tensor->data[0];
  return POA_OK;
}

static poa_model *load_text(const char *text) {
  char path[64];
  poa_error error = {0};
  poa_model *model;
  int file = memfd_create("description", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  cr_assert_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
  poa_model_options options = {.path = path, .models_dir = POA_MODELS_DIR};
  cr_assert_eq(poa_model_load(&model, &options, &error), POA_OK, "%s", error.message);
  close(file);
  return model;
}

/* `body` ends with the report of one number. */
static double value_of(const char *body) {
  char text[1200];
  snprintf(text, sizeof text,
           "elastic width: 1..4\nelastic depth: 1..3\nparams set\n"
           "module weight() {\n param w[width] = zeros with rate = 3, part = \"a\"\n return w\n}\n"
           "module twice(f, x) { return f(f(x)) }\nmodule triple(x) { return 3 * x }\n"
           "module deep(x) {\n for i in keep(depth) { x = 10 * x + i }\n return x\n}\n"
           "entry step(x[2, 3], rows[3]: i32) {\n%s\n}",
           body);
  poa_model *model = load_text(text);
  poa_error error = {0};
  poa_graph *graph;
  double value = NAN;
  poa_arena *arena = poa_arena_create();
  poa_options options = {.has_point = true, .point = {{2, 2}}};
  cr_assert_eq(poa_model_graph(model, "step", arena, &graph, &error), POA_OK);
  cr_assert_eq(poa_pipeline_run(graph, "specialize,simplify,cut_rows,differentiate,expand,simplify",
                                NULL, &options, true, NULL, NULL, &error),
               POA_OK, "%s: %s", body, error.message);
  poa_bindings bindings = {.load = load, .store = store, .context = &value};
  cr_assert_eq(poa_graph_interpret(graph, &bindings, false, &error), POA_OK, "%s: %s", body,
               error.message);
  poa_arena_free(arena);
  poa_model_free(model);
  return value;
}

static void check(const row *rows, size_t count, const char *format) {
  for (size_t i = 0; i < count; i++) {
    char body[600];
    snprintf(body, sizeof body, format, rows[i].expression);
    double value = value_of(body);
    cr_assert_float_eq(value, rows[i].value, 1e-9, "%s is %.12g, expected %.12g",
                       rows[i].expression, value, rows[i].value);
  }
}
#define CHECK(rows, format) check(rows, sizeof(rows) / sizeof *(rows), format)

/* Protects: operators, broadcasting and subscripts mean what docs/language.md says. */
Test(language, operators) {
  static const row rows[] = {
      {"sum(x + x[0])", 33},
      {"sum(x * [1, 10][1])", 210},
      {"sum(x - x[:, :1])", 6},
      {"sum(x / 2)", 10.5},
      {"sum(x ^ 2)", 91},
      {"sum(x ^ 3)", 441},
      {"sum((x * x) ^ 0.5)", 21},
      {"sum(x ^ -0.5 * x ^ 0.5)", 6},
      {"sum(2 ^ x)", 126},
      {"sum(-x)", -21},
      {"sum(f32(x > 2))", 4},
      {"sum(f32(x >= 2))", 5},
      {"sum(f32(x < 2))", 1},
      {"sum(f32(x <= 2))", 2},
      {"sum(f32(x == 3))", 1},
      {"sum(f32(x != 3))", 5},
      {"sum(f32(x > 1 and x < 5))", 3},
      {"sum(f32(x < 2 or x > 5))", 2},
      {"sum(f32(not (x > 2)))", 2},
      {"sum(x @ transpose(x))", 14 + 32 + 32 + 77},
      {"(x @ transpose(x))[1, 0]", 32},
      {"sum(reshape(x, [2, 1, 3]) @ transpose(reshape(x, [2, 1, 3])))", 14 + 77},
      {"x[1, 2]", 6},
      {"x[-1, -3]", 4},
      {"sum(x[.., 1])", 7},
      {"sum(x[1])", 15},
      {"sum(x[:, 1:])", 16},
      {"sum(x[:, :-1])", 12},
      {"sum(x[0:1, -2:])", 5},
      {"sum(x[:, :width - 1])", 5},
      {"size(x, -1) * sum(x) / elements(x)", 10.5},
      {"sum(x) * (max(width) / width)", 42},
      {"sum(x) * width ^ -0.5", 21 / 1.4142135623730951},
      {"sum(ones([width, 4 * width]))", 16},
      {"where(1 == 1, sum(x), none)", 21},
      {"where([1, \"a\"] == [1, \"a\"], 1, 2) * sum(x)", 21},
  };
  CHECK(rows, "report \"v\" = %s");
}

/* Protects: every built-in function computes what docs/language.md says. */
Test(language, functions) {
  static const row rows[] = {
      {"sum(abs(x - 3))", 9},
      {"sum(exp(log(x)))", 21},
      {"sum(sqrt(x * x))", 21},
      {"sum(rsqrt(x * x) * x)", 6},
      {"sum(erf(x - x))", 0},
      {"erf(x[0, 0])", 0.84270079294971489},
      {"tanh(x[0, 0])", 0.76159415595576485},
      {"sin(x[0, 0]) ^ 2 + cos(x[0, 0]) ^ 2", 1},
      {"sum(floor(x / 2))", 9},
      {"sum(f32(is_finite(x / (x - 1))))", 5},
      {"sum(max(x, 3))", 3 + 3 + 3 + 4 + 5 + 6},
      {"sum(min(x, 3))", 1 + 2 + 3 * 4},
      {"max(width) * sum(x)", 84},
      {"sum(where(x > 3, x, 0))", 15},
      {"sum(where(x[0] > 1, x, -1))", 2 + 3 + 5 + 6 - 2},
      {"sum(f32(i32(x / 2)))", 9},
      {"sum(sum(x, axis = 0)[1:])", 16},
      {"sum(x, [0, 1])", 21},
      {"sum(mean(x, 1) * 3)", 21},
      {"mean(x)", 3.5},
      {"sum(x / mean(x, axis = -1, keepdims = true))", 6},
      {"sum(reduce_max(x, axis = 0))", 15},
      {"reduce_max(x)", 6},
      {"sum(f32(argmax(-x, axis = 1)))", 0},
      {"sum(softmax(x))", 2},
      {"sum(exp(log_softmax(x)))", 2},
      {"transpose(x)[2, 0]", 3},
      {"transpose(reshape(x, [1, 2, 3]), [2, 0, 1])[2, 0, 1]", 6},
      {"reshape(x, [3, 2])[2, 0]", 5},
      {"sum(broadcast_to(x[0], [4, 3]))", 24},
      {"concat([x, 2 * x], axis = 1)[1, 5]", 12},
      {"sum(gather(x, rows))", 15 + 6 + 15},
      {"sum(scatter_add(zeros([2, 3]), rows, ones([3, 3]))[1])", 6},
      {"f32(iota([2, 3], 1)[1, 2])", 2},
      {"sum(full([2, 2], 2.5)) + sum(ones([2])) + sum(zeros([2]))", 12},
      {"sum(x) * length(shape(x)) + shape(x)[1]", 45},
      {"sum(x) * length(append([1], 2))", 42},
      {"sum(x) * length(range(3)) + range(2, 5)[0]", 65},
      {"sum(twice(triple, x))", 189},
      {"state(\"count\", [2], 0)[1]", 11},
      {"sum(x) * detach(sum(x))", 441},
      {"set at sampled: weight()", 10},
  };
  CHECK(rows, "value = %s\nif shape(value) == [] { report \"v\" = value } "
              "else { report \"v\" = value[0] }");
}

/* Protects: loops over a depth keep the blocks that they should and count them by their place. */
Test(language, depth) {
  cr_assert_eq(value_of("y = set at sampled: deep(sum(x))\nreport \"v\" = y"), 2102);
  cr_assert_eq(value_of("y = set at max: deep(sum(x))\nreport \"v\" = y"), 21012);
  cr_assert_eq(value_of("y = 5\nfor i in keep(2, 4) { y = 10 * y + i }\nreport \"v\" = y"), 503);
  cr_assert_eq(value_of("y = 0\nfor i in keep(depth) { y = y + x }\nreport \"v\" = sum(y)"), 42);
}

/* Protects: gradients of all branches add, an elastic one into its prefix; detach cuts. */
Test(language, gradients) {
  const char *const format = "a = set at sampled: weight()\nb = set at max: weight()\n"
                             "loss = sum(a * a) + %s\n"
                             "for p in set { g = gradient(loss, p) }\nreport \"v\" = %s";
  static const struct {
    const char *term, *shown;
    double value;
  } rows[] = {
      {"0", "sum(g)", 2 * (10 + 11)},     {"0", "g[3]", 0},
      {"sum(3 * b)", "g[0]", 23},         {"sum(3 * b)", "g[3]", 3},
      {"sum(detach(b) * b)", "g[3]", 13}, {"sum(max(b, 11))", "g[0] + 100 * g[3]", 20 + 100},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char body[600];
    snprintf(body, sizeof body, format, rows[i].term, rows[i].shown);
    cr_assert_float_eq(value_of(body), rows[i].value, 1e-9, "%s", body);
  }
}

/* Protects: attributes hold for what is declared while their statement runs, the innermost wins,
 * and strings are filled from them. */
Test(language, attributes) {
  cr_assert_eq(value_of("y = set at max: weight() with rate = 1, decay = 5\n"
                        "for p in set {\n if p.name == \"w\" and p.part == \"a\" {\n"
                        "  report \"{p.name}.{p.part}\" = p.rate + 10 * p.decay\n }\n}"),
               53);
}
