/* model.c: protobuf messages in an arena. */
#include "onnx/model.h"

#include <string.h>

#include "runtime/atomic_file.h"

enum { IR_VERSION = 8, OPSET = 17 };

static char *text(poa_onnx_model *m, const char *from) {
  return poa_arena_text(m->arena, from);
}

static void *make(poa_onnx_model *m, size_t size) {
  return poa_arena_alloc(m->arena, size);
}

char *poa_onnx_fresh(poa_onnx_model *m, const char *op) {
  return poa_arena_format(m->arena, "%s_%d", op, m->fresh++);
}

int poa_onnx_dtype(poa_dtype dtype) {
  return dtype == POA_F32   ? ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
         : dtype == POA_I32 ? ONNX__TENSOR_PROTO__DATA_TYPE__INT32
                            : ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
}

/* Attributes */

static Onnx__AttributeProto *attribute(poa_onnx_model *m, const char *name,
                                       Onnx__AttributeProto__AttributeType type) {
  Onnx__AttributeProto *a = make(m, sizeof *a);
  onnx__attribute_proto__init(a);
  a->name = text(m, name);
  a->has_type = true;
  a->type = type;
  return a;
}

Onnx__AttributeProto *poa_onnx_int(poa_onnx_model *m, const char *name, int64_t value) {
  Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  a->has_i = true;
  a->i = value;
  return a;
}

Onnx__AttributeProto *poa_onnx_ints(poa_onnx_model *m, const char *name, const int64_t *values,
                                    int count) {
  Onnx__AttributeProto *a = attribute(m, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  a->n_ints = (size_t)count;
  a->ints = make(m, (size_t)count * sizeof *a->ints + 1);
  memcpy(a->ints, values, (size_t)count * sizeof *a->ints);
  return a;
}

/* Nodes */

/* An array of pointers with room for one more, in the arena. */
static void *grow(poa_onnx_model *m, void *array, size_t count, size_t *capacity) {
  if (count < *capacity)
    return array;
  *capacity = *capacity ? 2 * *capacity : 256;
  void **larger = make(m, *capacity * sizeof *larger);
  if (count)
    memcpy(larger, array, count * sizeof *larger);
  return larger;
}

char *poa_onnx_node(poa_onnx_model *m, const char *op, char *const *inputs, int input_count,
                    Onnx__AttributeProto *const *attributes, int attribute_count) {
  Onnx__NodeProto *node = make(m, sizeof *node);
  onnx__node_proto__init(node);
  node->op_type = text(m, op);
  node->name = poa_onnx_fresh(m, op);
  node->n_input = (size_t)input_count;
  node->input = make(m, (size_t)input_count * sizeof *node->input + 1);
  memcpy(node->input, inputs, (size_t)input_count * sizeof *node->input);
  node->n_output = 1;
  node->output = make(m, sizeof *node->output);
  node->output[0] = poa_arena_format(m->arena, "%s:0", node->name);
  node->n_attribute = (size_t)attribute_count;
  node->attribute = make(m, (size_t)attribute_count * sizeof *node->attribute + 1);
  if (attribute_count)
    memcpy(node->attribute, attributes, (size_t)attribute_count * sizeof *node->attribute);
  m->proto.node = grow(m, m->proto.node, m->proto.n_node, &m->node_capacity);
  m->proto.node[m->proto.n_node++] = node;
  return node->output[0];
}

char *poa_onnx_unary(poa_onnx_model *m, const char *op, char *x) {
  return poa_onnx_node(m, op, &x, 1, NULL, 0);
}

char *poa_onnx_binary(poa_onnx_model *m, const char *op, char *x, char *y) {
  return poa_onnx_node(m, op, (char *[]){x, y}, 2, NULL, 0);
}

/* Constants */

static char *initializer(poa_onnx_model *m, const char *name, int dtype, const int64_t *dim,
                         int rank, const void *data, size_t bytes) {
  Onnx__TensorProto *t = make(m, sizeof *t);
  onnx__tensor_proto__init(t);
  t->name = text(m, name);
  t->has_data_type = true;
  t->data_type = dtype;
  t->n_dims = (size_t)rank;
  t->dims = make(m, (size_t)rank * sizeof *t->dims + 1);
  if (rank)
    memcpy(t->dims, dim, (size_t)rank * sizeof *t->dims);
  t->has_raw_data = true;
  t->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)data};
  m->weight_bytes += (int64_t)bytes;
  m->proto.initializer =
      grow(m, m->proto.initializer, m->proto.n_initializer, &m->initializer_capacity);
  m->proto.initializer[m->proto.n_initializer++] = t;
  return t->name;
}

static void put_element(void *memory, int64_t index, double value, poa_dtype dtype) {
  if (dtype == POA_F32)
    ((float *)memory)[index] = (float)value;
  else if (dtype == POA_I32)
    ((int32_t *)memory)[index] = (int32_t)value;
  else
    ((uint8_t *)memory)[index] = value != 0;
}

char *poa_onnx_tensor(poa_onnx_model *m, const char *name, const poa_type *type,
                      const double *values) {
  int64_t dim[POA_MAX_RANK], count = poa_type_elements(*type);
  size_t bytes = (size_t)count * (type->dtype == POA_BOOL ? 1 : 4);
  void *held = make(m, bytes + 1);
  for (int i = 0; i < type->rank; i++)
    dim[i] = type->dim[i].value;
  for (int64_t i = 0; i < count; i++)
    put_element(held, i, values[i], type->dtype);
  return initializer(m, name, poa_onnx_dtype(type->dtype), dim, type->rank, held, bytes);
}

char *poa_onnx_scalar(poa_onnx_model *m, double value, poa_dtype dtype) {
  poa_type scalar = {.dtype = dtype};
  return poa_onnx_tensor(m, poa_onnx_fresh(m, "scalar"), &scalar, &value);
}

char *poa_onnx_indices(poa_onnx_model *m, const int64_t *values, int count) {
  int64_t *held = make(m, (size_t)count * sizeof *held + 1), dim = count;
  memcpy(held, values, (size_t)count * sizeof *held);
  return initializer(m, poa_onnx_fresh(m, "indices"), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, &dim, 1,
                     held, (size_t)count * sizeof *held);
}

/* Writing. The message is packed piece by piece into the file, so weights are held once. */

typedef struct file_buffer {
  ProtobufCBuffer base; /* first, so that a pointer to it is one to the whole */
  poa_atomic_file *file;
  poa_error *error;
  bool failed;
} file_buffer;

static void append(ProtobufCBuffer *buffer, size_t length, const uint8_t *data) {
  file_buffer *out = (file_buffer *)buffer;
  if (!out->failed && poa_atomic_file_write(&out->file, data, length, out->error))
    out->failed = true;
}

static void add_metadata(poa_onnx_model *m, Onnx__ModelProto *model) {
  const poa_onnx_export *export = m->export;
  model->n_metadata_props = (size_t)export->metadata_count;
  model->metadata_props = make(m, model->n_metadata_props * sizeof *model->metadata_props + 1);
  for (int i = 0; i < export->metadata_count; i++) {
    Onnx__StringStringEntryProto *entry = make(m, sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = text(m, export->metadata[i].key);
    entry->value = text(m, export->metadata[i].value);
    model->metadata_props[i] = entry;
  }
}

poa_status poa_onnx_pack(poa_onnx_model *m, const char *path) {
  Onnx__ModelProto model;
  Onnx__OperatorSetIdProto opset, *opsets = &opset;
  onnx__model_proto__init(&model);
  onnx__operator_set_id_proto__init(&opset);
  opset.has_version = true;
  opset.version = OPSET;
  opset.domain = text(m, "");
  model.has_ir_version = true;
  model.ir_version = IR_VERSION;
  model.producer_name = text(m, "poa");
  model.producer_version = text(m, POA_VERSION);
  model.n_opset_import = 1;
  model.opset_import = &opsets;
  model.graph = &m->proto;
  add_metadata(m, &model);
  if (m->weight_bytes > INT64_C(2000000000))
    return poa_fail(m->error, POA_UNSUPPORTED,
                    "the model has %.1f GB of weights, and an ONNX file holds less than 2 GB",
                    (double)m->weight_bytes * 1e-9);
  file_buffer out = {.base = {append}, .error = m->error};
  if (poa_atomic_file_open(&out.file, path, m->error))
    return m->error->status;
  onnx__model_proto__pack_to_buffer(&model, &out.base);
  return out.failed ? m->error->status : poa_atomic_file_commit(&out.file, m->error);
}
