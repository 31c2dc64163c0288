/* ops.c: how each op of the IR is said in ONNX. One row each; an op without a row is refused by
 * name.
 *
 * Element-wise operators of ONNX stretch their operands, so broadcasts and constants are
 * handed to them as they are, with extents of 1. */
#include <string.h>

#include "onnx/model.h"

typedef char *(*writer)(poa_onnx_model *m, poa_value value);

static const poa_node *node_of(const poa_onnx_model *m, poa_value value) {
  return &m->graph->nodes[value];
}

static char *operand(poa_onnx_model *m, poa_value value, int index) {
  return m->name[node_of(m, value)->operands[index]];
}

static char *full_operand(poa_onnx_model *m, poa_value value, int index) {
  return poa_onnx_full(m, node_of(m, value)->operands[index]);
}

/* Element-wise. Where all operands are small, one is stretched, so that the result is not. */
static char *elementwise(poa_onnx_model *m, poa_value value, const char *op) {
  const poa_node *node = node_of(m, value);
  char *inputs[3];
  bool small = true;
  for (int i = 0; i < node->operand_count; i++) {
    poa_op from = node_of(m, node->operands[i])->op;
    bool kept_small = (from == POA_OP_broadcast || from == POA_OP_constant) &&
                      !m->folded[node->operands[i]] && node->type.rank > 0;
    inputs[i] = operand(m, value, i);
    small &= kept_small;
  }
  if (small)
    inputs[node->operand_count - 1] = full_operand(m, value, node->operand_count - 1);
  return poa_onnx_node(m, op, inputs, node->operand_count, NULL, 0);
}

#define ELEMENTWISE(name, op)                                                                      \
  static char *write_##name(poa_onnx_model *m, poa_value value) {                                  \
    return elementwise(m, value, op);                                                              \
  }

ELEMENTWISE(neg, "Neg")
ELEMENTWISE(abs, "Abs")
ELEMENTWISE(exp, "Exp")
ELEMENTWISE(log, "Log")
ELEMENTWISE(sqrt, "Sqrt")
ELEMENTWISE(erf, "Erf")
ELEMENTWISE(tanh, "Tanh")
ELEMENTWISE(sin, "Sin")
ELEMENTWISE(cos, "Cos")
ELEMENTWISE(floor, "Floor")
ELEMENTWISE(not, "Not")
ELEMENTWISE(add, "Add")
ELEMENTWISE(sub, "Sub")
ELEMENTWISE(mul, "Mul")
ELEMENTWISE(div, "Div")
ELEMENTWISE(max, "Max")
ELEMENTWISE(min, "Min")
ELEMENTWISE(pow, "Pow")
ELEMENTWISE(lt, "Less")
ELEMENTWISE(le, "LessOrEqual")
ELEMENTWISE(eq, "Equal")
ELEMENTWISE(and, "And")
ELEMENTWISE(or, "Or")
ELEMENTWISE(select, "Where")

static char *write_ne(poa_onnx_model *m, poa_value value) {
  return poa_onnx_unary(m, "Not", elementwise(m, value, "Equal"));
}

static char *write_rsqrt(poa_onnx_model *m, poa_value value) {
  return poa_onnx_unary(m, "Reciprocal", elementwise(m, value, "Sqrt"));
}

static char *write_is_finite(poa_onnx_model *m, poa_value value) {
  char *x = full_operand(m, value, 0);
  char *odd =
      poa_onnx_binary(m, "Or", poa_onnx_unary(m, "IsInf", x), poa_onnx_unary(m, "IsNaN", x));
  return poa_onnx_unary(m, "Not", odd);
}

static char *write_convert(poa_onnx_model *m, poa_value value) {
  char *x = full_operand(m, value, 0);
  Onnx__AttributeProto *to = poa_onnx_int(m, "to", poa_onnx_dtype(node_of(m, value)->type.dtype));
  return poa_onnx_node(m, "Cast", &x, 1, &to, 1);
}

/* Constants and movement */

static char *write_constant(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  return poa_onnx_scalar(m, poa_node_float(node, "value", 0), node->type.dtype);
}

/* The operand with extents of 1 where it is stretched. */
static char *write_broadcast(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  poa_value from = node->operands[0];
  int64_t extent[POA_MAX_RANK], factor;
  for (int i = 0; i < node->type.rank; i++)
    extent[i] = 1;
  int unknown = 0;
  for (int i = 0; i < axes->count; i++) {
    bool dynamic = poa_onnx_is_dynamic(m, from, i, &factor);
    extent[axes->integers[i]] = dynamic ? -1 : poa_dim(node_of(m, from), i);
    unknown += dynamic;
  }
  poa_op op = node_of(m, from)->op;
  if (op == POA_OP_constant || axes->count == 0)
    return m->name[from];
  if (unknown > 1) { /* none of the extents that are kept moves */
    m->full[value] = NULL;
    return NULL;
  }
  /* A small operand has its own extents of 1, which a reshape cannot see: stretch it first. */
  char *x = op == POA_OP_broadcast ? poa_onnx_full(m, from) : m->name[from];
  return poa_onnx_binary(m, "Reshape", x, poa_onnx_indices(m, extent, node->type.rank));
}

static char *write_reshape(poa_onnx_model *m, poa_value value) {
  return poa_onnx_reshape_to(m, full_operand(m, value, 0), value);
}

static char *write_transpose(poa_onnx_model *m, poa_value value) {
  const poa_attribute *perm = poa_node_attribute(node_of(m, value), "perm");
  char *x = full_operand(m, value, 0);
  Onnx__AttributeProto *attribute = poa_onnx_ints(m, "perm", perm->integers, perm->count);
  return poa_onnx_node(m, "Transpose", &x, 1, &attribute, 1);
}

/* Axes that are taken whole are left out; a part of a dynamic one cannot be named. */
static char *write_slice(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  const poa_extent *start = poa_node_attribute(node, "start")->extents;
  const poa_extent *limit = poa_node_attribute(node, "limit")->extents;
  int64_t starts[POA_MAX_RANK], ends[POA_MAX_RANK], axes[POA_MAX_RANK], factor;
  int count = 0;
  for (int i = 0; i < node->type.rank; i++) {
    bool whole = start[i].value == 0 && limit[i].value == poa_dim(node_of(m, node->operands[0]), i);
    if (whole)
      continue;
    if (poa_onnx_is_dynamic(m, node->operands[0], i, &factor))
      return NULL;
    starts[count] = start[i].value;
    ends[count] = limit[i].value;
    axes[count++] = i;
  }
  char *x = full_operand(m, value, 0);
  if (count == 0)
    return x;
  char *inputs[] = {x, poa_onnx_indices(m, starts, count), poa_onnx_indices(m, ends, count),
                    poa_onnx_indices(m, axes, count)};
  return poa_onnx_node(m, "Slice", inputs, 4, NULL, 0);
}

static char *write_concat(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  char **inputs = poa_arena_alloc(m->arena, (size_t)node->operand_count * sizeof *inputs);
  for (int i = 0; i < node->operand_count; i++)
    inputs[i] = full_operand(m, value, i);
  Onnx__AttributeProto *axis = poa_onnx_int(m, "axis", poa_node_int(node, "axis", 0));
  return poa_onnx_node(m, "Concat", inputs, node->operand_count, &axis, 1);
}

static char *write_gather(poa_onnx_model *m, poa_value value) {
  char *inputs[] = {full_operand(m, value, 0), full_operand(m, value, 1)};
  Onnx__AttributeProto *axis = poa_onnx_int(m, "axis", 0);
  return poa_onnx_node(m, "Gather", inputs, 2, &axis, 1);
}

/* `rows` with axes of extent 1 behind, so that it stretches along them. */
static char *column(poa_onnx_model *m, char *rows, int64_t count, int behind) {
  int64_t extent[POA_MAX_RANK] = {count};
  for (int i = 1; i <= behind; i++)
    extent[i] = 1;
  return poa_onnx_binary(m, "Reshape", rows, poa_onnx_indices(m, extent, behind + 1));
}

static char *write_rearrange(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  int axis = (int)poa_node_int(node, "axis", 0);
  char *rows = full_operand(m, value, 1), *zero = poa_onnx_scalar(m, 0, POA_I32);
  char *inputs[] = {full_operand(m, value, 0), poa_onnx_binary(m, "Max", rows, zero)};
  Onnx__AttributeProto *attribute = poa_onnx_int(m, "axis", axis);
  char *picked = poa_onnx_node(m, "Gather", inputs, 2, &attribute, 1);
  char *nowhere = column(m, poa_onnx_binary(m, "Less", rows, zero), poa_dim(node, axis),
                         node->type.rank - axis - 1);
  char *choice[] = {nowhere, poa_onnx_scalar(m, 0, node->type.dtype), picked};
  return poa_onnx_node(m, "Where", choice, 3, NULL, 0);
}

/* Gather with a matrix of indices, [windows, size], makes two axes of one. */
static char *write_window(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  int axis = (int)poa_node_int(node, "axis", 0);
  int64_t extent[] = {poa_dim(node, axis), poa_dim(node, axis + 1)}, factor;
  if (poa_onnx_is_dynamic(m, node->operands[0], axis, &factor))
    return NULL;
  int64_t *index = poa_arena_alloc(m->arena, (size_t)(extent[0] * extent[1]) * sizeof *index + 1);
  for (int64_t i = 0; i < extent[0] * extent[1]; i++)
    index[i] = i / extent[1] * poa_node_int(node, "stride", 1) + i % extent[1];
  char *indices =
      poa_onnx_binary(m, "Reshape", poa_onnx_indices(m, index, (int)(extent[0] * extent[1])),
                      poa_onnx_indices(m, extent, 2));
  char *inputs[] = {full_operand(m, value, 0), indices};
  Onnx__AttributeProto *attribute = poa_onnx_int(m, "axis", axis);
  return poa_onnx_node(m, "Gather", inputs, 2, &attribute, 1);
}

/* Products and reductions */

static char *transposed(poa_onnx_model *m, char *x, const int64_t *perm) {
  Onnx__AttributeProto *attribute = poa_onnx_ints(m, "perm", perm, 4);
  return poa_onnx_node(m, "Transpose", &x, 1, &attribute, 1);
}

/* ONNX has channels before pixels, and weights as [out, in, kh, kw]. */
static char *write_conv2d(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  const poa_attribute *low = poa_node_attribute(node, "low");
  const poa_attribute *high = poa_node_attribute(node, "high");
  int64_t pads[] = {low->integers[0], low->integers[1], high->integers[0], high->integers[1]};
  char *inputs[] = {transposed(m, full_operand(m, value, 0), (int64_t[]){0, 3, 1, 2}),
                    transposed(m, full_operand(m, value, 1), (int64_t[]){3, 2, 0, 1})};
  Onnx__AttributeProto *attributes[] = {
      poa_onnx_int(m, "group", poa_node_int(node, "groups", 1)), poa_onnx_ints(m, "pads", pads, 4),
      poa_onnx_ints(m, "strides", poa_node_attribute(node, "stride")->integers, 2)};
  char *y = poa_onnx_node(m, "Conv", inputs, 2, attributes, 3);
  return transposed(m, y, (int64_t[]){0, 2, 3, 1});
}

/* Operand `index` of a product with its last two axes swapped if `flag` says so. */
static char *product_operand(poa_onnx_model *m, poa_value value, int index, const char *flag) {
  const poa_node *node = node_of(m, value);
  char *x = full_operand(m, value, index);
  int rank = node->type.rank;
  int64_t perm[POA_MAX_RANK];
  if (!poa_node_int(node, flag, 0))
    return x;
  for (int i = 0; i < rank; i++)
    perm[i] = i;
  perm[rank - 2] = rank - 1;
  perm[rank - 1] = rank - 2;
  Onnx__AttributeProto *attribute = poa_onnx_ints(m, "perm", perm, rank);
  return poa_onnx_node(m, "Transpose", &x, 1, &attribute, 1);
}

static char *write_dot(poa_onnx_model *m, poa_value value) {
  char *product = poa_onnx_binary(m, "MatMul", product_operand(m, value, 0, "ta"),
                                  product_operand(m, value, 1, "tb"));
  double alpha = poa_node_float(node_of(m, value), "alpha", 1);
  return alpha == 1 ? product
                    : poa_onnx_binary(m, "Mul", product, poa_onnx_scalar(m, alpha, POA_F32));
}

static char *write_reduce_sum(poa_onnx_model *m, poa_value value) {
  const poa_attribute *axes = poa_node_attribute(node_of(m, value), "axes");
  char *inputs[] = {full_operand(m, value, 0), poa_onnx_indices(m, axes->integers, axes->count)};
  Onnx__AttributeProto *drop = poa_onnx_int(m, "keepdims", 0);
  return poa_onnx_node(m, "ReduceSum", inputs, 2, &drop, 1);
}

static char *write_reduce_max(poa_onnx_model *m, poa_value value) {
  const poa_attribute *axes = poa_node_attribute(node_of(m, value), "axes");
  char *x = full_operand(m, value, 0);
  Onnx__AttributeProto *attributes[] = {poa_onnx_ints(m, "axes", axes->integers, axes->count),
                                        poa_onnx_int(m, "keepdims", 0)};
  return poa_onnx_node(m, "ReduceMax", &x, 1, attributes, 2);
}

static char *write_argmax(poa_onnx_model *m, poa_value value) {
  char *x = full_operand(m, value, 0);
  Onnx__AttributeProto *attributes[] = {
      poa_onnx_int(m, "axis", poa_node_int(node_of(m, value), "axis", 0)),
      poa_onnx_int(m, "keepdims", 0)};
  char *index = poa_onnx_node(m, "ArgMax", &x, 1, attributes, 2);
  Onnx__AttributeProto *to = poa_onnx_int(m, "to", poa_onnx_dtype(POA_I32));
  return poa_onnx_node(m, "Cast", &index, 1, &to, 1);
}

static char *over_last_axis(poa_onnx_model *m, poa_value value, const char *op) {
  char *x = full_operand(m, value, 0);
  Onnx__AttributeProto *axis = poa_onnx_int(m, "axis", -1);
  return poa_onnx_node(m, op, &x, 1, &axis, 1);
}

static char *write_softmax(poa_onnx_model *m, poa_value value) {
  return over_last_axis(m, value, "Softmax");
}

static char *write_log_softmax(poa_onnx_model *m, poa_value value) {
  return over_last_axis(m, value, "LogSoftmax");
}

/* An activation's own gradient stop means nothing here. */
static char *write_detach(poa_onnx_model *m, poa_value value) {
  return full_operand(m, value, 0);
}

#define ROW(name) [POA_OP_##name] = write_##name
static const writer writers[POA_OP_COUNT] = {
    ROW(neg),        ROW(abs),        ROW(exp),    ROW(log),     ROW(sqrt),        ROW(rsqrt),
    ROW(erf),        ROW(tanh),       ROW(sin),    ROW(cos),     ROW(floor),       ROW(is_finite),
    ROW(not),        ROW(convert),    ROW(add),    ROW(sub),     ROW(mul),         ROW(div),
    ROW(max),        ROW(min),        ROW(pow),    ROW(lt),      ROW(le),          ROW(eq),
    ROW(ne),         ROW(and),        ROW(or),     ROW(select),  ROW(constant),    ROW(broadcast),
    ROW(reshape),    ROW(transpose),  ROW(slice),  ROW(concat),  ROW(gather),      ROW(dot),
    ROW(reduce_sum), ROW(reduce_max), ROW(argmax), ROW(softmax), ROW(log_softmax), ROW(detach),
    ROW(rearrange),  ROW(window),     ROW(conv2d),
};

poa_status poa_onnx_op(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  const char *op = poa_op_table(node->op)->name;
  if (!writers[node->op])
    return poa_fail(m->error, POA_UNSUPPORTED, "%s:%d: the op '%s' has no form in ONNX",
                    node->location.file ? node->location.file : m->graph->name, node->location.line,
                    op);
  m->name[value] = writers[node->op](m, value);
  if (m->name[value])
    return POA_OK;
  return poa_fail(m->error, POA_UNSUPPORTED,
                  "%s:%d: this '%s' depends on the batch size in a way that ONNX cannot say",
                  node->location.file ? node->location.file : m->graph->name, node->location.line,
                  op);
}
