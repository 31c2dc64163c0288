/* hoist_kernels.c: kernels that free memory run as soon as they can.
 *
 * The sums that make a bias' gradient read all of an activation's gradient, which dies
 * with the last of them. Written down where the bias is updated, they would keep it to the
 * end of the step. So a kernel that writes little new memory for what it reads moves
 * forward to behind the last kernel that it needs:
 *
 *   kernel 10: %dz = ..                          kernel 10: %dz = ..
 *   kernel 11: dot %dz, ..                  ->   kernel 11: %db = reduce_sum %dz {axes=[0]}
 *   ..                                           kernel 12: dot %dz, ..
 *   kernel 90: %db = reduce_sum %dz {axes=[0]} */
#include "passes/fusion.h"
#include "passes/strides.h"

enum { LITTLE = 4 /* times less */ };

/* Bytes that the kernel writes for others, apart from sums in place. */
static int64_t bytes_written(const poa_fusion *f, int kernel) {
  int64_t bytes = 0;
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    bool outside = false;
    for (int u = 0; u < n->user_count; u++)
      outside |= poa_fused(f, n->users[u])->kernel != kernel;
    bool in_place = n->node->op == POA_OP_accumulate || n->node->op == POA_OP_scatter_add;
    bytes += outside && !in_place ? poa_type_bytes(&n->node->type) : 0;
  }
  return bytes;
}

/* Whether kernel `first` or one behind it reads the value, through views too. */
static bool is_read_from(const poa_fusion *f, poa_value value, int first) {
  const poa_fused_node *n = poa_fused(f, value);
  for (int u = 0; u < n->user_count; u++) {
    int reader = poa_fused(f, n->users[u])->kernel;
    if (reader >= first || (reader == POA_FUSED_NONE && is_read_from(f, n->users[u], first)))
      return true;
  }
  return false;
}

/* Bytes of the largest value of the step that it reads and nobody from kernel `first` on does. */
static int64_t bytes_read(const poa_fusion *f, int kernel, int first) {
  int64_t most = 0;
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    for (int o = 0; o < n->node->operand_count; o++) {
      poa_value operand = n->operands[o];
      bool base = n->node->op == POA_OP_accumulate && o == 0;
      int ready = poa_fused_ready(f, operand);
      int64_t bytes = poa_type_bytes(&poa_fused_op(f, operand)->type);
      if (ready >= 0 && ready != kernel && !base &&
          poa_fused_op(f, operand)->op != POA_OP_broadcast && bytes > most &&
          !is_read_from(f, operand, first))
        most = bytes;
    }
  }
  return most;
}

/* The last group of a kernel, other than `kernel` itself, that `value` comes from; or -1. */
static int group_of(const poa_fusion *f, poa_value value, int kernel, const int *group) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->kernel >= 0)
    return n->kernel == kernel ? -1 : group[n->kernel];
  int last = -1;
  for (int o = 0; o < n->node->operand_count; o++) {
    int at = group_of(f, n->operands[o], kernel, group);
    last = at > last ? at : last;
  }
  return last;
}

static int last_needed(const poa_fusion *f, int kernel, const int *group) {
  int last = -1;
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    for (int o = 0; o < poa_fused_op(f, i)->operand_count; o++) {
      int at = group_of(f, poa_fused(f, i)->operands[o], kernel, group);
      last = at > last ? at : last;
    }
  return last;
}

bool poa_frees_memory(const poa_fusion *f, int kernel, int first) {
  return LITTLE * bytes_written(f, kernel) <= bytes_read(f, kernel, first);
}

void poa_hoist_kernels(poa_fusion *f) {
  int *group = poa_arena_alloc(f->scratch, (size_t)f->kernel_count * sizeof *group + 1);
  for (int k = 0; k < f->kernel_count; k++) {
    group[k] = k;
    if (f->kernels[k].domain.rank == 0 || !poa_frees_memory(f, k, k + 1))
      continue;
    int last = last_needed(f, k, group);
    group[k] = last >= 0 ? last : k;
  }
  poa_fusion_reorder(f, group, f->kernel_count);
}
