/* expand.c: composite ops and reductions in the forms that kernels take (docs/kernels.md):
 * softmax and its logarithm as row operations, every reduction over exactly the last
 * axis or over axes without it.
 *
 * The row maximum keeps the exponentials in range whatever the logits are. Source for
 * the log-sum-exp forms: Blanchard, Higham & Higham, "Accurately computing the
 * log-sum-exp and softmax functions" (2021). */
#include "ir/build.h"
#include "passes/convolution.h"
#include "passes/internal.h"

static const poa_type *type_of(const poa_build *b, poa_value x) {
  return &b->graph->nodes[x].type;
}

static poa_value binary(poa_build *b, poa_op op, poa_value x, poa_value y) {
  return poa_b_binary(b, op, x, y);
}

/* Composite ops */

static poa_value reduce_last(poa_build *b, poa_op op, poa_value x) {
  return poa_b_reduce(b, op, x, (int64_t[]){type_of(b, x)->rank - 1}, 1);
}

static poa_value along_last(poa_build *b, poa_value row, const poa_type *type) {
  return poa_b_unreduce(b, row, (int64_t[]){type->rank - 1}, 1, type);
}

/* e = exp(x - max x), and its sum in *sum. Both ops share it through CSE. */
static poa_value exponentials(poa_build *b, poa_value x, poa_value *max, poa_value *sum) {
  poa_type type = *type_of(b, x);
  *max = reduce_last(b, POA_OP_reduce_max, x);
  poa_value shifted = binary(b, POA_OP_sub, x, along_last(b, *max, &type));
  poa_value e = poa_b_unary(b, POA_OP_exp, shifted);
  *sum = reduce_last(b, POA_OP_reduce_sum, e);
  return e;
}

/* softmax x = e * (1 / sum e): one division a row, and one rounding more an element
 * than e / sum e, half a unit in the last place, where exp alone has about one. */
static poa_value expand_softmax(poa_build *b, poa_value x) {
  poa_value max, sum, e = exponentials(b, x, &max, &sum);
  poa_type row = *type_of(b, sum), type = *type_of(b, x);
  poa_value reciprocal = binary(b, POA_OP_div, poa_b_constant(b, 1, &row), sum);
  return binary(b, POA_OP_mul, e, along_last(b, reciprocal, &type));
}

/* log softmax x = x - (max x + log sum e): the row's log-sum-exp first, so that what is
 * left to do for an element is one subtraction, cheap to repeat. */
static poa_value expand_log_softmax(poa_build *b, poa_value x) {
  poa_value max, sum;
  exponentials(b, x, &max, &sum);
  poa_type type = *type_of(b, x);
  poa_value log_sum = binary(b, POA_OP_add, max, poa_b_unary(b, POA_OP_log, sum));
  return binary(b, POA_OP_sub, x, along_last(b, log_sum, &type));
}

/* Reductions */

/* The axes of a reduction as a set of bits, bit i for axis i. */
static unsigned axes_of(const poa_node *node) {
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  unsigned set = 0;
  for (int i = 0; i < axes->count; i++)
    set |= 1u << axes->integers[i];
  return set;
}

static poa_value reduce_set(poa_build *b, poa_op op, poa_value x, unsigned set) {
  int64_t axes[POA_MAX_RANK];
  int count = 0;
  for (int i = 0; i < POA_MAX_RANK; i++)
    if (set >> i & 1)
      axes[count++] = i;
  return count ? poa_b_reduce(b, op, x, axes, count) : x;
}

/* Joins the `count` last axes of x into one. */
static poa_value join_last(poa_build *b, poa_value x, int count) {
  poa_type type = *type_of(b, x);
  if (count < 2)
    return x;
  for (; count > 1; count--) {
    type.rank--;
    type.dim[type.rank - 1].value *= type.dim[type.rank].value;
  }
  return poa_b_reshape(b, x, &type);
}

/* How many of the last axes of a value of `rank` axes are in the set. */
static int last_run(unsigned set, int rank) {
  int run = 0;
  while (run < rank && set >> (rank - 1 - run) & 1)
    run++;
  return run;
}

static unsigned first_axes(unsigned set, int count) {
  return count > 0 ? set & ((1u << count) - 1) : 0;
}

/* Drops the axes of extent 1; `set` follows. */
static poa_value squeeze(poa_build *b, poa_value x, unsigned *set) {
  const poa_type *type = type_of(b, x);
  poa_type squeezed = {.dtype = type->dtype};
  unsigned moved = 0;
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i].value != 1) {
      moved |= (*set >> i & 1) << squeezed.rank;
      squeezed.dim[squeezed.rank++] = type->dim[i];
    }
  *set = moved;
  return squeezed.rank == type->rank ? x : poa_b_reshape(b, x, &squeezed);
}

static unsigned without_unit_axes(const poa_type *type, unsigned set) {
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i].value == 1)
      set &= ~(1u << i);
  return set;
}

/* Rows shorter than a vector's lanes are joined before they are reduced. */
enum { DEFAULT_LANES = 16 };

/* Over the last axis first, which runs along memory and in parallel over the rows, then
 * over the small rest: [b,n,d] -> [b,n] -> [b*n] -> []. Where the last axis is short,
 * axes are joined so that the inner loop is long. */
static poa_value reduce_in_steps(poa_build *b, poa_op op, poa_value x, unsigned set, int lanes) {
  int rank = type_of(b, x)->rank;
  int run = last_run(set, rank);
  if (rank < 1 || run == 0 || set == 1u << (rank - 1))
    return reduce_set(b, op, x, set);
  bool is_short = type_of(b, x)->dim[rank - 1].value < lanes;
  int joined = is_short ? run : 1;
  x = reduce_last(b, op, join_last(b, x, joined));
  set = first_axes(set, rank - joined);
  x = squeeze(b, x, &set);
  rank = type_of(b, x)->rank;
  run = last_run(set, rank);
  if (run)
    x = reduce_last(b, op, join_last(b, x, run));
  return reduce_set(b, op, x, first_axes(set, rank - run));
}

/* Axes of extent 1 are dropped by a reshape; only the others are reduced. */
static poa_value expand_reduction(poa_build *b, const poa_node *node, poa_value x, int lanes) {
  const poa_type *type = type_of(b, x);
  unsigned set = without_unit_axes(type, axes_of(node));
  if (set && type->dim[type->rank - 1].value == 1)
    x = squeeze(b, x, &set);
  x = reduce_in_steps(b, node->op, x, set, lanes);
  return poa_same_shape(type_of(b, x), &node->type) ? x : poa_b_reshape(b, x, &node->type);
}

/* argmax over another axis: that axis is brought to the end. */
static poa_value expand_argmax(poa_build *b, const poa_node *node, poa_value x) {
  int rank = type_of(b, x)->rank, axis = (int)poa_node_int(node, "axis", 0);
  int64_t perm[POA_MAX_RANK];
  for (int i = 0; i < rank; i++)
    perm[i] = i < axis ? i : i + 1;
  perm[rank - 1] = axis;
  if (axis != rank - 1)
    x = poa_b_transpose(b, x, perm);
  poa_attribute last = poa_attribute_int("axis", rank - 1);
  return poa_b_node(b, POA_OP_argmax, &x, 1, &last, 1, NULL);
}

static poa_value along(poa_build *b, poa_value x, int64_t axis, const poa_type *type) {
  return poa_b_broadcast(b, x, &axis, type);
}

/* rearrange: gathered as rows of a matrix of all that lies behind the axis, those that come from
 * nowhere zero. */
static poa_value expand_rearrange(poa_build *b, const poa_node *node, poa_value x, poa_value rows) {
  int64_t axis = poa_node_int(node, "axis", 0), outer = 1, size = 1;
  int64_t from = type_of(b, x)->dim[axis].value, to = node->type.dim[axis].value;
  for (int i = 0; i < node->type.rank; i++) {
    outer *= i < axis ? node->type.dim[i].value : 1;
    size *= i > axis ? node->type.dim[i].value : 1;
  }
  poa_type grid = {POA_I32, 2, {poa_known(outer), poa_known(to)}};
  poa_type list = {POA_I32, 1, {poa_known(outer * to)}};
  poa_type before = {node->type.dtype, 2, {poa_known(outer * from), poa_known(size)}};
  poa_attribute first = poa_attribute_int("axis", 0);
  poa_value block = poa_b_node(b, POA_OP_iota, NULL, 0, &first, 1, &grid);
  poa_value wanted = along(b, rows, 1, &grid), zero = poa_b_constant(b, 0, &grid);
  poa_value number = binary(b, POA_OP_add, binary(b, POA_OP_max, wanted, zero),
                            poa_b_scale(b, block, (double)from));
  poa_value picked =
      binary(b, POA_OP_gather, poa_b_reshape(b, x, &before), poa_b_reshape(b, number, &list));
  poa_value nowhere = poa_b_reshape(b, binary(b, POA_OP_lt, wanted, zero), &list);
  poa_type matrix = *type_of(b, picked);
  poa_value zeros = poa_b_constant(b, 0, &matrix);
  picked = poa_b_select(b, along(b, nowhere, 0, &matrix), zeros, picked);
  return poa_b_reshape(b, picked, &node->type);
}

static poa_value expand_node(poa_build *b, const poa_node *node, const poa_value *map, int lanes) {
  poa_value x = node->operand_count ? map[node->operands[0]] : POA_NO_VALUE;
  switch (node->op) {
  case POA_OP_softmax:
    return expand_softmax(b, x);
  case POA_OP_log_softmax:
    return expand_log_softmax(b, x);
  case POA_OP_reduce_sum:
  case POA_OP_reduce_max:
    return expand_reduction(b, node, x, lanes);
  case POA_OP_argmax:
    return expand_argmax(b, node, x);
  case POA_OP_rearrange:
    return expand_rearrange(b, node, x, map[node->operands[1]]);
  case POA_OP_conv2d:
  case POA_OP_conv2d_input:
  case POA_OP_conv2d_weight:
    return poa_expand_convolution(b, node, x, map[node->operands[1]]);
  default:
    return poa_graph_copy(b->graph, node, map);
  }
}

/* Rewrites composite ops and mixed reductions.
 *
 *   before:                                     after:
 *     %y = softmax %x              : f32[8,64]    %m = reduce_max %x {axes=[1]}     : f32[8]
 *                                                 %b = broadcast %m {axes=[0]}      : f32[8,64]
 *                                                 %d = sub %x, %b                   : f32[8,64]
 *                                                 %e = exp %d                       : f32[8,64]
 *                                                 %s = reduce_sum %e {axes=[1]}     : f32[8]
 *                                                 %1 = constant {value=1}           : f32[8]
 *                                                 %r = div %1, %s                   : f32[8]
 *                                                 %c = broadcast %r {axes=[0]}      : f32[8,64]
 *                                                 %y = mul %e, %c                   : f32[8,64]
 *     %t = reduce_sum %y {axes=[0,1]} : f32[]     %u = reduce_sum %y {axes=[1]}     : f32[8]
 *                                                 %t = reduce_sum %u {axes=[0]}     : f32[]
 *
 * Requires: known extents; no gradient nodes left to pass through composite ops (run
 * differentiate first, which knows shorter rules for them). Establishes: no COMPOSITE
 * op; each reduction over exactly the last axis or over axes without it; argmax over
 * the last. Keeps: order. */
poa_status poa_expand(poa_graph *graph, const poa_options *options, poa_error *error) {
  if (poa_require_early(graph, "expand", error))
    return POA_BAD_INPUT;
  int lanes = options->vector_lanes ? options->vector_lanes : DEFAULT_LANES;
  uint32_t count;
  const poa_node *nodes = poa_graph_take_nodes(graph, &count);
  poa_value *map = poa_arena_alloc(graph->arena, count * sizeof *map);
  for (uint32_t i = 0; i < count; i++) {
    poa_build b = {graph, nodes[i].location};
    map[i] = expand_node(&b, &nodes[i], map, lanes);
  }
  return POA_OK;
}
