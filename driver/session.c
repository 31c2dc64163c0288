/* session.c: see session.h. */
#include "driver/session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/lower.h"
#include "driver/kernels.h"
#include "driver/precision.h"
#include "driver/subnetwork.h"
#include "program/cpu.h"
#include "runtime/clock.h"
#include "runtime/plan_copy.h"

/* Description to plan, but for its kernels; the graph stays in the arena, where they refer to it.
 */
static poa_status plan(const poa_session *session, poa_program_at *program, poa_error *error) {
  poa_options options = {.point = program->point,
                         .has_point = true,
                         .keep_probes = program->probes,
                         .vector_lanes = session->target.vector_lanes,
                         .bf16 = session->bf16 && strcmp(program->entry, "step") == 0};
  poa_arena *arena = program->unlinked;
  poa_graph *graph;
  poa_lowered *lowered = poa_arena_alloc(arena, sizeof *lowered);
  double start = poa_seconds();
  poa_status status = poa_model_graph(session->model, program->entry, arena, &graph, error);
  if (status == POA_OK)
    status = poa_pipeline_run(graph, NULL, NULL, &options, false, NULL, NULL, error);
  program->pass_seconds = poa_seconds() - start;
  if (status == POA_OK)
    status = poa_lower_launches(graph, &session->target, arena, lowered, error);
  if (status)
    return status;
  program->kernels = lowered->requests;
  program->plan = poa_plan_copy(lowered->plan);
  program->owned = true;
  return program->plan ? POA_OK : poa_fail(error, POA_NO_MEMORY, "no memory for the plan");
}

/* In the arena of the compilation before, if no other thread is using it: fresh pages from the
 * system cost more than some passes. */
static poa_status make_plan(void *context, poa_program_at *program, poa_error *error) {
  poa_session *session = context;
  program->unlinked = atomic_exchange(&session->spare, NULL);
  if (!program->unlinked)
    program->unlinked = poa_arena_create();
  if (!program->unlinked)
    return poa_fail(error, POA_NO_MEMORY, "no memory to compile '%s'", program->entry);
  return plan(session, program, error);
}

static poa_status link_plan(void *context, poa_program_at *program, poa_error *error) {
  poa_session *session = context;
  /* The plan is a copy of ours. */
  poa_plan_launch *launches = (poa_plan_launch *)(uintptr_t)program->plan->launches;
  poa_status status = poa_lower_link(program->kernels, launches, program->plan->launch_count,
                                     session->library, program->unlinked, error);
  if (status)
    return status;
  poa_arena_reset(program->unlinked);
  poa_arena_free(atomic_exchange(&session->spare, program->unlinked));
  program->unlinked = NULL;
  return POA_OK;
}

static poa_status measure(void *context, poa_subnetwork *network, poa_error *error) {
  poa_session *session = context;
  poa_arena *scratch = poa_arena_create();
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  poa_point point = network->point;
  poa_status status = poa_subnetwork_measure(session->model, &point, scratch, network, error);
  poa_arena_free(scratch);
  return status;
}

static void describe(void *context, char *text, size_t size) {
  const poa_session *session = context;
  poa_kernel_statistics kernels = poa_kernel_library_statistics(session->library);
  snprintf(text, size, "%lld kernels compiled, %lld from disk (%.1f s)",
           (long long)kernels.compiled, (long long)kernels.from_disk, kernels.seconds);
}

poa_status poa_session_open(poa_session *session, poa_model *model, const poa_flags *flags,
                            poa_error *error) {
  *session = (poa_session){.model = model};
  session->net = (poa_supernet){.model = poa_model_path(model),
                                .processor = session->target.cpu,
                                .lattice = poa_model_lattice(model),
                                .has_features = poa_model_has_entry(model, "features"),
                                .make = make_plan,
                                .link = link_plan,
                                .measure = measure,
                                .describe = describe,
                                .context = session};
  poa_model_number(model, "eval_images", &session->net.eval_images);
  poa_status status = poa_open_kernels(flags, &session->target, &session->library, error);
  if (status == POA_OK)
    status = poa_precision_of(flags, &session->target, &session->bf16, error);
  if (status == POA_OK)
    status = poa_plugins_open(&session->plugins, flags->plugins.count, flags->plugins.text, error);
  int threads = flags->threads > 0 ? (int)flags->threads : 0;
  if (status == POA_OK)
    status = poa_executor_create(&session->net.executor, threads, session->plugins, error);
  if (status == POA_OK && !flags->first_step) /* which `poa bench` runs, and has warned */
    poa_warn_of_threads("poa: ", flags->threads);
  return status;
}

void poa_session_close(poa_session *session) {
  poa_supernet_close(&session->net);
  poa_plugins_close(session->plugins);
  poa_arena_free(atomic_exchange(&session->spare, NULL));
  poa_kernel_library_free(session->library);
  poa_target_free(&session->target);
  poa_model_free(session->model);
}
