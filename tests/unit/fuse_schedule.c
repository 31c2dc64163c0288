/* fuse, layout and schedule on random graphs: the values stay what they were, and no kernel
 * of the schedule reads memory that holds anything else. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"
#include "passes/passes.h"
#include "passes/place_buffers.h"
#include "passes/schedule.h"

/* A random graph. */

enum { MOST_VALUES = 400 };

typedef struct maker {
  poa_build b;
  poa_graph *graph;
  uint64_t state;
  int count;
  poa_value values[MOST_VALUES];
} maker;

static uint32_t below(maker *m, uint32_t bound) {
  m->state = m->state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(m->state >> 33) % bound;
}

static poa_type type_of(const maker *m, poa_value v) {
  return m->graph->nodes[v].type;
}

static void keep(maker *m, poa_value v) {
  if (m->count < MOST_VALUES && poa_type_elements(type_of(m, v)) <= 20000)
    m->values[m->count++] = v;
}

/* A value made before, recent ones more often. */
static poa_value pick(maker *m) {
  uint32_t span = below(m, 3) ? 12 : (uint32_t)m->count;
  span = span < (uint32_t)m->count ? span : (uint32_t)m->count;
  return m->values[(uint32_t)m->count - 1 - below(m, span)];
}

static poa_value pick_f32(maker *m) {
  for (;;) {
    poa_value v = pick(m);
    if (type_of(m, v).dtype == POA_F32)
      return v;
  }
}

static poa_type shape(int rank, const int64_t *dims) {
  poa_type type = {.dtype = POA_F32, .rank = rank};
  for (int a = 0; a < rank; a++)
    type.dim[a] = poa_known(dims[a]);
  return type;
}

static poa_type random_shape(maker *m) {
  static const int64_t extents[] = {1, 2, 3, 4, 6};
  int64_t dims[POA_MAX_RANK];
  int rank = 1 + (int)below(m, 4);
  for (int a = 0; a < rank; a++)
    dims[a] = extents[below(m, 5)];
  return shape(rank, dims);
}

/* A value of this shape: an earlier one, or anything broadcast or a constant. */
static poa_value of_shape(maker *m, const poa_type *type) {
  for (int tries = 0; tries < 40; tries++) {
    poa_value v = pick_f32(m);
    poa_type other = type_of(m, v);
    if (poa_type_equal(&m->graph->lattice, &other, type))
      return v;
    if (other.rank == type->rank - 1) {
      int64_t axes[POA_MAX_RANK];
      bool rows = true, columns = true;
      for (int a = 0; a < other.rank; a++) {
        rows &= other.dim[a].value == type->dim[a].value;
        columns &= other.dim[a].value == type->dim[a + 1].value;
        axes[a] = a + !rows;
      }
      for (int a = 0; a < other.rank; a++)
        axes[a] = rows ? a : a + 1;
      if (rows || columns)
        return poa_b_broadcast(&m->b, v, axes, type);
    }
    if (other.rank == 0)
      return poa_b_broadcast(&m->b, v, NULL, type);
  }
  return poa_b_constant(&m->b, (double)below(m, 5) / 4, type);
}

static void make_unary(maker *m) {
  static const poa_op ops[] = {POA_OP_neg, POA_OP_abs, POA_OP_sin, POA_OP_tanh, POA_OP_erf};
  keep(m, poa_b_unary(&m->b, ops[below(m, 5)], pick_f32(m)));
}

static void make_binary(maker *m) {
  static const poa_op ops[] = {POA_OP_add, POA_OP_sub, POA_OP_mul, POA_OP_max, POA_OP_min};
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  keep(m, poa_b_binary(&m->b, ops[below(m, 5)], x, of_shape(m, &type)));
}

static void make_select(maker *m) {
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  poa_value y = of_shape(m, &type);
  poa_value condition = poa_b_binary(&m->b, POA_OP_lt, x, y);
  keep(m, poa_b_select(&m->b, condition, of_shape(m, &type), y));
}

static void make_reduction(maker *m) {
  poa_value x = pick_f32(m);
  int rank = type_of(m, x).rank;
  if (rank == 0)
    return;
  int64_t axes[POA_MAX_RANK], last = rank - 1;
  int count = 0;
  poa_op op = below(m, 2) ? POA_OP_reduce_sum : POA_OP_reduce_max;
  for (int a = 0; a < rank - 1; a++)
    if (below(m, 2))
      axes[count++] = a;
  if (count && below(m, 2))
    keep(m, poa_b_reduce(&m->b, op, x, axes, count));
  else
    keep(m, poa_b_reduce(&m->b, op, x, &last, 1));
}

/* As in a layer norm: x and what its rows say. */
static void make_normalization(maker *m) {
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  if (type.rank == 0)
    return;
  int64_t last = type.rank - 1;
  poa_value sum = poa_b_reduce(&m->b, POA_OP_reduce_sum, x, &last, 1);
  poa_value centred =
      poa_b_binary(&m->b, POA_OP_sub, x, poa_b_unreduce(&m->b, sum, &last, 1, &type));
  keep(m, sum);
  keep(m, poa_b_unary(&m->b, POA_OP_tanh, centred));
  keep(m, centred);
}

static void make_transpose(maker *m) {
  poa_value x = pick(m);
  int rank = type_of(m, x).rank;
  int64_t perm[POA_MAX_RANK];
  for (int a = 0; a < rank; a++)
    perm[a] = a;
  for (int a = rank - 1; a > 0; a--) {
    uint32_t with = below(m, (uint32_t)a + 1);
    int64_t swapped = perm[a];
    perm[a] = perm[with];
    perm[with] = swapped;
  }
  keep(m, poa_b_transpose(&m->b, x, perm));
}

static void make_reshape(maker *m) {
  poa_value x = pick(m);
  int64_t rest = poa_type_elements(type_of(m, x)), dims[POA_MAX_RANK];
  int rank = 0;
  while (rank < 3 && rest > 1) {
    int64_t extent = 1 + below(m, (uint32_t)rest);
    while (rest % extent)
      extent--;
    dims[rank++] = extent;
    rest /= extent;
  }
  dims[rank++] = rest;
  poa_type type = shape(rank, dims);
  keep(m, poa_b_reshape(&m->b, x, &type));
}

static void make_slice(maker *m) {
  poa_value x = pick(m);
  poa_type type = type_of(m, x);
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int a = 0; a < type.rank; a++) {
    int64_t from = below(m, (uint32_t)type.dim[a].value);
    start[a] = poa_known(from);
    limit[a] = poa_known(from + 1 + below(m, (uint32_t)(type.dim[a].value - from)));
  }
  keep(m, poa_b_slice(&m->b, x, start, limit));
}

static void make_concat(maker *m) {
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  if (type.rank == 0)
    return;
  poa_value operands[] = {x, of_shape(m, &type), of_shape(m, &type)};
  poa_attribute axis = poa_attribute_int("axis", below(m, (uint32_t)type.rank));
  keep(m, poa_b_node(&m->b, POA_OP_concat, operands, 2 + (int)below(m, 2), &axis, 1, NULL));
}

static poa_value make_dot(maker *m, int64_t rows) {
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  if (type.rank < 2)
    return POA_NO_VALUE;
  bool ta = below(m, 2), tb = below(m, 2);
  int64_t inner = type.dim[ta ? type.rank - 2 : type.rank - 1].value;
  poa_type other = type;
  other.dim[type.rank - 2] = poa_known(tb ? rows : inner);
  other.dim[type.rank - 1] = poa_known(tb ? inner : rows);
  poa_value product = poa_b_dot(&m->b, x, of_shape(m, &other), ta, tb, 0.25);
  keep(m, product);
  return product;
}

/* As bias gradients are added to a packed bias': x with a first axis of extent 1. */
static poa_value with_unit_axis(maker *m, poa_value x) {
  poa_type type = type_of(m, x);
  for (int a = type.rank++; a > 0; a--)
    type.dim[a] = type.dim[a - 1];
  type.dim[0] = poa_known(1);
  return poa_b_reshape(&m->b, x, &type);
}

/* A chain of accumulates, of products and of other values. */
static void make_accumulate(maker *m) {
  poa_value x = below(m, 2) ? make_dot(m, 1 + below(m, 6)) : pick_f32(m);
  if (x == POA_NO_VALUE)
    return;
  if (type_of(m, x).rank < 4 && below(m, 3) == 0)
    x = with_unit_axis(m, x);
  poa_type type = type_of(m, x);
  poa_extent start[POA_MAX_RANK];
  for (int a = 0; a < type.rank; a++) {
    start[a] = poa_known(a ? below(m, 2) : below(m, 3));
    type.dim[a].value += start[a].value + (start[a].value ? below(m, 2) : 0);
  }
  if (poa_type_elements(type) > 20000)
    return;
  poa_value base =
      below(m, 3) ? poa_b_unary(&m->b, POA_OP_sin, of_shape(m, &type)) : of_shape(m, &type);
  poa_value sum = poa_b_accumulate(&m->b, base, x, start);
  keep(m, sum);
  if (below(m, 2))
    keep(m, poa_b_accumulate(&m->b, sum, poa_b_unary(&m->b, POA_OP_neg, x), start));
}

static poa_value rows_below(maker *m, int64_t bound, int64_t count) {
  poa_type type = shape(1, &count);
  type.dtype = POA_I32;
  poa_attribute axis = poa_attribute_int("axis", 0);
  poa_value iota = poa_b_node(&m->b, POA_OP_iota, NULL, 0, &axis, 1, &type);
  return poa_b_binary(&m->b, POA_OP_min, iota, poa_b_constant(&m->b, (double)(bound - 1), &type));
}

static void make_gather(maker *m) {
  poa_value x = pick_f32(m);
  poa_type type = type_of(m, x);
  if (type.rank == 0)
    return;
  poa_value rows = rows_below(m, type.dim[0].value, 1 + below(m, 5));
  poa_value y = poa_b_binary(&m->b, POA_OP_gather, x, rows);
  keep(m, y);
  poa_value base = below(m, 2) ? poa_b_constant(&m->b, 0, &type) : of_shape(m, &type);
  if (below(m, 2))
    keep(m, poa_b_node(&m->b, POA_OP_scatter_add, (poa_value[]){base, rows, y}, 3, NULL, 0, NULL));
}

static void make_one(maker *m) {
  switch (below(m, 16)) {
  case 0:
  case 1:
  case 2:
    make_unary(m);
    break;
  case 3:
  case 4:
  case 5:
    make_binary(m);
    break;
  case 6:
    make_select(m);
    break;
  case 7:
    make_reduction(m);
    break;
  case 8:
    make_normalization(m);
    break;
  case 9:
    make_transpose(m);
    break;
  case 10:
    make_reshape(m);
    break;
  case 11:
    make_slice(m);
    break;
  case 12:
    make_concat(m);
    break;
  case 13:
    make_dot(m, 1 + below(m, 6));
    break;
  case 14:
    make_accumulate(m);
    break;
  default:
    make_gather(m);
  }
}

enum { LEAVES = 6 };

static void make_leaves(maker *m) {
  m->graph->parameters = poa_arena_alloc(m->graph->arena, LEAVES * sizeof *m->graph->parameters);
  m->graph->inputs = poa_arena_alloc(m->graph->arena, LEAVES * sizeof *m->graph->inputs);
  for (int i = 0; i < LEAVES; i++) {
    poa_type type = random_shape(m);
    const char *name = poa_arena_format(m->graph->arena, "leaf%d", i);
    poa_attribute attributes[] = {poa_attribute_string("set", "p"),
                                  poa_attribute_string("name", name)};
    if (i % 2) {
      m->graph->parameters[m->graph->parameter_count++] =
          (poa_parameter){.set = "p", .name = name, .type = type, .file_type = type};
      keep(m, poa_b_node(&m->b, POA_OP_parameter, NULL, 0, attributes, 2, &type));
    } else {
      m->graph->inputs[m->graph->input_count++] =
          (poa_input){.name = name, .type = type, .source = ""};
      keep(m, poa_b_node(&m->b, POA_OP_input, NULL, 0, &attributes[1], 1, &type));
    }
  }
}

/* Effects last: some values are shown, most parameters assigned. */
static void make_effects(maker *m) {
  poa_value first = m->values[0];
  for (int i = 0; i < 6; i++) {
    poa_attribute attributes[] = {
        poa_attribute_string("kind", "result"),
        poa_attribute_string("name", poa_arena_format(m->graph->arena, "out%d", i))};
    poa_value v = i ? pick(m) : m->values[m->count - 1];
    poa_b_node(&m->b, POA_OP_output, &v, 1, attributes, 2, NULL);
  }
  for (int i = 1; i < LEAVES; i += 2) {
    poa_value parameter = first + (poa_value)i;
    poa_type type = type_of(m, parameter);
    if (below(m, 4))
      poa_b_binary(&m->b, POA_OP_assign, parameter, of_shape(m, &type));
  }
}

static poa_graph *random_graph(poa_arena *arena, uint64_t seed) {
  maker *m = poa_arena_alloc(arena, sizeof *m);
  m->graph = poa_graph_create(arena, "random");
  m->b.graph = m->graph;
  m->state = seed * 2654435761u + 12345;
  make_leaves(m);
  int nodes = 10 + (int)below(m, 90);
  for (int i = 0; i < nodes; i++)
    make_one(m);
  make_effects(m);
  return m->graph;
}

/* Running it: every effect's numbers, one behind the other. */

enum { MOST_ELEMENTS = 20000, EFFECTS = 20 };
static const size_t numbers = (size_t)EFFECTS * MOST_ELEMENTS;

typedef struct record {
  double *numbers;
} record;

static poa_status load(void *context, const poa_graph *graph, const poa_node *node,
                       poa_tensor *tensor, poa_error *error) {
  (void)context;
  (void)graph;
  (void)error;
  const char *name = poa_node_string(node, "name");
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++)
    tensor->data[i] = (double)((i * 37 + (int64_t)name[4] * 11) % 64) / 32 - 1;
  return POA_OK;
}

/* Effects by kind and name, for passes may change their order. */
static poa_status store(void *context, const poa_graph *graph, const poa_node *node,
                        const poa_tensor *tensor, poa_error *error) {
  (void)error;
  record *r = context;
  const poa_node *named = node->op == POA_OP_output ? node : &graph->nodes[node->operands[0]];
  const char *name = poa_node_string(named, "name");
  size_t at = (size_t)(name[strlen(name) - 1] - '0') + (node->op == POA_OP_output ? 0 : 10);
  for (int64_t i = 0; i < poa_type_elements(tensor->type); i++)
    r->numbers[at * MOST_ELEMENTS + (size_t)i] = tensor->data[i];
  return POA_OK;
}

static double *run(const poa_graph *graph) {
  record r = {.numbers = calloc(numbers, sizeof(double))};
  poa_bindings bindings = {.load = load, .store = store, .context = &r};
  poa_error error = {0};
  cr_assert_eq(poa_graph_interpret(graph, &bindings, false, &error), POA_OK, "%s", error.message);
  return r.numbers;
}

static void dump(const poa_graph *graph) {
  if (getenv("POA_DUMP"))
    poa_graph_print(graph, stderr);
}

/* The graph as its text says it. */
static poa_graph *read_back(poa_arena *arena, const poa_graph *graph) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  poa_graph_print(graph, out);
  fclose(out);
  poa_graph *again;
  poa_error error = {0};
  cr_assert_eq(poa_graph_parse(arena, "printed", text, &again, &error), POA_OK, "%s",
               error.message);
  free(text);
  return again;
}

static bool same_number(double x, double y) {
  return x == y || (isnan(x) && isnan(y));
}

static void check_seed(uint64_t seed) {
  static const poa_pass passes[] = {poa_fuse, poa_layout, poa_schedule};
  poa_arena *arena = poa_arena_create();
  poa_graph *graph = random_graph(arena, seed);
  poa_error error = {0};
  dump(graph);
  double *before = run(graph);
  for (int p = 0; p < 3; p++) {
    cr_assert_eq(passes[p](graph, &(poa_options){0}, &error), POA_OK, "seed %d: %s", (int)seed,
                 error.message);
    dump(graph);
    cr_assert_eq(poa_graph_verify(graph, &error), POA_OK, "seed %d, pass %d: %s", (int)seed, p,
                 error.message);
    graph = read_back(arena, graph);
    double *after = run(graph);
    for (size_t i = 0; i < numbers; i++)
      cr_assert(same_number(before[i], after[i]), "seed %d: pass %d changes values", (int)seed, p);
    free(after);
  }
  cr_assert_eq(poa_schedule_check(graph, &error), POA_OK, "seed %d: %s", (int)seed, error.message);
  free(before);
  poa_arena_free(arena);
}

/* Guards all three passes: values before and after are the same bits, and the schedule,
 * simulated cell by cell, reads what it should. POA_SEEDS=N runs more. */
Test(fuse_schedule, random_graphs_keep_their_values) {
  const char *seeds = getenv("POA_SEEDS"), *from = getenv("POA_SEED");
  uint64_t first = from ? strtoull(from, NULL, 10) : 1;
  uint64_t count = seeds ? strtoull(seeds, NULL, 10) : from ? 1 : 300;
  for (uint64_t seed = first; seed < first + count; seed++)
    check_seed(seed);
}

/* x -> dot -> exp -> dot. */
static poa_graph *parse_small(poa_arena *arena) {
  static const char text[] = "param \"p\" \"w\": f32[8,8] = constant(0)\n"
                             "graph @g (%x: f32[4,8]) {\n"
                             "  %x = input {name=\"x\"} : f32[4,8]\n"
                             "  %w = parameter {set=\"p\", name=\"w\"} : f32[8,8]\n"
                             "  %y = dot %x, %w : f32[4,8]\n"
                             "  %t = transpose %y {perm=[1,0]} : f32[8,4]\n"
                             "  %e = exp %t : f32[8,4]\n"
                             "  %z = dot %e, %y : f32[8,8]\n"
                             "  %v = sub %w, %z : f32[8,8]\n"
                             "  %o = output %z {kind=\"result\", name=\"z\"} : f32[8,8]\n"
                             "  %a = assign %w, %v : f32[8,8]\n"
                             "}\n";
  poa_graph *graph;
  poa_error error = {0};
  cr_assert_eq(poa_graph_parse(arena, "text", text, &graph, &error), POA_OK, "%s", error.message);
  return graph;
}

static poa_graph *small_schedule(poa_arena *arena) {
  poa_error error = {0};
  poa_graph *graph = parse_small(arena);
  cr_assert_eq(
      poa_pipeline_run(graph, "fuse,layout,schedule", NULL, NULL, false, NULL, NULL, &error),
      POA_OK, "%s", error.message);
  return graph;
}

static poa_node *find(const poa_graph *graph, poa_op op, int which) {
  for (poa_value v = 0; v < graph->node_count; v++)
    if (graph->nodes[v].op == op && which-- == 0)
      return &graph->nodes[v];
  return NULL;
}

typedef enum damage { NONE, PLACE, STRIDE, OFFSET, PARAMETER, BUFFER, DAMAGES } damage;

static void inflict(poa_graph *graph, damage kind) {
  poa_node *y = find(graph, POA_OP_dot, 0), *t = find(graph, POA_OP_transpose, 0);
  poa_node *z = find(graph, POA_OP_dot, 1), *v = find(graph, POA_OP_sub, 0);
  if (kind == PLACE) /* z over y, which it reads */
    z->storage.place = y->storage.place;
  if (kind == STRIDE)
    t->storage.stride[0] = t->storage.stride[1];
  if (kind == OFFSET)
    t->storage.offset++;
  if (kind == PARAMETER) /* the new value somewhere else than in its parameter */
    v->storage.root = z->storage.root;
  if (kind == BUFFER)
    y->storage.root = POA_NO_VALUE;
}

/* Guards the check itself: it accepts a right schedule and sees each kind of wrong one. */
Test(fuse_schedule, check_sees_what_is_wrong) {
  for (damage d = NONE; d < DAMAGES; d++) {
    poa_arena *arena = poa_arena_create();
    poa_graph *graph = small_schedule(arena);
    poa_error error = {0};
    inflict(graph, d);
    cr_assert_eq(poa_schedule_check(graph, &error) == POA_OK, d == NONE, "damage %d: %s", d,
                 error.message);
    poa_arena_free(arena);
  }
}

/* Inflicts a damage on the graph between layout and schedule. */
typedef struct saboteur {
  poa_graph *graph;
  damage kind;
} saboteur;

static void sabotage(void *context, const char *pass, const poa_graph *graph, double seconds) {
  const saboteur *s = context;
  (void)graph, (void)seconds;
  if (!strcmp(pass, "layout"))
    inflict(s->graph, s->kind);
}

static poa_status run_sabotaged(poa_arena *arena, damage kind, poa_error *error) {
  saboteur s = {parse_small(arena), kind};
  poa_status status =
      poa_pipeline_run(s.graph, "fuse,layout,schedule", NULL, NULL, true, sabotage, &s, error);
  poa_error none = {0};
  cr_assert_eq(poa_graph_verify(s.graph, &none), POA_OK, "%s", none.message);
  return status;
}

/* Guards `--verify`, in release builds too: a wrong schedule that the verifier accepts is
 * refused in the name of its pass, a right one is not. */
Test(fuse_schedule, verify_simulates_the_schedule) {
  poa_arena *arena = poa_arena_create();
  poa_error none = {0}, error = {0};
  cr_assert_eq(run_sabotaged(arena, NONE, &none), POA_OK, "%s", none.message);
  cr_assert_eq(run_sabotaged(arena, PARAMETER, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "not valid after schedule"), "%s", error.message);
  cr_assert(strstr(error.message, "does not hold its new value"), "%s", error.message);
  poa_arena_free(arena);
}

/* Lives as a training step has them: forward values that wait for the backward sweep, and
 * short ones on the way. */
static void make_buffers(poa_buffer *buffers, int count, uint64_t seed) {
  maker m = {.state = seed};
  for (int i = 0; i < count; i++) {
    poa_buffer *b = &buffers[i];
    b->bytes = (int64_t)(1 + below(&m, 64)) * (below(&m, 2) ? 16 : 4096);
    b->first = i;
    b->last = below(&m, 3) ? i + 1 + (int)below(&m, 3) : 2 * count - i;
  }
}

static bool overlap(const poa_buffer *a, const poa_buffer *b) {
  return a->first <= b->last && b->first <= a->last && a->place < b->place + b->bytes &&
         b->place < a->place + a->bytes;
}

/* Guards placement: aligned, apart while alive, the end returned exact, and not far above
 * the bytes that are alive at once. */
Test(fuse_schedule, buffers_are_placed_tightly) {
  enum { COUNT = 600 };
  poa_buffer buffers[COUNT];
  for (uint64_t seed = 1; seed <= 10; seed++) {
    make_buffers(buffers, COUNT, seed);
    int64_t end = poa_place_buffers(buffers, COUNT), bound = poa_live_peak(buffers, COUNT);
    int64_t last = 0;
    for (int i = 0; i < COUNT; i++) {
      cr_assert_eq(buffers[i].place % POA_BUFFER_ALIGNMENT, 0);
      for (int j = 0; j < i; j++)
        cr_assert(!overlap(&buffers[i], &buffers[j]), "seed %d: %d and %d", (int)seed, j, i);
      last =
          buffers[i].place + buffers[i].bytes > last ? buffers[i].place + buffers[i].bytes : last;
    }
    cr_assert_leq(last, end);
    cr_assert_lt(end - last, POA_BUFFER_ALIGNMENT);
    cr_assert_leq((double)end, 1.05 * (double)bound, "seed %d: %f", (int)seed,
                  (double)end / (double)bound);
  }
}

/* Guards the smallest cases: no buffers, and buffers of no bytes. */
Test(fuse_schedule, nothing_to_place) {
  cr_assert_eq(poa_place_buffers(NULL, 0), 0);
  poa_buffer empty = {.bytes = 0, .first = 0, .last = 3};
  cr_assert_eq(poa_place_buffers(&empty, 1), 0);
}
