/* infer.c: the shape rules that ops.def names, one short function each, and the dtypes
 * that each op accepts. A rule sees the operands' types and the attributes and gives
 * the result's type:
 *
 *   reduce_sum %x {axes=[1]}, %x : f32[4,197,width]   ->   f32[4,width]
 *
 * Equality of symbolic extents means equality at every point of the lattice. */
#include <inttypes.h>
#include <string.h>

#include "ir/internal.h"

#define MAX_ELEMENTS (INT64_C(1) << 48)

/* What a rule reads and writes. */
typedef struct call {
  const poa_graph *graph;
  const poa_node *node;
  const char *op;
  const poa_type *declared; /* or NULL */
  poa_type *result;
  poa_error *error;
} call;

#define FAIL(c, format, ...)                                                                       \
  poa_fail((c)->error, POA_BAD_INPUT, "%s: " format, (c)->op __VA_OPT__(, ) __VA_ARGS__)
#define WORDS(c, type) poa_type_words((c)->graph, type).text

static const poa_type *operand(const call *c, int i) {
  return &c->graph->nodes[c->node->operands[i]].type;
}

static const poa_node *operand_node(const call *c, int i) {
  return &c->graph->nodes[c->node->operands[i]];
}

static bool equal(const call *c, poa_extent a, poa_extent b) {
  return poa_extent_equal(&c->graph->lattice, a, b);
}

static bool at_most(const call *c, poa_extent a, poa_extent b) {
  return poa_extent_at_most(&c->graph->lattice, a, b);
}

static bool same_shape(const call *c, const poa_type *a, const poa_type *b) {
  poa_type other = *b;
  other.dtype = a->dtype;
  return poa_type_equal(&c->graph->lattice, a, &other);
}

static poa_status needs_type(const call *c) {
  return c->declared ? POA_OK : FAIL(c, "needs the type of its result declared");
}

static poa_status operands_agree(const call *c) {
  for (int i = 1; i < c->node->operand_count; i++)
    if (!poa_type_equal(&c->graph->lattice, operand(c, 0), operand(c, i)))
      return FAIL(c,
                  "operands differ: %s and %s; element-wise operands agree exactly "
                  "(broadcast or convert one of them)",
                  WORDS(c, operand(c, 0)), WORDS(c, operand(c, i)));
  return POA_OK;
}

static poa_status axis_in(const call *c, const char *key, const poa_type *type, int *axis) {
  int64_t given = poa_node_int(c->node, key, 0);
  if (given < 0 || given >= type->rank)
    return FAIL(c, "%s=%" PRId64 " is no axis of %s, which has %d", key, given, WORDS(c, type),
                type->rank);
  *axis = (int)given;
  return POA_OK;
}

/* Axes that stand in increasing order and lie in 0..rank-1. */
static poa_status axes_in(const call *c, const poa_attribute *axes, const poa_type *type) {
  for (int i = 0; i < axes->count; i++) {
    int64_t axis = axes->integers[i];
    if (axis < 0 || axis >= type->rank)
      return FAIL(c, "axis %" PRId64 " does not exist in %s, which has %d", axis, WORDS(c, type),
                  type->rank);
    if (i && axis <= axes->integers[i - 1])
      return FAIL(c, "axes must increase, but %" PRId64 " follows %" PRId64, axis,
                  axes->integers[i - 1]);
  }
  return POA_OK;
}

static poa_status infer_declared(call *c) {
  if (needs_type(c))
    return POA_BAD_INPUT;
  *c->result = *c->declared;
  int axis = 0;
  return c->node->op == POA_OP_iota ? axis_in(c, "axis", c->result, &axis) : POA_OK;
}

static poa_status check_keep(const call *c) {
  const char *name = poa_node_string(c->node, "elastic");
  int64_t index = poa_node_int(c->node, "index", 0), of = poa_node_int(c->node, "of", 0);
  if (index < 0 || index >= of)
    return FAIL(c, "index=%" PRId64 " is not below of=%" PRId64, index, of);
  for (int i = 0; i < c->graph->lattice.count; i++)
    if (!strcmp(c->graph->lattice.name[i].name, name))
      return POA_OK;
  return FAIL(c, "the model has no elastic name '%s'", name);
}

static poa_status infer_same(call *c) {
  *c->result = *operand(c, 0);
  if (c->node->op == POA_OP_keep && check_keep(c))
    return POA_BAD_INPUT;
  return operands_agree(c);
}

static poa_status infer_predicate(call *c) {
  *c->result = *operand(c, 0);
  c->result->dtype = POA_BOOL;
  return operands_agree(c);
}

static poa_status infer_convert(call *c) {
  if (needs_type(c))
    return POA_BAD_INPUT;
  *c->result = *operand(c, 0);
  c->result->dtype = c->declared->dtype;
  return POA_OK;
}

static poa_status infer_select(call *c) {
  const poa_type *condition = operand(c, 0), *x = operand(c, 1), *y = operand(c, 2);
  *c->result = *x;
  if (!poa_type_equal(&c->graph->lattice, x, y))
    return FAIL(c, "its two choices differ: %s and %s", WORDS(c, x), WORDS(c, y));
  if (!same_shape(c, condition, x))
    return FAIL(c, "the condition is %s but the choices are %s; their shapes agree exactly",
                WORDS(c, condition), WORDS(c, x));
  return POA_OK;
}

static bool among(const poa_attribute *axes, int axis) {
  for (int i = 0; i < axes->count; i++)
    if (axes->integers[i] == axis)
      return true;
  return false;
}

static poa_status infer_reduce(call *c) {
  const poa_type *x = operand(c, 0);
  const poa_attribute *axes = poa_node_attribute(c->node, "axes");
  if (axes_in(c, axes, x))
    return POA_BAD_INPUT;
  c->result->dtype = x->dtype;
  for (int i = 0; i < x->rank; i++)
    if (!among(axes, i))
      c->result->dim[c->result->rank++] = x->dim[i];
  return POA_OK;
}

static poa_status infer_argmax(call *c) {
  const poa_type *x = operand(c, 0);
  int axis = 0;
  if (axis_in(c, "axis", x, &axis))
    return POA_BAD_INPUT;
  c->result->dtype = POA_I32;
  for (int i = 0; i < x->rank; i++)
    if (i != axis)
      c->result->dim[c->result->rank++] = x->dim[i];
  return POA_OK;
}

/* A dot's first operand with its `rows` axes joined, and its `inner` axes. */
static poa_status join_axes(call *c, poa_type *a) {
  int64_t rows = poa_node_int(c->node, "rows", 1), inner = poa_node_int(c->node, "inner", 1);
  int64_t batch = a->rank - rows - inner;
  if (rows < 1 || inner < 1 || batch < 0)
    return FAIL(c, "%" PRId64 " axes of rows and %" PRId64 " summed over are not in %s", rows,
                inner, WORDS(c, a));
  poa_type joined = {.dtype = a->dtype, .rank = (int)batch + 2};
  int64_t first = poa_node_int(c->node, "ta", 0) ? inner : rows;
  joined.dim[batch] = joined.dim[batch + 1] = poa_known(1);
  for (int i = 0; i < a->rank; i++) {
    poa_extent *to = &joined.dim[i < batch ? i : i < batch + first ? batch : batch + 1];
    *to = i < batch ? a->dim[i] : poa_extent_combine(c->graph->arena, POA_EXPR_MUL, *to, a->dim[i]);
  }
  *a = joined;
  return POA_OK;
}

/* [.., m, k] x [.., k, n] -> [.., m, n]; ta: the first is [.., k, m]; tb: [.., n, k]. */
static poa_status infer_dot(call *c) {
  poa_type whole = *operand(c, 0);
  const poa_type *a = &whole, *b = operand(c, 1);
  bool ta = poa_node_int(c->node, "ta", 0), tb = poa_node_int(c->node, "tb", 0);
  if (join_axes(c, &whole))
    return POA_BAD_INPUT;
  int64_t bf16 = poa_node_int(c->node, "bf16", 0);
  if (bf16 != 0 && bf16 != 1)
    return FAIL(c, "has bf16=%" PRId64 ", which is 0 or 1", bf16);
  int rank = a->rank;
  if (rank < 2 || b->rank != rank)
    return FAIL(c, "takes two operands of the same rank, 2 or more: %s and %s", WORDS(c, a),
                WORDS(c, b));
  *c->result = *a;
  for (int i = 0; i < rank - 2; i++)
    if (!equal(c, a->dim[i], b->dim[i]))
      return FAIL(c, "batch axis %d differs: %s and %s", i, WORDS(c, a), WORDS(c, b));
  int ak = ta ? rank - 2 : rank - 1, bk = tb ? rank - 1 : rank - 2;
  if (!equal(c, a->dim[ak], b->dim[bk]))
    return FAIL(c, "inner extents differ: axis %d of %s%s and axis %d of %s%s", ak, WORDS(c, a),
                ta ? " (transposed)" : "", bk, WORDS(c, b), tb ? " (transposed)" : "");
  c->result->dim[rank - 2] = a->dim[ta ? rank - 1 : rank - 2];
  c->result->dim[rank - 1] = b->dim[tb ? rank - 2 : rank - 1];
  return POA_OK;
}

static poa_extent elements(const call *c, const poa_type *type) {
  poa_extent product = poa_known(1);
  for (int i = 0; i < type->rank; i++)
    product = poa_extent_combine(c->graph->arena, POA_EXPR_MUL, product, type->dim[i]);
  return product;
}

static poa_status infer_reshape(call *c) {
  if (needs_type(c))
    return POA_BAD_INPUT;
  *c->result = *c->declared;
  c->result->dtype = operand(c, 0)->dtype;
  if (!equal(c, elements(c, operand(c, 0)), elements(c, c->declared)))
    return FAIL(c, "%s and %s hold different numbers of elements", WORDS(c, operand(c, 0)),
                WORDS(c, c->declared));
  return POA_OK;
}

static poa_status infer_transpose(call *c) {
  const poa_type *x = operand(c, 0);
  const poa_attribute *perm = poa_node_attribute(c->node, "perm");
  *c->result = *x;
  unsigned seen = 0;
  if (perm->count != x->rank)
    return FAIL(c, "perm has %d axes, but the operand is %s", perm->count, WORDS(c, x));
  for (int i = 0; i < perm->count; i++) {
    int64_t axis = perm->integers[i];
    if (axis < 0 || axis >= x->rank || seen >> axis & 1)
      return FAIL(c, "perm is no permutation of the %d axes of %s", x->rank, WORDS(c, x));
    seen |= 1u << axis;
    c->result->dim[i] = x->dim[axis];
  }
  return POA_OK;
}

static poa_status infer_broadcast(call *c) {
  const poa_type *x = operand(c, 0);
  const poa_attribute *axes = poa_node_attribute(c->node, "axes");
  if (needs_type(c) || axes_in(c, axes, c->declared))
    return POA_BAD_INPUT;
  *c->result = *c->declared;
  c->result->dtype = x->dtype;
  if (axes->count != x->rank)
    return FAIL(c, "%d axes are named, but the operand is %s", axes->count, WORDS(c, x));
  for (int i = 0; i < x->rank; i++)
    if (!equal(c, x->dim[i], c->declared->dim[axes->integers[i]]))
      return FAIL(c, "axis %d of %s does not fit axis %" PRId64 " of %s", i, WORDS(c, x),
                  axes->integers[i], WORDS(c, c->declared));
  return POA_OK;
}

static poa_status infer_slice(call *c) {
  const poa_type *x = operand(c, 0);
  const poa_attribute *start = poa_node_attribute(c->node, "start");
  const poa_attribute *limit = poa_node_attribute(c->node, "limit");
  *c->result = *x;
  if (start->count != x->rank || limit->count != x->rank)
    return FAIL(c, "start has %d axes and limit %d, but the operand is %s", start->count,
                limit->count, WORDS(c, x));
  for (int i = 0; i < x->rank; i++) {
    poa_extent from = start->extents[i], to = limit->extents[i];
    if (!at_most(c, poa_known(0), from) || !at_most(c, from, to) || !at_most(c, to, x->dim[i])) {
      poa_type bounds = {.rank = 2, .dim = {from, to}};
      return FAIL(c, "start and limit %s of axis %d are out of %s", strchr(WORDS(c, &bounds), '['),
                  i, WORDS(c, x));
    }
    c->result->dim[i] = poa_extent_combine(c->graph->arena, POA_EXPR_SUB, to, from);
  }
  return POA_OK;
}

static poa_status infer_window(call *c) {
  const poa_type *x = operand(c, 0);
  int64_t size = poa_node_int(c->node, "size", 1), stride = poa_node_int(c->node, "stride", 1);
  int axis = 0;
  if (axis_in(c, "axis", x, &axis))
    return POA_BAD_INPUT;
  if (x->rank == POA_MAX_RANK)
    return FAIL(c, "%s has %d axes already, the most there are", WORDS(c, x), x->rank);
  if (size < 1 || stride < 1 || !at_most(c, poa_known(size), x->dim[axis]))
    return FAIL(c, "windows of %" PRId64 ", %" PRId64 " apart, do not fit axis %d of %s", size,
                stride, axis, WORDS(c, x));
  *c->result = *x;
  c->result->rank = x->rank + 1;
  for (int i = x->rank; i > axis + 1; i--)
    c->result->dim[i] = x->dim[i - 1];
  c->result->dim[axis] = poa_windows(c->graph->arena, x->dim[axis], size, stride);
  c->result->dim[axis + 1] = poa_known(size);
  return POA_OK;
}

static poa_status infer_concat(call *c) {
  const poa_type *first = operand(c, 0);
  int axis = 0;
  if (axis_in(c, "axis", first, &axis))
    return POA_BAD_INPUT;
  *c->result = *first;
  for (int i = 1; i < c->node->operand_count; i++) {
    poa_type other = *operand(c, i);
    if (other.rank == first->rank)
      other.dim[axis] = first->dim[axis];
    if (!poa_type_equal(&c->graph->lattice, first, &other))
      return FAIL(c, "%s and %s differ in more than axis %d", WORDS(c, first),
                  WORDS(c, operand(c, i)), axis);
    c->result->dim[axis] = poa_extent_combine(c->graph->arena, POA_EXPR_ADD, c->result->dim[axis],
                                              operand(c, i)->dim[axis]);
  }
  return POA_OK;
}

static poa_status rows_fit(const call *c, const poa_type *x, const poa_type *rows) {
  if (x->rank < 1)
    return FAIL(c, "takes rows of a value of rank 1 or more, not of %s", WORDS(c, x));
  if (rows->dtype != POA_I32 || rows->rank != 1)
    return FAIL(c, "the rows are %s, expected i32[k]", WORDS(c, rows));
  return POA_OK;
}

static poa_status infer_gather(call *c) {
  const poa_type *x = operand(c, 0), *rows = operand(c, 1);
  *c->result = *x;
  if (rows_fit(c, x, rows))
    return POA_BAD_INPUT;
  c->result->dim[0] = rows->dim[0];
  return POA_OK;
}

static poa_status infer_rearrange(call *c) {
  const poa_type *x = operand(c, 0), *rows = operand(c, 1), *back = operand(c, 2);
  int axis = 0;
  if (axis_in(c, "axis", x, &axis) || rows_fit(c, x, rows) || rows_fit(c, x, back))
    return POA_BAD_INPUT;
  if (!equal(c, back->dim[0], x->dim[axis]))
    return FAIL(c, "back is %s, expected one number for each element of axis %d of %s",
                WORDS(c, back), axis, WORDS(c, x));
  *c->result = *x;
  c->result->dim[axis] = rows->dim[0];
  return POA_OK;
}

static poa_status infer_scatter_add(call *c) {
  const poa_type *base = operand(c, 0), *rows = operand(c, 1), *y = operand(c, 2);
  *c->result = *base;
  if (rows_fit(c, base, rows))
    return POA_BAD_INPUT;
  poa_type expected = *base;
  expected.dim[0] = rows->dim[0];
  if (!poa_type_equal(&c->graph->lattice, &expected, y))
    return FAIL(c, "adds %s to rows %s of %s, expected %s", WORDS(c, y), WORDS(c, rows),
                WORDS(c, base), WORDS(c, &expected));
  return POA_OK;
}

static poa_status infer_accumulate(call *c) {
  const poa_type *base = operand(c, 0), *x = operand(c, 1);
  const poa_attribute *start = poa_node_attribute(c->node, "start");
  *c->result = *base;
  if (base->dtype != x->dtype || base->rank != x->rank || start->count != base->rank)
    return FAIL(c, "base %s, block %s and start of %d axes do not fit", WORDS(c, base), WORDS(c, x),
                start->count);
  for (int i = 0; i < x->rank; i++) {
    poa_extent from = start->extents[i];
    poa_extent end = poa_extent_combine(c->graph->arena, POA_EXPR_ADD, from, x->dim[i]);
    if (!at_most(c, poa_known(0), from) || !at_most(c, end, base->dim[i]))
      return FAIL(c, "the block %s reaches out of %s along axis %d", WORDS(c, x), WORDS(c, base),
                  i);
  }
  return POA_OK;
}

enum { MOST_STRIDE = 16 };

/* What a convolution's attributes say, of both axes. */
typedef struct convolution {
  const int64_t *stride, *low, *high;
  int64_t groups;
} convolution;

static poa_status read_convolution(call *c, convolution *v) {
  const poa_attribute *stride = poa_node_attribute(c->node, "stride");
  const poa_attribute *low = poa_node_attribute(c->node, "low");
  const poa_attribute *high = poa_node_attribute(c->node, "high");
  const poa_attribute *size = poa_node_attribute(c->node, "size");
  *v = (convolution){stride->integers, low->integers, high->integers,
                     poa_node_int(c->node, "groups", 1)};
  if (stride->count != 2 || low->count != 2 || high->count != 2 || (size && size->count != 2))
    return FAIL(c, "has two axes: stride, low, high and size are lists of two");
  for (int i = 0; i < 2; i++)
    if (v->stride[i] < 1 || v->stride[i] > MOST_STRIDE || v->low[i] < 0 || v->high[i] < 0 ||
        (size && size->integers[i] < 1))
      return FAIL(c, "strides are 1 to %d, sizes at least 1, paddings at least 0", MOST_STRIDE);
  for (int i = 0; i < 2; i++)
    if (operand(c, i)->rank != 4)
      return FAIL(c, "takes operands of four axes, not %s and %s", WORDS(c, operand(c, 0)),
                  WORDS(c, operand(c, 1)));
  return v->groups >= 1 ? POA_OK : FAIL(c, "groups is %" PRId64 ", expected 1 or more", v->groups);
}

static poa_extent divided(const call *c, poa_extent a, int64_t by) {
  return poa_extent_combine(c->graph->arena, POA_EXPR_DIV, a, poa_known(by));
}

/* Whether the extents of x, weight and y of a convolution fit together. */
static poa_status convolution_fits(call *c, const convolution *v, const poa_type *x,
                                   const poa_type *weight, const poa_type *y) {
  poa_extent groups = poa_known(v->groups);
  poa_extent in = poa_extent_combine(c->graph->arena, POA_EXPR_MUL, weight->dim[2], groups);
  poa_extent out = poa_extent_combine(c->graph->arena, POA_EXPR_MUL,
                                      divided(c, weight->dim[3], v->groups), groups);
  if (!equal(c, in, x->dim[3]) || !equal(c, out, weight->dim[3]))
    return FAIL(c, "weight %s has other channels than %s in %" PRId64 " groups", WORDS(c, weight),
                WORDS(c, x), v->groups);
  bool fits = equal(c, y->dim[0], x->dim[0]) && equal(c, y->dim[3], weight->dim[3]);
  for (int i = 1; i <= 2; i++) {
    poa_extent padded = poa_extent_combine(c->graph->arena, POA_EXPR_ADD, x->dim[i],
                                           poa_known(v->low[i - 1] + v->high[i - 1]));
    if (weight->dim[i - 1].expr || !at_most(c, weight->dim[i - 1], padded))
      return FAIL(c, "weight %s is larger than %s with its padding", WORDS(c, weight), WORDS(c, x));
    fits &= v->low[i - 1] < weight->dim[i - 1].value && v->high[i - 1] < weight->dim[i - 1].value;
    fits &= equal(c, y->dim[i],
                  poa_windows(c->graph->arena, padded, weight->dim[i - 1].value, v->stride[i - 1]));
  }
  return fits ? POA_OK
              : FAIL(c, "%s, weight %s and result %s do not fit; padding is less than the weight",
                     WORDS(c, x), WORDS(c, weight), WORDS(c, y));
}

static poa_status infer_conv2d(call *c) {
  const poa_type *x = operand(c, 0), *weight = operand(c, 1);
  convolution v;
  if (read_convolution(c, &v))
    return POA_BAD_INPUT;
  *c->result = *x;
  c->result->dim[3] = weight->dim[3];
  for (int i = 1; i <= 2; i++) {
    poa_extent padded = poa_extent_combine(c->graph->arena, POA_EXPR_ADD, x->dim[i],
                                           poa_known(v.low[i - 1] + v.high[i - 1]));
    c->result->dim[i] =
        poa_windows(c->graph->arena, padded, weight->dim[i - 1].value, v.stride[i - 1]);
  }
  return convolution_fits(c, &v, x, weight, c->result);
}

static poa_status infer_conv2d_input(call *c) {
  const poa_type *dy = operand(c, 0), *weight = operand(c, 1);
  convolution v;
  if (read_convolution(c, &v))
    return POA_BAD_INPUT;
  const int64_t *size = poa_node_attribute(c->node, "size")->integers;
  *c->result = *dy;
  c->result->dim[1] = poa_known(size[0]);
  c->result->dim[2] = poa_known(size[1]);
  c->result->dim[3] =
      poa_extent_combine(c->graph->arena, POA_EXPR_MUL, weight->dim[2], poa_known(v.groups));
  return convolution_fits(c, &v, c->result, weight, dy);
}

static poa_status infer_conv2d_weight(call *c) {
  const poa_type *x = operand(c, 0), *dy = operand(c, 1);
  convolution v;
  if (read_convolution(c, &v))
    return POA_BAD_INPUT;
  const int64_t *size = poa_node_attribute(c->node, "size")->integers;
  *c->result = *x;
  c->result->dim[0] = poa_known(size[0]);
  c->result->dim[1] = poa_known(size[1]);
  c->result->dim[2] = divided(c, x->dim[3], v.groups);
  c->result->dim[3] = dy->dim[3];
  return convolution_fits(c, &v, x, c->result, dy);
}

static poa_status infer_gradient(call *c) {
  const poa_type *scalar = operand(c, 0);
  *c->result = *operand(c, 1);
  if (scalar->rank)
    return FAIL(c, "differentiates a scalar, not %s", WORDS(c, scalar));
  return POA_OK;
}

static poa_status infer_assign(call *c) {
  const poa_type *parameter = operand(c, 0), *value = operand(c, 1);
  *c->result = *parameter;
  if (operand_node(c, 0)->op != POA_OP_parameter)
    return FAIL(c, "its first operand is a parameter, not the result of %s",
                poa_op_table(operand_node(c, 0)->op)->name);
  if (!poa_type_equal(&c->graph->lattice, parameter, value))
    return FAIL(c, "the parameter is %s, the new value %s", WORDS(c, parameter), WORDS(c, value));
  return POA_OK;
}

typedef poa_status (*rule)(call *c);

static const rule rules[] = {
#define POA_OP(name, operands, attributes, shape, gradient, flags) infer_##shape,
#include "ir/ops.def"
#undef POA_OP
};

#define F (1u << POA_F32)
#define I (1u << POA_I32)
#define B (1u << POA_BOOL)

/* The dtypes of an op's first operand; 0: any. */
static const unsigned accepted[POA_OP_COUNT] = {
    [POA_OP_neg] = F | I,
    [POA_OP_abs] = F | I,
    [POA_OP_exp] = F,
    [POA_OP_log] = F,
    [POA_OP_sqrt] = F,
    [POA_OP_rsqrt] = F,
    [POA_OP_erf] = F,
    [POA_OP_tanh] = F,
    [POA_OP_sin] = F,
    [POA_OP_cos] = F,
    [POA_OP_floor] = F,
    [POA_OP_is_finite] = F,
    [POA_OP_not] = B,
    [POA_OP_add] = F | I,
    [POA_OP_sub] = F | I,
    [POA_OP_mul] = F | I,
    [POA_OP_div] = F | I,
    [POA_OP_max] = F | I,
    [POA_OP_min] = F | I,
    [POA_OP_pow] = F,
    [POA_OP_lt] = F | I,
    [POA_OP_le] = F | I,
    [POA_OP_and] = B,
    [POA_OP_or] = B,
    [POA_OP_select] = B,
    [POA_OP_reduce_sum] = F | I,
    [POA_OP_reduce_max] = F | I,
    [POA_OP_argmax] = F | I,
    [POA_OP_dot] = F,
    [POA_OP_scatter_add] = F | I,
    [POA_OP_accumulate] = F | I,
    [POA_OP_conv2d] = F,
    [POA_OP_conv2d_input] = F,
    [POA_OP_conv2d_weight] = F,
    [POA_OP_softmax] = F,
    [POA_OP_log_softmax] = F,
    [POA_OP_gradient] = F,
};

static const char *accepted_words(unsigned dtypes) {
  if (dtypes == (F | I))
    return "f32 or i32";
  return dtypes == F ? "f32" : "bool";
}

static poa_status check_dtype(const call *c) {
  unsigned dtypes = accepted[c->node->op];
  if (!dtypes || dtypes >> operand(c, 0)->dtype & 1)
    return POA_OK;
  return FAIL(c, "takes %s, not %s (convert it first)", accepted_words(dtypes),
              WORDS(c, operand(c, 0)));
}

poa_status poa_type_check(const poa_lattice *lattice, const poa_type *type, poa_error *error) {
  poa_point top = poa_lattice_top(lattice);
  int64_t most = MAX_ELEMENTS;
  char words[300];
  for (int i = 0; i < type->rank; i++) {
    int64_t extent = poa_extent_at(type->dim[i], &top);
    bool negative = !poa_extent_at_most(lattice, poa_known(0), type->dim[i]);
    if (negative || extent > most) {
      poa_type_print(lattice, type, words, sizeof words);
      return poa_fail(error, POA_BAD_INPUT, "%s %s", words,
                      negative ? "has a negative extent" : "has more than 2^48 elements");
    }
    most /= extent > 0 ? extent : 1;
  }
  return POA_OK;
}

poa_status poa_infer(const poa_graph *graph, const poa_node *node, const poa_type *declared,
                     poa_type *result, poa_error *error) {
  poa_type inferred = {0};
  call c = {graph, node, poa_op_table(node->op)->name, declared, &inferred, error};
  if (check_dtype(&c) || rules[node->op](&c) || poa_type_check(&graph->lattice, &inferred, error))
    return POA_BAD_INPUT;
  if (declared && !poa_type_equal(&graph->lattice, &inferred, declared))
    return FAIL(&c, "its result is %s by its shape rule, but %s is declared", WORDS(&c, &inferred),
                WORDS(&c, declared));
  *result = declared ? *declared : inferred;
  return POA_OK;
}
