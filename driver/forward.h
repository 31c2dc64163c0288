/* forward.h: one graph that only reads parameters, compiled and run through the JIT. */
#ifndef POA_DRIVER_FORWARD_H
#define POA_DRIVER_FORWARD_H

#include "codegen/library.h"
#include "passes/passes.h"
#include "runtime/executor.h"

typedef struct poa_forward {
  poa_plan *plan;
  poa_prepared *prepared;
} poa_forward;

/* Compiles `graph` at the point of `options` (a specialized one as it is). Everything lies in the
 * graph's arena. The plan is there before any value: poa_forward_prepare binds it to a store. */
poa_status poa_forward_compile(poa_forward *forward, poa_graph *graph, const poa_options *options,
                               poa_kernel_library *library, poa_error *error);
poa_status poa_forward_prepare(poa_forward *forward, poa_executor *executor,
                               const poa_parameter_store *store, poa_error *error);
void poa_forward_close(poa_forward *forward);

#endif
