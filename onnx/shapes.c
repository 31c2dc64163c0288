/* shapes.c: extents that depend on the batch, and values that are kept small. */
#include "onnx/model.h"

static const poa_node *node_of(const poa_onnx_model *m, poa_value value) {
  return &m->graph->nodes[value];
}

bool poa_onnx_is_dynamic(const poa_onnx_model *m, poa_value value, int axis, int64_t *factor) {
  const poa_onnx_export *e = m->export;
  int64_t here = poa_dim(node_of(m, value), axis), there = poa_dim(&e->other->nodes[value], axis);
  *factor = here / e->batch;
  return here != there;
}

static int count_dynamic(const poa_onnx_model *m, poa_value value) {
  int count = 0;
  int64_t factor;
  for (int axis = 0; axis < node_of(m, value)->type.rank; axis++)
    count += poa_onnx_is_dynamic(m, value, axis, &factor);
  return count;
}

/* The batch, from the shape of the first input. */
static char *batch_value(poa_onnx_model *m) {
  if (m->batch_value)
    return m->batch_value;
  char *shape = poa_onnx_unary(m, "Shape", m->proto.input[0]->name);
  int64_t zero = 0;
  Onnx__AttributeProto *axis = poa_onnx_int(m, "axis", 0);
  m->batch_value =
      poa_onnx_node(m, "Gather", (char *[]){shape, poa_onnx_indices(m, &zero, 1)}, 2, &axis, 1);
  return m->batch_value;
}

/* Extent `axis` as int64[1]. */
static char *extent_value(poa_onnx_model *m, poa_value value, int axis) {
  int64_t factor, extent = poa_dim(node_of(m, value), axis);
  if (!poa_onnx_is_dynamic(m, value, axis, &factor))
    return poa_onnx_indices(m, &extent, 1);
  char *batch = batch_value(m);
  return factor == 1 ? batch : poa_onnx_binary(m, "Mul", batch, poa_onnx_indices(m, &factor, 1));
}

char *poa_onnx_shape(poa_onnx_model *m, poa_value value) {
  const poa_type *type = &node_of(m, value)->type;
  int64_t extent[POA_MAX_RANK];
  char *parts[POA_MAX_RANK];
  for (int i = 0; i < type->rank; i++)
    extent[i] = type->dim[i].value;
  if (count_dynamic(m, value) == 0)
    return poa_onnx_indices(m, extent, type->rank);
  for (int i = 0; i < type->rank; i++)
    parts[i] = extent_value(m, value, i);
  Onnx__AttributeProto *axis = poa_onnx_int(m, "axis", 0);
  return type->rank == 1 ? parts[0] : poa_onnx_node(m, "Concat", parts, type->rank, &axis, 1);
}

/* One unknown extent may be left to the reshape itself. */
char *poa_onnx_reshape_to(poa_onnx_model *m, char *x, poa_value value) {
  const poa_type *type = &node_of(m, value)->type;
  int64_t extent[POA_MAX_RANK], factor;
  char *shape;
  for (int i = 0; i < type->rank; i++)
    extent[i] = poa_onnx_is_dynamic(m, value, i, &factor) ? -1 : type->dim[i].value;
  shape = count_dynamic(m, value) <= 1 ? poa_onnx_indices(m, extent, type->rank)
                                       : poa_onnx_shape(m, value);
  return poa_onnx_binary(m, "Reshape", x, shape);
}

char *poa_onnx_full(poa_onnx_model *m, poa_value value) {
  const poa_node *node = node_of(m, value);
  bool small = node->op == POA_OP_broadcast || node->op == POA_OP_constant;
  if (!small || node->type.rank == 0 || m->folded[value])
    return m->full[value] ? m->full[value] : m->name[value];
  if (!m->full[value])
    m->full[value] = poa_onnx_binary(m, "Expand", m->name[value], poa_onnx_shape(m, value));
  return m->full[value];
}
