/* classify_product.c: from a dot node and the storage of what it touches to a poa_gemm.
 *
 *   %c = dot %q, %k {tb=1} : f32[8,6,197,197]    %q, %k views of one f32[8,197,3,6,64]
 *   ->  m 197, n 197, k 64, batch 8 x 6, A row 1152, B column 1152, batch strides as they lie
 *
 * Batch axes that all three operands cross in one stride are one batch axis. */
#include "codegen/cluster.h"
#include "ir/build.h"

static int64_t extent(const poa_node *node, int axis) {
  return node->type.dim[axis].value;
}

/* Axes from .. end-1 of a node as one index: those of extent 1 dropped, and neighbours that are
 * crossed in one stride merged. */
static poa_gemm_axes join(const poa_node *node, int from, int end) {
  poa_gemm_axes axes = {0};
  for (int i = from; i < end; i++) {
    int64_t stride = node->storage.stride[i];
    if (extent(node, i) == 1)
      continue;
    if (axes.rank && axes.stride[axes.rank - 1] == stride * extent(node, i)) {
      axes.extent[axes.rank - 1] *= extent(node, i);
      axes.stride[axes.rank - 1] = stride;
    } else {
      axes.extent[axes.rank] = extent(node, i);
      axes.stride[axes.rank++] = stride;
    }
  }
  if (axes.rank == 0)
    axes = (poa_gemm_axes){1, {1}, {1}};
  return axes;
}

/* Rows and columns of A where they are several axes: plain strides if those merge into one. */
static void join_a(const poa_node *dot, const poa_node *a, poa_gemm *gemm) {
  poa_dot_form form = poa_dot_form_of(dot);
  int first = a->type.rank - (int)(form.rows + form.inner);
  int middle = first + (int)(form.ta ? form.inner : form.rows);
  poa_gemm_axes outer = join(a, first, middle), inner = join(a, middle, a->type.rank);
  poa_gemm_axes rows = form.ta ? inner : outer, summed = form.ta ? outer : inner;
  gemm->m = gemm->k = 1;
  for (int i = 0; i < rows.rank; i++)
    gemm->m *= rows.extent[i];
  for (int i = 0; i < summed.rank; i++)
    gemm->k *= summed.extent[i];
  gemm->a.row = rows.stride[0];
  gemm->a.column = summed.stride[0];
  if (rows.rank == 1 && summed.rank == 1)
    return;
  gemm->rows = rows;
  gemm->inner = summed;
}

/* Strides of a matrix operand; a transposed one swaps its last two axes. */
static poa_gemm_operand operand_of(const poa_node *node, bool transposed) {
  const int64_t *stride = node->storage.stride;
  int last = node->type.rank - 1;
  poa_gemm_operand operand = {.row = stride[transposed ? last : last - 1],
                              .column = stride[transposed ? last - 1 : last]};
  return operand;
}

typedef struct batch_axis {
  int64_t extent, a, b, c;
} batch_axis;

static bool follows(const batch_axis *outer, const batch_axis *inner) {
  return outer->a == inner->a * inner->extent && outer->b == inner->b * inner->extent &&
         outer->c == inner->c * inner->extent;
}

/* The batch axes, those of extent 1 dropped and neighbours merged; returns how many. */
static int collect_batch(const poa_node *a, const poa_node *b, const poa_node *c,
                         batch_axis *axes) {
  int count = 0;
  for (int i = 0; i < c->type.rank - 2; i++) {
    batch_axis axis = {extent(a, i), a->storage.stride[i], b->storage.stride[i],
                       c->storage.stride[i]};
    if (axis.extent == 1)
      continue;
    if (count && follows(&axes[count - 1], &axis)) {
      axis.extent *= axes[count - 1].extent;
      count--;
    }
    axes[count++] = axis;
  }
  return count;
}

static poa_status set_batch(poa_gemm *gemm, const batch_axis *axes, int count, poa_error *error) {
  if (count > POA_GEMM_MAX_BATCH)
    return poa_fail(error, POA_UNSUPPORTED,
                    "a dot has %d batch axes that lie apart in memory; at most %d are supported "
                    "(reshape them into fewer)",
                    count, POA_GEMM_MAX_BATCH);
  gemm->batch_rank = count;
  for (int i = 0; i < count; i++) {
    gemm->batch[i] = axes[i].extent;
    gemm->a.batch[i] = axes[i].a;
    gemm->b.batch[i] = axes[i].b;
    gemm->c.batch[i] = axes[i].c;
  }
  return POA_OK;
}

static double count_flops(const poa_gemm *gemm) {
  double flops = 2.0 * (double)gemm->m * (double)gemm->n * (double)gemm->k;
  for (int i = 0; i < gemm->batch_rank; i++)
    flops *= (double)gemm->batch[i];
  return flops;
}

poa_status poa_classify_product(const poa_graph *graph, poa_value dot, poa_value accumulate,
                                poa_arena *arena, poa_kernel *kernel, poa_error *error) {
  const poa_node *node = poa_node_of(graph, dot);
  bool accumulates = accumulate != POA_NO_VALUE, placed = node->storage.root != POA_NO_VALUE;
  /* Layout says where the dot itself lies, also when its sum is reshaped before it is added. */
  poa_value target = accumulates && !placed ? accumulate : dot;
  if (poa_check_stored(graph, node->operands[0], error) ||
      poa_check_stored(graph, node->operands[1], error) || poa_check_stored(graph, target, error))
    return POA_UNSUPPORTED;
  const poa_node *a = poa_node_of(graph, node->operands[0]);
  const poa_node *b = poa_node_of(graph, node->operands[1]), *c = poa_node_of(graph, target);
  bool ta = poa_node_int(node, "ta", 0), tb = poa_node_int(node, "tb", 0);
  int rank = node->type.rank;
  poa_gemm *gemm = poa_arena_alloc(arena, sizeof *gemm);
  *gemm = (poa_gemm){.m = extent(node, rank - 2),
                     .n = extent(node, rank - 1),
                     .k = extent(a, ta ? rank - 2 : rank - 1),
                     .a = operand_of(a, ta),
                     .b = operand_of(b, tb),
                     .c = operand_of(c, false),
                     .alpha = (float)poa_node_float(node, "alpha", 1),
                     .accumulate = accumulates,
                     .bf16 = poa_node_int(node, "bf16", 0)};
  if (poa_node_int(node, "rows", 1) != 1 || poa_node_int(node, "inner", 1) != 1)
    join_a(node, a, gemm);
  batch_axis axes[POA_MAX_RANK];
  if (set_batch(gemm, axes, collect_batch(a, b, c, axes), error))
    return POA_UNSUPPORTED;
  kernel->kind = POA_KERNEL_GEMM;
  kernel->gemm = gemm;
  kernel->flops = count_flops(gemm);
  kernel->uses = poa_arena_alloc(arena, 3 * sizeof *kernel->uses);
  kernel->use_count = 3;
  kernel->uses[0] = poa_use_of(a, &a->type, 0);
  kernel->uses[1] = poa_use_of(b, &b->type, 0);
  kernel->uses[2] = poa_use_of(c, &node->type, target == accumulate ? poa_block_offset(c) : 0);
  kernel->uses[0].read = kernel->uses[1].read = kernel->uses[2].written = true;
  kernel->uses[2].read = gemm->accumulate;
  return POA_OK;
}
