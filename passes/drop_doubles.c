/* drop_doubles.c: a kernel computes each value once.
 *
 * Kernels that were given twins of a value each may have become one kernel:
 *
 *   kernel 7 { %a = mul %x, %y   %b = mul %x, %y   .. }   ->   kernel 7 { %a = mul %x, %y  .. }
 *
 * Twins are known by the node of the graph that they share. */
#include "passes/fusion.h"

static bool same_value(const poa_fusion *f, poa_value a, poa_value b) {
  const poa_fused_node *x = poa_fused(f, a), *y = poa_fused(f, b);
  if (x->node != y->node || x->kernel != y->kernel)
    return false;
  for (int o = 0; o < x->node->operand_count; o++)
    if (x->operands[o] != y->operands[o])
      return false;
  return true;
}

static bool is_effect(const poa_node *node) {
  return poa_op_is(node->op, POA_FLAG_ROOT) || node->op == POA_OP_call;
}

/* Reads each value's first double. */
static void rename_operands(poa_fusion *f, poa_value value, const poa_value *same) {
  poa_fused_node *n = poa_fused(f, value);
  for (int o = 0; o < n->node->operand_count; o++)
    n->operands[o] = same[n->operands[o]];
}

void poa_drop_doubles(poa_fusion *f) {
  poa_value *same = poa_arena_alloc(f->scratch, f->count * sizeof *same + 1);
  /* Doubles of a node stand near each other: settle sorts them by where it stood. */
  enum { NEAR = 16 };
  for (poa_value v = 0; v < f->count; v++) {
    same[v] = v;
    rename_operands(f, v, same);
    if (is_effect(poa_fused_op(f, v)))
      continue;
    for (poa_value back = 1; back <= NEAR && back <= v && same[v] == v; back++)
      if (same_value(f, v, v - back)) {
        same[v] = same[v - back];
        poa_fused(f, v)->live = false;
      }
  }
}
