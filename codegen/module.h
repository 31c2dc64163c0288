/* module.h: what happens to a module of kernels once it is emitted, for the JIT and ahead of time
 * alike, and what a kernel is called. */
#ifndef POA_CODEGEN_MODULE_H
#define POA_CODEGEN_MODULE_H

#include "codegen/codegen.h"
#include "codegen/content_hash.h"

#define POA_SYMBOL_LENGTH 64

/* Everything but the key that generated code depends on: generator, LLVM, target. */
poa_hash poa_target_hash(const poa_target *target);
/* The name of a kernel from the hash of its target and, on top, its key. */
void poa_kernel_symbol(poa_hash kernel, char symbol[POA_SYMBOL_LENGTH]);

/* What LLVM complains of in the module's context goes to `error`, which must outlive it. */
void poa_module_report_to(poa_emitter *e, poa_error *error);
/* Checks the module and runs the light passes. Emitters write vector code themselves; the passes
 * only tidy up. */
poa_status poa_module_finish(poa_emitter *e, LLVMTargetMachineRef machine, poa_error *error);
/* The code of a finished module, as an object in memory; *object is the caller's. */
poa_status poa_module_object(poa_emitter *e, LLVMTargetMachineRef machine,
                             LLVMMemoryBufferRef *object, poa_error *error);
/* The same, or assembly text, written over the file at `path`. */
poa_status poa_module_write(poa_emitter *e, LLVMTargetMachineRef machine, LLVMCodeGenFileType type,
                            const char *path, poa_error *error);

#endif
