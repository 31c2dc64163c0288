/* element.h: element-wise ops as code, on scalars or vectors of any width. Floats are f32,
 * integers i32, bools i1. */
#ifndef POA_CODEGEN_ELEMENT_H
#define POA_CODEGEN_ELEMENT_H

#include "codegen/emit.h"
#include "ir/ir.h"

/* Emits one op. Operands have the same lanes; `result` is the dtype to give. */
typedef LLVMValueRef (*poa_element_fn)(poa_emitter *e, const LLVMValueRef *operands,
                                       poa_dtype result);

/* The emitter of an element-wise op; NULL for any other op. */
poa_element_fn poa_element_emitter(poa_op op);

/* rounding.c: the largest integer that is not above x; no library call on any target. */
LLVMValueRef poa_emit_floor(poa_emitter *e, LLVMValueRef x);

/* power.c: x to the power y, through double precision; as pow of C for negative x. */
LLVMValueRef poa_emit_pow(poa_emitter *e, LLVMValueRef x, LLVMValueRef y);

/* access.c: values in memory, and the registers they are loaded into. */

/* Memory: float, i32, i8. */
LLVMTypeRef poa_memory_type(const poa_emitter *e, poa_dtype dtype);
/* Registers: float, i32, i1. */
LLVMTypeRef poa_register_type(const poa_emitter *e, poa_dtype dtype);
LLVMValueRef poa_emit_constant(const poa_emitter *e, poa_dtype dtype, double value);
/* Lanes 0 .. active-1 true, as a constant. */
LLVMValueRef poa_emit_active_mask(poa_emitter *e, int lanes, int active);

/* `lanes` elements, `stride` elements apart, of which the first `active` are touched. */
typedef struct poa_strip {
  poa_dtype dtype;
  int64_t stride;
  int lanes, active;
} poa_strip;

LLVMValueRef poa_emit_strip_load(poa_emitter *e, poa_strip strip, LLVMValueRef pointer);
/* A scalar `value` is stored in every lane. */
void poa_emit_strip_store(poa_emitter *e, poa_strip strip, LLVMValueRef value,
                          LLVMValueRef pointer);

#endif
