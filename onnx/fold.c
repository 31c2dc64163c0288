/* fold.c: what depends on parameters and constants alone is worked out now, by the interpreter, so
 * that transposed weights and slices of packed ones become initializers of their own.
 *
 * A broadcast is never the last thing that is worked out: it would only make files large. */
#include <stdlib.h>
#include <string.h>

#include "onnx/model.h"

static void mark_live(poa_onnx_model *m) {
  const poa_graph *g = m->graph;
  for (uint32_t i = g->node_count; i-- > 0;) {
    m->live[i] |= poa_op_is(g->nodes[i].op, POA_FLAG_ROOT);
    for (int k = 0; m->live[i] && k < g->nodes[i].operand_count; k++)
      m->live[g->nodes[i].operands[k]] = true;
  }
}

static bool has_fixed_shape(const poa_onnx_model *m, poa_value value) {
  int64_t factor;
  for (int axis = 0; axis < m->graph->nodes[value].type.rank; axis++)
    if (poa_onnx_is_dynamic(m, value, axis, &factor))
      return false;
  return true;
}

/* Constants by themselves are small where they are used. */
static void mark_folded(poa_onnx_model *m, bool *constant) {
  const poa_graph *g = m->graph;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const poa_node *node = &g->nodes[i];
    bool splat = node->op == POA_OP_constant, known = true;
    for (int k = 0; k < node->operand_count; k++) {
      known &= m->folded[node->operands[k]] || constant[node->operands[k]];
      splat |= constant[node->operands[k]];
    }
    bool all_constant = node->operand_count > 0;
    for (int k = 0; k < node->operand_count; k++)
      all_constant &= constant[node->operands[k]];
    bool view = node->op == POA_OP_broadcast || node->op == POA_OP_reshape;
    constant[i] = node->op == POA_OP_constant || (view && all_constant);
    bool leaf = node->op == POA_OP_parameter || node->op == POA_OP_iota;
    m->folded[i] = m->live[i] && !constant[i] && has_fixed_shape(m, i) &&
                   !poa_op_is(node->op, POA_FLAG_ROOT) &&
                   (leaf || (node->operand_count > 0 && known));
  }
}

/* What must become an initializer: read by what is not folded, seen through broadcasts. */
static void mark_frontier(const poa_onnx_model *m, bool *frontier) {
  const poa_graph *g = m->graph;
  for (uint32_t i = g->node_count; i-- > 0;) {
    const poa_node *node = &g->nodes[i];
    bool reads = m->live[i] && (!m->folded[i] || (frontier[i] && node->op == POA_OP_broadcast));
    for (int k = 0; reads && k < node->operand_count; k++)
      frontier[node->operands[k]] |= m->folded[node->operands[k]];
  }
  for (uint32_t i = 0; i < g->node_count; i++)
    if (frontier[i] && g->nodes[i].op == POA_OP_broadcast) {
      frontier[i] = false;
      m->folded[i] = false;
    }
}

/* Evaluation: the interpreter runs a graph of nothing else. */

typedef struct evaluation {
  poa_onnx_model *m;
  poa_graph *graph;
  const poa_value *source; /* by node of `graph`: the value of the model's graph */
} evaluation;

static poa_status load_parameter(void *context, const poa_graph *graph, const poa_node *node,
                                 poa_tensor *tensor, poa_error *error) {
  const evaluation *e = context;
  int index =
      poa_graph_find_parameter(graph, poa_node_string(node, "set"), poa_node_string(node, "name"));
  int64_t count = poa_type_elements(node->type);
  float *values = malloc((size_t)count * sizeof *values);
  if (!values)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the weights");
  poa_status status = e->m->export->values(e->m->export->context, index, values, error);
  for (int64_t i = 0; i < count && status == POA_OK; i++)
    tensor->data[i] = values[i];
  free(values);
  return status;
}

/* A value of one parameter alone is called after it. */
static const char *name_of(const poa_onnx_model *m, poa_value value) {
  const poa_node *node = &m->graph->nodes[value];
  bool moved = false;
  while (node->op != POA_OP_parameter && node->operand_count == 1) {
    moved |= node->op != POA_OP_reshape;
    node = &m->graph->nodes[node->operands[0]];
  }
  if (node->op != POA_OP_parameter)
    return poa_arena_format(m->arena, "constant.%u", value);
  const char *name = poa_node_string(node, "name");
  return moved || &m->graph->nodes[value] != node ? poa_arena_format(m->arena, "%s/%u", name, value)
                                                  : name;
}

static poa_status store_value(void *context, const poa_graph *graph, const poa_node *node,
                              const poa_tensor *tensor, poa_error *error) {
  const evaluation *e = context;
  poa_onnx_model *m = e->m;
  poa_value value = e->source[node - graph->nodes];
  (void)error;
  m->name[value] = poa_onnx_tensor(m, name_of(m, value), &tensor->type, tensor->data);
  return POA_OK;
}

poa_status poa_onnx_fold(poa_onnx_model *m) {
  const poa_graph *g = m->graph;
  poa_arena *arena = m->arena;
  size_t count = g->node_count + (size_t)1;
  bool *constant = poa_arena_alloc(arena, count), *frontier = poa_arena_alloc(arena, count);
  poa_value *map = poa_arena_alloc(arena, count * sizeof *map);
  poa_value *source = poa_arena_alloc(arena, 2 * count * sizeof *source);
  mark_live(m);
  mark_folded(m, constant);
  mark_frontier(m, frontier);
  poa_graph *graph = poa_graph_create(arena, "fold");
  graph->specialized = true;
  graph->parameters = g->parameters;
  graph->parameter_count = g->parameter_count;
  for (uint32_t i = 0; i < g->node_count; i++) {
    if (!m->folded[i] && !constant[i])
      continue;
    map[i] = poa_graph_copy(graph, &g->nodes[i], map);
    if (!frontier[i])
      continue;
    poa_attribute attributes[] = {poa_attribute_string("kind", "result"),
                                  poa_attribute_string("name", "value")};
    poa_value output = poa_graph_add(graph, POA_OP_output, &map[i], 1, attributes, 2, NULL,
                                     g->nodes[i].location, m->error);
    if (output == POA_NO_VALUE)
      return POA_UNSUPPORTED;
    source[output] = i;
  }
  evaluation e = {m, graph, source};
  poa_bindings bindings = {.load = load_parameter, .store = store_value, .context = &e};
  return poa_graph_interpret(graph, &bindings, true, m->error);
}
