/* classify_scatter.c: from a scatter_add node and the storage of what it touches to a
 * poa_scatter.
 *
 *   %s = scatter_add %base, %rows, %y : f32[197,6,64]   ->   rows of [384], one merged axis */
#include "codegen/cluster.h"

/* The value behind views without storage, or the node itself. */
static const poa_node *behind_views(const poa_graph *graph, const poa_node *node) {
  while (poa_op_is(node->op, POA_FLAG_VIEW) && node->storage.root == POA_NO_VALUE)
    node = poa_node_of(graph, node->operands[0]);
  return node;
}

static bool follows(const poa_scatter *s, int outer, int64_t base, int64_t y, int64_t extent) {
  return s->base[outer] == base * extent && s->y[outer] == y * extent;
}

/* Axes of extent 1 go; those that base and y both cross in one stride are one. */
static void set_axes(poa_scatter *s, const poa_node *base, const poa_node *y) {
  for (int a = 1; a < base->type.rank; a++) {
    int64_t extent = poa_dim(base, a), base_stride = base->storage.stride[a];
    int64_t y_stride = s->constant_y ? 0 : y->storage.stride[a];
    if (extent == 1)
      continue;
    if (s->rank && follows(s, s->rank - 1, base_stride, y_stride, extent))
      extent *= s->extent[--s->rank];
    s->extent[s->rank] = extent;
    s->base[s->rank] = base_stride;
    s->y[s->rank++] = y_stride;
  }
}

poa_status poa_classify_scatter(const poa_graph *graph, poa_value scatter, poa_arena *arena,
                                poa_kernel *kernel, poa_error *error) {
  const poa_node *node = poa_node_of(graph, scatter);
  const poa_node *rows = poa_node_of(graph, node->operands[1]);
  const poa_node *y = behind_views(graph, poa_node_of(graph, node->operands[2]));
  bool constant = y->op == POA_OP_constant && y->storage.root == POA_NO_VALUE;
  if (!constant)
    y = poa_node_of(graph, node->operands[2]);
  if (poa_check_stored(graph, scatter, error) ||
      poa_check_stored(graph, node->operands[1], error) ||
      (!constant && poa_check_stored(graph, node->operands[2], error)))
    return POA_UNSUPPORTED;
  poa_scatter *s = poa_arena_alloc(arena, sizeof *s);
  *s = (poa_scatter){.dtype = node->type.dtype,
                     .count = poa_dim(rows, 0),
                     .base_count = poa_dim(node, 0),
                     .base_row = node->storage.stride[0],
                     .y_row = constant ? 0 : y->storage.stride[0],
                     .rows_stride = rows->storage.stride[0],
                     .constant_y = constant,
                     .constant = constant ? poa_node_float(y, "value", 0) : 0};
  set_axes(s, node, y);
  kernel->kind = POA_KERNEL_SCATTER;
  kernel->scatter = s;
  kernel->uses = poa_arena_alloc(arena, 3 * sizeof *kernel->uses);
  kernel->use_count = constant ? 2 : 3;
  kernel->uses[0] = poa_use_of(node, &node->type, 0);
  kernel->uses[1] = poa_use_of(rows, &rows->type, 0);
  if (!constant)
    kernel->uses[2] = poa_use_of(y, &y->type, 0);
  kernel->uses[0].written = true;
  for (int i = 0; i < kernel->use_count; i++)
    kernel->uses[i].read = true;
  return POA_OK;
}
