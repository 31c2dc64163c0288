/* place_assigns.c: where parameters are written.
 *
 *   %q = sub %p, ..            in a rows kernel
 *   assign %p, %q              enters it: %q can be computed in the parameter's place
 *
 * That is so if no later kernel reads the old %p, and the kernel itself reads it element
 * by element. Otherwise the assign is a kernel of its own at the end, which copies. */
#include "passes/fusion.h"
#include "passes/strides.h"

/* Whether a kernel that also writes the parameter may read it so: element by element. */
static bool reads_in_step(const poa_node *node) {
  return poa_op_is(node->op, POA_FLAG_ELEMENTWISE | POA_FLAG_REDUCTION);
}

/* Whether all that reads `value`, a parameter or a view of one, runs before `kernel`, or
 * does so in it without a detour. */
static bool read_before(const poa_fusion *f, poa_value value, int kernel) {
  const poa_fused_node *n = poa_fused(f, value);
  bool parameter = n->node->op == POA_OP_parameter;
  for (int u = 0; u < n->user_count; u++) {
    const poa_fused_node *user = poa_fused(f, n->users[u]);
    if (parameter && user->node->op == POA_OP_assign)
      continue;
    bool before = user->kernel >= 0 ? user->kernel < kernel : read_before(f, n->users[u], kernel);
    bool in_step = user->kernel == kernel && parameter && reads_in_step(user->node);
    if (user->node->op == POA_OP_output || !(before || in_step))
      return false;
  }
  return true;
}

static bool is_kept(const poa_fusion *f, int kernel, const poa_type *type) {
  return type->rank < f->kernels[kernel].domain.rank;
}

static bool in_place(const poa_fusion *f, poa_value assign) {
  const poa_fused_node *n = poa_fused(f, assign);
  poa_value value = n->operands[1];
  if (!poa_fused_direct(f, value))
    return false;
  int kernel = poa_fused(f, value)->kernel;
  if (f->kernels[kernel].kind == POA_FUSED_COLUMNS && !is_kept(f, kernel, &n->node->type))
    return false;
  return read_before(f, n->operands[0], kernel);
}

void poa_place_assigns(poa_fusion *f) {
  for (uint32_t i = 0; i < f->count; i++) {
    const poa_fused_node *n = poa_fused(f, i);
    if (n->node->op == POA_OP_assign && in_place(f, i))
      poa_fusion_enter(f, i, poa_fused(f, n->operands[1])->kernel);
  }
  for (uint32_t i = 0; i < f->count; i++) {
    const poa_fused_node *n = poa_fused(f, i);
    if (n->node->op == POA_OP_assign && n->kernel == POA_FUSED_NONE)
      poa_fusion_enter(f, i, poa_fusion_open(f, POA_FUSED_ROWS, &n->node->type));
  }
}
