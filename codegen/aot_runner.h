/* aot_runner.h: the executor as LLVM IR, for libraries; see aot_runner.c. */
#ifndef POA_CODEGEN_AOT_RUNNER_H
#define POA_CODEGEN_AOT_RUNNER_H

#include "codegen/emit.h"
#include "runtime/plan.h"

/* Emits the table of launches, whose kernels the module has under `symbols`, and the internal
 * function void NAME_run(ptr arena, ptr parameters, i32 threads); returns it. The builder is
 * left anywhere. */
poa_status poa_aot_emit_runner(poa_emitter *e, const char *name, const poa_plan *plan,
                               const char *const *symbols, LLVMValueRef *run, poa_error *error);

#endif
