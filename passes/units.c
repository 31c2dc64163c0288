/* units.c: rules that keep axes of extent 1 out of the arithmetic. A mean that keeps its
 * dimension is [n,1]; the row values of a kernel are [n] (docs/kernels.md), and a reshape
 * between the two parts kernels. So reshapes that only add axes of extent 1 move down to
 * those who read, until they meet the one that drops them again:
 *
 *   reshape(rsqrt(reshape %sum to [n,1]) to [n])   ->   rsqrt %sum */
#include "passes/simplify.h"

/* The axes longer than 1 agree, in order. */
static bool only_units_differ(const poa_type *a, const poa_type *b) {
  int i = 0, k = 0;
  for (;;) {
    while (i < a->rank && a->dim[i].value == 1)
      i++;
    while (k < b->rank && b->dim[k].value == 1)
      k++;
    if (i == a->rank || k == b->rank)
      return i == a->rank && k == b->rank;
    if (a->dim[i++].value != b->dim[k++].value)
      return false;
  }
}

/* `value` is a reshape that does nothing but add axes of extent 1 to its operand. */
static bool adds_units(const poa_simplifier *s, poa_value value) {
  const poa_node *node = poa_s_look(s, value);
  if (node->op != POA_OP_reshape)
    return false;
  poa_type inner = poa_s_type(s, node->operands[0]);
  return inner.rank < node->type.rank && only_units_differ(&inner, &node->type);
}

/* `n` on operands reshaped to `type`, which has fewer axes of extent 1. */
static poa_value on_operands_of(poa_simplifier *s, const poa_node *n, poa_type type) {
  poa_value operands[3];
  for (int i = 0; i < n->operand_count; i++)
    operands[i] = poa_s_reshape(s, n->operands[i], type);
  poa_node candidate = *n;
  candidate.operands = operands;
  if (candidate.type.rank >= 0) {
    type.dtype = candidate.type.dtype;
    candidate.type = type;
  }
  return poa_s_emit(s, &candidate, NULL);
}

/* op(reshape x, reshape y, c) -> reshape op(x, y, c), where the reshapes add units. A
 * parameter or an input stays what it is and keeps the op where it is: it may be what
 * the result is assigned to. */
poa_value poa_compute_before_units(poa_simplifier *s, const poa_node *n) {
  poa_type outer = poa_s_type(s, n->operands[0]), inner = {.rank = -1};
  for (int i = 0; i < n->operand_count; i++) {
    poa_op op = poa_s_look(s, n->operands[i])->op;
    if (adds_units(s, n->operands[i]))
      inner = poa_s_type(s, poa_s_look(s, n->operands[i])->operands[0]);
    else if (op != POA_OP_constant && op != POA_OP_broadcast)
      return POA_NO_VALUE;
  }
  if (inner.rank < 0)
    return POA_NO_VALUE;
  return poa_s_reshape(s, on_operands_of(s, n, inner), outer);
}

/* reshape op(x, ..) -> op(reshape x, ..), where the reshape drops units and alone reads
 * the op */
static poa_value reshape_element_wise(poa_simplifier *s, const poa_node *n) {
  poa_node x = *poa_s_look(s, n->operands[0]);
  if (x.op == POA_OP_COUNT || !poa_op_is(x.op, POA_FLAG_ELEMENTWISE) ||
      !poa_s_single(s, n->operands[0]) || x.type.rank <= n->type.rank ||
      !only_units_differ(&x.type, &n->type))
    return POA_NO_VALUE;
  return on_operands_of(s, &x, n->type);
}

/* Places of the axes of `type` longer than 1, in order; returns how many. */
static int long_axes(const poa_type *type, int *places) {
  int count = 0;
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i].value != 1)
      places[count++] = i;
  return count;
}

static poa_type without_units(poa_type type) {
  poa_type result = {.dtype = type.dtype};
  for (int i = 0; i < type.rank; i++)
    if (type.dim[i].value != 1)
      result.dim[result.rank++] = type.dim[i];
  return result;
}

/* reshape(broadcast x) -> broadcast(reshape x), where the reshape changes only units */
static poa_value reshape_broadcast(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = poa_s_look(s, n->operands[0]);
  if (x->op != POA_OP_broadcast || !only_units_differ(&x->type, &n->type))
    return POA_NO_VALUE;
  int from[POA_MAX_RANK], to[POA_MAX_RANK];
  int count = long_axes(&x->type, from);
  long_axes(&n->type, to);
  const poa_attribute *own = &x->attributes[0];
  int64_t axes[POA_MAX_RANK];
  int found = 0;
  for (int i = 0; i < count; i++)
    for (int k = 0; k < own->count; k++)
      if (own->integers[k] == from[i])
        axes[found++] = to[i];
  poa_value inner = x->operands[0];
  inner = poa_s_reshape(s, inner, without_units(poa_s_type(s, inner)));
  return poa_s_broadcast(s, inner, axes, n->type);
}

/* broadcast(reshape x) -> broadcast x, where the reshape adds units */
static poa_value broadcast_units(poa_simplifier *s, const poa_node *n) {
  if (!adds_units(s, n->operands[0]))
    return POA_NO_VALUE;
  poa_type outer = poa_s_type(s, n->operands[0]);
  poa_value inner = poa_s_look(s, n->operands[0])->operands[0];
  int places[POA_MAX_RANK];
  int count = long_axes(&outer, places);
  int64_t axes[POA_MAX_RANK];
  for (int i = 0; i < count; i++)
    axes[i] = n->attributes[0].integers[places[i]];
  inner = poa_s_reshape(s, inner, without_units(outer));
  return poa_s_broadcast(s, inner, axes, n->type);
}

/* reduce(reshape x) -> reshape(reduce x), where the inner reshape adds units */
static poa_value reduce_units(poa_simplifier *s, const poa_node *n) {
  if (!adds_units(s, n->operands[0]))
    return POA_NO_VALUE;
  poa_type outer = poa_s_type(s, n->operands[0]), result = {.dtype = outer.dtype};
  poa_value inner = poa_s_look(s, n->operands[0])->operands[0];
  int64_t axes[POA_MAX_RANK];
  int count = 0, next = 0, place = 0;
  for (int i = 0; i < outer.rank; i++) {
    bool dropped = next < n->attributes[0].count && n->attributes[0].integers[next] == i;
    next += dropped;
    if (!dropped)
      result.dim[result.rank++] = outer.dim[i];
    if (dropped && outer.dim[i].value != 1)
      axes[count++] = place;
    place += outer.dim[i].value != 1;
  }
  inner = poa_s_reshape(s, inner, without_units(outer));
  return poa_s_reshape(s, poa_s_reduce(s, n->op, inner, axes, count), result);
}

const poa_rule *poa_unit_rules(poa_op op) {
  static const poa_rule rules[POA_OP_COUNT][POA_MOST_RULES] = {
      [POA_OP_reshape] = {reshape_broadcast, reshape_element_wise},
      [POA_OP_broadcast] = {broadcast_units},
      [POA_OP_reduce_sum] = {reduce_units},
      [POA_OP_reduce_max] = {reduce_units},
  };
  return rules[op];
}
