/* read_parameters.c: which rows of a graph's table of parameters its nodes read. The table is the
 * whole model's; what only serves training is no part of a program that only looks at images. */
#include <string.h>

#include "passes/passes.h"

void poa_mark_read_parameters(const poa_graph *graph, bool *read) {
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    if (node->op == POA_OP_parameter)
      read[poa_graph_find_parameter(graph, poa_node_string(node, "set"),
                                    poa_node_string(node, "name"))] = true;
  }
}

void poa_drop_unread_parameters(poa_graph *graph) {
  size_t rows = (size_t)graph->parameter_count + 1;
  bool *read = poa_arena_alloc(graph->arena, rows);
  poa_parameter *kept = poa_arena_alloc(graph->arena, rows * sizeof *kept);
  poa_mark_read_parameters(graph, read);
  int count = 0;
  for (int i = 0; i < graph->parameter_count; i++)
    if (read[i])
      kept[count++] = graph->parameters[i];
  graph->parameters = kept;
  graph->parameter_count = count;
}
