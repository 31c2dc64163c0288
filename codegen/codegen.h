/* codegen.h: the map of codegen/. Only this folder knows LLVM.
 *
 * A kernel family turns a description (plain data) into one LLVM function of the
 * type of poa_kernel_fn. A request pairs the description with its key, a text
 * that says all that the code depends on apart from the target; the library of
 * kernels compiles what it has not seen, from memory, from disk or afresh. */
#ifndef POA_CODEGEN_H
#define POA_CODEGEN_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/library.h"

/* target.c */

/* A TargetMachine of its own for the calling thread (PIC). Caller disposes. */
LLVMTargetMachineRef poa_target_machine(const poa_target *target, poa_error *error);

/* emit.c: one module under construction and short helpers over the builder. */

struct poa_emitter {
  const poa_target *target;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef builder;
  LLVMValueRef function; /* the one being built */
  LLVMTypeRef f32, i1, i8, i32, i64, pointer;
};

/* vector_math.c: polynomials over a float or a vector of floats of any width. The
 * largest errors, in ulp against the correctly rounded result, are stated there
 * and tested. */
LLVMValueRef poa_emit_exp(poa_emitter *e, LLVMValueRef x);
LLVMValueRef poa_emit_log(poa_emitter *e, LLVMValueRef x);
LLVMValueRef poa_emit_erf(poa_emitter *e, LLVMValueRef x);
LLVMValueRef poa_emit_tanh(poa_emitter *e, LLVMValueRef x);
LLVMValueRef poa_emit_sin(poa_emitter *e, LLVMValueRef x);
LLVMValueRef poa_emit_cos(poa_emitter *e, LLVMValueRef x);

#endif
