/* skipped_step.c: a step whose loss or gradient norm is not finite leaves every parameter, moment,
 * state and center as it was, to the bit; and says so in the report `update.taken`. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/lower.h"
#include "frontend/model.h"
#include "passes/passes.h"
#include "runtime/executor.h"
#include "runtime/philox.h"

typedef struct stepper {
  poa_model *model;
  poa_arena *arena;
  poa_target target;
  poa_kernel_library *library;
  poa_plan *plan;
  poa_parameter_store *store;
  poa_executor *executor;
  poa_prepared *prepared;
} stepper;

static stepper open_step(const char *const *overrides, int count) {
  stepper s = {.arena = poa_arena_create()};
  poa_error error = {0};
  poa_graph *graph;
  poa_model_options options = {.path = POA_TESTS_DIR "/support/micro.poa",
                               .models_dir = POA_MODELS_DIR,
                               .overrides = overrides,
                               .override_count = count};
  bool good = !poa_model_load(&s.model, &options, &error) &&
              !poa_model_graph(s.model, "step", s.arena, &graph, &error) &&
              !poa_pipeline_run(graph, NULL, NULL, NULL, false, NULL, NULL, &error) &&
              !poa_target_init(&s.target, NULL, &error) &&
              !poa_kernel_library_create(&s.library, &s.target, NULL, &error) &&
              !poa_lower(graph, s.library, s.arena, &s.plan, &error) &&
              !poa_parameter_store_create(&s.store, s.plan, &error) &&
              !poa_parameter_store_initialize(s.store, 1, 1, &error) &&
              !poa_executor_create(&s.executor, 1, NULL, &error) &&
              !poa_executor_prepare(s.executor, s.plan, s.store, &s.prepared, &error);
  cr_assert(good, "%s", error.message);
  return s;
}

static void close_step(stepper *s) {
  poa_prepared_free(s->prepared);
  poa_executor_free(s->executor);
  poa_parameter_store_free(s->store);
  poa_kernel_library_free(s->library);
  poa_target_free(&s->target);
  poa_model_free(s->model);
  poa_arena_free(s->arena);
}

/* Images of noise, all patches of the list the first, schedules in the middle of a run. */
static void fill_inputs(stepper *s, float pixel) {
  poa_random random;
  poa_random_open(&random, 1, 0, 0);
  for (int i = 0; i < s->plan->input_count; i++) {
    const poa_plan_input *input = &s->plan->inputs[i];
    void *to = poa_prepared_pointer(s->prepared, input->buffer);
    int64_t count = poa_plan_elements(input->shape);
    memset(to, 0, (size_t)input->buffer.bytes);
    for (int64_t k = 0; k < count && input->dtype == POA_PLAN_F32; k++)
      ((float *)to)[k] = input->shape.rank == 4   ? (float)poa_random_normal(&random)
                         : input->shape.rank == 1 ? 0.5f
                                                  : 0.1f;
    if (strcmp(input->name, "global_crops") == 0)
      ((float *)to)[3] = isnan(pixel) ? pixel : ((float *)to)[3];
  }
}

static float report(const stepper *s, const char *name) {
  for (int i = 0; i < s->plan->output_count; i++)
    if (strcmp(s->plan->outputs[i].name, name) == 0)
      return *(const float *)poa_prepared_pointer(s->prepared, s->plan->outputs[i].buffer);
  cr_assert_fail("no report %s", name);
  return NAN;
}

/* Runs a step; whether any byte of the parameter space changed. */
static bool changes(stepper *s, float pixel) {
  size_t bytes = (size_t)poa_parameter_store_bytes(s->store);
  void *before = malloc(bytes);
  memcpy(before, poa_parameter_store_data(s->store), bytes);
  fill_inputs(s, pixel);
  poa_executor_run(s->executor, s->prepared, NULL);
  bool changed = memcmp(before, poa_parameter_store_data(s->store), bytes) != 0;
  free(before);
  return changed;
}

static void check(const char *centering) {
  const char *plain[] = {centering}, *huge[] = {centering, "koleo_weight=1e30"};
  stepper s = open_step(plain, 1);
  cr_expect(changes(&s, 0), "an ordinary step must change something");
  cr_expect_eq(report(&s, "update.taken"), 1);
  cr_expect_not(changes(&s, NAN), "a NaN among the pixels must change nothing");
  cr_expect_eq(report(&s, "update.taken"), 0);
  close_step(&s);
  s = open_step(huge, 2);
  cr_expect_not(changes(&s, 0), "an infinite norm must change nothing");
  cr_expect(isfinite(report(&s, "loss.total")) && !isfinite(report(&s, "clip.norm_backbone")),
            "this case is about a finite loss with an infinite norm: %g, %g",
            (double)report(&s, "loss.total"), (double)report(&s, "clip.norm_backbone"));
  cr_expect(isfinite(report(&s, "clip.norm_head")));
  close_step(&s);
}

Test(skipped_step, with_sinkhorn) {
  check("centering=\"sinkhorn_knopp\"");
}

Test(skipped_step, with_centers) {
  check("centering=\"centering\"");
}
