/* forward.c: see forward.h. */
#include "driver/forward.h"

#include "codegen/lower.h"

poa_status poa_forward_compile(poa_forward *forward, poa_graph *graph, const poa_options *options,
                               poa_kernel_library *library, poa_error *error) {
  *forward = (poa_forward){0};
  poa_status status = poa_pipeline_run(graph, NULL, NULL, options, false, NULL, NULL, error);
  return status ? status : poa_lower(graph, library, graph->arena, &forward->plan, error);
}

poa_status poa_forward_prepare(poa_forward *forward, poa_executor *executor,
                               const poa_parameter_store *store, poa_error *error) {
  return poa_executor_prepare(executor, forward->plan, store, &forward->prepared, error);
}

void poa_forward_close(poa_forward *forward) {
  poa_prepared_free(forward->prepared);
  *forward = (poa_forward){0};
}
