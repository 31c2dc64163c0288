/* reduction.c: reductions in the lanes of a vector.
 *
 *   argmax keeps the value and the number of the first largest element of every lane; the
 *   result is the lowest number among the lanes that hold the largest value.
 *
 * Lanes beyond the end of a row take in the neutral element, by a constant mask. */
#include "codegen/body.h"

#include <math.h>

static LLVMValueRef neutral(const poa_emitter *e, poa_op op, poa_dtype dtype) {
  if (op == POA_OP_reduce_sum)
    return poa_emit_constant(e, dtype, 0);
  return poa_emit_constant(e, dtype, dtype == POA_F32 ? -INFINITY : INT32_MIN);
}

poa_accumulator poa_accumulator_start(poa_emitter *e, poa_op op, poa_dtype dtype, int lanes) {
  poa_accumulator a = {poa_emit_splat(e, neutral(e, op, dtype), lanes), NULL};
  if (op == POA_OP_argmax)
    a.index = poa_emit_splat(e, emit_int32(e, 0), lanes);
  return a;
}

static LLVMValueRef without_idle(poa_emitter *e, poa_op op, LLVMValueRef x, int active) {
  int lanes = emit_lanes(x);
  if (active == lanes)
    return x;
  poa_dtype dtype = emit_is_float(x) ? POA_F32 : POA_I32;
  return emit_select(e, poa_emit_active_mask(e, lanes, active), x, neutral(e, op, dtype));
}

static poa_accumulator keep_larger(poa_emitter *e, poa_accumulator a, poa_accumulator b) {
  LLVMValueRef larger = emit_is_float(a.value) ? emit_compare(e, LLVMRealOGT, b.value, a.value)
                                               : emit_compare_int(e, LLVMIntSGT, b.value, a.value);
  return (poa_accumulator){emit_select(e, larger, b.value, a.value),
                           emit_select(e, larger, b.index, a.index)};
}

poa_accumulator poa_accumulator_add(poa_emitter *e, poa_op op, poa_accumulator a, LLVMValueRef x,
                                    LLVMValueRef at, int active) {
  x = without_idle(e, op, x, active);
  if (op == POA_OP_reduce_sum)
    return (poa_accumulator){emit_add(e, a.value, x), NULL};
  if (op == POA_OP_reduce_max)
    return (poa_accumulator){emit_max(e, a.value, x), NULL};
  LLVMValueRef start = LLVMBuildTrunc(e->builder, at, e->i32, "");
  LLVMValueRef index = emit_add(e, start, poa_emit_lane_numbers(e->i32, emit_lanes(x)));
  return keep_larger(e, a, (poa_accumulator){x, index});
}

/* Of equal values the one with the lower number. */
static poa_accumulator join_argmax(poa_emitter *e, poa_accumulator a, poa_accumulator b) {
  bool floats = emit_is_float(a.value);
  LLVMValueRef equal = floats ? emit_compare(e, LLVMRealOEQ, a.value, b.value)
                              : emit_compare_int(e, LLVMIntEQ, a.value, b.value);
  LLVMValueRef lower = emit_min(e, a.index, b.index);
  poa_accumulator larger = keep_larger(e, a, b);
  return (poa_accumulator){larger.value, emit_select(e, equal, lower, larger.index)};
}

poa_accumulator poa_accumulator_join(poa_emitter *e, poa_op op, poa_accumulator a,
                                     poa_accumulator b) {
  if (op == POA_OP_argmax)
    return join_argmax(e, a, b);
  if (op == POA_OP_reduce_sum)
    return (poa_accumulator){emit_add(e, a.value, b.value), NULL};
  return (poa_accumulator){emit_max(e, a.value, b.value), NULL};
}

/* The upper half of the lanes over the lower, until one is left. NaNs are not looked after as
 * poa_emit_reduce_max does: an accumulator has forgotten them already (see the interpreter). */
static LLVMValueRef fold_max(poa_emitter *e, LLVMValueRef vector) {
  for (int lanes = emit_lanes(vector) / 2; lanes >= 1; lanes /= 2) {
    LLVMValueRef upper[POA_EMIT_MAX_LANES], lower[POA_EMIT_MAX_LANES];
    for (int i = 0; i < lanes; i++) {
      lower[i] = emit_int32(e, i);
      upper[i] = emit_int32(e, lanes + i);
    }
    LLVMValueRef poison = LLVMGetPoison(LLVMTypeOf(vector));
    LLVMValueRef a = LLVMBuildShuffleVector(e->builder, vector, poison,
                                            LLVMConstVector(lower, (unsigned)lanes), "");
    LLVMValueRef b = LLVMBuildShuffleVector(e->builder, vector, poison,
                                            LLVMConstVector(upper, (unsigned)lanes), "");
    vector = emit_max(e, a, b);
  }
  return LLVMGetTypeKind(LLVMTypeOf(vector)) == LLVMVectorTypeKind
             ? LLVMBuildExtractElement(e->builder, vector, emit_int32(e, 0), "")
             : vector;
}

LLVMValueRef poa_accumulator_finish(poa_emitter *e, poa_op op, poa_accumulator a) {
  if (op == POA_OP_reduce_sum)
    return poa_emit_reduce_add(e, a.value);
  LLVMValueRef largest = fold_max(e, a.value);
  if (op == POA_OP_reduce_max)
    return largest;
  LLVMValueRef holds = emit_is_float(a.value) ? emit_compare(e, LLVMRealOEQ, a.value, largest)
                                              : emit_compare_int(e, LLVMIntEQ, a.value, largest);
  return poa_emit_reduce_min(e, emit_select(e, holds, a.index, emit_int32(e, INT32_MAX)));
}
