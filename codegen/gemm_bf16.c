/* gemm_bf16.c: instructions of AVX512_BF16, and pairs of bf16 as vectors of floats.
 *
 * Memory knows floats and pairs as four bytes alike, so both pass as <16 x float>:
 *
 *   vcvtne2ps2bf16   two vectors of floats -> 32 bf16, the second operand's first
 *   vpermw           a0 a1 .. b0 b1 ..     -> a0 b0 a1 b1 ..
 *   vdpbf16ps        sum + x[2i+1] * y[2i+1] + x[2i] * y[2i], subnormals as 0 */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <string.h>

#define PAIRS 16

static LLVMTypeRef bf16_vector(poa_emitter *e) {
  return LLVMVectorType(LLVMBFloatTypeInContext(e->context), 2 * PAIRS);
}

static LLVMValueRef as(poa_emitter *e, LLVMValueRef value, LLVMTypeRef type) {
  return LLVMBuildBitCast(e->builder, value, type, "");
}

static LLVMValueRef as_floats(poa_emitter *e, LLVMValueRef value) {
  return as(e, value, emit_vector_type(e->f32, PAIRS));
}

static LLVMValueRef call(poa_emitter *e, const char *name, LLVMValueRef *arguments,
                         unsigned count) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  return emit_call(e, LLVMGetIntrinsicDeclaration(e->module, id, NULL, 0), arguments, count);
}

LLVMValueRef poa_emit_bf16(poa_emitter *e, LLVMValueRef low, LLVMValueRef high) {
  LLVMValueRef operands[] = {high, low};
  return as_floats(e, call(e, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", operands, 2));
}

LLVMValueRef poa_emit_bf16_pairs(poa_emitter *e, LLVMValueRef first, LLVMValueRef second) {
  LLVMTypeRef words = LLVMVectorType(LLVMInt16TypeInContext(e->context), 2 * PAIRS);
  LLVMValueRef rounded = as(e, poa_emit_bf16(e, first, second), words), mask[2 * PAIRS];
  for (int i = 0; i < 2 * PAIRS; ++i)
    mask[i] = emit_int32(e, i / 2 + i % 2 * PAIRS);
  LLVMValueRef order = LLVMConstVector(mask, 2 * PAIRS);
  return as_floats(e, LLVMBuildShuffleVector(e->builder, rounded, rounded, order, ""));
}

LLVMValueRef poa_emit_bf16_dot(poa_emitter *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef sum) {
  LLVMValueRef operands[] = {sum, as(e, x, bf16_vector(e)), as(e, y, bf16_vector(e))};
  return call(e, "llvm.x86.avx512bf16.dpbf16ps.512", operands, 3);
}
