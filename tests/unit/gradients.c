/* gradients.c: every op's gradient against finite differences. The test walks ops.def:
 * an op that passes gradients on and has no case here fails it. Each case builds
 *
 *   scalar = sum(op(parameters) * weights)
 *
 * for several shapes, differentiates it, runs the result in the interpreter in double
 * and compares with (scalar(p + h) - scalar(p - h)) / 2h, with and without simplify. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"
#include "passes/gradients.h"
#include "passes/passes.h"

enum { MOST_PARAMETERS = 6, MOST_ELEMENTS = 1024 };

typedef struct fixture {
  poa_arena *arena;
  poa_build b;
  int variant; /* which of a case's shapes and forms */
  int count;
  poa_value parameters[MOST_PARAMETERS];
  double data[MOST_PARAMETERS][MOST_ELEMENTS];
  int64_t elements[MOST_PARAMETERS];
  double gradient[MOST_PARAMETERS][MOST_ELEMENTS];
  double scalar;
} fixture;

/* Building */

static poa_type shape(int rank, const int64_t *dims) {
  poa_type type = {.dtype = POA_F32, .rank = rank};
  for (int i = 0; i < rank; i++)
    type.dim[i] = poa_known(dims[i]);
  return type;
}
#define SHAPE(...)                                                                                 \
  shape((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define AXES(...)                                                                                  \
  (int64_t[]) {                                                                                    \
    __VA_ARGS__                                                                                    \
  }
#define AT(...)                                                                                    \
  (poa_extent[]) {                                                                                 \
    __VA_ARGS__                                                                                    \
  }
#define K(n) poa_known(n)

/* In (0, 1), the same on every run. */
static double pseudo_random(uint32_t seed) {
  uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 29) * 0x94d049bb133111ebu;
  return ((double)(x >> 40) + 0.5) / (double)(1 << 24);
}

/* A parameter with values in low..high. */
static poa_value parameter(fixture *f, poa_type type, double low, double high) {
  char name[2] = {(char)('a' + f->count), 0};
  poa_attribute attributes[] = {poa_attribute_string("set", "p"),
                                poa_attribute_string("name", name)};
  int64_t elements = poa_type_elements(type);
  cr_assert(f->count < MOST_PARAMETERS && elements <= MOST_ELEMENTS);
  for (int64_t i = 0; i < elements; i++)
    f->data[f->count][i] =
        low + (high - low) * pseudo_random((uint32_t)(i + 977 * f->count + 31 * f->variant));
  f->elements[f->count] = elements;
  poa_graph *graph = f->b.graph;
  if (!graph->parameters)
    graph->parameters = poa_arena_alloc(f->arena, MOST_PARAMETERS * sizeof *graph->parameters);
  graph->parameters[graph->parameter_count++] =
      (poa_parameter){.set = "p",
                      .name = poa_arena_text(f->arena, name),
                      .type = type,
                      .file_type = type,
                      .initializer = "constant"};
  poa_value value = poa_b_node(&f->b, POA_OP_parameter, NULL, 0, attributes, 2, &type);
  return f->parameters[f->count++] = value;
}

static poa_value input(fixture *f, const char *name, poa_type type) {
  poa_graph *graph = f->b.graph;
  if (!graph->inputs)
    graph->inputs = poa_arena_alloc(f->arena, MOST_PARAMETERS * sizeof *graph->inputs);
  graph->inputs[graph->input_count++] = (poa_input){.name = name, .type = type, .source = ""};
  poa_attribute attribute = poa_attribute_string("name", name);
  return poa_b_node(&f->b, POA_OP_input, NULL, 0, &attribute, 1, &type);
}

static poa_type type_of(const fixture *f, poa_value x) {
  return f->b.graph->nodes[x].type;
}

static poa_value unary(fixture *f, poa_op op, poa_value x) {
  return poa_b_unary(&f->b, op, x);
}

static poa_value binary(fixture *f, poa_op op, poa_value x, poa_value y) {
  return poa_b_binary(&f->b, op, x, y);
}

static poa_value constant(fixture *f, double value, poa_value like) {
  poa_type type = type_of(f, like);
  return poa_b_constant(&f->b, value, &type);
}

static poa_value sum_all(fixture *f, poa_value x) {
  return poa_b_reduce(&f->b, POA_OP_reduce_sum, x, AXES(0, 1, 2, 3, 4, 5, 6, 7),
                      type_of(f, x).rank);
}

static void output(fixture *f, poa_value x, const char *name) {
  poa_attribute attributes[] = {poa_attribute_string("kind", "result"),
                                poa_attribute_string("name", name)};
  poa_b_node(&f->b, POA_OP_output, &x, 1, attributes, 2, NULL);
}

/* scalar = sum(y * weights); its gradients with regard to all parameters. */
static void finish(fixture *f, poa_value y) {
  poa_value weights = input(f, "weights", type_of(f, y));
  poa_value scalar = sum_all(f, binary(f, POA_OP_mul, y, weights));
  output(f, scalar, "scalar");
  for (int i = 0; i < f->count; i++) {
    char name[2] = {(char)('a' + i), 0};
    output(f, binary(f, POA_OP_gradient, scalar, f->parameters[i]), name);
  }
}

/* Running */

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  fixture *f = context;
  (void)graph;
  (void)error;
  const char *name = poa_node_string(node, "name");
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements; i++)
    if (node->op == POA_OP_parameter)
      tensor->data[i] = f->data[name[0] - 'a'][i];
    else if (!strcmp(name, "rows"))
      tensor->data[i] = (double)((i * i + 1) % 3);
    else if (!strcmp(name, "labels"))
      tensor->data[i] = pseudo_random((uint32_t)i + 7) > 0.5;
    else
      tensor->data[i] = 2 * pseudo_random((uint32_t)i + 4242) - 1;
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  fixture *f = context;
  (void)graph;
  (void)error;
  const char *name = poa_node_string(node, "name");
  if (!strcmp(name, "scalar"))
    f->scalar = tensor->data[0];
  else
    memcpy(f->gradient[name[0] - 'a'], tensor->data,
           (size_t)f->elements[name[0] - 'a'] * sizeof(double));
  return POA_OK;
}

/* The external f(x, y) = x x y and its two gradients, from x, y, f, df. */
static poa_status call(void *context, const poa_graph *graph, const poa_node *node,
                       const poa_tensor *const *x, poa_tensor *result, poa_error *error) {
  (void)context;
  (void)graph;
  (void)error;
  const char *name = poa_node_string(node, "external");
  int64_t elements = poa_type_elements(result->type);
  for (int64_t i = 0; i < elements; i++) {
    double a = x[0]->data[i], b = x[1]->data[i];
    if (!strcmp(name, "f"))
      result->data[i] = a * a * b;
    else
      result->data[i] = x[3]->data[i] * (!strcmp(name, "f_x") ? 2 * a * b : a * a);
  }
  return POA_OK;
}

static void interpret(fixture *f, const char *what) {
  poa_bindings bindings = {load, store, call, f};
  poa_error error = {0};
  cr_assert(poa_graph_interpret(f->b.graph, &bindings, false, &error) == POA_OK, "%s: %s", what,
            error.message);
}

/* Compares all gradients with central differences. */
static void check(fixture *f, const char *what, const char *passes) {
  poa_error error = {0};
  cr_assert(poa_pipeline_run(f->b.graph, passes, NULL, NULL, false, NULL, NULL, &error) == POA_OK,
            "%s: %s", what, error.message);
  interpret(f, what);
  double(*gradient)[MOST_ELEMENTS] = malloc(sizeof f->gradient);
  memcpy(gradient, f->gradient, sizeof f->gradient);
  const double h = 1e-5;
  for (int p = 0; p < f->count; p++)
    for (int64_t i = 0; i < f->elements[p]; i++) {
      double x = f->data[p][i];
      f->data[p][i] = x + h;
      interpret(f, what);
      double above = f->scalar;
      f->data[p][i] = x - h;
      interpret(f, what);
      double expected = (above - f->scalar) / (2 * h);
      f->data[p][i] = x;
      double scale = fmax(1, fmax(fabs(expected), fabs(gradient[p][i])));
      cr_assert(fabs(expected - gradient[p][i]) <= 1e-6 * scale,
                "%s (variant %d, %s): gradient %d[%d] is %.12g, finite differences say %.12g", what,
                f->variant, passes, p, (int)i, gradient[p][i], expected);
    }
  free(gradient);
}

typedef poa_value (*case_builder)(fixture *f);

static const char *const plain_passes = "differentiate,expand";
static const char *const all_passes = "simplify,differentiate,expand,simplify";

static void run_case(case_builder build, int variants, const char *what) {
  fixture *f = malloc(sizeof *f);
  for (int i = 0; i < 2 * variants; i++) {
    memset(f, 0, sizeof *f);
    f->arena = poa_arena_create();
    f->b.graph = poa_graph_create(f->arena, "test");
    f->variant = i / 2;
    finish(f, build(f));
    check(f, what, i % 2 ? all_passes : plain_passes);
    poa_arena_free(f->arena);
  }
  free(f);
}

/* One case for each op. Shapes: a scalar, 1s, primes, 17. */

static poa_type some_shape(const fixture *f) {
  switch (f->variant % 5) {
  case 0:
    return SHAPE(3, 5);
  case 1:
    return SHAPE(17);
  case 2:
    return SHAPE(1, 7, 2);
  case 3:
    return SHAPE(2, 1);
  default:
    return (poa_type){.dtype = POA_F32};
  }
}
enum { SHAPES = 5 };

#define UNARY(name, low, high)                                                                     \
  static poa_value case_##name(fixture *f) {                                                       \
    return unary(f, POA_OP_##name, parameter(f, some_shape(f), low, high));                        \
  }
#define BINARY(name, low, high)                                                                    \
  static poa_value case_##name(fixture *f) {                                                       \
    poa_value x = parameter(f, some_shape(f), low, high);                                          \
    return binary(f, POA_OP_##name, x, parameter(f, some_shape(f), low, high));                    \
  }
UNARY(neg, -2, 2)
UNARY(abs, -2, 2)
UNARY(exp, -2, 2)
UNARY(log, 0.3, 3)
UNARY(sqrt, 0.3, 3)
UNARY(rsqrt, 0.3, 3)
UNARY(erf, -2, 2)
UNARY(tanh, -2, 2)
UNARY(sin, -3, 3)
UNARY(cos, -3, 3)
BINARY(add, -2, 2)
BINARY(sub, -2, 2)
BINARY(mul, -2, 2)
BINARY(div, 0.4, 2)
BINARY(max, -2, 2)
BINARY(min, -2, 2)
BINARY(pow, 0.4, 2)

static poa_value case_convert(fixture *f) {
  return poa_b_convert(&f->b, parameter(f, some_shape(f), -2, 2), POA_F32);
}

static poa_value case_select(fixture *f) {
  poa_value x = parameter(f, some_shape(f), -2, 2), y = parameter(f, some_shape(f), -2, 2);
  poa_type type = some_shape(f);
  type.dtype = POA_BOOL;
  return poa_b_select(&f->b, input(f, "labels", type), x, y);
}

/* Over the first, the last, the middle, all, both ends, axes of extent 1. */
static poa_value reduction(fixture *f, poa_op op) {
  poa_value x = parameter(f, f->variant == 6 ? SHAPE(3, 1, 17) : SHAPE(3, 5, 2), -2, 2);
  static const int64_t axes[][3] = {{0}, {2}, {1}, {0, 1, 2}, {0, 2}, {1, 2}, {0, 1}};
  static const int counts[] = {1, 1, 1, 3, 2, 2, 2};
  return poa_b_reduce(&f->b, op, x, axes[f->variant], counts[f->variant]);
}

static poa_value case_reduce_sum(fixture *f) {
  return reduction(f, POA_OP_reduce_sum);
}

static poa_value case_reduce_max(fixture *f) {
  return reduction(f, POA_OP_reduce_max);
}

/* Variants: bit 0 ta, bit 1 tb, bit 2 batch axes, bit 3 extents of 1. */
static poa_value case_dot(fixture *f) {
  bool ta = f->variant & 1, tb = f->variant & 2, batch = f->variant & 4, ones = f->variant & 8;
  int64_t m = ones ? 1 : 3, k = ones ? 17 : 5, n = ones ? 1 : 7;
  poa_type a = ta ? SHAPE(k, m) : SHAPE(m, k), b = tb ? SHAPE(n, k) : SHAPE(k, n);
  if (batch) {
    a = SHAPE(2, 1, a.dim[0].value, a.dim[1].value);
    b = SHAPE(2, 1, b.dim[0].value, b.dim[1].value);
  }
  poa_value x = parameter(f, a, -1, 1);
  return poa_b_dot(&f->b, x, parameter(f, b, -1, 1), ta, tb, batch ? 0.7 : 1);
}

/* Rows and what is summed over joined from several axes; variants as above, without ones. */
static poa_value case_joined_dot(fixture *f) {
  bool ta = f->variant & 1, tb = f->variant & 2, batch = f->variant & 4;
  poa_type a = ta ? SHAPE(2, 3, 2, 2, 1) : SHAPE(2, 2, 1, 2, 3), b = tb ? SHAPE(5, 6) : SHAPE(6, 5);
  if (batch) {
    a = ta ? SHAPE(2, 2, 3, 2, 2, 1) : SHAPE(2, 2, 2, 1, 2, 3);
    b = SHAPE(2, b.dim[0].value, b.dim[1].value);
  }
  poa_value x = parameter(f, a, -1, 1);
  return poa_b_product(&f->b, x, parameter(f, b, -1, 1), (poa_dot_form){ta, tb, 0.7, 3, 2, false});
}

/* Windows that lie apart, touch, overlap once and several times, and leave elements over. */
static poa_value case_window(fixture *f) {
  static const int64_t size[] = {1, 2, 3, 3, 5, 2}, stride[] = {2, 2, 2, 1, 2, 3};
  poa_value x = parameter(f, f->variant % 2 ? SHAPE(2, 8) : SHAPE(7, 3), -1, 1);
  return poa_b_window(&f->b, x, f->variant % 2, size[f->variant], stride[f->variant]);
}

/* Two further on along an axis; the first two come from nowhere. */
static poa_value case_rearrange(fixture *f) {
  poa_type types[] = {SHAPE(5, 2, 3), SHAPE(5), SHAPE(3, 5, 2), SHAPE(3, 5)};
  poa_value x = parameter(f, types[f->variant], -1, 1);
  poa_type down = SHAPE(7), up = SHAPE(5);
  down.dtype = up.dtype = POA_I32;
  poa_attribute axis = poa_attribute_int("axis", 0);
  poa_value i = poa_b_node(&f->b, POA_OP_iota, NULL, 0, &axis, 1, &down);
  poa_value j = poa_b_node(&f->b, POA_OP_iota, NULL, 0, &axis, 1, &up);
  poa_value operands[] = {x, binary(f, POA_OP_sub, i, constant(f, 2, i)),
                          binary(f, POA_OP_add, j, constant(f, 2, j))};
  poa_attribute along = poa_attribute_int("axis", f->variant / 2);
  return poa_b_node(&f->b, POA_OP_rearrange, operands, 3, &along, 1, NULL);
}

/* Strides, paddings (uneven ones too), groups, and images that the windows do not fill. */
static poa_value case_conv2d(fixture *f) {
  static const struct {
    int64_t h, w, kh, kw, stride[2], low[2], high[2], groups;
  } rows[] = {{5, 4, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1}, {6, 5, 3, 3, {2, 2}, {1, 1}, {1, 1}, 1},
              {7, 7, 3, 2, {2, 1}, {0, 1}, {2, 0}, 1}, {4, 4, 1, 1, {1, 1}, {0, 0}, {0, 0}, 1},
              {5, 5, 1, 1, {2, 2}, {0, 0}, {0, 0}, 1}, {4, 6, 2, 2, {2, 2}, {0, 0}, {0, 0}, 1},
              {5, 4, 3, 3, {1, 2}, {1, 1}, {1, 1}, 2}, {9, 8, 5, 4, {3, 3}, {2, 3}, {2, 1}, 1},
              {3, 3, 1, 1, {1, 1}, {0, 0}, {0, 0}, 2}};
  int v = f->variant;
  int64_t groups = rows[v].groups;
  poa_value operands[] = {parameter(f, SHAPE(2, rows[v].h, rows[v].w, 2 * groups), -1, 1),
                          parameter(f, SHAPE(rows[v].kh, rows[v].kw, 2, 3 * groups), -1, 1)};
  poa_attribute attributes[] = {
      poa_attribute_ints("stride", rows[v].stride, 2), poa_attribute_ints("low", rows[v].low, 2),
      poa_attribute_ints("high", rows[v].high, 2), poa_attribute_int("groups", groups)};
  return poa_b_node(&f->b, POA_OP_conv2d, operands, 2, attributes, 4, NULL);
}

static poa_value case_reshape(fixture *f) {
  poa_type type = SHAPE(5, 3, 1);
  return poa_b_reshape(&f->b, parameter(f, SHAPE(3, 5), -1, 1), &type);
}

static poa_value case_transpose(fixture *f) {
  poa_value x = parameter(f, SHAPE(2, 3, 5), -1, 1);
  return poa_b_transpose(&f->b, x, f->variant ? AXES(2, 0, 1) : AXES(0, 2, 1));
}

static poa_value case_broadcast(fixture *f) {
  poa_type type = SHAPE(2, 3, 1);
  switch (f->variant) {
  case 0:
    return poa_b_broadcast(&f->b, parameter(f, SHAPE(3), -1, 1), AXES(1), &type);
  case 1:
    return poa_b_broadcast(&f->b, parameter(f, SHAPE(2, 1), -1, 1), AXES(0, 2), &type);
  default:
    return poa_b_broadcast(&f->b, parameter(f, (poa_type){.dtype = POA_F32}, -1, 1), NULL, &type);
  }
}

static poa_value case_slice(fixture *f) {
  poa_value x = parameter(f, SHAPE(3, 17), -1, 1);
  return poa_b_slice(&f->b, x, AT(K(1), K(2)), AT(K(3), K(13)));
}

static poa_value case_concat(fixture *f) {
  poa_value x = parameter(f, SHAPE(3, 2), -1, 1), y = parameter(f, SHAPE(3, 1), -1, 1);
  poa_value operands[] = {x, y, x};
  poa_attribute axis = poa_attribute_int("axis", 1);
  return poa_b_node(&f->b, POA_OP_concat, operands, 3, &axis, 1, NULL);
}

static poa_value rows(fixture *f, int64_t count) {
  poa_type type = SHAPE(count);
  type.dtype = POA_I32;
  return input(f, "rows", type);
}

static poa_value case_gather(fixture *f) {
  poa_value x = parameter(f, f->variant ? SHAPE(3) : SHAPE(3, 5), -1, 1);
  return binary(f, POA_OP_gather, x, rows(f, 7));
}

static poa_value case_scatter_add(fixture *f) {
  poa_value base = parameter(f, SHAPE(3, 2), -1, 1), y = parameter(f, SHAPE(5, 2), -1, 1);
  poa_value operands[] = {base, rows(f, 5), y};
  return poa_b_node(&f->b, POA_OP_scatter_add, operands, 3, NULL, 0, NULL);
}

static poa_value case_accumulate(fixture *f) {
  poa_value base = parameter(f, SHAPE(3, 5), -1, 1);
  if (f->variant)
    return poa_b_accumulate(&f->b, base, parameter(f, SHAPE(3, 5), -1, 1), AT(K(0), K(0)));
  return poa_b_accumulate(&f->b, base, parameter(f, SHAPE(2, 2), -1, 1), AT(K(1), K(3)));
}

static poa_value case_softmax(fixture *f) {
  return unary(f, POA_OP_softmax, parameter(f, f->variant ? SHAPE(17) : SHAPE(3, 5), -2, 2));
}

static poa_value case_log_softmax(fixture *f) {
  return unary(f, POA_OP_log_softmax, parameter(f, f->variant ? SHAPE(2, 1) : SHAPE(3, 5), -2, 2));
}

/* An external that declares its gradients, and these. */
static void declare_f(fixture *f) {
  poa_external *external = poa_arena_alloc(f->arena, 3 * sizeof *external);
  const char *names[] = {"f", "f_x", "f_y"};
  for (int i = 0; i < 3; i++) {
    int operands = i ? 4 : 2;
    external[i].name = external[i].symbol = names[i];
    external[i].operand_count = operands;
    external[i].gradients =
        poa_arena_alloc(f->arena, (size_t)operands * sizeof *external[i].gradients);
  }
  external->gradients[0] = "f_x";
  external->gradients[1] = "f_y";
  f->b.graph->externals = external;
  f->b.graph->external_count = 3;
}

static poa_value case_call(fixture *f) {
  declare_f(f);
  poa_value operands[] = {parameter(f, SHAPE(3, 5), -1, 1), parameter(f, SHAPE(3, 5), -1, 1)};
  poa_attribute external = poa_attribute_string("external", "f");
  poa_type type = SHAPE(3, 5);
  return poa_b_node(&f->b, POA_OP_call, operands, 2, &external, 1, &type);
}

static const struct {
  case_builder build;
  int variants;
} cases[POA_OP_COUNT] = {
#define CASE(name, variants) [POA_OP_##name] = {case_##name, variants}
    CASE(neg, SHAPES),    CASE(abs, SHAPES),   CASE(exp, SHAPES),     CASE(log, SHAPES),
    CASE(sqrt, SHAPES),   CASE(rsqrt, SHAPES), CASE(erf, SHAPES),     CASE(tanh, SHAPES),
    CASE(sin, SHAPES),    CASE(cos, SHAPES),   CASE(convert, SHAPES), CASE(add, SHAPES),
    CASE(sub, SHAPES),    CASE(mul, SHAPES),   CASE(div, SHAPES),     CASE(max, SHAPES),
    CASE(min, SHAPES),    CASE(pow, SHAPES),   CASE(select, SHAPES),  CASE(reduce_sum, 7),
    CASE(reduce_max, 7),  CASE(dot, 16),       CASE(reshape, 1),      CASE(transpose, 2),
    CASE(broadcast, 3),   CASE(slice, 1),      CASE(concat, 1),       CASE(gather, 2),
    CASE(scatter_add, 1), CASE(accumulate, 2), CASE(softmax, 2),      CASE(log_softmax, 2),
    CASE(call, 1),        CASE(window, 6),     CASE(rearrange, 4),    CASE(conv2d, 9),
};

/* Protects every row of the gradient column of ops.def. */
Test(gradients, every_op_agrees_with_finite_differences) {
  for (int op = 0; op < POA_OP_COUNT; op++) {
    const char *name = poa_op_table((poa_op)op)->name;
    if (!poa_gradient_rule_of((poa_op)op))
      continue;
    cr_assert(cases[op].build, "op %s has a gradient but no case in tests/unit/gradients.c", name);
    run_case(cases[op].build, cases[op].variants, name);
  }
}

Test(gradients, products_of_joined_axes_agree_with_finite_differences) {
  run_case(case_joined_dot, 8, "dot of joined axes");
}

/* Compositions */

static poa_value last_axis(fixture *f, poa_op op, poa_value x) {
  return poa_b_reduce(&f->b, op, x, AXES(type_of(f, x).rank - 1), 1);
}

static poa_value along_last(fixture *f, poa_value row, poa_value like) {
  poa_type type = type_of(f, like);
  return poa_b_unreduce(&f->b, row, AXES(type.rank - 1), 1, &type);
}

static poa_value mean_last(fixture *f, poa_value x) {
  double count = (double)type_of(f, x).dim[type_of(f, x).rank - 1].value;
  return poa_b_scale(&f->b, last_axis(f, POA_OP_reduce_sum, x), 1 / count);
}

/* (x - mean) / sqrt(variance + eps) * weight + bias */
static poa_value layer_norm(fixture *f, poa_value x, poa_value weight, poa_value bias) {
  poa_type type = type_of(f, x);
  poa_value centered = binary(f, POA_OP_sub, x, along_last(f, mean_last(f, x), x));
  poa_value variance = mean_last(f, binary(f, POA_OP_mul, centered, centered));
  poa_value shifted = binary(f, POA_OP_add, variance, constant(f, 1e-6, variance));
  poa_value scale = along_last(f, unary(f, POA_OP_rsqrt, shifted), x);
  poa_value y = binary(f, POA_OP_mul, centered, scale);
  y = binary(f, POA_OP_mul, y, poa_b_broadcast(&f->b, weight, AXES(type.rank - 1), &type));
  return binary(f, POA_OP_add, y, poa_b_broadcast(&f->b, bias, AXES(type.rank - 1), &type));
}

static poa_value build_layer_norm(fixture *f) {
  poa_value x = parameter(f, SHAPE(2, 3, 17), -2, 2);
  poa_value weight = parameter(f, SHAPE(17), -2, 2);
  return layer_norm(f, x, weight, parameter(f, SHAPE(17), -2, 2));
}

static poa_value build_gelu(fixture *f) {
  poa_value x = parameter(f, SHAPE(3, 17), -3, 3);
  poa_value erf = unary(f, POA_OP_erf, poa_b_scale(&f->b, x, 0.70710678118654752));
  poa_value sum = binary(f, POA_OP_add, constant(f, 1, erf), erf);
  return binary(f, POA_OP_mul, x, poa_b_scale(&f->b, sum, 0.5));
}

/* softmax(q k' / sqrt d) v, q, k, v packed in one weight as elastic models have it */
static poa_value build_attention(fixture *f) {
  poa_value x = parameter(f, SHAPE(5, 6), -1, 1), packed = parameter(f, SHAPE(3, 7, 6), -1, 1);
  poa_type flat = SHAPE(4, 6), heads = SHAPE(5, 2, 2);
  poa_value part[3];
  for (int i = 0; i < 3; i++) {
    poa_value w = poa_b_slice(&f->b, packed, AT(K(i), K(0), K(0)), AT(K(i + 1), K(4), K(6)));
    poa_value y = poa_b_dot(&f->b, x, poa_b_reshape(&f->b, w, &flat), false, true, 1);
    part[i] = poa_b_transpose(&f->b, poa_b_reshape(&f->b, y, &heads), AXES(1, 0, 2));
  }
  poa_value scores = poa_b_dot(&f->b, part[0], part[1], false, true, 1);
  poa_value shares = unary(f, POA_OP_softmax, poa_b_scale(&f->b, scores, 0.5));
  return poa_b_dot(&f->b, shares, part[2], false, false, 1);
}

static poa_value build_cross_entropy(fixture *f) {
  poa_value logits = parameter(f, SHAPE(3, 17), -2, 2), target = input(f, "t", SHAPE(3, 17));
  poa_value cold = binary(f, POA_OP_div, logits, constant(f, 0.1, logits));
  poa_value product = binary(f, POA_OP_mul, target, unary(f, POA_OP_log_softmax, cold));
  return unary(f, POA_OP_neg, last_axis(f, POA_OP_reduce_sum, product));
}

/* An inner value and a parameter, each read whole, through two slices, and through a
 * slice of a slice. */
static poa_value build_slices(fixture *f) {
  poa_value p = parameter(f, SHAPE(5, 7), -1, 1);
  poa_value x = f->variant ? p : unary(f, POA_OP_tanh, p);
  poa_value first = poa_b_slice(&f->b, x, AT(K(0), K(0)), AT(K(3), K(4)));
  poa_value second = poa_b_slice(&f->b, x, AT(K(2), K(3)), AT(K(5), K(7)));
  poa_value inner = poa_b_slice(&f->b, first, AT(K(1), K(1)), AT(K(3), K(3)));
  poa_value product = binary(f, POA_OP_mul, first, second);
  poa_value square = sum_all(f, binary(f, POA_OP_mul, inner, inner));
  poa_value sum = binary(f, POA_OP_add, sum_all(f, product), square);
  poa_type type = type_of(f, x);
  return binary(f, POA_OP_mul, unary(f, POA_OP_exp, x), poa_b_broadcast(&f->b, sum, NULL, &type));
}

/* A weight read whole by one branch and as a prefix by another, as the intact and the
 * elastic student do; halves that tile a value. */
static poa_value build_branches(fixture *f) {
  poa_value x = parameter(f, SHAPE(3, 4), -1, 1), w = parameter(f, SHAPE(5, 4), -1, 1);
  poa_value narrow = poa_b_slice(&f->b, w, AT(K(0), K(0)), AT(K(3), K(2)));
  poa_value left = poa_b_slice(&f->b, x, AT(K(0), K(0)), AT(K(3), K(2)));
  poa_value right = poa_b_slice(&f->b, x, AT(K(0), K(2)), AT(K(3), K(4)));
  poa_value h = poa_b_dot(&f->b, left, narrow, false, true, 2);
  poa_value g = poa_b_dot(&f->b, poa_b_scale(&f->b, right, 3), narrow, false, true, 1);
  poa_value whole = poa_b_dot(&f->b, x, poa_b_transpose(&f->b, w, AXES(1, 0)), false, false, 1);
  poa_value sum = sum_all(f, binary(f, POA_OP_mul, h, g));
  poa_type type = type_of(f, whole);
  return binary(f, POA_OP_mul, whole, poa_b_broadcast(&f->b, sum, NULL, &type));
}

/* Residual streams: one value feeds several products, whose gradients add in place. */
static poa_value build_residual(fixture *f) {
  poa_value x = parameter(f, SHAPE(3, 4), -1, 1);
  poa_value w1 = parameter(f, SHAPE(4, 4), -1, 1), w2 = parameter(f, SHAPE(4, 4), -1, 1);
  poa_value h = unary(f, POA_OP_tanh, x);
  poa_value a = poa_b_dot(&f->b, h, w1, false, false, 1);
  poa_value b = poa_b_dot(&f->b, h, w2, false, true, 1);
  poa_value gathered = binary(f, POA_OP_gather, h, rows(f, 5));
  poa_value sum = sum_all(f, binary(f, POA_OP_mul, gathered, gathered));
  poa_type type = type_of(f, a);
  poa_value y = binary(f, POA_OP_mul, a, binary(f, POA_OP_add, h, b));
  return binary(f, POA_OP_mul, y, poa_b_broadcast(&f->b, sum, NULL, &type));
}

/* Protects how contributions of several uses are joined, and the rules of simplify that
 * rewrite them. */
Test(gradients, compositions_agree_with_finite_differences) {
  run_case(build_layer_norm, 1, "layer norm");
  run_case(build_gelu, 1, "GELU");
  run_case(build_attention, 1, "attention");
  run_case(build_cross_entropy, 1, "cross entropy");
  run_case(build_slices, 2, "slices");
  run_case(build_branches, 1, "branches");
  run_case(build_residual, 1, "residual");
}

/* Protects detach: d(x * detach x) / dx is x, not 2x. */
Test(gradients, nothing_passes_detach) {
  fixture *f = calloc(1, sizeof *f);
  f->arena = poa_arena_create();
  f->b.graph = poa_graph_create(f->arena, "test");
  poa_value x = parameter(f, SHAPE(5), -1, 1);
  poa_value y = binary(f, POA_OP_mul, x, unary(f, POA_OP_detach, x));
  poa_value scalar = sum_all(f, y);
  output(f, scalar, "scalar");
  output(f, binary(f, POA_OP_gradient, scalar, x), "a");
  poa_error error = {0};
  cr_assert(poa_pipeline_run(f->b.graph, plain_passes, NULL, NULL, true, NULL, NULL, &error) ==
                POA_OK,
            "%s", error.message);
  interpret(f, "detach");
  for (int i = 0; i < 5; i++)
    cr_assert_float_eq(f->gradient[0][i], f->data[0][i], 1e-12);
  poa_arena_free(f->arena);
  free(f);
}

/* Protects gradients of gradients: with s = sum x^3 and t = sum (ds/dx)^2, dt/dx is
 * 36 x^3. */
Test(gradients, gradients_of_gradients) {
  fixture *f = calloc(1, sizeof *f);
  f->arena = poa_arena_create();
  f->b.graph = poa_graph_create(f->arena, "test");
  poa_value x = parameter(f, SHAPE(3), -1, 1);
  poa_value s = sum_all(f, binary(f, POA_OP_mul, x, binary(f, POA_OP_mul, x, x)));
  poa_value g = binary(f, POA_OP_gradient, s, x);
  poa_value t = sum_all(f, binary(f, POA_OP_mul, g, g));
  output(f, t, "scalar");
  output(f, binary(f, POA_OP_gradient, t, x), "a");
  check(f, "second order", all_passes);
  for (int i = 0; i < 3; i++)
    cr_assert_float_eq(f->gradient[0][i], 36 * pow(f->data[0][i], 3), 1e-3);
  poa_arena_free(f->arena);
  free(f);
}

/* Protects users of plugins: a missing gradient is named with its place. */
Test(gradients, a_call_without_gradient_is_refused) {
  fixture *f = calloc(1, sizeof *f);
  f->arena = poa_arena_create();
  f->b.graph = poa_graph_create(f->arena, "test");
  f->b.location = (poa_location){.file = "model.poa", .line = 12, .column = 5};
  poa_value y = case_call(f);
  f->b.graph->externals[0].gradients[1] = NULL;
  finish(f, y);
  poa_error error = {0};
  cr_assert(poa_differentiate(f->b.graph, NULL, &error) == POA_BAD_INPUT);
  cr_assert(strstr(error.message, "model.poa:12:5") && strstr(error.message, "'f'") &&
                strstr(error.message, "operand 1"),
            "%s", error.message);
  poa_arena_free(f->arena);
  free(f);
}
