/* codegen_random.c: random graphs through all passes, compiled, against the interpreter. What
 * nobody thinks to write down meets here: views of views, shared values, reductions of
 * reductions, parameters assigned while they are read. The seed of a failure is in its
 * message. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/build.h"
#include "passes/passes.h"
#include "support/compiled.h"
#include "support/sample.h"

#define GRAPHS 150
#define LEAVES 5
#define NODES 24
#define MOST_VALUES 300

/* A graph being written. */
typedef struct writer {
  poa_build b;
  uint64_t state;
  int count;
  poa_value value[MOST_VALUES];
} writer;

/* Below `count`, by xorshift. */
static int pick(writer *w, int count) {
  w->state ^= w->state << 13;
  w->state ^= w->state >> 7;
  w->state ^= w->state << 17;
  return (int)(w->state % (uint64_t)count);
}

static const poa_type *type_of(const writer *w, poa_value v) {
  return &poa_node_of(w->b.graph, v)->type;
}

static poa_value keep(writer *w, poa_value v) {
  w->value[w->count++] = v;
  return v;
}

static poa_value any(writer *w) {
  return w->value[pick(w, w->count)];
}

/* A random extent: small, around a vector, a few vectors. */
static int64_t extent(writer *w) {
  static const int64_t extents[] = {1, 2, 3, 5, 16, 17, 24, 33};
  return extents[pick(w, sizeof extents / sizeof *extents)];
}

static poa_type random_type(writer *w) {
  poa_type type = {.rank = pick(w, 4)};
  for (int a = 0; a < type.rank; a++)
    type.dim[a] = poa_known(extent(w));
  return type;
}

/* An earlier value of the type, or a constant. */
static poa_value like(writer *w, poa_value x) {
  const poa_type type = *type_of(w, x);
  for (int i = 0; i < 20; i++) {
    poa_value v = any(w);
    if (poa_type_equal(&w->b.graph->lattice, type_of(w, v), &type))
      return v;
  }
  return poa_b_constant(&w->b, 0.5 + pick(w, 3), &type);
}

static poa_value element(writer *w) {
  static const poa_op unary[] = {POA_OP_neg, POA_OP_abs, POA_OP_tanh,
                                 POA_OP_sin, POA_OP_erf, POA_OP_cos};
  static const poa_op binary[] = {POA_OP_add, POA_OP_sub, POA_OP_mul, POA_OP_max, POA_OP_min};
  poa_value x = any(w);
  if (pick(w, 3) == 0)
    return poa_b_unary(&w->b, unary[pick(w, 6)], x);
  if (pick(w, 6) == 0)
    return poa_b_select(&w->b, poa_b_binary(&w->b, POA_OP_lt, x, like(w, x)), x, like(w, x));
  return poa_b_binary(&w->b, binary[pick(w, 5)], x, like(w, x));
}

static poa_value reduction(writer *w) {
  poa_value x = any(w);
  int rank = type_of(w, x)->rank;
  int64_t axes[POA_MAX_RANK];
  int count = 0;
  if (rank == 0)
    return x;
  for (int a = 0; a < rank; a++)
    if (pick(w, 2))
      axes[count++] = a;
  if (count == 0)
    axes[count++] = rank - 1;
  poa_op op = pick(w, 3) ? POA_OP_reduce_sum : POA_OP_reduce_max;
  poa_type type = *type_of(w, x);
  poa_value y = poa_b_reduce(&w->b, op, x, axes, count);
  y = poa_b_unary(&w->b, POA_OP_tanh, y);
  if (pick(w, 2))
    return y;
  keep(w, y);
  return poa_b_binary(&w->b, POA_OP_mul, poa_b_unreduce(&w->b, y, axes, count, &type), x);
}

static poa_value softmax(writer *w) {
  poa_value x = any(w);
  return type_of(w, x)->rank ? poa_b_unary(&w->b, POA_OP_softmax, x) : x;
}

static poa_value transpose(writer *w) {
  poa_value x = any(w);
  int64_t perm[POA_MAX_RANK];
  int rank = type_of(w, x)->rank;
  for (int a = 0; a < rank; a++)
    perm[a] = a;
  for (int a = rank - 1; a > 0; a--) {
    int other = pick(w, a + 1);
    int64_t old = perm[a];
    perm[a] = perm[other];
    perm[other] = old;
  }
  return rank ? poa_b_transpose(&w->b, x, perm) : x;
}

static poa_value slice(writer *w) {
  poa_value x = any(w);
  const poa_type type = *type_of(w, x);
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int a = 0; a < type.rank; a++) {
    int64_t from = pick(w, (int)type.dim[a].value);
    start[a] = poa_known(from);
    limit[a] = poa_known(from + 1 + pick(w, (int)(type.dim[a].value - from)));
  }
  return type.rank ? poa_b_slice(&w->b, x, start, limit) : x;
}

static poa_value reshape(writer *w) {
  poa_value x = any(w);
  poa_type type = *type_of(w, x);
  poa_type flat = {.rank = 1, .dim = {poa_known(poa_type_elements(type))}};
  if (type.rank < 2)
    return x;
  if (pick(w, 2))
    return poa_b_reshape(&w->b, x, &flat);
  type.dim[1] = poa_known(type.dim[0].value * type.dim[1].value);
  type.dim[0] = poa_known(1);
  return poa_b_reshape(&w->b, x, &type);
}

static poa_value product(writer *w) {
  poa_value x = any(w), y = x;
  if (type_of(w, x)->rank < 2)
    return x;
  bool tb = true;
  if (pick(w, 2)) {
    y = like(w, x);
  }
  return poa_b_unary(&w->b, POA_OP_tanh, poa_b_dot(&w->b, x, y, false, tb, 0.3));
}

static poa_value concat(writer *w) {
  poa_value x = any(w), operands[] = {x, like(w, x)};
  int rank = type_of(w, x)->rank;
  if (rank == 0)
    return x;
  poa_attribute axis = poa_attribute_int("axis", pick(w, rank));
  return poa_b_node(&w->b, POA_OP_concat, operands, 2, &axis, 1, NULL);
}

static poa_value accumulate(writer *w) {
  poa_value x = any(w);
  poa_type type = *type_of(w, x);
  poa_extent start[POA_MAX_RANK];
  for (int a = 0; a < type.rank; a++) {
    int64_t more = pick(w, 3);
    start[a] = poa_known(more ? pick(w, (int)more + 1) : 0);
    type.dim[a].value += more;
  }
  poa_value base = poa_b_constant(&w->b, pick(w, 2), &type);
  return poa_b_accumulate(&w->b, base, x, start);
}

static poa_value rows(writer *w) {
  poa_value x = any(w);
  poa_type type = *type_of(w, x), numbers = {.dtype = POA_I32, .rank = 1};
  if (type.rank == 0)
    return x;
  numbers.dim[0] = poa_known(type.dim[0].value);
  poa_attribute axis = poa_attribute_int("axis", 0);
  poa_value count = poa_b_node(&w->b, POA_OP_iota, NULL, 0, &axis, 1, &numbers);
  if (pick(w, 2)) /* all the first: additions meet in one row */
    count = poa_b_binary(&w->b, POA_OP_sub, count, count);
  if (pick(w, 2))
    return poa_b_node(&w->b, POA_OP_gather, (poa_value[]){x, count}, 2, NULL, 0, NULL);
  poa_value base = poa_b_unary(&w->b, POA_OP_sin, x);
  return poa_b_node(&w->b, POA_OP_scatter_add, (poa_value[]){base, count, x}, 3, NULL, 0, NULL);
}

/* Of leaves only: a rounding error before it would be one of 1 behind it. */
static poa_value other_dtype(writer *w) {
  poa_value x = w->value[pick(w, LEAVES)];
  poa_value i = poa_b_convert(&w->b, x, pick(w, 2) ? POA_I32 : POA_BOOL);
  return poa_b_convert(&w->b, i, POA_F32);
}

static void leaf(writer *w, int number, bool parameter) {
  poa_type type = random_type(w);
  char *name = poa_arena_format(w->b.graph->arena, "x%d", number);
  poa_attribute attributes[] = {poa_attribute_string("set", "s"),
                                poa_attribute_string("name", name)};
  poa_graph *g = w->b.graph;
  if (parameter)
    g->parameters[g->parameter_count++] = (poa_parameter){
        .set = "s", .name = name, .type = type, .file_type = type, .initializer = "constant"};
  else
    g->inputs[g->input_count++] = (poa_input){.name = name, .type = type, .source = ""};
  keep(w, parameter ? poa_b_node(&w->b, POA_OP_parameter, NULL, 0, attributes, 2, &type)
                    : poa_b_node(&w->b, POA_OP_input, NULL, 0, &attributes[1], 1, &type));
}

static void output(writer *w, poa_value v, int number) {
  poa_attribute attributes[] = {
      poa_attribute_string("kind", "result"),
      poa_attribute_string("name", poa_arena_format(w->b.graph->arena, "y%d", number))};
  poa_b_node(&w->b, POA_OP_output, &v, 1, attributes, 2, NULL);
}

typedef poa_value (*step)(writer *w);
static const step steps[] = {element,   element, element,    element, reduction,
                             reduction, softmax, slice,      reshape, transpose,
                             product,   concat,  accumulate, rows,    other_dtype};
#define STEPS ((int)(sizeof steps / sizeof *steps))

static poa_graph *write_graph(poa_arena *arena, uint64_t seed) {
  poa_graph *graph = poa_graph_create(arena, "random");
  writer w = {.b = {.graph = graph}, .state = seed * 0x9e3779b97f4a7c15u + 1};
  graph->specialized = true;
  graph->parameters = poa_arena_alloc(arena, 8 * sizeof *graph->parameters);
  graph->inputs = poa_arena_alloc(arena, 8 * sizeof *graph->inputs);
  for (int i = 0; i < 20; i++)
    pick(&w, 2);
  for (int i = 0; i < LEAVES; i++)
    leaf(&w, i, i >= 3);
  for (int i = 0; i < NODES; i++)
    keep(&w, steps[pick(&w, STEPS)](&w));
  for (int i = 3; i < LEAVES; i++) {
    poa_value assign[] = {w.value[i], like(&w, w.value[i])};
    if (assign[0] != assign[1])
      poa_b_node(&w.b, POA_OP_assign, assign, 2, NULL, 0, NULL);
  }
  for (int i = 0; i < 6; i++)
    output(&w, any(&w), i);
  return graph;
}

static void run(poa_compiled *compiled, int parts, poa_sample *sample, unsigned seed) {
  poa_error error = {0};
  poa_bindings bindings = poa_sample_bindings(sample);
  cr_assert_eq(poa_compiled_run(compiled, &bindings, parts, &error), POA_OK, "seed %u: %s", seed,
               error.message);
}

static void check(unsigned seed) {
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = write_graph(arena, seed);
  poa_error error = {0};
  poa_sample expected, whole, parts;
  poa_bindings bindings = poa_sample_bindings(&expected);
  cr_assert_eq(poa_graph_interpret(graph, &bindings, false, &error), POA_OK, "seed %u: %s", seed,
               error.message);
  poa_options options = {.keep_probes = true};
  cr_assert_eq(poa_pipeline_run(graph, NULL, NULL, &options, true, NULL, NULL, &error), POA_OK,
               "seed %u: %s", seed, error.message);
  poa_compiled *compiled;
  cr_assert_eq(poa_compiled_create(&compiled, graph, seed % 4 ? NULL : "x86-64-v3", &error), POA_OK,
               "seed %u: %s", seed, error.message);
  char what[200] = "";
  run(compiled, 1, &whole, seed);
  cr_assert(poa_sample_agree(&expected, &whole, 1e-3, what, sizeof what), "seed %u: %s", seed,
            what);
  run(compiled, 3, &parts, seed);
  cr_assert(poa_sample_agree(&whole, &parts, 0, what, sizeof what), "seed %u, split: %s", seed,
            what);
  poa_sample_free(&expected);
  poa_sample_free(&whole);
  poa_sample_free(&parts);
  poa_compiled_free(compiled);
  poa_arena_free(arena);
}

Test(codegen_random, graphs) {
  const char *only = getenv("POA_SEED");
  if (only) {
    check((unsigned)atoi(only));
    return;
  }
  for (unsigned seed = 0; seed < GRAPHS; seed++)
    check(seed);
}
