/* aot_module.h: what programs and libraries made ahead of time have in common. */
#ifndef POA_CODEGEN_AOT_MODULE_H
#define POA_CODEGEN_AOT_MODULE_H

#include "codegen/aot.h"
#include "codegen/emit.h"
#include "codegen/module.h"

/* A kernel to be emitted under a name. */
typedef struct poa_named_kernel {
  const poa_kernel_request *request;
  const poa_target *target;
  poa_hash hash; /* of target and key */
  char symbol[POA_SYMBOL_LENGTH];
} poa_named_kernel;

/* Adds the kernels of `lowered` for `target` that `kernels` lacks; kernels has room for them. Sets
 * symbols[launch] (NULL for an external call). Symbols live in `kernels`. */
void poa_name_kernels(const poa_lowered *lowered, const poa_target *target,
                      poa_named_kernel *kernels, int *count, const char **symbols);

/* Emits a kernel into the module, hidden and mergeable: two libraries may have the same. */
poa_status poa_emit_named_kernel(poa_emitter *e, const poa_named_kernel *kernel, poa_error *error);

/* Finishes the module and writes its code to `path`, whole or not at all. */
poa_status poa_write_module(poa_emitter *e, LLVMTargetMachineRef machine, poa_aot_form form,
                            const char *path, poa_error *error);

#endif
