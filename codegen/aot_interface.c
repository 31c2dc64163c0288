/* aot_interface.c: see aot_interface.h. */
#include "codegen/aot_interface.h"

#include <ctype.h>
#include <string.h>

static bool is_identifier(const char *text) {
  if (!isalpha((unsigned char)*text) && *text != '_')
    return false;
  for (const char *at = text; *at; at++)
    if (!isalnum((unsigned char)*at) && *at != '_')
      return false;
  return strlen(text) < POA_AOT_NAME / 2;
}

static const poa_plan_output *first_result(const poa_plan *plan) {
  for (int i = 0; i < plan->output_count; i++)
    if (plan->outputs[i].kind == POA_OUTPUT_RESULT)
      return &plan->outputs[i];
  return NULL;
}

/* [batch, ..] to [batch, d], both f32, and nothing else goes in. */
static bool is_batched(const poa_lowered *lowered) {
  const poa_plan *plan = lowered->plan;
  const poa_plan_output *result = first_result(plan);
  if (lowered->updates || plan->input_count != 1 || !result)
    return false;
  const poa_plan_input *input = &plan->inputs[0];
  return input->dtype == POA_PLAN_F32 && input->shape.rank >= 2 && result->dtype == POA_PLAN_F32 &&
         result->shape.rank == 2 && input->shape.dim[0] > 0 &&
         input->shape.dim[0] == result->shape.dim[0];
}

static poa_status check(const poa_aot_library *library, const poa_aot_interface *interface,
                        poa_error *error) {
  const poa_plan *plan = interface->plan;
  if (!is_identifier(library->name) || !is_identifier(plan->entry))
    return poa_fail(error, POA_BAD_INPUT,
                    "the library '%.80s' of the entry '%.80s': functions are named after both, so "
                    "each has to be a C identifier of fewer than %d characters",
                    library->name, plan->entry, POA_AOT_NAME / 2);
  for (int i = 0; i < plan->launch_count; i++)
    if (plan->launches[i].external)
      return poa_fail(error, POA_UNSUPPORTED,
                      "the entry '%s' calls the external function '%s', which is in a plugin; a "
                      "library cannot load plugins: train or run it by poa, with --plugin",
                      plan->entry, plan->launches[i].external->symbol);
  if (library->weights && interface->updates)
    return poa_fail(error, POA_UNSUPPORTED,
                    "the entry '%s' updates its parameters, so they cannot be constants of the "
                    "library: leave the weights out, and the caller passes them",
                    plan->entry);
  return POA_OK;
}

poa_status poa_aot_interface_of(const poa_aot_library *library, poa_aot_interface *interface,
                                poa_error *error) {
  const poa_lowered *lowered = library->lowered;
  bool any = lowered->plan->parameter_bytes > 0;
  *interface = (poa_aot_interface){.name = library->name,
                                   .plan = lowered->plan,
                                   .batched = is_batched(lowered),
                                   .inside = any && library->weights,
                                   .parameters = any && !library->weights,
                                   .updates = lowered->updates};
  if (interface->batched) {
    interface->images = &lowered->plan->inputs[0];
    interface->features = first_result(lowered->plan);
  }
  return check(library, interface, error);
}
