/* builtins_tensor.c: the functions of the language on tensors. */
#include <math.h>
#include <string.h>

#include "frontend/builtins.h"

static poa_worth wrap(poa_value value) {
  return value == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(value);
}

/* A known number is computed here; anything else becomes a node. */
static poa_worth unary(poa_elaborator *e, const poa_syntax *call, const poa_worth *a, poa_op op,
                       double (*fold)(double)) {
  if (fold && a[0].kind == VALUE_NUMBER && poa_number_is_known(&a[0].number))
    return poa_worth_real(fold(poa_number_value(&a[0].number)));
  poa_value x = poa_to_tensor(e, call, a[0]);
  return wrap(poa_append(e, call, op, &x, 1, NULL, 0, NULL));
}

static double reciprocal_root(double x) {
  return 1 / sqrt(x);
}

#define UNARY(name, fold)                                                                          \
  POA_BUILTIN(name) {                                                                              \
    return unary(e, call, a, POA_OP_##name, fold);                                                 \
  }
UNARY(abs, fabs)
UNARY(cos, cos)
UNARY(erf, erf)
UNARY(exp, exp)
UNARY(floor, floor)
UNARY(log, log)
UNARY(rsqrt, reciprocal_root)
UNARY(sin, sin)
UNARY(sqrt, sqrt)
UNARY(tanh, tanh)
UNARY(is_finite, NULL)
UNARY(softmax, NULL)
UNARY(log_softmax, NULL)
UNARY(detach, NULL)

POA_BUILTIN(gradient) {
  if (a[1].kind != VALUE_PARAMETER)
    return poa_complain(e, call,
                        "gradient(of, parameter): the second is %s; a parameter comes "
                        "from a loop over a set, as in: for p in student",
                        poa_worth_kind_name(a[1].kind));
  poa_value operands[2] = {poa_to_tensor(e, call, a[0]),
                           poa_parameter_node(e, a[1].index, call->location)};
  if (operands[0] == POA_NO_VALUE)
    return poa_worth_error();
  if (poa_type_of(e, operands[0])->rank != 0)
    return poa_complain(e, call, "the gradient of a single number can be taken, not of %s",
                        poa_show_type(e, poa_type_of(e, operands[0])));
  return wrap(poa_append(e, call, POA_OP_gradient, operands, 2, NULL, 0, NULL));
}

static poa_worth convert(poa_elaborator *e, const poa_syntax *call, poa_worth value,
                         poa_dtype dtype) {
  poa_value x = poa_to_tensor(e, call, value);
  if (x == POA_NO_VALUE)
    return poa_worth_error();
  poa_type type = *poa_type_of(e, x);
  if (type.dtype == dtype)
    return poa_worth_tensor(x);
  type.dtype = dtype;
  return wrap(poa_append(e, call, POA_OP_convert, &x, 1, NULL, 0, &type));
}

POA_BUILTIN(f32) {
  return convert(e, call, a[0], POA_F32);
}

POA_BUILTIN(i32) {
  return convert(e, call, a[0], POA_I32);
}

/* where(condition, a, b): known conditions choose now. */
POA_BUILTIN(where) {
  if (!poa_is_tensor_like(&a[0]))
    return poa_worth_is_true(e, call, a[0]) ? a[1] : a[2];
  poa_value zero = poa_element_wise(e, call, POA_OP_add, a[1], a[2]); /* the common shape */
  poa_value condition = poa_to_tensor(e, call, a[0]);
  if (zero == POA_NO_VALUE || condition == POA_NO_VALUE)
    return poa_worth_error();
  poa_type common = *poa_type_of(e, zero), mask = *poa_type_of(e, condition);
  if (mask.dtype != POA_BOOL)
    return poa_complain(e, call, "the condition of where() is %s, expected bool",
                        poa_show_type(e, &mask));
  if (mask.rank > common.rank)
    common = mask, common.dtype = poa_type_of(e, zero)->dtype;
  for (int i = 1; i <= mask.rank && i <= common.rank; i++) {
    poa_extent *extent = &common.dim[common.rank - i];
    if (!extent->expr && extent->value == 1)
      *extent = mask.dim[mask.rank - i];
  }
  poa_value operands[3] = {poa_stretch(e, call, condition, &common), 0, 0};
  for (int i = 1; i <= 2; i++) {
    bool known = a[i].kind == VALUE_NUMBER && poa_number_is_known(&a[i].number);
    operands[i] = known ? poa_append_constant(e, call, poa_number_value(&a[i].number), &common)
                        : poa_stretch(e, call, poa_to_tensor(e, call, a[i]), &common);
  }
  return wrap(poa_append(e, call, POA_OP_select, operands, 3, NULL, 0, NULL));
}

/* The axes of a reduction: none given means all, else one or a list, in order. */
static bool reduced_axes(poa_elaborator *e, const poa_syntax *call, poa_worth given, int rank,
                         int64_t *axes, int *count) {
  bool reduced[POA_MAX_RANK] = {0};
  poa_worth *items = given.kind == VALUE_LIST ? given.items : &given;
  int given_count = given.kind == VALUE_LIST ? given.count : 1;
  for (int i = 0; poa_was_given(&given) && i < given_count; i++) {
    int axis;
    if (!poa_to_axis(e, call, items[i], rank, &axis))
      return false;
    reduced[axis] = true;
  }
  *count = 0;
  for (int axis = 0; axis < rank; axis++)
    if (reduced[axis] || !poa_was_given(&given))
      axes[(*count)++] = axis;
  return true;
}

static poa_value with_kept_axes(poa_elaborator *e, const poa_syntax *call, poa_value result,
                                poa_type type, const int64_t *axes, int count) {
  for (int i = 0; i < count; i++)
    type.dim[axes[i]] = poa_known(1);
  return poa_reshape_to(e, call, result, &type);
}

static poa_value reduce(poa_elaborator *e, const poa_syntax *call, const poa_worth *a, poa_op op,
                        poa_extent *reduced) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  int64_t axes[POA_MAX_RANK];
  int count;
  if (x == POA_NO_VALUE || !reduced_axes(e, call, a[1], poa_type_of(e, x)->rank, axes, &count))
    return POA_NO_VALUE;
  poa_type type = *poa_type_of(e, x);
  *reduced = poa_known(1);
  for (int i = 0; i < count; i++)
    *reduced = poa_extent_combine(e->arena, POA_EXPR_MUL, *reduced, type.dim[axes[i]]);
  if (count == 0)
    return x;
  poa_attribute attribute = poa_attribute_ints("axes", axes, count);
  poa_value result = poa_append(e, call, op, &x, 1, &attribute, 1, NULL);
  bool keepdims = poa_was_given(&a[2]) && poa_worth_is_true(e, call, a[2]);
  return keepdims && result != POA_NO_VALUE ? with_kept_axes(e, call, result, type, axes, count)
                                            : result;
}

POA_BUILTIN(sum) {
  poa_extent reduced;
  return wrap(reduce(e, call, a, POA_OP_reduce_sum, &reduced));
}

POA_BUILTIN(reduce_max) {
  poa_extent reduced;
  return wrap(reduce(e, call, a, POA_OP_reduce_max, &reduced));
}

POA_BUILTIN(mean) {
  poa_extent reduced;
  poa_value sum = reduce(e, call, a, POA_OP_reduce_sum, &reduced);
  if (sum == POA_NO_VALUE)
    return poa_worth_error();
  poa_worth share = {.kind = VALUE_NUMBER,
                     .number = {.numerator = poa_known(1), .denominator = reduced}};
  return poa_evaluate_binary(e, call, "*", poa_worth_tensor(sum), share);
}

POA_BUILTIN(argmax) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  int axis;
  if (x == POA_NO_VALUE || !poa_to_axis(e, call, a[1], poa_type_of(e, x)->rank, &axis))
    return poa_worth_error();
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return wrap(poa_append(e, call, POA_OP_argmax, &x, 1, &attribute, 1, NULL));
}

/* transpose(x): the last two axes swap; transpose(x, axes): axis i of the result is
 * axis axes[i] of x. */
POA_BUILTIN(transpose) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  if (x == POA_NO_VALUE)
    return poa_worth_error();
  int rank = poa_type_of(e, x)->rank;
  int64_t perm[POA_MAX_RANK];
  for (int i = 0; i < rank; i++)
    perm[i] = i;
  if (!poa_was_given(&a[1])) {
    if (rank < 2)
      return poa_complain(e, call, "transpose() of %s, which has less than two axes",
                          poa_show_type(e, poa_type_of(e, x)));
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
  } else if (a[1].kind != VALUE_LIST || a[1].count != rank) {
    return poa_complain(e, call, "transpose() takes a list of all %d axes", rank);
  } else {
    for (int i = 0, axis; i < rank; perm[i++] = axis)
      if (!poa_to_axis(e, call, a[1].items[i], rank, &axis))
        return poa_worth_error();
  }
  poa_attribute attribute = poa_attribute_ints("perm", perm, rank);
  return wrap(poa_append(e, call, POA_OP_transpose, &x, 1, &attribute, 1, NULL));
}

POA_BUILTIN(reshape) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  poa_type type;
  if (x == POA_NO_VALUE || !poa_to_type(e, call, a[1], poa_type_of(e, x)->dtype, &type))
    return poa_worth_error();
  return wrap(poa_reshape_to(e, call, x, &type));
}

POA_BUILTIN(broadcast_to) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  poa_type type;
  if (x == POA_NO_VALUE || !poa_to_type(e, call, a[1], poa_type_of(e, x)->dtype, &type))
    return poa_worth_error();
  return wrap(poa_stretch(e, call, x, &type));
}

POA_BUILTIN(concat) {
  if (a[0].kind != VALUE_LIST || a[0].count < 1)
    return poa_complain(e, call, "concat() takes a list of tensors and an axis");
  poa_value *parts = poa_arena_alloc(e->arena, (size_t)a[0].count * sizeof *parts);
  for (int i = 0; i < a[0].count; i++) {
    parts[i] = poa_to_tensor(e, call, a[0].items[i]);
    if (parts[i] == POA_NO_VALUE)
      return poa_worth_error();
  }
  int axis;
  if (!poa_to_axis(e, call, a[1], poa_type_of(e, parts[0])->rank, &axis))
    return poa_worth_error();
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return wrap(poa_append(e, call, POA_OP_concat, parts, a[0].count, &attribute, 1, NULL));
}

POA_BUILTIN(gather) {
  poa_value operands[2] = {poa_to_tensor(e, call, a[0]), poa_to_tensor(e, call, a[1])};
  return wrap(poa_append(e, call, POA_OP_gather, operands, 2, NULL, 0, NULL));
}

POA_BUILTIN(rearrange) {
  poa_value operands[3] = {poa_to_tensor(e, call, a[0]), poa_to_tensor(e, call, a[1]),
                           poa_to_tensor(e, call, a[2])};
  int axis = 0;
  if (operands[0] == POA_NO_VALUE ||
      (poa_was_given(&a[3]) &&
       !poa_to_axis(e, call, a[3], poa_type_of(e, operands[0])->rank, &axis)))
    return poa_worth_error();
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return wrap(poa_append(e, call, POA_OP_rearrange, operands, 3, &attribute, 1, NULL));
}

/* An integer that may be left out. */
static bool optional_integer(poa_elaborator *e, const poa_syntax *call, poa_worth given,
                             int64_t otherwise, int64_t *value) {
  *value = otherwise;
  return !poa_was_given(&given) || poa_to_integer(e, call, given, value);
}

/* windows(x, axis, size, stride): the axis becomes two, which window and where in it. */
POA_BUILTIN(windows) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  int axis;
  int64_t size, stride;
  if (x == POA_NO_VALUE || !poa_to_axis(e, call, a[1], poa_type_of(e, x)->rank, &axis) ||
      !poa_to_integer(e, call, a[2], &size) || !optional_integer(e, call, a[3], 1, &stride))
    return poa_worth_error();
  poa_attribute attributes[] = {poa_attribute_int("axis", axis), poa_attribute_int("size", size),
                                poa_attribute_int("stride", stride)};
  return wrap(poa_append(e, call, POA_OP_window, &x, 1, attributes, 3, NULL));
}

/* conv2d(x[b, h, w, c], weight[kh, kw, c / groups, o], stride, padding, groups): channels last,
 * `padding` zeros on every side. */
POA_BUILTIN(conv2d) {
  poa_value operands[2] = {poa_to_tensor(e, call, a[0]), poa_to_tensor(e, call, a[1])};
  int64_t stride, padding, groups;
  if (!optional_integer(e, call, a[2], 1, &stride) ||
      !optional_integer(e, call, a[3], 0, &padding) || !optional_integer(e, call, a[4], 1, &groups))
    return poa_worth_error();
  int64_t strides[] = {stride, stride}, paddings[] = {padding, padding};
  poa_attribute attributes[] = {
      poa_attribute_ints("stride", strides, 2), poa_attribute_ints("low", paddings, 2),
      poa_attribute_ints("high", paddings, 2), poa_attribute_int("groups", groups)};
  return wrap(poa_append(e, call, POA_OP_conv2d, operands, 2, attributes, 4, NULL));
}

POA_BUILTIN(scatter_add) {
  poa_value operands[3] = {poa_to_tensor(e, call, a[0]), poa_to_tensor(e, call, a[1]),
                           poa_to_tensor(e, call, a[2])};
  return wrap(poa_append(e, call, POA_OP_scatter_add, operands, 3, NULL, 0, NULL));
}

POA_BUILTIN(iota) {
  poa_type type;
  int axis;
  if (!poa_to_type(e, call, a[0], POA_I32, &type) || !poa_to_axis(e, call, a[1], type.rank, &axis))
    return poa_worth_error();
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return wrap(poa_append(e, call, POA_OP_iota, NULL, 0, &attribute, 1, &type));
}

static poa_worth splat(poa_elaborator *e, const poa_syntax *call, poa_worth shape, double value) {
  poa_type type;
  if (!poa_to_type(e, call, shape, POA_F32, &type))
    return poa_worth_error();
  return wrap(poa_append_constant(e, call, value, &type));
}

POA_BUILTIN(zeros) {
  return splat(e, call, a[0], 0);
}

POA_BUILTIN(ones) {
  return splat(e, call, a[0], 1);
}

POA_BUILTIN(full) {
  if (a[1].kind != VALUE_NUMBER || !poa_number_is_known(&a[1].number))
    return poa_complain(e, call, "full() takes a shape and a number known at compile time");
  return splat(e, call, a[0], poa_number_value(&a[1].number));
}

POA_BUILTIN(shape) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  if (x == POA_NO_VALUE)
    return poa_worth_error();
  poa_type type = *poa_type_of(e, x);
  poa_worth list = {.kind = VALUE_LIST, .count = type.rank};
  list.items = poa_arena_alloc(e->arena, (size_t)(type.rank + 1) * sizeof *list.items);
  for (int i = 0; i < type.rank; i++)
    list.items[i] = poa_worth_extent(type.dim[i]);
  return list;
}

POA_BUILTIN(size) {
  poa_value x = poa_to_tensor(e, call, a[0]);
  int axis;
  if (x == POA_NO_VALUE || !poa_to_axis(e, call, a[1], poa_type_of(e, x)->rank, &axis))
    return poa_worth_error();
  return poa_worth_extent(poa_type_of(e, x)->dim[axis]);
}

POA_BUILTIN(elements) {
  poa_worth list = poa_builtin_shape(e, call, a), product = poa_worth_integer(1);
  for (int i = 0; list.kind == VALUE_LIST && i < list.count; i++)
    product = poa_evaluate_binary(e, call, "*", product, list.items[i]);
  return list.kind == VALUE_LIST ? product : list;
}
