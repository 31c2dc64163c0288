/* body.c: see body.h. Loads are emitted where a value is first wanted, stores by the
 * caller after all the values of a place, so that a kernel may write what it reads. */
#include "codegen/body.h"

static LLVMValueRef *slots(poa_arena *arena, int count) {
  return poa_arena_alloc(arena, (size_t)count * sizeof(LLVMValueRef));
}

void poa_body_init(poa_body *body, poa_emitter *e, const poa_cluster *cluster, poa_arena *arena,
                   int lanes) {
  *body = (poa_body){.e = e, .cluster = cluster, .arena = arena, .lanes = lanes};
  body->buffers = slots(arena, cluster->access_count);
  body->pointers = slots(arena, cluster->access_count);
  body->gathered = slots(arena, cluster->value_count);
  body->scalars = slots(arena, cluster->value_count);
  body->splats = slots(arena, cluster->value_count);
  body->vectors = slots(arena, cluster->value_count);
  for (int i = 0; i < cluster->access_count; i++)
    body->buffers[i] = emit_buffer(e, i);
}

int poa_body_lanes(const poa_target *target, int64_t inner) {
  int lanes = 1;
  while (lanes < target->vector_lanes && lanes < inner)
    lanes *= 2;
  return lanes;
}

/* The row. */

void poa_body_set_indices(poa_body *body, LLVMValueRef count, int from, int to) {
  poa_emitter *e = body->e;
  for (int a = to - 1; a >= from; a--) {
    LLVMValueRef extent = emit_index(e, body->cluster->extent[a]);
    body->indices[a] = a == from ? count : LLVMBuildURem(e->builder, count, extent, "");
    if (a > from)
      count = LLVMBuildUDiv(e->builder, count, extent, "");
  }
}

static LLVMValueRef scaled(poa_emitter *e, LLVMValueRef index, int64_t stride) {
  return stride == 1 ? index : LLVMBuildNSWMul(e->builder, index, emit_index(e, stride), "");
}

void poa_body_set_pointers(poa_body *body, const LLVMValueRef *starts, int from, int to) {
  poa_emitter *e = body->e;
  const poa_cluster *c = body->cluster;
  for (int i = 0; i < c->access_count; i++) {
    LLVMTypeRef element = poa_memory_type(e, c->accesses[i].dtype);
    body->pointers[i] = starts[i];
    for (int a = from; a < to; a++)
      if (c->accesses[i].stride[a])
        body->pointers[i] = emit_at(e, element, body->pointers[i],
                                    scaled(e, body->indices[a], c->accesses[i].stride[a]));
  }
  for (int v = 0; v < c->value_count; v++)
    body->scalars[v] = body->splats[v] = body->gathered[v] = NULL;
}

static poa_strip strip_of(const poa_body *body, int access, int lanes, int active) {
  const poa_access *a = &body->cluster->accesses[access];
  int64_t stride = body->cluster->rank ? a->stride[body->cluster->rank - 1] : 0;
  return (poa_strip){a->dtype, stride, lanes, active};
}

/* Rows beyond the last (a negative one is such) read the last: no stray access. */
static LLVMValueRef row_offset(poa_body *body, const poa_cluster_value *value, LLVMValueRef row) {
  poa_emitter *e = body->e;
  int64_t last = value->row_count > 0 ? value->row_count - 1 : 0;
  LLVMValueRef limit = poa_emit_splat(e, emit_int32(e, (int32_t)last), emit_lanes(row));
  row = poa_emit_intrinsic(e, "llvm.umin", LLVMTypeOf(row), (LLVMValueRef[]){row, limit}, 2);
  return emit_mul(e, emit_to_index(e, row), emit_index(e, value->row_stride));
}

static LLVMValueRef gathered_row(poa_body *body, int v) {
  const poa_cluster_value *value = &body->cluster->values[v];
  poa_emitter *e = body->e;
  if (!body->gathered[v])
    body->gathered[v] = emit_at(e, poa_memory_type(e, value->dtype), body->pointers[value->access],
                                row_offset(body, value, body->scalars[value->operand[0]]));
  return body->gathered[v];
}

static LLVMValueRef compute(poa_body *body, const poa_cluster_value *value,
                            LLVMValueRef (*operand)(poa_body *, int)) {
  LLVMValueRef x[POA_CLUSTER_OPERANDS];
  for (int i = 0; i < value->operand_count; i++)
    x[i] = operand(body, value->operand[i]);
  return poa_element_emitter(value->op)(body->e, x, value->dtype);
}

static LLVMValueRef scalar_of(poa_body *body, int value) {
  return body->scalars[value];
}

static LLVMValueRef from_index(poa_emitter *e, LLVMValueRef index, poa_dtype dtype) {
  if (dtype == POA_F32)
    return emit_to_float(e, index);
  if (dtype == POA_BOOL)
    return emit_to_mask(e, index);
  return LLVMBuildTrunc(e->builder, index, emit_type_like(index, e->i32), "");
}

void poa_body_scalar(poa_body *body, int v) {
  const poa_cluster_value *value = &body->cluster->values[v];
  poa_emitter *e = body->e;
  if (body->scalars[v])
    return;
  if (value->op == POA_OP_constant)
    body->scalars[v] = poa_emit_constant(e, value->dtype, value->constant);
  else if (value->op == POA_OP_input)
    body->scalars[v] =
        poa_emit_strip_load(e, strip_of(body, value->access, 1, 1), body->pointers[value->access]);
  else if (value->op == POA_OP_gather)
    body->scalars[v] =
        poa_emit_strip_load(e, strip_of(body, value->access, 1, 1), gathered_row(body, v));
  else if (value->op == POA_OP_iota)
    body->scalars[v] = from_index(e, body->indices[value->axis], value->dtype);
  else
    body->scalars[v] = compute(body, value, scalar_of);
}

void poa_body_hoist(poa_body *body, int v) {
  const poa_cluster_value *value = &body->cluster->values[v];
  bool by_scalar_row =
      value->op == POA_OP_gather && !body->cluster->values[value->operand[0]].vector;
  if (by_scalar_row) {
    gathered_row(body, v);
    return;
  }
  for (int i = 0; i < value->operand_count; i++)
    if (!body->cluster->values[value->operand[i]].vector)
      poa_body_lanes_of(body, value->operand[i]);
}

/* Vectors. */

LLVMValueRef poa_body_lanes_of(poa_body *body, int v) {
  if (body->cluster->values[v].vector)
    return body->vectors[v];
  if (!body->splats[v])
    body->splats[v] = poa_emit_splat(body->e, body->scalars[v], body->lanes);
  return body->splats[v];
}

static LLVMValueRef place(poa_body *body, int access, LLVMValueRef index, LLVMValueRef row) {
  poa_strip strip = strip_of(body, access, 1, 1);
  if (strip.stride == 0)
    return row;
  return emit_at(body->e, poa_memory_type(body->e, strip.dtype), row,
                 scaled(body->e, index, strip.stride));
}

static LLVMValueRef gather_lanes(poa_body *body, const poa_cluster_value *value, LLVMValueRef index,
                                 int active) {
  poa_emitter *e = body->e;
  LLVMTypeRef element = poa_memory_type(e, value->dtype);
  poa_strip strip = strip_of(body, value->access, body->lanes, active);
  LLVMValueRef offset = row_offset(body, value, poa_body_lanes_of(body, value->operand[0]));
  LLVMValueRef lane =
      emit_mul(e, poa_emit_lane_numbers(e->i64, body->lanes), emit_index(e, strip.stride));
  offset = emit_add(e, offset, lane);
  LLVMValueRef row = place(body, value->access, index, body->pointers[value->access]);
  if (body->lanes == 1)
    return poa_emit_strip_load(e, strip, emit_at(e, element, row, offset));
  LLVMValueRef loaded = poa_emit_gather(e, emit_vector_type(element, body->lanes), row, offset,
                                        poa_emit_active_mask(e, body->lanes, active));
  return value->dtype == POA_BOOL ? emit_to_mask(e, loaded) : loaded;
}

void poa_body_vector(poa_body *body, int v, LLVMValueRef index, int active) {
  const poa_cluster_value *value = &body->cluster->values[v];
  poa_emitter *e = body->e;
  if (value->op == POA_OP_input) {
    body->vectors[v] = poa_body_reload(body, value->access, index, active);
  } else if (value->op == POA_OP_gather) {
    if (body->cluster->values[value->operand[0]].vector)
      body->vectors[v] = gather_lanes(body, value, index, active);
    else
      body->vectors[v] =
          poa_emit_strip_load(e, strip_of(body, value->access, body->lanes, active),
                              place(body, value->access, index, gathered_row(body, v)));
  } else if (value->op == POA_OP_iota) {
    LLVMValueRef lanes = poa_emit_lane_numbers(e->i64, body->lanes);
    body->vectors[v] = from_index(e, emit_add(e, index, lanes), value->dtype);
  } else {
    body->vectors[v] = compute(body, value, poa_body_lanes_of);
  }
}

LLVMValueRef poa_body_reload(poa_body *body, int access, LLVMValueRef index, int active) {
  return poa_emit_strip_load(body->e, strip_of(body, access, body->lanes, active),
                             place(body, access, index, body->pointers[access]));
}

/* Stores. */

static void put(poa_body *body, const poa_cluster_store *store, poa_strip strip, LLVMValueRef value,
                LLVMValueRef pointer) {
  if (store->accumulate)
    value = emit_add(body->e, poa_emit_strip_load(body->e, strip, pointer), value);
  poa_emit_strip_store(body->e, strip, value, pointer);
}

void poa_body_store_vector(poa_body *body, const poa_cluster_store *store, LLVMValueRef index,
                           int active) {
  put(body, store, strip_of(body, store->access, body->lanes, active),
      poa_body_lanes_of(body, store->value),
      place(body, store->access, index, body->pointers[store->access]));
}

void poa_body_store_scalar(poa_body *body, const poa_cluster_store *store) {
  put(body, store, strip_of(body, store->access, 1, 1), body->scalars[store->value],
      body->pointers[store->access]);
}
