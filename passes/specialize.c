/* specialize.c: binds the elastic names to one point of the lattice. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/build.h"
#include "passes/internal.h"

static bool in_range(const poa_elastic *name, int64_t value) {
  return value >= name->min && value <= name->max && (value - name->min) % name->step == 0;
}

static poa_status check_point(const poa_graph *graph, const poa_point *point, poa_error *error) {
  for (int i = 0; i < graph->lattice.count; i++) {
    const poa_elastic *name = &graph->lattice.name[i];
    if (!in_range(name, point->value[i]))
      return poa_fail(error, POA_BAD_INPUT,
                      "%s=%" PRId64 " is not in the lattice: %s ranges over %" PRId64 "..%" PRId64
                      " in steps of %" PRId64,
                      name->name, point->value[i], name->name, name->min, name->max, name->step);
  }
  return POA_OK;
}

static poa_extent bind_extent(const poa_graph *graph, poa_extent extent) {
  return extent.expr ? poa_known(poa_extent_at(extent, &graph->point)) : extent;
}

static poa_type bind_type(const poa_graph *graph, poa_type type) {
  for (int i = 0; i < type.rank; i++)
    type.dim[i] = bind_extent(graph, type.dim[i]);
  return type;
}

static poa_attribute bind_attribute(const poa_graph *graph, poa_attribute attribute) {
  if (!attribute.extents)
    return attribute;
  poa_extent *extents = poa_arena_alloc(graph->arena, (size_t)attribute.count * sizeof *extents);
  for (int i = 0; i < attribute.count; i++)
    extents[i] = bind_extent(graph, attribute.extents[i]);
  attribute.extents = extents;
  return attribute;
}

/* The inputs may be shared with the graph at other points: bind a copy of them. */
static void bind_inputs(poa_graph *graph) {
  poa_input *inputs = poa_arena_alloc(graph->arena, (size_t)graph->input_count * sizeof *inputs);
  for (int i = 0; i < graph->input_count; i++) {
    inputs[i] = graph->inputs[i];
    inputs[i].type = bind_type(graph, inputs[i].type);
  }
  graph->inputs = inputs;
}

/* The number of kept blocks that the name of a keep node stands for. */
static int64_t kept_blocks(const poa_graph *graph, const poa_node *node) {
  const char *name = poa_node_string(node, "elastic");
  for (int i = 0; i < graph->lattice.count; i++)
    if (!strcmp(graph->lattice.name[i].name, name))
      return graph->point.value[i];
  return 0; /* the shape rule of keep refuses unknown names */
}

static poa_value kept_operand(const poa_graph *graph, const poa_node *node) {
  int64_t index = poa_node_int(node, "index", 0), of = poa_node_int(node, "of", 1);
  return node->operands[poa_block_kept(kept_blocks(graph, node), of, index) ? 0 : 1];
}

/* Marks what the effects need at this point: nothing of a dropped block. */
static void mark_live(const poa_graph *graph, const poa_node *nodes, uint32_t count, bool *live) {
  for (uint32_t i = count; i-- > 0;) {
    const poa_node *node = &nodes[i];
    if (!live[i] && !poa_op_is(node->op, POA_FLAG_ROOT))
      continue;
    live[i] = true;
    if (node->op == POA_OP_keep)
      live[kept_operand(graph, node)] = true;
    else
      for (int k = 0; k < node->operand_count; k++)
        live[node->operands[k]] = true;
  }
}

static poa_value bind_ratio(poa_graph *graph, const poa_node *node) {
  poa_build b = {graph, node->location};
  poa_type type = bind_type(graph, node->type);
  poa_extent numerator = *poa_node_attribute(node, "numerator")->extents;
  poa_extent denominator = *poa_node_attribute(node, "denominator")->extents;
  double value =
      (double)bind_extent(graph, numerator).value / (double)bind_extent(graph, denominator).value;
  return poa_b_constant(&b, value, &type);
}

static bool is_one_at_top(const poa_graph *graph, const poa_node *ratio) {
  poa_point top = poa_lattice_top(&graph->lattice);
  return poa_extent_at(*poa_node_attribute(ratio, "numerator")->extents, &top) ==
         poa_extent_at(*poa_node_attribute(ratio, "denominator")->extents, &top);
}

static bool is_known(const poa_node *node) {
  bool known = poa_type_known(node->type);
  for (int i = 0; i < node->attribute_count; i++)
    for (int k = 0; node->attributes[i].extents && k < node->attributes[i].count; k++)
      known &= !node->attributes[i].extents[k].expr;
  return known;
}

/* A node with symbolic extents is written anew, so that its shape rule is checked at
 * the point; POA_NO_VALUE where it does not hold. */
static poa_value bind_node(poa_graph *graph, const poa_node *node, const poa_value *map,
                           poa_error *error) {
  poa_attribute attributes[POA_MAX_RANK];
  poa_value *operands =
      poa_arena_alloc(graph->arena, (size_t)node->operand_count * sizeof *operands);
  for (int i = 0; i < node->operand_count; i++)
    operands[i] = map[node->operands[i]];
  for (int i = 0; i < node->attribute_count; i++)
    attributes[i] = bind_attribute(graph, node->attributes[i]);
  poa_type type = bind_type(graph, node->type);
  return poa_graph_add(graph, node->op, operands, node->operand_count, attributes,
                       node->attribute_count, &type, node->location, error);
}

static poa_status bind_nodes(poa_graph *graph, const poa_node *nodes, uint32_t count,
                             const bool *live, poa_value *map, poa_error *error) {
  for (uint32_t i = 0; i < count; i++) {
    const poa_node *node = &nodes[i];
    if (!live[i])
      continue;
    if (node->op == POA_OP_keep)
      map[i] = map[kept_operand(graph, node)];
    else if (node->op == POA_OP_ratio)
      map[i] = bind_ratio(graph, node);
    else if (is_known(node))
      map[i] = poa_graph_copy(graph, node, map);
    else
      map[i] = bind_node(graph, node, map, error);
    if (map[i] == POA_NO_VALUE)
      return poa_context(error, "%s:%d:%d: at this point of the lattice",
                         node->location.file ? node->location.file : graph->name,
                         node->location.line, node->location.column);
  }
  return POA_OK;
}

poa_status poa_require_early(const poa_graph *graph, const char *pass, poa_error *error) {
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    const char *op = poa_op_table(node->op)->name;
    if (!is_known(node) || node->op == POA_OP_keep)
      return poa_fail(error, POA_BAD_INPUT,
                      "%s works on known extents, but node %u (%s) depends on elastic names; run "
                      "specialize before it",
                      pass, i, op);
    if (node->kernel >= 0)
      return poa_fail(
          error, POA_BAD_INPUT,
          "%s works on graphs without kernels, but node %u (%s) is in kernel %d; run it "
          "before fuse",
          pass, i, op, node->kernel);
  }
  return POA_OK;
}

/* Gives every elastic name its value at options->point (default: the top), so that
 * every extent becomes an integer; `keep` becomes the operand that the point chooses,
 * `ratio` a constant. What only dropped blocks read goes with them.
 *
 *   before, at width=64, depth=1:
 *     %w = slice %p {start=[0], limit=[width]}                : f32[width]
 *     %r = ratio {numerator=128, denominator=width}           : f32[width]
 *     %k = keep %block, %x {elastic="depth", index=1, of=2}   : f32[width]
 *   after:
 *     %w = slice %p {start=[0], limit=[64]}                   : f32[64]
 *     %r = constant {value=2}                                 : f32[64]
 *     (uses of %k read %x; %block is gone)
 *
 * Requires: any graph. Establishes: graph->specialized; all types known; no keep, no
 * ratio; no node that no effect needs. Keeps: order, locations. A graph that is
 * specialized already stays as it is. */
poa_status poa_specialize(poa_graph *graph, const poa_options *options, poa_error *error) {
  const bool *layer_factors;
  return poa_specialize_layers(graph, options, &layer_factors, error);
}

static const bool *find_layer_factors(const poa_graph *graph, const poa_node *nodes, uint32_t count,
                                      const bool *live, const poa_value *map) {
  bool *found = poa_arena_alloc(graph->arena, graph->node_count + (size_t)1);
  for (uint32_t i = 0; i < count; i++)
    if (live[i] && nodes[i].op == POA_OP_ratio)
      found[map[i]] = is_one_at_top(graph, &nodes[i]);
  return found;
}

poa_status poa_specialize_layers(poa_graph *graph, const poa_options *options,
                                 const bool **layer_factors, poa_error *error) {
  *layer_factors = NULL;
  if (graph->specialized)
    return POA_OK;
  poa_point point = options->has_point ? options->point : poa_lattice_top(&graph->lattice);
  if (check_point(graph, &point, error))
    return POA_BAD_INPUT;
  graph->point = point;
  bind_inputs(graph);
  uint32_t count;
  const poa_node *nodes = poa_graph_take_nodes(graph, &count);
  bool *live = poa_arena_alloc(graph->arena, count * sizeof *live);
  poa_value *map = poa_arena_alloc(graph->arena, count * sizeof *map);
  mark_live(graph, nodes, count, live);
  if (bind_nodes(graph, nodes, count, live, map, error))
    return POA_BAD_INPUT;
  graph->specialized = true;
  *layer_factors = find_layer_factors(graph, nodes, count, live, map);
  return POA_OK;
}
