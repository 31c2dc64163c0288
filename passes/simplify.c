/* simplify.c: one forward sweep that writes the graph anew. Each node meets the rules of
 * its op (simplify.h lists their files) with its operands simplified already, so one
 * sweep does what repeated ones would; what no rule changes is written once (cse.c);
 * what nothing needs is left out. The time is linear in the nodes. */
#include <string.h>

#include "passes/internal.h"
#include "passes/simplify.h"

/* Rules make terms smaller or move a constant one step; this only bounds our own bugs. */
enum { MOST_DEPTH = 24 };

/* Facts about values */

static poa_fact *fact_of(poa_simplifier *s, poa_value value) {
  if (value >= s->fact_capacity) {
    uint32_t capacity = 2 * (value + 32);
    poa_fact *facts = poa_arena_alloc(s->scratch, capacity * sizeof *facts);
    if (s->fact_capacity)
      memcpy(facts, s->facts, s->fact_capacity * sizeof *facts);
    s->facts = facts;
    s->fact_capacity = capacity;
  }
  return &s->facts[value];
}

const poa_node *poa_s_look(const poa_simplifier *s, poa_value value) {
  static const poa_node opaque = {.op = POA_OP_COUNT};
  bool pinned = value < s->fact_capacity && s->facts[value].pinned;
  return pinned ? &opaque : &s->b.graph->nodes[value];
}

poa_type poa_s_type(const poa_simplifier *s, poa_value value) {
  return s->b.graph->nodes[value].type;
}

bool poa_s_single(const poa_simplifier *s, poa_value value) {
  return value >= s->fact_capacity || s->facts[value].uses <= 1;
}

bool poa_s_constant(const poa_simplifier *s, poa_value value, double *constant) {
  const poa_node *node = poa_s_look(s, value);
  if (node->op != POA_OP_constant)
    return false;
  *constant = node->attributes[0].real;
  return true;
}

bool poa_s_is(const poa_simplifier *s, poa_value value, double constant) {
  double found;
  return poa_s_constant(s, value, &found) && found == constant;
}

poa_value poa_s_inside(const poa_simplifier *s, poa_op op, poa_value value) {
  const poa_node *node = poa_s_look(s, value);
  return node->op == op && node->operands ? node->operands[0] : POA_NO_VALUE;
}

/* Writing nodes */

static poa_value try_rules(poa_simplifier *s, const poa_rule *rules, const poa_node *n) {
  for (; *rules; rules++) {
    poa_value value = (*rules)(s, n);
    if (value != POA_NO_VALUE)
      return value;
  }
  return POA_NO_VALUE;
}

static poa_value simplified(poa_simplifier *s, const poa_node *n) {
  static const poa_rule element_wise[] = {poa_fold_constants, poa_compute_before_broadcast,
                                          poa_compute_before_units, NULL};
  poa_value value = POA_NO_VALUE;
  if (s->depth == MOST_DEPTH)
    return value;
  s->depth++;
  if (poa_op_is(n->op, POA_FLAG_ELEMENTWISE))
    value = try_rules(s, element_wise, n);
  if (value == POA_NO_VALUE)
    value = try_rules(s, poa_algebra_rules(n->op), n);
  if (value == POA_NO_VALUE)
    value = try_rules(s, poa_movement_rules(n->op), n);
  if (value == POA_NO_VALUE)
    value = try_rules(s, poa_unit_rules(n->op), n);
  if (value == POA_NO_VALUE)
    value = try_rules(s, poa_product_rules(n->op), n);
  s->depth--;
  return value;
}

poa_value poa_s_emit(poa_simplifier *s, const poa_node *candidate, const poa_node *original) {
  poa_value value = simplified(s, candidate);
  if (value != POA_NO_VALUE)
    return value;
  uint32_t hash;
  value = poa_cse_find(s, candidate, &hash);
  if (value != POA_NO_VALUE)
    return value;
  if (original)
    value = poa_graph_copy(s->b.graph, original, s->map);
  else
    value = poa_b_node(&s->b, candidate->op, candidate->operands, candidate->operand_count,
                       candidate->attributes, candidate->attribute_count,
                       candidate->type.rank >= 0 ? &candidate->type : NULL);
  poa_cse_insert(s, value, hash);
  return value;
}

/* Builders. A candidate whose type follows from the rest has rank -1. */

static poa_value emit(poa_simplifier *s, poa_op op, poa_value *operands, int operand_count,
                      poa_attribute *attributes, int attribute_count, const poa_type *type) {
  poa_node candidate = {.op = op,
                        .operands = operands,
                        .operand_count = operand_count,
                        .attributes = attributes,
                        .attribute_count = attribute_count,
                        .type = {.rank = -1},
                        .location = s->b.location};
  if (type)
    candidate.type = *type;
  return poa_s_emit(s, &candidate, NULL);
}

poa_value poa_s_splat(poa_simplifier *s, double value, poa_type type) {
  poa_attribute attribute = poa_attribute_float("value", value);
  return emit(s, POA_OP_constant, NULL, 0, &attribute, 1, &type);
}

poa_value poa_s_unary(poa_simplifier *s, poa_op op, poa_value x) {
  return emit(s, op, &x, 1, NULL, 0, NULL);
}

poa_value poa_s_binary(poa_simplifier *s, poa_op op, poa_value x, poa_value y) {
  return emit(s, op, (poa_value[]){x, y}, 2, NULL, 0, NULL);
}

poa_value poa_s_ternary(poa_simplifier *s, poa_op op, poa_value x, poa_value y, poa_value z) {
  return emit(s, op, (poa_value[]){x, y, z}, 3, NULL, 0, NULL);
}

poa_value poa_s_scale(poa_simplifier *s, poa_value x, double factor) {
  return poa_s_binary(s, POA_OP_mul, x, poa_s_splat(s, factor, poa_s_type(s, x)));
}

poa_value poa_s_reshape(poa_simplifier *s, poa_value x, poa_type type) {
  type.dtype = poa_s_type(s, x).dtype;
  return emit(s, POA_OP_reshape, &x, 1, NULL, 0, &type);
}

poa_value poa_s_transpose(poa_simplifier *s, poa_value x, const int64_t *perm) {
  poa_attribute attribute = poa_attribute_ints("perm", perm, poa_s_type(s, x).rank);
  return emit(s, POA_OP_transpose, &x, 1, &attribute, 1, NULL);
}

poa_value poa_s_broadcast(poa_simplifier *s, poa_value x, const int64_t *axes, poa_type type) {
  type.dtype = poa_s_type(s, x).dtype;
  poa_attribute attribute = poa_attribute_ints("axes", axes, poa_s_type(s, x).rank);
  return emit(s, POA_OP_broadcast, &x, 1, &attribute, 1, &type);
}

static void to_extents(const int64_t *values, int count, poa_extent *extents) {
  for (int i = 0; i < count; i++)
    extents[i] = poa_known(values[i]);
}

poa_value poa_s_slice(poa_simplifier *s, poa_value x, const int64_t *start, const int64_t *limit) {
  int rank = poa_s_type(s, x).rank;
  poa_extent from[POA_MAX_RANK], to[POA_MAX_RANK];
  to_extents(start, rank, from);
  to_extents(limit, rank, to);
  poa_attribute attributes[] = {poa_attribute_extents("start", from, rank),
                                poa_attribute_extents("limit", to, rank)};
  return emit(s, POA_OP_slice, &x, 1, attributes, 2, NULL);
}

poa_value poa_s_reduce(poa_simplifier *s, poa_op op, poa_value x, const int64_t *axes, int count) {
  poa_attribute attribute = poa_attribute_ints("axes", axes, count);
  return emit(s, op, &x, 1, &attribute, 1, NULL);
}

poa_value poa_s_dot(poa_simplifier *s, poa_value x, poa_value y, poa_dot_form form) {
  poa_attribute attributes[POA_DOT_ATTRIBUTES];
  int count = poa_b_dot_attributes(attributes, form);
  return emit(s, POA_OP_dot, (poa_value[]){x, y}, 2, attributes, count, NULL);
}

poa_value poa_s_accumulate(poa_simplifier *s, poa_value base, poa_value x, const int64_t *start) {
  int rank = poa_s_type(s, base).rank;
  poa_extent from[POA_MAX_RANK];
  to_extents(start, rank, from);
  poa_attribute attribute = poa_attribute_extents("start", from, rank);
  return emit(s, POA_OP_accumulate, (poa_value[]){base, x}, 2, &attribute, 1, NULL);
}

/* The sweep */

static bool is_dropped_probe(const poa_node *node, const poa_options *options) {
  return node->op == POA_OP_output && !options->keep_probes &&
         !strcmp(poa_node_string(node, "kind"), "probe");
}

static bool is_effect(const poa_node *node, const poa_options *options) {
  return poa_op_is(node->op, POA_FLAG_ROOT) && !is_dropped_probe(node, options);
}

/* How many live nodes read each node, with one more for an effect: 0 is dead. */
static void count_uses(const poa_node *nodes, uint32_t count, const poa_options *options,
                       uint32_t *uses) {
  for (uint32_t i = count; i-- > 0;) {
    uses[i] += is_effect(&nodes[i], options);
    for (int k = 0; uses[i] && k < nodes[i].operand_count; k++)
      uses[nodes[i].operands[k]]++;
  }
}

/* Nodes that stand for more than their value. */
static bool stays(const poa_node *node) {
  return poa_op_is(node->op, POA_FLAG_ROOT) || node->op == POA_OP_call ||
         node->op == POA_OP_gradient;
}

/* Values other than leaves with regard to which a gradient is asked for: rewriting one,
 * or merging it with another, would change which paths lead through it. */
static void mark_pinned(const poa_node *nodes, uint32_t count, bool *pinned) {
  for (uint32_t i = 0; i < count; i++)
    if (nodes[i].op == POA_OP_gradient && !poa_op_is(nodes[nodes[i].operands[1]].op, POA_FLAG_LEAF))
      pinned[nodes[i].operands[1]] = true;
}

static poa_value simplify_node(poa_simplifier *s, const poa_node *node, const bool pinned) {
  s->b.location = node->location;
  if (pinned || stays(node)) {
    poa_value value = poa_graph_copy(s->b.graph, node, s->map);
    fact_of(s, value)->pinned = pinned;
    return value;
  }
  poa_node candidate = *node;
  poa_value few[3];
  candidate.operands =
      node->operand_count <= 3
          ? few
          : poa_arena_alloc(s->scratch, (size_t)node->operand_count * sizeof(poa_value));
  for (int i = 0; i < node->operand_count; i++)
    candidate.operands[i] = s->map[node->operands[i]];
  return poa_s_emit(s, &candidate, node);
}

static void sweep(poa_simplifier *s, const poa_options *options) {
  uint32_t count;
  const poa_node *nodes = poa_graph_take_nodes(s->b.graph, &count);
  poa_value *map = poa_arena_alloc(s->scratch, count * sizeof *map);
  uint32_t *uses = poa_arena_alloc(s->scratch, count * sizeof *uses);
  bool *pinned = poa_arena_alloc(s->scratch, count * sizeof *pinned);
  s->map = map;
  poa_cse_create(s, count);
  count_uses(nodes, count, options, uses);
  mark_pinned(nodes, count, pinned);
  for (uint32_t i = 0; i < count; i++)
    if (uses[i]) {
      map[i] = simplify_node(s, &nodes[i], pinned[i]);
      fact_of(s, map[i])->uses += uses[i];
    }
}

/* Closes the gaps that dead nodes leave. The nodes are this pass's own, so that they may
 * move and change in place. */
static void drop_dead(poa_simplifier *s, const poa_options *options) {
  poa_graph *graph = s->b.graph;
  poa_value *map = poa_arena_alloc(s->scratch, graph->node_count * sizeof *map);
  uint32_t *uses = poa_arena_alloc(s->scratch, graph->node_count * sizeof *uses);
  uint32_t kept = 0;
  count_uses(graph->nodes, graph->node_count, options, uses);
  for (uint32_t i = 0; i < graph->node_count; i++) {
    if (!uses[i])
      continue;
    poa_node node = graph->nodes[i];
    for (int k = 0; k < node.operand_count; k++)
      node.operands[k] = map[node.operands[k]];
    map[i] = kept;
    graph->nodes[kept++] = node;
  }
  graph->node_count = kept;
}

/* Folds constants, merges equal nodes, applies the algebra of the rule files, drops
 * what no effect needs and, unless options->keep_probes, outputs of kind "probe".
 *
 *   before:                                        after:
 *     %c = constant {value=2}         : f32[8,64]    %d = dot %x, %w {tb=1, alpha=2} : f32[8,64]
 *     %s = mul %x, %c                 : f32[8,64]    %o = output %d {..}             : f32[8,64]
 *     %t = transpose %w {perm=[1,0]}  : f32[64,64]
 *     %d = dot %s, %t                 : f32[8,64]
 *     %u = exp %d                     : f32[8,64]
 *     %o = output %d {..}             : f32[8,64]
 *
 * Requires: known extents, no kernels. Keeps: the order of what stays, effects, the
 * gradients of a graph that is yet to be differentiated. Rounding may change where
 * constants move; no rule loses a NaN or an infinity that the values would have had. */
poa_status poa_simplify(poa_graph *graph, const poa_options *options, poa_error *error) {
  if (poa_require_early(graph, "simplify", error))
    return POA_BAD_INPUT;
  poa_simplifier s = {.b = {.graph = graph}, .scratch = poa_arena_borrow(graph->arena)};
  if (!s.scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to simplify %s", graph->name);
  sweep(&s, options);
  drop_dead(&s, options);
  poa_arena_free(s.scratch);
  return POA_OK;
}
