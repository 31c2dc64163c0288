/* rounding.c: floor. Targets with FMA have an instruction for it. Elsewhere LLVM would call
 * the C library lane by lane; there 2^23 is added and taken off again, which rounds
 * |x| < 2^23 to an integer, and 1 is taken off where that went up. */
#include "codegen/element.h"

LLVMValueRef poa_emit_floor(poa_emitter *e, LLVMValueRef x) {
  if (e->target->has_fma)
    return poa_emit_intrinsic(e, "llvm.floor", LLVMTypeOf(x), &x, 1);
  LLVMValueRef limit = poa_emit_splat(e, emit_float(e, 0x1p23), emit_lanes(x));
  LLVMValueRef signed_limit = emit_copysign(e, limit, x);
  LLVMValueRef rounded = emit_sub(e, emit_add(e, x, signed_limit), signed_limit);
  LLVMValueRef up = emit_compare(e, LLVMRealOGT, rounded, x);
  rounded = emit_select(e, up, emit_sub(e, rounded, emit_float(e, 1)), rounded);
  LLVMValueRef small = emit_compare(e, LLVMRealOLT, emit_abs(e, x), limit);
  return emit_select(e, small, emit_copysign(e, rounded, x), x);
}
