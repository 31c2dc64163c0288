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

poa_status poa_forward_ends(const poa_forward *forward, const poa_plan_input **images,
                            const poa_plan_output **features, poa_error *error) {
  const poa_plan *plan = forward->plan;
  *images = plan->input_count == 1 ? &plan->inputs[0] : NULL;
  *features = NULL;
  for (int i = plan->output_count - 1; i >= 0; i--)
    if (plan->outputs[i].kind == POA_OUTPUT_RESULT)
      *features = &plan->outputs[i];
  if (*images && *features && (*images)->dtype == POA_PLAN_F32 &&
      (*features)->dtype == POA_PLAN_F32)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "the entry '%s' has to take one f32 input and to return f32 features first",
                  plan->entry);
}
