/* export.c: see export.h. */
#include "onnx/export.h"

#include <string.h>

#include "onnx/model.h"

bool poa_onnx_available(void) {
  return true;
}

/* The two graphs, node by node. */

static bool is_multiple(const poa_onnx_export *e, int64_t here, int64_t there) {
  return here == there || (here % e->batch == 0 && there % e->other_batch == 0 &&
                           here / e->batch == there / e->other_batch);
}

static bool same_attribute(const poa_onnx_export *e, const poa_attribute *a,
                           const poa_attribute *b) {
  bool same = a->integer == b->integer && a->real == b->real && a->count == b->count;
  for (int i = 0; same && i < a->count; i++)
    same = a->extents ? is_multiple(e, a->extents[i].value, b->extents[i].value)
                      : a->integers[i] == b->integers[i];
  return same;
}

static bool same_node(const poa_onnx_export *e, const poa_node *a, const poa_node *b) {
  bool same = a->op == b->op && a->operand_count == b->operand_count &&
              a->attribute_count == b->attribute_count && a->type.rank == b->type.rank &&
              a->type.dtype == b->type.dtype;
  for (int k = 0; same && k < a->operand_count; k++)
    same = a->operands[k] == b->operands[k];
  for (int k = 0; same && k < a->attribute_count; k++)
    same = same_attribute(e, &a->attributes[k], &b->attributes[k]);
  for (int axis = 0; same && axis < a->type.rank; axis++)
    same = is_multiple(e, poa_dim(a, axis), poa_dim(b, axis));
  return same;
}

static poa_status compare_graphs(const poa_onnx_export *e, poa_error *error) {
  bool same = e->graph->node_count == e->other->node_count;
  for (uint32_t i = 0; same && i < e->graph->node_count; i++)
    same = same_node(e, &e->graph->nodes[i], &e->other->nodes[i]);
  return same ? POA_OK
              : poa_fail(error, POA_UNSUPPORTED,
                         "the network is another for another batch size, so it has no form with a "
                         "dynamic batch");
}

/* Inputs and outputs */

static Onnx__ValueInfoProto *value_info(poa_onnx_model *m, const char *name, poa_value value) {
  const poa_type *type = &m->graph->nodes[value].type;
  Onnx__ValueInfoProto *info = poa_arena_alloc(m->arena, sizeof *info);
  Onnx__TypeProto *of = poa_arena_alloc(m->arena, sizeof *of);
  Onnx__TypeProto__Tensor *tensor = poa_arena_alloc(m->arena, sizeof *tensor);
  Onnx__TensorShapeProto *shape = poa_arena_alloc(m->arena, sizeof *shape);
  onnx__value_info_proto__init(info);
  onnx__type_proto__init(of);
  onnx__type_proto__tensor__init(tensor);
  onnx__tensor_shape_proto__init(shape);
  shape->n_dim = (size_t)type->rank;
  shape->dim = poa_arena_alloc(m->arena, shape->n_dim * sizeof *shape->dim + 1);
  for (int i = 0; i < type->rank; i++) {
    Onnx__TensorShapeProto__Dimension *dim = poa_arena_alloc(m->arena, sizeof *dim);
    int64_t factor;
    onnx__tensor_shape_proto__dimension__init(dim);
    bool dynamic = poa_onnx_is_dynamic(m, value, i, &factor);
    dim->value_case = dynamic ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                              : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    if (dynamic && factor == 1)
      dim->dim_param = poa_arena_text(m->arena, "batch");
    else if (dynamic)
      dim->dim_param = poa_arena_format(m->arena, "%lld*batch", (long long)factor);
    else
      dim->dim_value = type->dim[i].value;
    shape->dim[i] = dim;
  }
  tensor->has_elem_type = true;
  tensor->elem_type = poa_onnx_dtype(type->dtype);
  tensor->shape = shape;
  of->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  of->tensor_type = tensor;
  info->name = poa_arena_text(m->arena, name);
  info->type = of;
  return info;
}

static poa_status add_inputs(poa_onnx_model *m) {
  m->proto.input =
      poa_arena_alloc(m->arena, (size_t)(m->graph->input_count + 1) * sizeof *m->proto.input);
  for (uint32_t i = 0; i < m->graph->node_count; i++) {
    const poa_node *node = &m->graph->nodes[i];
    int64_t factor;
    if (node->op != POA_OP_input)
      continue;
    m->name[i] = poa_arena_text(m->arena, poa_node_string(node, "name"));
    if (m->proto.n_input == 0 &&
        (node->type.rank == 0 || !poa_onnx_is_dynamic(m, i, 0, &factor) || factor != 1))
      return poa_fail(m->error, POA_UNSUPPORTED,
                      "the first extent of the input '%s' is not the batch", m->name[i]);
    m->proto.input[m->proto.n_input++] = value_info(m, m->name[i], i);
  }
  return m->proto.n_input > 0
             ? POA_OK
             : poa_fail(m->error, POA_UNSUPPORTED, "a network without inputs cannot be exported");
}

/* A result gets its name by a node that changes nothing. */
static void add_output(poa_onnx_model *m, poa_value output) {
  const poa_node *node = &m->graph->nodes[output];
  const char *name = poa_node_string(node, "name");
  if (strcmp(poa_node_string(node, "kind"), "result") != 0)
    return;
  poa_onnx_unary(m, "Identity", poa_onnx_full(m, node->operands[0]));
  Onnx__NodeProto *identity = m->proto.node[m->proto.n_node - 1];
  identity->output[0] = poa_arena_text(m->arena, name);
  m->proto.output[m->proto.n_output++] = value_info(m, name, node->operands[0]);
}

static poa_status add_nodes(poa_onnx_model *m) {
  size_t most = m->graph->node_count + (size_t)1;
  m->proto.output = poa_arena_alloc(m->arena, most * sizeof *m->proto.output);
  for (uint32_t i = 0; i < m->graph->node_count; i++) {
    const poa_node *node = &m->graph->nodes[i];
    if (node->op == POA_OP_output)
      add_output(m, i);
    else if (m->live[i] && !m->folded[i] && node->op != POA_OP_input && poa_onnx_op(m, i))
      return POA_UNSUPPORTED;
  }
  return POA_OK;
}

static poa_status build(poa_onnx_model *m, const char *path) {
  size_t count = m->graph->node_count + (size_t)1;
  onnx__graph_proto__init(&m->proto);
  m->proto.name = poa_arena_text(m->arena, m->graph->name);
  m->name = poa_arena_alloc(m->arena, count * sizeof *m->name);
  m->full = poa_arena_alloc(m->arena, count * sizeof *m->full);
  m->live = poa_arena_alloc(m->arena, count);
  m->folded = poa_arena_alloc(m->arena, count);
  poa_status status = add_inputs(m);
  if (status == POA_OK)
    status = poa_onnx_fold(m);
  if (status == POA_OK)
    status = add_nodes(m);
  return status ? status : poa_onnx_pack(m, path);
}

poa_status poa_onnx_write(const poa_onnx_export *export, const char *path, poa_error *error) {
  poa_status status = compare_graphs(export, error);
  if (status)
    return status;
  poa_arena *arena = poa_arena_create();
  if (!arena)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the ONNX model");
  poa_onnx_model m = {.export = export, .graph = export->graph, .arena = arena, .error = error};
  status = build(&m, path);
  poa_arena_free(arena);
  return status;
}
