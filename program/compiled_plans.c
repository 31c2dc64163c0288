/* compiled_plans.c: see compiled_plans.h. */
#include "program/compiled_plans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/plan_copy.h"

static const poa_program_entry *find(const poa_compiled_plans *plans, const char *entry,
                                     const poa_point *point) {
  for (int i = 0; i < plans->program->entry_count; i++) {
    const poa_program_entry *e = &plans->program->entries[i];
    if (e->variant == plans->variant && strcmp(e->entry, entry) == 0 &&
        poa_point_equal(&plans->program->lattice, &e->point, point))
      return e;
  }
  return NULL;
}

/* A copy whose sources are asked for the run's number of steps. */
static poa_status move_schedules(const poa_compiled_plans *plans, poa_program_at *program,
                                 const poa_plan *compiled, poa_error *error) {
  poa_plan *plan = poa_plan_copy(compiled);
  if (!plan)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the plan");
  for (int i = 0; i < plan->input_count; i++)
    for (int k = 0; k < plan->inputs[i].argument_count; k++) {
      /* The copy is ours to write. */
      poa_plan_source_argument *argument =
          (poa_plan_source_argument *)(uintptr_t)&plan->inputs[i].arguments[k];
      argument->value += argument->per_step * plans->more_steps;
    }
  program->plan = plan;
  program->owned = true;
  return POA_OK;
}

static poa_status take_plan(void *context, poa_program_at *program, poa_error *error) {
  const poa_compiled_plans *plans = context;
  const poa_program_entry *entry = find(plans, program->entry, &program->point);
  char point[256];
  poa_point_print(&plans->program->lattice, &program->point, point, sizeof point);
  if (!entry)
    return poa_fail(error, POA_BAD_INPUT, "the entry '%s'%s%s is not compiled in", program->entry,
                    *point ? " at " : "", point);
  if (plans->more_steps != 0)
    return move_schedules(plans, program, entry->plan, error);
  program->plan = entry->plan;
  return POA_OK;
}

static poa_status measure(void *context, poa_subnetwork *network, poa_error *error) {
  const poa_compiled_plans *plans = context;
  const poa_program_entry *entry = find(plans, "features", &network->point);
  if (!entry)
    return poa_fail(error, POA_BAD_INPUT, "this point has no features compiled in");
  network->parameters = entry->parameters;
  network->flops = entry->flops;
  return POA_OK;
}

static void describe(void *context, char *text, size_t size) {
  const poa_compiled_plans *plans = context;
  snprintf(text, size, "%d plans compiled in", plans->program->entry_count);
}

static bool has_features(const poa_compiled_plans *plans) {
  for (int i = 0; i < plans->program->entry_count; i++)
    if (strcmp(plans->program->entries[i].entry, "features") == 0)
      return true;
  return false;
}

poa_status poa_compiled_plans_open(poa_supernet *net, poa_compiled_plans *plans, int threads,
                                   const poa_plugins *plugins, poa_error *error) {
  const poa_program *program = plans->program;
  *net = (poa_supernet){.model = program->model_path,
                        .processor = program->variants[plans->variant].cpu,
                        .lattice = &program->lattice,
                        .has_features = has_features(plans),
                        .eval_images = program->eval_images,
                        .make = take_plan,
                        .measure = measure,
                        .describe = describe,
                        .context = plans};
  return poa_executor_create(&net->executor, threads, plugins, error);
}
