/* movement.c: rules of the ops that move, repeat or add up elements: views of views are
 * one view, and what undoes itself goes.
 *
 *   slice(slice x [2:8]) [1:3]   ->  slice x [3:5]
 *   sum(broadcast x over 4)      ->  x * 4 */
#include "passes/simplify.h"

static const poa_node *operand(const poa_simplifier *s, const poa_node *n) {
  return poa_s_look(s, n->operands[0]);
}

static const int64_t *integers(const poa_node *n) {
  return n->attributes[0].integers;
}

static int64_t dim(const poa_type *type, int axis) {
  return type->dim[axis].value;
}

/* A view of a constant -> a constant */
static poa_value of_constant(poa_simplifier *s, const poa_node *n, poa_type type) {
  double c;
  if (!poa_s_constant(s, n->operands[0], &c))
    return POA_NO_VALUE;
  type.dtype = poa_s_type(s, n->operands[0]).dtype;
  return poa_s_splat(s, c, type);
}

/* reshape */

/* reshape to x's own shape -> x; reshape(reshape x) -> reshape x; of a constant; of a
 * repeated scalar -> broadcast */
static poa_value reshape_plain(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  poa_type own = poa_s_type(s, n->operands[0]);
  if (poa_same_shape(&own, &n->type))
    return n->operands[0];
  if (x->op == POA_OP_reshape)
    return poa_s_reshape(s, x->operands[0], n->type);
  if (x->op == POA_OP_broadcast && x->attributes[0].count == 0)
    return poa_s_broadcast(s, x->operands[0], NULL, n->type);
  return of_constant(s, n, n->type);
}

/* transpose */

static poa_type permuted(poa_type type, const int64_t *perm) {
  poa_type result = type;
  for (int i = 0; i < type.rank; i++)
    result.dim[i] = type.dim[perm[i]];
  return result;
}

/* Whether the axes longer than 1 keep their order, so that a reshape does the same. */
static bool keeps_order(const poa_type *type, const int64_t *perm) {
  int64_t last = -1;
  for (int i = 0; i < type->rank; i++) {
    if (dim(type, (int)perm[i]) == 1)
      continue;
    if (perm[i] < last)
      return false;
    last = perm[i];
  }
  return true;
}

/* transpose that moves only axes of extent 1 -> reshape; of a constant */
static poa_value transpose_plain(poa_simplifier *s, const poa_node *n) {
  poa_type type = poa_s_type(s, n->operands[0]);
  poa_type result = permuted(type, integers(n));
  if (keeps_order(&type, integers(n)))
    return poa_s_reshape(s, n->operands[0], result);
  return of_constant(s, n, result);
}

/* transpose(transpose x) -> transpose x */
static poa_value transpose_twice(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_transpose)
    return POA_NO_VALUE;
  int64_t perm[POA_MAX_RANK];
  for (int i = 0; i < x->type.rank; i++)
    perm[i] = integers(x)[integers(n)[i]];
  return poa_s_transpose(s, x->operands[0], perm);
}

/* transpose(broadcast x) -> broadcast(transpose x) */
static poa_value transpose_broadcast(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_broadcast)
    return POA_NO_VALUE;
  poa_type result = permuted(x->type, integers(n));
  poa_value inner = x->operands[0];
  int64_t axes[POA_MAX_RANK], perm[POA_MAX_RANK];
  int count = 0;
  for (int i = 0; i < result.rank; i++)
    for (int k = 0; k < x->attributes[0].count; k++)
      if (integers(x)[k] == integers(n)[i]) {
        axes[count] = i;
        perm[count++] = k;
      }
  return poa_s_broadcast(s, poa_s_transpose(s, inner, perm), axes, result);
}

/* broadcast */

/* broadcast that repeats nothing -> reshape; of a constant */
static poa_value broadcast_plain(poa_simplifier *s, const poa_node *n) {
  poa_type own = poa_s_type(s, n->operands[0]);
  if (poa_type_elements(own) == poa_type_elements(n->type))
    return poa_s_reshape(s, n->operands[0], n->type);
  return of_constant(s, n, n->type);
}

/* broadcast(broadcast x) -> broadcast x */
static poa_value broadcast_twice(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_broadcast)
    return POA_NO_VALUE;
  int64_t axes[POA_MAX_RANK];
  for (int i = 0; i < x->attributes[0].count; i++)
    axes[i] = integers(n)[integers(x)[i]];
  return poa_s_broadcast(s, x->operands[0], axes, n->type);
}

/* slice */

typedef struct block {
  int rank;
  int64_t start[POA_MAX_RANK], limit[POA_MAX_RANK];
  poa_type type;
} block;

static block block_of(const poa_simplifier *s, const poa_node *n) {
  block b = {.type = poa_s_type(s, n->operands[0])};
  b.rank = b.type.rank;
  for (int i = 0; i < b.rank; i++) {
    b.start[i] = n->attributes[0].extents[i].value;
    b.limit[i] = n->attributes[1].extents[i].value;
    b.type.dim[i] = poa_known(b.limit[i] - b.start[i]);
  }
  return b;
}

/* slice of the whole -> x; of a constant */
static poa_value slice_plain(poa_simplifier *s, const poa_node *n) {
  block b = block_of(s, n);
  poa_type own = poa_s_type(s, n->operands[0]);
  return poa_same_shape(&own, &b.type) ? n->operands[0] : of_constant(s, n, b.type);
}

/* slice(slice x) -> slice x */
static poa_value slice_twice(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_slice)
    return POA_NO_VALUE;
  block b = block_of(s, n);
  for (int i = 0; i < b.rank; i++) {
    b.start[i] += x->attributes[0].extents[i].value;
    b.limit[i] += x->attributes[0].extents[i].value;
  }
  return poa_s_slice(s, x->operands[0], b.start, b.limit);
}

/* slice(broadcast x) -> broadcast(slice x) */
static poa_value slice_broadcast(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_broadcast)
    return POA_NO_VALUE;
  block b = block_of(s, n);
  int64_t axes[POA_MAX_RANK], start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int i = 0; i < x->attributes[0].count; i++) {
    axes[i] = integers(x)[i];
    start[i] = b.start[axes[i]];
    limit[i] = b.limit[axes[i]];
  }
  return poa_s_broadcast(s, poa_s_slice(s, x->operands[0], start, limit), axes, b.type);
}

/* slice(concat .. x ..) within one operand -> slice x */
static poa_value slice_concat(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_concat)
    return POA_NO_VALUE;
  block b = block_of(s, n);
  int axis = (int)x->attributes[0].integer;
  for (int i = 0; i < x->operand_count && b.start[axis] >= 0; i++) {
    poa_type part = poa_s_type(s, x->operands[i]);
    if (b.limit[axis] <= dim(&part, axis))
      return poa_s_slice(s, x->operands[i], b.start, b.limit);
    b.start[axis] -= dim(&part, axis);
    b.limit[axis] -= dim(&part, axis);
  }
  return POA_NO_VALUE;
}

/* slice(transpose x) -> transpose(slice x) where the slice then meets a concat or slice */
static poa_value slice_transpose(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_transpose)
    return POA_NO_VALUE;
  poa_op inner = poa_s_look(s, x->operands[0])->op;
  if (inner != POA_OP_concat && inner != POA_OP_slice)
    return POA_NO_VALUE;
  block b = block_of(s, n);
  int64_t perm[POA_MAX_RANK], start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int i = 0; i < b.rank; i++) {
    perm[i] = integers(x)[i];
    start[perm[i]] = b.start[i];
    limit[perm[i]] = b.limit[i];
  }
  return poa_s_transpose(s, poa_s_slice(s, x->operands[0], start, limit), perm);
}

/* concat, gather */

/* concat x -> x; concat c, c, .. -> c */
static poa_value concat_plain(poa_simplifier *s, const poa_node *n) {
  double first, c;
  if (n->operand_count == 1)
    return n->operands[0];
  if (!poa_s_constant(s, n->operands[0], &first))
    return POA_NO_VALUE;
  int axis = (int)n->attributes[0].integer;
  poa_type type = poa_s_type(s, n->operands[0]);
  for (int i = 1; i < n->operand_count; i++) {
    if (!poa_s_constant(s, n->operands[i], &c) || c != first)
      return POA_NO_VALUE;
    poa_type part = poa_s_type(s, n->operands[i]);
    type.dim[axis].value += dim(&part, axis);
  }
  return poa_s_splat(s, first, type);
}

/* gather c, rows -> c */
static poa_value gather_constant(poa_simplifier *s, const poa_node *n) {
  poa_type type = poa_s_type(s, n->operands[0]);
  type.dim[0] = poa_s_type(s, n->operands[1]).dim[0];
  return of_constant(s, n, type);
}

/* Reductions */

static bool reduces(const poa_node *n, int axis) {
  for (int i = 0; i < n->attributes[0].count; i++)
    if (integers(n)[i] == axis)
      return true;
  return false;
}

/* The operand's type without the axes that the reduction drops; their extents' product. */
static poa_type reduced_type(const poa_simplifier *s, const poa_node *n, int64_t *product) {
  poa_type type = poa_s_type(s, n->operands[0]);
  poa_type result = {.dtype = type.dtype};
  *product = 1;
  for (int i = 0; i < type.rank; i++)
    if (reduces(n, i))
      *product *= dim(&type, i);
    else
      result.dim[result.rank++] = type.dim[i];
  return result;
}

/* `count` equal terms: their sum, or their maximum. */
static poa_value repeated(poa_simplifier *s, const poa_node *n, poa_value x, int64_t count) {
  return n->op == POA_OP_reduce_sum && count != 1 ? poa_s_scale(s, x, (double)count) : x;
}

/* reduce over axes of extent 1, or none -> reshape; of a constant */
static poa_value reduce_plain(poa_simplifier *s, const poa_node *n) {
  int64_t count;
  poa_type type = reduced_type(s, n, &count);
  if (count == 1)
    return poa_s_reshape(s, n->operands[0], type);
  poa_value constant = of_constant(s, n, type);
  return constant == POA_NO_VALUE ? constant : repeated(s, n, constant, count);
}

/* sum(broadcast x) -> x * times repeated, summed over x's own axes and broadcast along
 * what is repeated but not summed; max alike */
static poa_value reduce_broadcast(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  if (x->op != POA_OP_broadcast)
    return POA_NO_VALUE;
  poa_value value = x->operands[0];
  poa_type large = x->type;
  int64_t own[POA_MAX_RANK], places[POA_MAX_RANK], all, times = 1;
  int own_count = 0, place_count = 0, left = 0, next = 0;
  for (int i = 0; i < large.rank; i++) {
    bool dropped = reduces(n, i), repeats = true;
    if (next < x->attributes[0].count && integers(x)[next] == i) {
      repeats = false;
      if (dropped)
        own[own_count++] = next;
      else
        places[place_count++] = left;
      next++;
    }
    if (dropped && repeats)
      times *= dim(&large, i);
    left += !dropped;
  }
  poa_type type = reduced_type(s, n, &all);
  if (own_count == n->attributes[0].count)
    return own_count == 0
               ? POA_NO_VALUE
               : poa_s_broadcast(s, poa_s_reduce(s, n->op, value, own, own_count), places, type);
  if (own_count)
    value = poa_s_reduce(s, n->op, value, own, own_count);
  return poa_s_broadcast(s, repeated(s, n, value, times), places, type);
}

/* sum(x * c) -> sum(x) * c, sum(-x) -> -sum(x), where only the sum reads the product */
static poa_value sum_scaled(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = operand(s, n);
  double c = -1;
  if (!poa_s_single(s, n->operands[0]) || x->type.dtype != POA_F32 ||
      (x->op != POA_OP_neg && x->op != POA_OP_mul) ||
      (x->op == POA_OP_mul && !poa_s_constant(s, x->operands[1], &c)))
    return POA_NO_VALUE;
  poa_value sum = poa_s_reduce(s, n->op, x->operands[0], integers(n), n->attributes[0].count);
  return poa_s_scale(s, sum, c);
}

const poa_rule *poa_movement_rules(poa_op op) {
  static const poa_rule rules[POA_OP_COUNT][POA_MOST_RULES] = {
      [POA_OP_reshape] = {reshape_plain},
      [POA_OP_transpose] = {transpose_plain, transpose_twice, transpose_broadcast},
      [POA_OP_broadcast] = {broadcast_plain, broadcast_twice},
      [POA_OP_slice] = {slice_plain, slice_twice, slice_broadcast, slice_concat, slice_transpose},
      [POA_OP_concat] = {concat_plain},
      [POA_OP_gather] = {gather_constant},
      [POA_OP_reduce_sum] = {reduce_plain, reduce_broadcast, sum_scaled},
      [POA_OP_reduce_max] = {reduce_plain, reduce_broadcast},
  };
  return rules[op];
}
