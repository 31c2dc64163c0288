/* session.c: compiles what is asked for, once. */
#include "driver/session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codegen/lower.h"
#include "codegen/object_cache.h"
#include "runtime/plan_copy.h"

static poa_status open_library(poa_session *session, const poa_flags *flags, poa_error *error) {
  char *folder = flags->no_cache ? NULL
                 : flags->cache  ? strdup(flags->cache)
                                 : poa_object_cache_default_dir();
  poa_status status = poa_kernel_library_create(&session->library, &session->target, folder, error);
  free(folder);
  return status;
}

poa_status poa_session_open(poa_session *session, poa_model *model, const poa_flags *flags,
                            poa_error *error) {
  *session = (poa_session){.model = model};
  poa_status status = poa_target_init(&session->target, flags->cpu, error);
  if (status == POA_OK)
    status = open_library(session, flags, error);
  if (status == POA_OK)
    status = poa_plugins_open(&session->plugins, flags->plugins.count, flags->plugins.text, error);
  int threads = flags->threads > 0 ? (int)flags->threads : 0;
  if (status == POA_OK)
    status = poa_executor_create(&session->executor, threads, session->plugins, error);
  return status;
}

void poa_session_close(poa_session *session) {
  for (poa_program_at *program = session->programs, *next; program; program = next) {
    next = program->next;
    poa_prepared_free(program->prepared);
  }
  poa_executor_free(session->executor);
  poa_parameter_store_free(session->store);
  for (poa_program_at *program = session->programs, *next; program; program = next) {
    next = program->next;
    free(program->plan);
    free(program);
  }
  poa_plugins_close(session->plugins);
  poa_kernel_library_free(session->library);
  poa_target_free(&session->target);
  poa_model_free(session->model);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Description to plan; everything in between is freed. */
static poa_status compile(poa_session *session, poa_program_at *program, poa_arena *arena,
                          poa_error *error) {
  poa_options options = {.point = program->point,
                         .has_point = true,
                         .keep_probes = program->probes,
                         .vector_lanes = session->target.vector_lanes};
  poa_graph *graph;
  poa_plan *plan;
  double start = now();
  poa_status status = poa_model_graph(session->model, program->entry, arena, &graph, error);
  if (status == POA_OK)
    status = poa_pipeline_run(graph, NULL, NULL, &options, false, NULL, NULL, error);
  program->pass_seconds = now() - start;
  if (status == POA_OK)
    status = poa_lower(graph, session->library, arena, &plan, error);
  if (status)
    return status;
  program->plan = poa_plan_copy(plan);
  return program->plan ? POA_OK : poa_fail(error, POA_NO_MEMORY, "no memory for the plan");
}

static poa_status make_program(poa_session *session, poa_program_at *program, poa_error *error) {
  poa_arena *arena = poa_arena_create();
  if (!arena)
    return poa_fail(error, POA_NO_MEMORY, "no memory to compile '%s'", program->entry);
  poa_status status = compile(session, program, arena, error);
  poa_arena_free(arena);
  if (status == POA_OK && !session->store)
    status = poa_parameter_store_create(&session->store, program->plan, error);
  return status;
}

poa_status poa_session_program(poa_session *session, const char *entry, const poa_point *point,
                               bool probes, poa_program_at **program, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(session->model);
  for (poa_program_at *p = session->programs; p; p = p->next)
    if (strcmp(p->entry, entry) == 0 && p->probes == probes &&
        poa_point_equal(lattice, &p->point, point)) {
      *program = p;
      return POA_OK;
    }
  poa_program_at *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "no memory to compile '%s'", entry);
  snprintf(made->entry, sizeof made->entry, "%s", entry);
  made->point = *point;
  made->probes = probes;
  poa_status status = make_program(session, made, error);
  if (status) {
    free(made->plan);
    free(made);
    return status;
  }
  made->next = session->programs;
  session->programs = made;
  *program = made;
  return POA_OK;
}

poa_status poa_session_prepare(poa_session *session, poa_program_at *program, poa_error *error) {
  if (program->prepared)
    return POA_OK;
  return poa_executor_prepare(session->executor, program->plan, session->store, &program->prepared,
                              error);
}

const poa_plan_input *poa_plan_find_input(const poa_plan *plan, const char *name) {
  for (int i = 0; i < plan->input_count; i++)
    if (strcmp(plan->inputs[i].name, name) == 0)
      return &plan->inputs[i];
  return NULL;
}

const poa_plan_output *poa_plan_find_output(const poa_plan *plan, const char *name) {
  for (int i = 0; i < plan->output_count; i++)
    if (strcmp(plan->outputs[i].name, name) == 0)
      return &plan->outputs[i];
  return NULL;
}
