/* fold.c: element-wise ops on values that hold the same number many times, done once.
 *
 *   exp(constant 0)                          ->  constant 1
 *   mul(broadcast %row, broadcast %other)    ->  broadcast(mul(%row, %other)) */
#include "passes/simplify.h"

enum { MOST_OPERANDS = 3 };

static bool gives_bool(poa_op op) {
  return op == POA_OP_lt || op == POA_OP_le || op == POA_OP_eq || op == POA_OP_ne ||
         op == POA_OP_is_finite;
}

static poa_dtype result_dtype(const poa_simplifier *s, const poa_node *n) {
  if (n->op == POA_OP_convert)
    return n->type.dtype;
  return gives_bool(n->op) ? POA_BOOL : poa_s_type(s, n->operands[n->operand_count - 1]).dtype;
}

/* op(c1, c2, ..) -> c, in double, rounded once where it is used */
poa_value poa_fold_constants(poa_simplifier *s, const poa_node *n) {
  double values[MOST_OPERANDS];
  for (int i = 0; i < n->operand_count; i++)
    if (!poa_s_constant(s, n->operands[i], &values[i]))
      return POA_NO_VALUE;
  poa_type type = poa_s_type(s, n->operands[0]);
  type.dtype = result_dtype(s, n);
  double value = poa_evaluate(n->op, values);
  return poa_s_splat(s, poa_to_dtype(value, type.dtype, false), type);
}

/* Axes of a broadcast as bits of its result's axes. */
static unsigned axes_of(const poa_node *broadcast) {
  unsigned set = 0;
  for (int i = 0; i < broadcast->attributes[0].count; i++)
    set |= 1u << broadcast->attributes[0].integers[i];
  return set;
}

/* The broadcast operand whose axes include those of all others, the rest being
 * broadcasts or constants; -1 if there is none. */
static int widest(const poa_simplifier *s, const poa_node *n) {
  int best = -1;
  unsigned all = 0, most = 0;
  for (int i = 0; i < n->operand_count; i++) {
    const poa_node *operand = poa_s_look(s, n->operands[i]);
    if (operand->op == POA_OP_constant)
      continue;
    if (operand->op != POA_OP_broadcast)
      return -1;
    unsigned axes = axes_of(operand);
    all |= axes;
    if (best == -1 || __builtin_popcount(axes) > __builtin_popcount(most)) {
      best = i;
      most = axes;
    }
  }
  return all == most ? best : -1;
}

/* `value`, a constant or a broadcast along axes within `axes`, of the small type. */
static poa_value narrowed(poa_simplifier *s, poa_value value, const poa_attribute *axes,
                          poa_type small) {
  double constant;
  small.dtype = poa_s_type(s, value).dtype;
  if (poa_s_constant(s, value, &constant))
    return poa_s_splat(s, constant, small);
  const poa_node *broadcast = poa_s_look(s, value);
  const poa_attribute *own = &broadcast->attributes[0];
  int64_t places[POA_MAX_RANK];
  int found = 0;
  for (int i = 0; i < axes->count && found < own->count; i++)
    if (axes->integers[i] == own->integers[found])
      places[found++] = i;
  return poa_s_broadcast(s, broadcast->operands[0], places, small);
}

/* op(broadcast x, broadcast y, c) -> broadcast op(x, y, c), over the widest operand's
 * axes: what is the same for a whole row or table is computed once for it. */
poa_value poa_compute_before_broadcast(poa_simplifier *s, const poa_node *n) {
  int wide = widest(s, n);
  if (wide < 0)
    return POA_NO_VALUE;
  const poa_node *broadcast = poa_s_look(s, n->operands[wide]);
  poa_attribute axes = broadcast->attributes[0];
  poa_type large = broadcast->type, small = poa_s_type(s, broadcast->operands[0]);
  poa_value operands[MOST_OPERANDS];
  for (int i = 0; i < n->operand_count; i++)
    operands[i] = narrowed(s, n->operands[i], &axes, small);
  poa_node candidate = *n;
  candidate.operands = operands;
  candidate.type = small;
  candidate.type.dtype = result_dtype(s, n);
  poa_value value = poa_s_emit(s, &candidate, NULL);
  return poa_s_broadcast(s, value, axes.integers, large);
}
