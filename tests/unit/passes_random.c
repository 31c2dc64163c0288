/* passes_random.c: random graphs mean the same before and after the passes, and so do
 * their gradients, whether simplify ran before differentiate or not. The interpreter, in
 * double, is the judge. A failure prints the seed and the graph. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"
#include "passes/passes.h"

enum { NODES = 24, GRAPHS = 1500, MOST_RESULTS = 1 << 14, PARAMETERS = 3 };

typedef struct maker {
  poa_build b;
  uint64_t state;
  poa_value pool[400];
  int count;
  bool smooth;       /* only ops whose gradient does not depend on which of equals is chosen */
  poa_value rows[4]; /* indices, one to four of them, at the head of the graph */
} maker;

static int draw(maker *m, int below) {
  m->state = m->state * 6364136223846793005u + 1442695040888963407u;
  return (int)((m->state >> 33) % (uint64_t)below);
}

static poa_type type_of(const maker *m, poa_value x) {
  return m->b.graph->nodes[x].type;
}

static poa_value put(maker *m, poa_value x) {
  if (type_of(m, x).dtype == POA_F32 && m->count < 400)
    m->pool[m->count++] = x;
  return x;
}

static poa_type random_type(maker *m, int rank) {
  poa_type type = {.dtype = POA_F32, .rank = rank};
  for (int i = 0; i < rank; i++)
    type.dim[i] = poa_known(1 + draw(m, 3));
  return type;
}

/* Recent values more often than old ones. */
static poa_value pick(maker *m) {
  int back = draw(m, 2) ? draw(m, m->count) : draw(m, m->count < 6 ? m->count : 6);
  return m->pool[m->count - 1 - back];
}

static poa_value constant(maker *m, const poa_type *type) {
  static const double values[] = {0, 1, -1, 2, 0.5, 3, -0.25};
  return poa_b_constant(&m->b, values[draw(m, 7)], type);
}

static bool same_type(const poa_type *a, const poa_type *b) {
  bool same = a->rank == b->rank && a->dtype == b->dtype;
  for (int i = 0; same && i < a->rank; i++)
    same = a->dim[i].value == b->dim[i].value;
  return same;
}

/* `x` repeated along random new axes of `type`, after sums that fit it to them. */
static poa_value fit_by_broadcast(maker *m, poa_value x, const poa_type *type) {
  int64_t axes[POA_MAX_RANK], all[POA_MAX_RANK];
  poa_type own = type_of(m, x);
  int found = 0;
  for (int i = 0; i < type->rank && found < own.rank; i++)
    if (own.dim[found].value == type->dim[i].value)
      axes[found++] = i;
  if (found == own.rank)
    return poa_b_broadcast(&m->b, x, axes, type);
  for (int i = 0; i < own.rank; i++)
    all[i] = i;
  x = poa_b_reduce(&m->b, POA_OP_reduce_sum, x, all, own.rank);
  return poa_b_broadcast(&m->b, x, NULL, type);
}

/* Some value of exactly that type. */
static poa_value partner(maker *m, const poa_type *type) {
  if (draw(m, 4) == 0)
    return constant(m, type);
  for (int i = 0; i < 8; i++) {
    poa_value x = pick(m);
    poa_type own = type_of(m, x);
    if (same_type(&own, type))
      return x;
    if (poa_type_elements(own) == poa_type_elements(*type))
      return poa_b_reshape(&m->b, x, type);
  }
  return fit_by_broadcast(m, pick(m), type);
}

static poa_value random_unary(maker *m) {
  static const poa_op ops[] = {POA_OP_neg, POA_OP_tanh, POA_OP_sin, POA_OP_cos,
                               POA_OP_erf, POA_OP_neg,  POA_OP_abs};
  return poa_b_unary(&m->b, ops[draw(m, 7)], pick(m));
}

/* Functions that need a positive argument get 1 + x^2. */
static poa_value random_positive(maker *m) {
  static const poa_op ops[] = {POA_OP_log, POA_OP_sqrt, POA_OP_rsqrt};
  poa_value x = poa_b_unary(&m->b, POA_OP_tanh, pick(m));
  poa_type type = type_of(m, x);
  x = poa_b_binary(&m->b, POA_OP_mul, x, x);
  x = poa_b_binary(&m->b, POA_OP_add, poa_b_constant(&m->b, 1, &type), x);
  int which = draw(m, 5);
  if (which < 3)
    return poa_b_unary(&m->b, ops[which], x);
  poa_value y = partner(m, &type);
  if (which == 3)
    return poa_b_binary(&m->b, POA_OP_div, y, x);
  return poa_b_binary(&m->b, POA_OP_pow, x, constant(m, &type));
}

static poa_value random_binary(maker *m) {
  static const poa_op ops[] = {POA_OP_add, POA_OP_sub, POA_OP_mul, POA_OP_add,
                               POA_OP_mul, POA_OP_max, POA_OP_min};
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  poa_value y = partner(m, &type);
  poa_op op = ops[draw(m, m->smooth ? 5 : 7)];
  return draw(m, 2) ? poa_b_binary(&m->b, op, x, y) : poa_b_binary(&m->b, op, y, x);
}

static poa_value random_select(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  poa_value condition = poa_b_binary(&m->b, POA_OP_lt, partner(m, &type), constant(m, &type));
  if (draw(m, 3) == 0)
    condition = poa_b_unary(&m->b, POA_OP_not, condition);
  return poa_b_select(&m->b, condition, x, partner(m, &type));
}

static poa_value random_reduction(maker *m) {
  poa_value x = pick(m);
  int64_t axes[POA_MAX_RANK];
  int count = 0;
  for (int i = 0; i < type_of(m, x).rank; i++)
    if (draw(m, 2))
      axes[count++] = i;
  poa_op op = m->smooth || draw(m, 2) ? POA_OP_reduce_sum : POA_OP_reduce_max;
  return poa_b_reduce(&m->b, op, x, axes, count);
}

/* Adds an axis of extent 1, drops those there are, or joins two axes. */
static poa_value random_reshape(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x), result = {.dtype = POA_F32};
  int what = draw(m, 3), at = draw(m, type.rank + 1);
  for (int i = 0; i < type.rank; i++) {
    if (what == 0 && i == at)
      result.dim[result.rank++] = poa_known(1);
    if (what == 1 && type.dim[i].value == 1)
      continue;
    if (what == 2 && i && i == at)
      result.dim[result.rank - 1].value *= type.dim[i].value;
    else
      result.dim[result.rank++] = type.dim[i];
  }
  if (what == 0 && at == type.rank)
    result.dim[result.rank++] = poa_known(1);
  return result.rank > 5 ? x : poa_b_reshape(&m->b, x, &result);
}

static poa_value random_transpose(maker *m) {
  poa_value x = pick(m);
  int rank = type_of(m, x).rank;
  int64_t perm[POA_MAX_RANK] = {0};
  for (int i = 0; i < rank; i++) {
    int k = draw(m, i + 1);
    perm[i] = perm[k];
    perm[k] = i;
  }
  return poa_b_transpose(&m->b, x, perm);
}

static poa_value random_broadcast(maker *m) {
  poa_value x = pick(m);
  poa_type own = type_of(m, x), type = {.dtype = POA_F32};
  int64_t axes[POA_MAX_RANK];
  if (own.rank > 3)
    return x;
  for (int i = 0; i <= own.rank; i++) {
    if (draw(m, 3) == 0)
      type.dim[type.rank++] = poa_known(1 + draw(m, 3));
    if (i < own.rank) {
      axes[i] = type.rank;
      type.dim[type.rank++] = own.dim[i];
    }
  }
  return poa_b_broadcast(&m->b, x, axes, &type);
}

static void random_block(maker *m, const poa_type *type, poa_extent *start, poa_extent *limit) {
  for (int i = 0; i < type->rank; i++) {
    int extent = (int)type->dim[i].value, from = draw(m, extent);
    start[i] = poa_known(from);
    limit[i] = poa_known(from + 1 + draw(m, extent - from));
  }
}

static poa_value random_slice(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  random_block(m, &type, start, limit);
  return poa_b_slice(&m->b, x, start, limit);
}

static poa_value random_accumulate(maker *m) {
  poa_value base = pick(m);
  poa_type type = type_of(m, base), small = type;
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  random_block(m, &type, start, limit);
  for (int i = 0; i < type.rank; i++)
    small.dim[i] = poa_known(limit[i].value - start[i].value);
  if (draw(m, 2))
    base = poa_b_constant(&m->b, 0, &type);
  return poa_b_accumulate(&m->b, base, partner(m, &small), start);
}

static poa_value random_concat(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  if (type.rank == 0)
    return x;
  poa_value operands[] = {x, partner(m, &type), partner(m, &type)};
  poa_attribute axis = poa_attribute_int("axis", draw(m, type.rank));
  return poa_b_node(&m->b, POA_OP_concat, operands, 1 + draw(m, 3), &axis, 1, NULL);
}

static poa_value rows_of(maker *m, int64_t count, int64_t below) {
  poa_type type = {.dtype = POA_I32, .rank = 1, .dim = {poa_known(count)}};
  poa_attribute axis = poa_attribute_int("axis", 0);
  poa_value iota = poa_b_node(&m->b, POA_OP_iota, NULL, 0, &axis, 1, &type);
  return poa_b_binary(&m->b, POA_OP_min, iota, poa_b_constant(&m->b, (double)below - 1, &type));
}

static poa_value random_rows(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  if (type.rank == 0)
    return x;
  int64_t count = 1 + draw(m, 4);
  poa_value rows = rows_of(m, count, type.dim[0].value);
  if (draw(m, 2))
    return poa_b_binary(&m->b, POA_OP_gather, x, rows);
  poa_type small = type;
  small.dim[0] = poa_known(count);
  poa_value base = draw(m, 2) ? poa_b_constant(&m->b, 0, &type) : x;
  poa_value operands[] = {base, rows, partner(m, &small)};
  return poa_b_node(&m->b, POA_OP_scatter_add, operands, 3, NULL, 0, NULL);
}

static poa_value random_dot(maker *m) {
  poa_value x = pick(m);
  poa_type a = type_of(m, x);
  if (a.rank < 2 || a.rank > 4)
    return x;
  bool ta = draw(m, 2), tb = draw(m, 2);
  poa_extent k = a.dim[ta ? a.rank - 2 : a.rank - 1], n = poa_known(1 + draw(m, 3));
  poa_type b = a;
  b.dim[a.rank - 2] = tb ? n : k;
  b.dim[a.rank - 1] = tb ? k : n;
  return poa_b_dot(&m->b, x, partner(m, &b), ta, tb, draw(m, 2) ? 1 : 0.5);
}

static poa_value random_softmax(maker *m) {
  poa_value x = pick(m);
  if (type_of(m, x).rank == 0)
    return x;
  return poa_b_unary(&m->b, draw(m, 2) ? POA_OP_softmax : POA_OP_log_softmax, x);
}

static poa_value (*const makers[])(maker *) = {
    random_unary,     random_positive,  random_binary,  random_binary,     random_binary,
    random_select,    random_reduction, random_reshape, random_reshape,    random_transpose,
    random_broadcast, random_slice,     random_concat,  random_accumulate, random_rows,
    random_dot,       random_dot,       random_softmax,
};

static void output(maker *m, poa_value x, const char *name) {
  poa_attribute attributes[] = {poa_attribute_string("kind", "result"),
                                poa_attribute_string("name", name)};
  poa_b_node(&m->b, POA_OP_output, &x, 1, attributes, 2, NULL);
}

static poa_value sum_all(maker *m, poa_value x) {
  int64_t all[POA_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
  return poa_b_reduce(&m->b, POA_OP_reduce_sum, x, all, type_of(m, x).rank);
}

static void add_parameter(maker *m, int i) {
  poa_graph *graph = m->b.graph;
  const char *name = poa_arena_format(graph->arena, "p%d", i);
  poa_type type = random_type(m, draw(m, 4));
  graph->parameters[graph->parameter_count++] = (poa_parameter){
      .set = "s", .name = name, .type = type, .file_type = type, .initializer = "constant"};
  poa_attribute attributes[] = {poa_attribute_string("set", "s"),
                                poa_attribute_string("name", name)};
  put(m, poa_b_node(&m->b, POA_OP_parameter, NULL, 0, attributes, 2, &type));
}

typedef enum wanted {
  VALUES,
  SELECTED, /* rows of values */
  GRADIENTS /* of the sum of values */
} wanted;

/* Graphs whose outputs are rows of a value [rows, rows, width], computed by ops that mostly work
 * row by row. */

static poa_value random_weight(maker *m, int64_t in, int64_t out) {
  poa_type type = {.dtype = POA_F32, .rank = 2, .dim = {poa_known(in), poa_known(out)}};
  return fit_by_broadcast(m, m->pool[draw(m, PARAMETERS)], &type);
}

static poa_value product_of_rows(maker *m, poa_value x) {
  poa_type type = type_of(m, x), flat = {.dtype = POA_F32, .rank = 2};
  int64_t width = type.dim[2].value, wide = 1 + draw(m, 3);
  flat.dim[0] = poa_known(type.dim[0].value * type.dim[1].value);
  flat.dim[1] = poa_known(width);
  x = poa_b_dot(&m->b, poa_b_reshape(&m->b, x, &flat), random_weight(m, width, wide), false, false,
                1);
  type.dim[2] = poa_known(wide);
  return poa_b_reshape(&m->b, x, &type);
}

static poa_value normalized(maker *m, poa_value x) {
  poa_type type = type_of(m, x);
  poa_value sum = poa_b_reduce(&m->b, POA_OP_reduce_sum, x, (int64_t[]){2}, 1);
  return poa_b_binary(&m->b, POA_OP_sub, x, poa_b_unreduce(&m->b, sum, (int64_t[]){2}, 1, &type));
}

static poa_value row_wise(maker *m, poa_value x) {
  poa_type type = type_of(m, x);
  switch (draw(m, 8)) {
  case 0:
    return poa_b_unary(&m->b, POA_OP_tanh, x);
  case 1:
    return poa_b_binary(&m->b, POA_OP_add, x, partner(m, &type));
  case 2:
    return normalized(m, x);
  case 3:
    return poa_b_unary(&m->b, POA_OP_softmax, x);
  case 4:
    return poa_b_binary(&m->b, POA_OP_mul, x, fit_by_broadcast(m, pick(m), &type));
  case 5:
    m->pool[m->count++] = x;
    return x;
  default:
    return product_of_rows(m, x);
  }
}

/* Some rows of x: a block of both axes, or any rows of both joined or of those of a block. */
static poa_value some_rows(maker *m, poa_value x) {
  poa_type type = type_of(m, x), flat = {.dtype = POA_F32, .rank = 2};
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  if (draw(m, 3)) {
    random_block(m, &type, start, limit);
    start[2] = poa_known(0);
    limit[2] = type.dim[2];
    x = poa_b_slice(&m->b, x, start, limit);
    if (draw(m, 2))
      return x;
    type = type_of(m, x);
  }
  flat.dim[0] = poa_known(type.dim[0].value * type.dim[1].value);
  flat.dim[1] = type.dim[2];
  x = poa_b_reshape(&m->b, x, &flat);
  poa_value rows = flat.dim[0].value > 1 ? m->rows[draw(m, 4)] : rows_of(m, 2, 1);
  return poa_b_binary(&m->b, POA_OP_gather, x, rows);
}

static poa_value all_different(maker *m, const poa_type *type) {
  poa_type flat = {.dtype = POA_F32, .rank = 1, .dim = {poa_known(poa_type_elements(*type))}};
  poa_attribute axis = poa_attribute_int("axis", 0);
  poa_value numbers = poa_b_node(&m->b, POA_OP_iota, NULL, 0, &axis, 1, &flat);
  return poa_b_reshape(&m->b, poa_b_unary(&m->b, POA_OP_sin, numbers), type);
}

static void select_rows(maker *m) {
  poa_type type = {.dtype = POA_F32, .rank = 3};
  for (int i = 0; i < 3; i++)
    type.dim[i] = poa_known(2 + draw(m, 4));
  poa_value x = all_different(m, &type);
  for (int i = draw(m, 9); i >= 0; i--)
    x = row_wise(m, x);
  for (int i = draw(m, 3); i >= 0; i--)
    output(m, some_rows(m, x), poa_arena_format(m->b.graph->arena, "x%d", i));
}

/* tanh keeps values within reach. */
static poa_graph *random_graph(poa_arena *arena, uint64_t seed, wanted what) {
  bool gradients = what == GRADIENTS;
  maker m = {.state = seed * 77 + 1, .smooth = gradients};
  poa_graph *graph = m.b.graph = poa_graph_create(arena, "random");
  for (int i = 0; i < 4; i++)
    m.rows[i] = rows_of(&m, i + 1, 2);
  graph->parameters = poa_arena_alloc(arena, PARAMETERS * sizeof *graph->parameters);
  for (int i = 0; i < PARAMETERS; i++)
    add_parameter(&m, i);
  if (what == SELECTED) {
    select_rows(&m);
    return graph;
  }
  for (int i = 0; i < NODES; i++) {
    poa_value x = makers[draw(&m, (int)(sizeof makers / sizeof *makers))](&m);
    if (poa_type_elements(type_of(&m, x)) <= 120)
      put(&m, draw(&m, 3) ? x : poa_b_unary(&m.b, POA_OP_tanh, x));
  }
  poa_type scalar = {.dtype = POA_F32};
  poa_value total = poa_b_constant(&m.b, 0, &scalar);
  for (int i = 0; i < 4; i++) {
    poa_value x = poa_b_unary(&m.b, POA_OP_tanh, pick(&m));
    total = poa_b_binary(&m.b, POA_OP_add, total, sum_all(&m, x));
    if (!gradients)
      output(&m, x, poa_arena_format(arena, "x%d", i));
  }
  output(&m, total, "total");
  for (int i = 0; i < PARAMETERS && gradients; i++)
    output(&m, poa_b_binary(&m.b, POA_OP_gradient, total, m.pool[i]), graph->parameters[i].name);
  return graph;
}

typedef struct results {
  double data[MOST_RESULTS];
  int64_t count;
} results;

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)context;
  (void)graph;
  (void)error;
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements; i++)
    tensor->data[i] = sin(1.0 + 1.7 * (double)i + 0.9 * poa_node_string(node, "name")[1]);
  return POA_OK;
}

static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  results *r = context;
  (void)graph;
  (void)node;
  (void)error;
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements && r->count < MOST_RESULTS; i++)
    r->data[r->count++] = tensor->data[i];
  return POA_OK;
}

static void run(uint64_t seed, wanted what, const char *passes, results *r) {
  poa_error error = {0};
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = random_graph(arena, seed, what);
  poa_bindings bindings = {load, store, NULL, r};
  r->count = 0;
  cr_assert(poa_pipeline_run(graph, passes, NULL, NULL, true, NULL, NULL, &error) == POA_OK,
            "seed %d, %s: %s", (int)seed, passes, error.message);
  cr_assert(poa_graph_interpret(graph, &bindings, false, &error) == POA_OK, "seed %d, %s: %s",
            (int)seed, passes, error.message);
  poa_arena_free(arena);
}

static void compare(uint64_t seed, wanted what, const char *first, const char *second) {
  static results a, b;
  run(seed, what, first, &a);
  run(seed, what, second, &b);
  cr_assert(a.count == b.count);
  for (int64_t i = 0; i < a.count; i++) {
    double scale = fmax(1, fabs(a.data[i]));
    bool same = a.data[i] == b.data[i] || (isnan(a.data[i]) && isnan(b.data[i])) ||
                fabs(a.data[i] - b.data[i]) <= 1e-9 * scale;
    if (!same && getenv("POA_PRINT"))
      poa_graph_print(random_graph(poa_arena_create(), seed, what), stderr);
    cr_assert(same, "seed %d, value %d: %.17g by %s, %.17g by %s (POA_PRINT=1 prints the graph)",
              (int)seed, (int)i, a.data[i], first, b.data[i], second);
  }
}

/* Protects every rule of simplify and expand, alone and where they meet. */
Test(passes_random, values_stay) {
  for (uint64_t seed = 0; seed < GRAPHS; seed++) {
    compare(seed, VALUES, "specialize", "simplify");
    compare(seed, VALUES, "expand", "simplify,expand,simplify");
  }
}

/* Protects the cutting of rows: what is left of a value is what it was. */
Test(passes_random, selected_rows_stay) {
  for (uint64_t seed = 0; seed < 4 * GRAPHS; seed++)
    compare(seed, SELECTED, "specialize", "cut_rows");
}

/* Protects the gradient rules, the joining of contributions, and what simplify does to
 * both sides of them. */
Test(passes_random, gradients_stay) {
  for (uint64_t seed = 0; seed < GRAPHS; seed++) {
    compare(seed, GRADIENTS, "differentiate", "simplify,cut_rows,differentiate");
    compare(seed, GRADIENTS, "differentiate,expand", "simplify,differentiate,expand,simplify");
  }
}
