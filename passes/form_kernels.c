/* form_kernels.c: the first step of fuse, one walk forwards.
 *
 * A node may enter the latest kernel among its operands' if it fits that kernel's kind and
 * domain: all else it reads is computed earlier. Otherwise it opens a kernel at the end of
 * the list. A softmax over [n,k]:
 *
 *   %m = reduce_max %x                 opens rows [n,k]
 *   %b = broadcast %m                  enters: a row of that kernel, repeated
 *   %e = exp (sub %x, %b)              enters
 *   %s = reduce_sum %e                 enters
 *   %p = div %e, (broadcast %s)        enters
 *
 * A product whose only use is to be accumulated waits for the accumulate. */
#include <string.h>

#include "passes/fusion.h"
#include "passes/strides.h"

bool poa_fused_direct(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->kernel < 0 || f->kernels[n->kernel].kind == POA_FUSED_ALONE)
    return false;
  return n->node->op != POA_OP_accumulate && n->node->op != POA_OP_assign;
}

int poa_fused_ready(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->kernel >= 0)
    return n->kernel;
  int ready = -1;
  for (int i = 0; i < n->node->operand_count; i++) {
    int operand = poa_fused_ready(f, n->operands[i]);
    ready = operand > ready ? operand : ready;
  }
  return ready;
}

bool poa_fused_repeats_rows(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->node->op != POA_OP_broadcast)
    return false;
  const poa_type *row = &poa_fused_op(f, n->operands[0])->type;
  const poa_attribute *axes = poa_node_attribute(n->node, "axes");
  if (row->rank == 0 || !poa_is_row_of(row, &n->node->type))
    return false;
  for (int i = 0; i < axes->count; i++)
    if (axes->integers[i] != i)
      return false;
  return true;
}

/* The kernels that `value`'s operands come from: the first position where it may stand. */
static int earliest(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  int first = 0;
  for (int i = 0; i < n->node->operand_count; i++) {
    poa_value operand = n->operands[i];
    int at = poa_fused_ready(f, operand) + (poa_fused_direct(f, operand) ? 0 : 1);
    first = at > first ? at : first;
  }
  return first;
}

static bool reduces_last_axis(const poa_node *node, const poa_type *operand) {
  if (node->op == POA_OP_argmax)
    return poa_node_int(node, "axis", 0) == operand->rank - 1;
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  return axes->count == 1 && axes->integers[0] == operand->rank - 1;
}

/* Whether a node may enter `kernel`, which stands where its operands allow it. */
static bool fits(const poa_fusion *f, poa_value value, int kernel) {
  const poa_fused_kernel *k = &f->kernels[kernel];
  const poa_node *node = poa_fused_op(f, value);
  if (k->kind == POA_FUSED_ALONE || k->node_count >= POA_FUSED_MOST_NODES)
    return false;
  if (k->kind == POA_FUSED_COLUMNS) {
    poa_type kept = {.rank = 0};
    for (int a = 0; a < k->domain.rank; a++)
      if (!(k->reduced >> a & 1))
        kept.dim[kept.rank++] = k->domain.dim[a];
    return poa_op_is(node->op, POA_FLAG_ELEMENTWISE) && poa_same_shape(&node->type, &kept);
  }
  if (poa_op_is(node->op, POA_FLAG_REDUCTION)) {
    const poa_type *operand = &poa_fused_op(f, poa_fused(f, value)->operands[0])->type;
    return reduces_last_axis(node, operand) && poa_same_shape(operand, &k->domain);
  }
  bool row = k->domain.rank > 1 && poa_is_row_of(&node->type, &k->domain);
  return poa_op_is(node->op, POA_FLAG_ELEMENTWISE) &&
         (row || poa_same_shape(&node->type, &k->domain));
}

static void open_for(poa_fusion *f, poa_value value, poa_fused_kind kind, const poa_type *domain) {
  poa_fusion_enter(f, value, poa_fusion_open(f, kind, domain));
}

/* Scalars share few kernels: the first one that stands late enough. */
static void form_scalar(poa_fusion *f, poa_value value) {
  int from = earliest(f, value), k = f->first_scalars;
  while (k >= 0 && k < from)
    k = f->kernels[k].next_scalars;
  if (k < 0)
    k = poa_fusion_open(f, POA_FUSED_ROWS, &poa_fused_op(f, value)->type);
  poa_fusion_enter(f, value, k);
}

static bool reads_from(const poa_fusion *f, poa_value value, int kernel) {
  const poa_fused_node *n = poa_fused(f, value);
  for (int i = 0; i < n->node->operand_count; i++)
    if (poa_fused(f, n->operands[i])->kernel == kernel)
      return true;
  return false;
}

/* Enters the kernel where the last operand is computed, or opens one. */
static void form_in_latest(poa_fusion *f, poa_value value, const poa_type *domain) {
  int kernel = earliest(f, value);
  if (kernel < f->kernel_count && reads_from(f, value, kernel) && fits(f, value, kernel))
    poa_fusion_enter(f, value, kernel);
  else
    open_for(f, value, POA_FUSED_ROWS, domain);
}

static void form_elementwise(poa_fusion *f, poa_value value) {
  const poa_type *type = &poa_fused_op(f, value)->type;
  if (type->rank == 0)
    form_scalar(f, value);
  else
    form_in_latest(f, value, type);
}

static void form_reduction(poa_fusion *f, poa_value value) {
  const poa_node *node = poa_fused_op(f, value);
  const poa_type *operand = &poa_fused_op(f, poa_fused(f, value)->operands[0])->type;
  if (reduces_last_axis(node, operand)) {
    form_in_latest(f, value, operand);
    return;
  }
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  int kernel = poa_fusion_open(f, POA_FUSED_COLUMNS, operand);
  for (int i = 0; axes && i < axes->count; i++)
    f->kernels[kernel].reduced |= 1u << axes->integers[i];
  poa_fusion_enter(f, value, kernel);
}

/* A row that its own kernel repeats needs no memory. */
static void form_broadcast(poa_fusion *f, poa_value value) {
  poa_value row = poa_fused(f, value)->operands[0];
  if (!poa_fused_repeats_rows(f, value) || !poa_fused_direct(f, row))
    return;
  int kernel = poa_fused(f, row)->kernel;
  const poa_fused_kernel *k = &f->kernels[kernel];
  if (k->kind == POA_FUSED_ROWS && poa_same_shape(&k->domain, &poa_fused_op(f, value)->type))
    poa_fusion_enter(f, value, kernel);
}

/* The accumulate that is the only use of a product, perhaps through reshapes and
 * transposes that strides can undo. The base of an accumulate is stored row-major. */
static poa_value awaited_accumulate(const poa_fusion *f, poa_value dot) {
  poa_value at = dot;
  while (poa_fused(f, at)->user_count == 1) {
    poa_value user = poa_fused(f, at)->users[0];
    const poa_node *node = poa_fused_op(f, user);
    if (node->op == POA_OP_accumulate)
      return poa_fused(f, user)->operands[0] == at ? POA_NO_VALUE : user;
    if (node->op != POA_OP_reshape && node->op != POA_OP_transpose)
      return POA_NO_VALUE;
    at = user;
  }
  return POA_NO_VALUE;
}

/* The product that an accumulate adds in place, or POA_NO_VALUE. */
static poa_value added_product(const poa_fusion *f, poa_value accumulate) {
  const poa_fused_node *n = poa_fused(f, accumulate);
  poa_storage place = {.root = 0};
  poa_dense_strides(&n->node->type, place.stride);
  poa_value at = n->operands[1];
  for (;;) {
    const poa_fused_node *each = poa_fused(f, at);
    if (each->user_count != 1 || at == n->operands[0])
      return POA_NO_VALUE;
    if (each->node->op == POA_OP_dot)
      return at;
    if (!poa_is_view(each->node->op) ||
        !poa_operand_storage(each->node, &poa_fused_op(f, each->operands[0])->type, &place, &place))
      return POA_NO_VALUE;
    at = each->operands[0];
  }
}

static void form_dot(poa_fusion *f, poa_value value) {
  poa_value accumulate = awaited_accumulate(f, value);
  if (accumulate == POA_NO_VALUE || added_product(f, accumulate) != value)
    open_for(f, value, POA_FUSED_ALONE, &poa_fused_op(f, value)->type);
}

static void form_accumulate(poa_fusion *f, poa_value value) {
  poa_fused_node *n = poa_fused(f, value);
  poa_value dot = added_product(f, value), x = n->operands[1];
  if (dot != POA_NO_VALUE) {
    open_for(f, dot, POA_FUSED_ALONE, &poa_fused_op(f, dot)->type);
    int kernel = poa_fused(f, dot)->kernel;
    for (poa_value view = x; view != dot; view = poa_fused(f, view)->operands[0])
      poa_fusion_enter(f, view, kernel);
    poa_fusion_enter(f, value, kernel);
    return;
  }
  int kernel = poa_fused_direct(f, x) ? poa_fused(f, x)->kernel : -1;
  const poa_type *type = &poa_fused_op(f, x)->type;
  if (type->rank > 0 && kernel > poa_fused_ready(f, n->operands[0]))
    poa_fusion_enter(f, value, kernel);
  else
    open_for(f, value, POA_FUSED_ROWS, type);
}

static void form(poa_fusion *f, poa_value value) {
  const poa_node *node = poa_fused_op(f, value);
  switch (node->op) {
  case POA_OP_broadcast:
    form_broadcast(f, value);
    break;
  case POA_OP_dot:
    form_dot(f, value);
    break;
  case POA_OP_accumulate:
    form_accumulate(f, value);
    break;
  case POA_OP_iota:
  case POA_OP_gather:
    open_for(f, value, POA_FUSED_ROWS, &node->type);
    break;
  case POA_OP_scatter_add:
  case POA_OP_call:
    open_for(f, value, POA_FUSED_ALONE, &node->type);
    break;
  default:
    if (poa_op_is(node->op, POA_FLAG_ELEMENTWISE))
      form_elementwise(f, value);
    else if (poa_op_is(node->op, POA_FLAG_REDUCTION))
      form_reduction(f, value);
  }
}

void poa_form_kernels(poa_fusion *f) {
  for (uint32_t i = 0; i < f->count; i++)
    if (poa_fused(f, i)->live)
      form(f, i);
}
