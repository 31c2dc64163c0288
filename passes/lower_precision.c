/* lower_precision.c: which products are computed in bf16.
 *
 *   dot %x, %w {tb=1} : f32[3152,1536]  ->  dot %x, %w {tb=1, bf16=1} : f32[3152,1536]
 *
 * Its operands are then rounded to bf16 as they are read, and added up in f32; what is stored, and
 * everything that is no product, stays f32. As in PyTorch's autocast that is every matrix product
 * and convolution of both sweeps, but for
 * - small ones, which leave most lanes of the dot-product instruction empty (LEAST_EXTENT);
 * - products of a value with itself: Gram matrices, as in losses that look for near neighbours, are
 *   about small differences between large numbers.
 *
 * Requires specialize; does nothing without options->bf16. Keeps everything but the values. */
#include "ir/build.h"
#include "passes/passes.h"

#define LEAST_EXTENT 16 /* of m, n and k: a vector, or half of one of pairs */

static bool pays(const poa_graph *graph, const poa_node *dot) {
  int rank = dot->type.rank;
  const poa_node *b = poa_node_of(graph, dot->operands[1]);
  int64_t m = dot->type.dim[rank - 2].value, n = dot->type.dim[rank - 1].value;
  int64_t k = poa_joined_extent(&b->type, rank - 2, rank) / (n ? n : 1);
  return m >= LEAST_EXTENT && n >= LEAST_EXTENT && k >= LEAST_EXTENT;
}

static void mark(poa_graph *graph, poa_node *dot) {
  poa_dot_form form = poa_dot_form_of(dot);
  form.bf16 = true;
  dot->attributes = poa_arena_alloc(graph->arena, POA_DOT_ATTRIBUTES * sizeof *dot->attributes);
  dot->attribute_count = poa_b_dot_attributes(dot->attributes, form);
}

poa_status poa_lower_precision(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)error;
  for (uint32_t v = 0; options->bf16 && v < graph->node_count; v++) {
    poa_node *node = &graph->nodes[v];
    if (node->op == POA_OP_dot && node->operands[0] != node->operands[1] && pays(graph, node))
      mark(graph, node);
  }
  return POA_OK;
}
