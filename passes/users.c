/* users.c: who reads each value: count, then fill, as in a counting sort. */
#include "passes/users.h"

poa_users poa_find_users(const poa_graph *graph, poa_arena *arena) {
  poa_users users;
  size_t uses = 0;
  users.first = poa_arena_alloc(arena, (graph->node_count + (size_t)2) * sizeof *users.first);
  for (poa_value v = 0; v < graph->node_count; v++)
    for (int o = 0; o < graph->nodes[v].operand_count; o++, uses++)
      users.first[graph->nodes[v].operands[o] + 2]++;
  for (poa_value v = 0; v < graph->node_count; v++)
    users.first[v + 2] += users.first[v + 1];
  users.list = poa_arena_alloc(arena, uses * sizeof *users.list + 1);
  for (poa_value v = 0; v < graph->node_count; v++)
    for (int o = 0; o < graph->nodes[v].operand_count; o++)
      users.list[users.first[graph->nodes[v].operands[o] + 1]++] = v;
  return users;
}
