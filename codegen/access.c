/* access.c: strips of elements between memory and registers.
 *
 *   stride 1   one vector load or store, masked where the strip ends early
 *   stride 0   one element, for all lanes
 *   else       gather or scatter; LLVM takes them apart where the target has none
 *
 * Bools are bytes 0 or 1 in memory and i1 in registers. Masks are constants, so they
 * cost nothing at run time and little where the target has no masked memory. */
#include "codegen/element.h"

LLVMTypeRef poa_memory_type(const poa_emitter *e, poa_dtype dtype) {
  return dtype == POA_F32 ? e->f32 : dtype == POA_I32 ? e->i32 : e->i8;
}

LLVMTypeRef poa_register_type(const poa_emitter *e, poa_dtype dtype) {
  return dtype == POA_F32 ? e->f32 : dtype == POA_I32 ? e->i32 : e->i1;
}

LLVMValueRef poa_emit_constant(const poa_emitter *e, poa_dtype dtype, double value) {
  if (dtype == POA_F32)
    return emit_float(e, value);
  if (dtype == POA_I32)
    return emit_int32(e, (int32_t)value);
  return LLVMConstInt(e->i1, value != 0, false);
}

LLVMValueRef poa_emit_active_mask(poa_emitter *e, int lanes, int active) {
  LLVMValueRef bits[POA_EMIT_MAX_LANES];
  for (int i = 0; i < lanes; i++)
    bits[i] = LLVMConstInt(e->i1, i < active, false);
  return LLVMConstVector(bits, (unsigned)lanes);
}

static unsigned alignment_of(poa_dtype dtype) {
  return dtype == POA_BOOL ? 1 : 4;
}

/* 0, stride, 2*stride, ...: i32 where that fits, for which targets have faster gathers. */
static LLVMValueRef lane_offsets(poa_emitter *e, poa_strip strip) {
  int64_t reach = strip.stride * strip.lanes;
  LLVMTypeRef type = reach > INT32_MIN && reach < INT32_MAX ? e->i32 : e->i64;
  LLVMValueRef offsets[POA_EMIT_MAX_LANES];
  for (int i = 0; i < strip.lanes; i++)
    offsets[i] = LLVMConstInt(type, (unsigned long long)(strip.stride * i), true);
  return LLVMConstVector(offsets, (unsigned)strip.lanes);
}

static LLVMValueRef load_lanes(poa_emitter *e, poa_strip strip, LLVMValueRef pointer) {
  LLVMTypeRef element = poa_memory_type(e, strip.dtype);
  unsigned alignment = alignment_of(strip.dtype);
  if (strip.lanes == 1 || strip.stride == 0)
    return emit_load(e, element, pointer, alignment);
  LLVMTypeRef type = emit_vector_type(element, strip.lanes);
  if (strip.stride == 1 && strip.active == strip.lanes)
    return emit_load(e, type, pointer, alignment);
  LLVMValueRef mask = poa_emit_active_mask(e, strip.lanes, strip.active);
  if (strip.stride == 1)
    return poa_emit_masked_load(e, type, pointer, mask, alignment);
  return poa_emit_gather(e, type, pointer, lane_offsets(e, strip), mask);
}

LLVMValueRef poa_emit_strip_load(poa_emitter *e, poa_strip strip, LLVMValueRef pointer) {
  LLVMValueRef value = load_lanes(e, strip, pointer);
  if (strip.dtype == POA_BOOL)
    value = emit_to_mask(e, value);
  return strip.lanes > 1 && strip.stride == 0 ? poa_emit_splat(e, value, strip.lanes) : value;
}

void poa_emit_strip_store(poa_emitter *e, poa_strip strip, LLVMValueRef value,
                          LLVMValueRef pointer) {
  if (strip.dtype == POA_BOOL)
    value = emit_from_mask(e, value, e->i8);
  if (emit_lanes(value) < strip.lanes)
    value = poa_emit_splat(e, value, strip.lanes);
  unsigned alignment = alignment_of(strip.dtype);
  if (strip.lanes == 1)
    emit_store(e, value, pointer, alignment);
  else if (strip.stride != 1)
    poa_emit_scatter(e, value, pointer, lane_offsets(e, strip),
                     poa_emit_active_mask(e, strip.lanes, strip.active));
  else if (strip.active == strip.lanes)
    emit_store(e, value, pointer, alignment);
  else
    poa_emit_masked_store(e, value, pointer, poa_emit_active_mask(e, strip.lanes, strip.active),
                          alignment);
}
