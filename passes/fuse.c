/* fuse.c: which nodes become one kernel. The steps are in form_kernels.c,
 * merge_kernels.c, repeat_cheap.c and place_assigns.c; here they are prepared and run,
 * and their result is written back.
 *
 * Sources: loop fusion as in Kennedy & McKinley, Maximizing Loop Parallelism and Improving
 * Data Locality via Loop Fusion and Distribution (1993), greedy over a topological order;
 * rematerialization of cheap values as in Briggs et al. (1992). */

#include <string.h>

#include "passes/fusion.h"
#include "passes/internal.h"
#include "passes/strides.h"

/* Writing the graph */

typedef struct writer {
  poa_fusion *f;
  poa_value *map; /* fused node -> node of the new graph, POA_NO_VALUE before */
} writer;

static void write_node(writer *w, poa_value value) {
  const poa_fused_node *n = poa_fused(w->f, value);
  poa_node node = *n->node;
  node.operands = n->operands;
  node.kernel = n->kernel;
  node.storage = (poa_storage){.root = POA_NO_VALUE, .place = -1};
  w->map[value] = poa_graph_copy(w->f->graph, &node, w->map);
}

/* Writes a value without a kernel, after what it depends on. */
static void write_outside(writer *w, poa_value value) {
  const poa_fused_node *n = poa_fused(w->f, value);
  if (w->map[value] != POA_NO_VALUE || n->kernel != POA_FUSED_NONE)
    return;
  for (int o = 0; o < n->node->operand_count; o++)
    write_outside(w, n->operands[o]);
  write_node(w, value);
}

static void write_kernel(writer *w, int kernel) {
  poa_fusion *f = w->f;
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    for (int o = 0; o < poa_fused_op(f, i)->operand_count; o++)
      write_outside(w, poa_fused(f, i)->operands[o]);
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    write_node(w, i);
}

static void write_graph(poa_fusion *f) {
  writer w = {.f = f};
  uint32_t count;
  poa_graph_take_nodes(f->graph, &count);
  w.map = poa_arena_alloc(f->scratch, f->count * sizeof *w.map + 1);
  memset(w.map, 0xff, f->count * sizeof *w.map);
  for (uint32_t i = 0; i < f->count; i++)
    if (poa_fused_op(f, i)->op == POA_OP_input)
      write_node(&w, i);
  for (int k = 0; k < f->kernel_count; k++)
    write_kernel(&w, k);
  for (uint32_t i = 0; i < f->count; i++)
    write_outside(&w, i);
}

/* The pass */

static bool reduction_fits(const poa_graph *graph, const poa_node *node) {
  int last = poa_node_of(graph, node->operands[0])->type.rank - 1;
  if (node->op == POA_OP_argmax)
    return poa_node_int(node, "axis", 0) == last;
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  return axes->count == 1 || (axes->count > 1 && axes->integers[axes->count - 1] != last);
}

static poa_status require_expanded(const poa_graph *graph, poa_error *error) {
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    const char *name = poa_op_table(node->op)->name;
    if (poa_op_is(node->op, POA_FLAG_EARLY))
      return poa_fail(error, POA_BAD_INPUT,
                      "fuse: %%%u is a %s; run specialize and differentiate first", i, name);
    if (poa_op_is(node->op, POA_FLAG_COMPOSITE) ||
        (poa_op_is(node->op, POA_FLAG_REDUCTION) && !reduction_fits(graph, node)))
      return poa_fail(error, POA_BAD_INPUT,
                      "fuse: %%%u is a %s that no kernel computes at once; run expand first", i,
                      name);
  }
  return POA_OK;
}

/* Gives every node its kernel.
 *
 *   before:                                  after:
 *     %x = input {..}        : f32[8,64]       %x = input {..}        : f32[8,64]
 *     %m = reduce_max %x ..  : f32[8]          %m = reduce_max %x ..  : f32[8]    @kernel 0
 *     %b = broadcast %m ..   : f32[8,64]       %b = broadcast %m ..   : f32[8,64] @kernel 0
 *     %d = sub %x, %b        : f32[8,64]       %d = sub %x, %b        : f32[8,64] @kernel 0
 *     %w = parameter {..}    : f32[64,4]       %w = parameter {..}    : f32[64,4]
 *     %y = dot %d, %w        : f32[8,4]        %y = dot %d, %w        : f32[8,4]  @kernel 1
 *
 * Requires: known extents; no kernels yet; no early or composite ops; each reduction over the last
 * axis alone or over axes without it. Establishes: docs/kernels.md up to "Storage"; one node per
 * parameter; no views of constants. Keeps: all values. Breaks: the order of nodes; dead
 * nodes go. */
poa_status poa_fuse(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_require_early(graph, "fuse", error) || require_expanded(graph, error))
    return POA_BAD_INPUT;
  poa_arena *scratch = poa_arena_borrow(graph->arena);
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to fuse %s", graph->name);
  poa_fusion f = {.graph = graph, .scratch = scratch, .first_scalars = -1, .last_scalars = -1};
  poa_prepare_fusion(&f, graph->nodes, graph->node_count);
  poa_fusion_settle(&f);
  poa_form_kernels(&f);
  /* Before kernels sink: sums that are written down side by side, but whose values are not there
   * at the same time, would become one kernel. */
  poa_hoist_kernels(&f);
  poa_fusion_settle(&f);
  poa_sink_kernels(&f);
  poa_hoist_kernels(&f);
  poa_fusion_settle(&f);
  poa_repeat_cheap(&f);
  poa_fusion_settle(&f);
  poa_join_siblings(&f);
  poa_sink_kernels(&f);
  poa_fusion_settle(&f);
  poa_repeat_cheap(&f);
  poa_fusion_settle(&f);
  poa_store_again(&f);
  poa_fusion_settle(&f);
  poa_repeat_cheap(&f);
  poa_fusion_settle(&f);
  poa_drop_doubles(&f);
  poa_fusion_settle(&f);
  poa_place_assigns(&f);
  poa_fusion_settle(&f);
  write_graph(&f);
  poa_arena_free(scratch);
  return POA_OK;
}
