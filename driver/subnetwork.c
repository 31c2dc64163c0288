/* subnetwork.c: counts what a specialized graph reads and multiplies. */
#include "driver/subnetwork.h"

#include "driver/products.h"

/* A parameter is read whole, or in slices that do not overlap. */
static int64_t graph_parameters(const poa_graph *graph, poa_arena *arena) {
  bool *whole = poa_arena_alloc(arena, graph->node_count + 1);
  int64_t count = 0;
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    for (int j = 0; j < node->operand_count; j++) {
      const poa_node *operand = poa_node_of(graph, node->operands[j]);
      if (operand->op != POA_OP_parameter)
        continue;
      if (node->op == POA_OP_slice)
        count += poa_type_elements(node->type);
      else
        whole[node->operands[j]] = true;
    }
  }
  for (uint32_t i = 0; i < graph->node_count; i++)
    if (whole[i])
      count += poa_type_elements(graph->nodes[i].type);
  return count;
}

/* The first extent of the first input: how many images a batch has. */
static double batch_of(const poa_graph *graph) {
  bool has_batch = graph->input_count > 0 && graph->inputs[0].type.rank > 0;
  return has_batch ? (double)graph->inputs[0].type.dim[0].value : 1;
}

poa_status poa_subnetwork_measure(poa_model *model, const poa_point *point, poa_arena *scratch,
                                  poa_subnetwork *result, poa_error *error) {
  poa_options options = {.point = *point, .has_point = true};
  poa_graph *graph;
  poa_arena_reset(scratch);
  poa_status status = poa_model_graph(model, "features", scratch, &graph, error);
  if (status == POA_OK)
    status =
        poa_pipeline_run(graph, "specialize,simplify", NULL, &options, false, NULL, NULL, error);
  if (status == POA_OK)
    *result = (poa_subnetwork){*point, graph_parameters(graph, scratch),
                               poa_products_flops(graph, scratch) / batch_of(graph)};
  return status;
}
