/* products.c: see products.h.
 *
 *   y = x @ w               forward                     2 m n k
 *   dx = dy @ transpose(w)  if something before x learns
 *   dw = transpose(x) @ dy  if w learns                 each 2 m n k
 *
 * The graph is specialized and differentiated and nothing else: simplify, which runs between the
 * two in the compiler's own order, would make one product of two that are equal in two branches. */
#include "driver/products.h"

#include <string.h>

static double dot_flops(const poa_graph *graph, const poa_node *dot) {
  const poa_node *left = poa_node_of(graph, dot->operands[0]);
  int inner = left->type.rank - (poa_node_int(dot, "ta", 0) ? 2 : 1);
  return 2.0 * (double)poa_type_elements(dot->type) * (double)poa_dim(left, inner);
}

/* Each element of y takes a multiply-add for each tap and channel of the weight [kh, kw, c, o]; the
 * gradients undo as many. */
static double convolution_flops(const poa_type *y, const poa_type *weight) {
  double taps = (double)weight->dim[0].value * (double)weight->dim[1].value;
  return 2.0 * (double)poa_type_elements(*y) * taps * (double)weight->dim[2].value;
}

static double node_flops(const poa_graph *graph, const poa_node *node) {
  const poa_type *first = &poa_node_of(graph, node->operands[0])->type;
  const poa_type *second = &poa_node_of(graph, node->operands[1])->type;
  switch (node->op) {
  case POA_OP_dot:
    return dot_flops(graph, node);
  case POA_OP_conv2d:
    return convolution_flops(&node->type, second);
  case POA_OP_conv2d_input:
    return convolution_flops(first, second);
  default: /* conv2d_weight */
    return convolution_flops(second, &node->type);
  }
}

static bool is_product(poa_op op) {
  return op == POA_OP_dot || op == POA_OP_conv2d || op == POA_OP_conv2d_input ||
         op == POA_OP_conv2d_weight;
}

static bool is_effect(const poa_node *node) {
  bool probe = node->op == POA_OP_output && !strcmp(poa_node_string(node, "kind"), "probe");
  return poa_op_is(node->op, POA_FLAG_ROOT) && !probe;
}

double poa_products_flops(const poa_graph *graph, poa_arena *scratch) {
  bool *live = poa_arena_alloc(scratch, (size_t)graph->node_count + 1);
  double flops = 0;
  for (uint32_t i = graph->node_count; i-- > 0;) {
    const poa_node *node = &graph->nodes[i];
    if (!live[i] && !is_effect(node))
      continue;
    for (int k = 0; k < node->operand_count; k++)
      live[node->operands[k]] = true;
    if (is_product(node->op))
      flops += node_flops(graph, node);
  }
  return flops;
}

poa_status poa_model_flops(poa_model *model, const char *entry, const poa_point *point,
                           poa_arena *scratch, double *flops, poa_error *error) {
  poa_options options = {.point = *point, .has_point = true};
  poa_graph *graph;
  poa_arena_reset(scratch);
  poa_status status = poa_model_graph(model, entry, scratch, &graph, error);
  if (status == POA_OK)
    status = poa_pipeline_run(graph, "specialize,differentiate", NULL, &options, false, NULL, NULL,
                              error);
  if (status == POA_OK)
    *flops = poa_products_flops(graph, scratch);
  return status;
}
