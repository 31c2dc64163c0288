/* build.c: short builders for passes that write nodes. */
#include <stdio.h>
#include <stdlib.h>

#include "ir/build.h"

static poa_value add(poa_build *b, poa_op op, const poa_value *operands, int operand_count,
                     const poa_attribute *attributes, int attribute_count, const poa_type *type) {
  poa_error error = {0};
  poa_value value = poa_graph_add(b->graph, op, operands, operand_count, attributes,
                                  attribute_count, type, b->location, &error);
  if (value == POA_NO_VALUE) {
    fprintf(stderr, "poa: internal error: a pass built a wrong node: %s\n", error.message);
    abort();
  }
  return value;
}

poa_value poa_b_node(poa_build *b, poa_op op, const poa_value *operands, int operand_count,
                     const poa_attribute *attributes, int attribute_count, const poa_type *type) {
  return add(b, op, operands, operand_count, attributes, attribute_count, type);
}

static poa_type type_of(const poa_build *b, poa_value x) {
  return b->graph->nodes[x].type;
}

poa_value poa_b_constant(poa_build *b, double value, const poa_type *type) {
  poa_attribute attribute = poa_attribute_float("value", value);
  return add(b, POA_OP_constant, NULL, 0, &attribute, 1, type);
}

poa_value poa_b_unary(poa_build *b, poa_op op, poa_value x) {
  return add(b, op, &x, 1, NULL, 0, NULL);
}

poa_value poa_b_binary(poa_build *b, poa_op op, poa_value x, poa_value y) {
  return add(b, op, (poa_value[]){x, y}, 2, NULL, 0, NULL);
}

poa_value poa_b_select(poa_build *b, poa_value condition, poa_value x, poa_value y) {
  return add(b, POA_OP_select, (poa_value[]){condition, x, y}, 3, NULL, 0, NULL);
}

poa_value poa_b_convert(poa_build *b, poa_value x, poa_dtype dtype) {
  poa_type type = type_of(b, x);
  type.dtype = dtype;
  return add(b, POA_OP_convert, &x, 1, NULL, 0, &type);
}

poa_value poa_b_reduce(poa_build *b, poa_op op, poa_value x, const int64_t *axes, int count) {
  poa_attribute attribute = poa_attribute_ints("axes", axes, count);
  return add(b, op, &x, 1, &attribute, 1, NULL);
}

poa_value poa_b_broadcast(poa_build *b, poa_value x, const int64_t *axes, const poa_type *type) {
  poa_type result = *type;
  result.dtype = type_of(b, x).dtype;
  poa_attribute attribute = poa_attribute_ints("axes", axes, type_of(b, x).rank);
  return add(b, POA_OP_broadcast, &x, 1, &attribute, 1, &result);
}

poa_value poa_b_reshape(poa_build *b, poa_value x, const poa_type *type) {
  poa_type result = *type;
  result.dtype = type_of(b, x).dtype;
  return add(b, POA_OP_reshape, &x, 1, NULL, 0, &result);
}

poa_value poa_b_transpose(poa_build *b, poa_value x, const int64_t *perm) {
  poa_attribute attribute = poa_attribute_ints("perm", perm, type_of(b, x).rank);
  return add(b, POA_OP_transpose, &x, 1, &attribute, 1, NULL);
}

poa_value poa_b_slice(poa_build *b, poa_value x, const poa_extent *start, const poa_extent *limit) {
  int rank = type_of(b, x).rank;
  poa_attribute attributes[] = {poa_attribute_extents("start", start, rank),
                                poa_attribute_extents("limit", limit, rank)};
  return add(b, POA_OP_slice, &x, 1, attributes, 2, NULL);
}

poa_value poa_b_window(poa_build *b, poa_value x, int axis, int64_t size, int64_t stride) {
  poa_attribute attributes[] = {poa_attribute_int("axis", axis), poa_attribute_int("size", size),
                                poa_attribute_int("stride", stride)};
  return add(b, POA_OP_window, &x, 1, attributes, 3, NULL);
}

poa_dot_form poa_dot_form_of(const poa_node *dot) {
  return (poa_dot_form){.ta = poa_node_int(dot, "ta", 0),
                        .tb = poa_node_int(dot, "tb", 0),
                        .alpha = poa_node_float(dot, "alpha", 1),
                        .rows = poa_node_int(dot, "rows", 1),
                        .inner = poa_node_int(dot, "inner", 1),
                        .bf16 = poa_node_int(dot, "bf16", 0)};
}

int poa_b_dot_attributes(poa_attribute *attributes, poa_dot_form form) {
  int count = 0;
  if (form.ta)
    attributes[count++] = poa_attribute_int("ta", 1);
  if (form.tb)
    attributes[count++] = poa_attribute_int("tb", 1);
  if (form.alpha != 1)
    attributes[count++] = poa_attribute_float("alpha", form.alpha);
  if (form.rows != 1)
    attributes[count++] = poa_attribute_int("rows", form.rows);
  if (form.inner != 1)
    attributes[count++] = poa_attribute_int("inner", form.inner);
  if (form.bf16)
    attributes[count++] = poa_attribute_int("bf16", 1);
  return count;
}

poa_value poa_b_product(poa_build *b, poa_value x, poa_value y, poa_dot_form form) {
  poa_attribute attributes[POA_DOT_ATTRIBUTES];
  int count = poa_b_dot_attributes(attributes, form);
  return add(b, POA_OP_dot, (poa_value[]){x, y}, 2, attributes, count, NULL);
}

poa_value poa_b_dot(poa_build *b, poa_value x, poa_value y, bool ta, bool tb, double alpha) {
  return poa_b_product(b, x, y, (poa_dot_form){ta, tb, alpha, 1, 1, false});
}

poa_value poa_b_accumulate(poa_build *b, poa_value base, poa_value x, const poa_extent *start) {
  poa_attribute attribute = poa_attribute_extents("start", start, type_of(b, base).rank);
  return add(b, POA_OP_accumulate, (poa_value[]){base, x}, 2, &attribute, 1, NULL);
}

poa_value poa_b_scale(poa_build *b, poa_value x, double factor) {
  poa_type type = type_of(b, x);
  return poa_b_binary(b, POA_OP_mul, x, poa_b_constant(b, factor, &type));
}

poa_value poa_b_unreduce(poa_build *b, poa_value x, const int64_t *axes, int count,
                         const poa_type *type) {
  int64_t kept[POA_MAX_RANK];
  int kept_count = 0, next = 0;
  for (int i = 0; i < type->rank; i++)
    if (next < count && axes[next] == i)
      next++;
    else
      kept[kept_count++] = i;
  return poa_b_broadcast(b, x, kept, type);
}
