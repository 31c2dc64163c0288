/* schedule.c: when each kernel runs and where each buffer lies in the arena. The steps are
 * in order_kernels.c, reuse_in_place.c and place_buffers.c. */
#include "passes/schedule.h"
#include "passes/layout.h"
#include "passes/passes.h"
#include "passes/place_buffers.h"
#include "passes/strides.h"

static bool owns_arena_buffer(const poa_graph *graph, poa_value value) {
  const poa_node *node = &graph->nodes[value];
  return node->storage.root == value && node->op != POA_OP_parameter;
}

static void touch(const poa_graph *graph, poa_lifetime *lifetimes, poa_value value, int when) {
  poa_value root = graph->nodes[value].storage.root;
  if (root == POA_NO_VALUE || !lifetimes[root].arena)
    return;
  poa_lifetime *life = &lifetimes[root];
  life->first = when < life->first ? when : life->first;
  life->last = when > life->last ? when : life->last;
}

static int count_kernels(const poa_graph *graph) {
  int count = 0;
  for (poa_value v = 0; v < graph->node_count; v++)
    if (graph->nodes[v].kernel >= count)
      count = graph->nodes[v].kernel + 1;
  return count;
}

poa_lifetime *poa_find_lifetimes(const poa_graph *graph, poa_arena *arena) {
  int end = count_kernels(graph);
  poa_lifetime *lifetimes =
      poa_arena_alloc(arena, graph->node_count * sizeof *lifetimes + sizeof *lifetimes);
  for (poa_value v = 0; v < graph->node_count; v++)
    lifetimes[v] = (poa_lifetime){.first = end, .last = -1, .arena = owns_arena_buffer(graph, v)};
  for (poa_value v = 0; v < graph->node_count; v++) {
    const poa_node *node = &graph->nodes[v];
    bool output = node->op == POA_OP_output;
    if (node->op == POA_OP_input)
      touch(graph, lifetimes, v, -1);
    if (node->kernel >= 0)
      touch(graph, lifetimes, v, node->kernel);
    for (int o = 0; (output || node->kernel >= 0) && o < node->operand_count; o++)
      touch(graph, lifetimes, node->operands[o], output ? end : node->kernel);
  }
  for (poa_value v = 0; v < graph->node_count; v++)
    if (lifetimes[v].first > lifetimes[v].last)
      lifetimes[v].first = lifetimes[v].last = -1;
  return lifetimes;
}

static poa_status place(poa_graph *graph, const poa_lifetime *lifetimes, poa_arena *scratch,
                        poa_error *error) {
  poa_buffer *buffers =
      poa_arena_alloc(scratch, graph->node_count * sizeof *buffers + sizeof *buffers);
  int count = 0;
  for (poa_value v = 0; v < graph->node_count; v++) {
    graph->nodes[v].storage.place = -1;
    if (lifetimes[v].arena)
      buffers[count++] = (poa_buffer){poa_type_bytes(&graph->nodes[v].type), lifetimes[v].first,
                                      lifetimes[v].last, 0};
  }
  graph->arena_bytes = poa_place_buffers(buffers, count);
  if (graph->arena_bytes < 0)
    return poa_fail(error, POA_NO_MEMORY, "no memory to place the buffers of %s", graph->name);
  count = 0;
  for (poa_value v = 0; v < graph->node_count; v++)
    if (lifetimes[v].arena)
      graph->nodes[v].storage.place = buffers[count++].place;
  return POA_OK;
}

static bool is_laid_out(const poa_graph *graph) {
  return graph->node_count == 0 || (poa_graph_is_fused(graph) && poa_graph_has_storage(graph));
}

/* Puts the kernels into the order in which they run and the buffers into the arena.
 *
 *   before:                                          after:
 *     %x = input .. : f32[1024] in self+0 [1]          .. in self+0 [1] at 0
 *     kernel 0 {                                       kernel 0 {
 *       %e = exp %x : f32[1024] in self+0 [1]            %e = exp %x .. in self+0 [1] at 4096
 *     }                                                }
 *     kernel 1 {                                       kernel 1 {
 *       %n = neg %e : f32[1024] in self+0 [1]            %n = neg %e .. in %e+0 [1]
 *     }                                                }
 *     output %n {..}                                   output %n {..}             peak 8192
 *
 * Requires: layout. Establishes: docs/kernels.md, "Schedule". Keeps: values and strides.
 * Breaks: kernel numbers; owners of buffers, where a result lies over an operand. */
poa_status poa_schedule(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (graph->arena_bytes >= 0)
    return poa_fail(error, POA_BAD_INPUT, "schedule: %s has a schedule already", graph->name);
  if (!is_laid_out(graph))
    return poa_fail(error, POA_BAD_INPUT,
                    "schedule: values of %s are stored nowhere; run layout "
                    "first",
                    graph->name);
  poa_arena *scratch = poa_arena_borrow(graph->arena);
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to schedule %s", graph->name);
  poa_order_kernels(graph, scratch);
  poa_lifetime *lifetimes = poa_find_lifetimes(graph, scratch);
  poa_reuse_in_place(graph, lifetimes, scratch);
  poa_status status = place(graph, lifetimes, scratch, error);
  poa_arena_free(scratch);
  return status;
}
