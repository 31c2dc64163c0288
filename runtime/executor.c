/* executor.c: one parallel region per step over prepared launches. */
#include "runtime/executor.h"

#include <omp.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/memory_block.h"
#include "runtime/tile_shares.h"

struct poa_executor {
  int threads;
  const poa_plugins *plugins;
  poa_memory_block arena;
  poa_tile_share *shares; /* one per thread */
  poa_trace *trace;       /* NULL: none */
};

typedef struct prepared_launch {
  void **buffers;
  poa_external_call *call; /* NULL for a kernel */
} prepared_launch;

struct poa_prepared {
  const poa_executor *executor;
  const poa_plan *plan;
  const poa_parameter_store *store;
  void **pointers;           /* of all launches, one after the other */
  prepared_launch *launches; /* one per launch of the plan */
  void *resolved_arena;      /* the arena that `pointers` point into */
};

poa_status poa_executor_create(poa_executor **executor, int threads, const poa_plugins *plugins,
                               poa_error *error) {
  enum { MOST_THREADS = 4096 };
  *executor = NULL;
  if (threads > MOST_THREADS)
    return poa_fail(error, POA_BAD_INPUT, "%d threads are more than the %d that can be used",
                    threads, MOST_THREADS);
  *executor = calloc(1, sizeof **executor);
  if (!*executor)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the executor");
  (*executor)->threads = threads > 0 ? threads : omp_get_max_threads();
  (*executor)->plugins = plugins;
  size_t bytes = (size_t)(*executor)->threads * sizeof *(*executor)->shares;
  (*executor)->shares = aligned_alloc(sizeof *(*executor)->shares, bytes);
  if ((*executor)->shares)
    return POA_OK;
  poa_executor_free(*executor);
  *executor = NULL;
  return poa_fail(error, POA_NO_MEMORY, "out of memory for the executor");
}

void poa_executor_free(poa_executor *executor) {
  if (!executor)
    return;
  poa_memory_block_free(&executor->arena);
  free(executor->shares);
  free(executor);
}

void *poa_executor_arena(const poa_executor *executor) {
  return executor->arena.data;
}

void poa_executor_trace(poa_executor *executor, poa_trace *trace) {
  executor->trace = trace;
}

int poa_executor_threads(const poa_executor *executor) {
  return executor->threads;
}

/* Checks */

static poa_status check_buffer(const poa_plan *plan, int launch, int index, poa_error *error) {
  const poa_plan_buffer *buffer = &plan->launches[launch].buffers[index];
  bool in_arena = buffer->space == POA_SPACE_ARENA;
  int64_t space = in_arena ? plan->arena_bytes : plan->parameter_bytes;
  if (buffer->offset >= 0 && buffer->bytes >= 0 && buffer->bytes <= space &&
      buffer->offset <= space - buffer->bytes)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "entry '%s', launch %d (%s): buffer %d is %lld bytes at offset %lld of the %s, "
                  "which has %lld; the plan is damaged",
                  plan->entry, launch, plan->launches[launch].label, index,
                  (long long)buffer->bytes, (long long)buffer->offset,
                  in_arena ? "arena" : "parameters", (long long)space);
}

static poa_status check_launch(const poa_plan *plan, int launch, poa_error *error) {
  const poa_plan_launch *checked = &plan->launches[launch];
  if (!checked->kernel == !checked->external || checked->tiles < 1)
    return poa_fail(error, POA_BAD_INPUT,
                    "entry '%s', launch %d (%s): needs either a kernel or an external function, "
                    "and at least one tile; the plan is damaged",
                    plan->entry, launch, checked->label);
  for (int i = 0; i < checked->buffer_count; i++) {
    poa_status status = check_buffer(plan, launch, i, error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

static poa_status check_plan(const poa_plan *plan, const poa_parameter_store *store,
                             poa_error *error) {
  int64_t held = store ? poa_parameter_store_bytes(store) : 0;
  if (plan->parameter_bytes > held)
    return poa_fail(error, POA_BAD_INPUT,
                    "entry '%s' needs %lld bytes of parameters, but the store holds %lld; it was "
                    "made for another model",
                    plan->entry, (long long)plan->parameter_bytes, (long long)held);
  for (int i = 0; i < plan->launch_count; i++) {
    poa_status status = check_launch(plan, i, error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

/* Preparation */

/* Nothing in the arena survives a step, but the pages that back it are kept: to touch new ones
 * takes longer than all else that a new plan does. */
poa_status poa_executor_reserve(poa_executor *executor, int64_t bytes, poa_error *error) {
  if (executor->arena.data && executor->arena.bytes >= bytes)
    return POA_OK;
  return poa_memory_block_grow(&executor->arena, bytes, "the values of a step", error);
}

void *poa_prepared_pointer(const poa_prepared *prepared, poa_plan_buffer buffer) {
  char *base = buffer.space == POA_SPACE_ARENA ? prepared->executor->arena.data
                                               : poa_parameter_store_data(prepared->store);
  return base + buffer.offset;
}

static void resolve_buffers(poa_prepared *prepared) {
  for (int i = 0; i < prepared->plan->launch_count; i++) {
    const poa_plan_launch *launch = &prepared->plan->launches[i];
    for (int j = 0; j < launch->buffer_count; j++)
      prepared->launches[i].buffers[j] = poa_prepared_pointer(prepared, launch->buffers[j]);
  }
  prepared->resolved_arena = prepared->executor->arena.data;
}

static poa_status bind_externals(poa_prepared *prepared, poa_error *error) {
  for (int i = 0; i < prepared->plan->launch_count; i++) {
    const poa_plan_launch *launch = &prepared->plan->launches[i];
    if (!launch->external)
      continue;
    poa_status status =
        poa_external_call_create(&prepared->launches[i].call, prepared->executor->plugins,
                                 launch->external, launch->buffer_count, error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

/* Lays out the pointer lists of all launches in one array. */
static poa_status allocate_lists(poa_prepared *prepared, poa_error *error) {
  const poa_plan *plan = prepared->plan;
  size_t total = 0;
  for (int i = 0; i < plan->launch_count; i++)
    total += (size_t)plan->launches[i].buffer_count;
  prepared->pointers = calloc(total + 1, sizeof *prepared->pointers);
  prepared->launches = calloc((size_t)plan->launch_count + 1, sizeof *prepared->launches);
  if (!prepared->pointers || !prepared->launches)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while preparing entry '%s'", plan->entry);
  void **next = prepared->pointers;
  for (int i = 0; i < plan->launch_count; i++) {
    prepared->launches[i].buffers = next;
    next += plan->launches[i].buffer_count;
  }
  return POA_OK;
}

poa_status poa_executor_prepare(poa_executor *executor, const poa_plan *plan,
                                const poa_parameter_store *store, poa_prepared **prepared,
                                poa_error *error) {
  *prepared = NULL;
  poa_status status = check_plan(plan, store, error);
  if (status != POA_OK)
    return status;
  poa_prepared *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while preparing entry '%s'", plan->entry);
  *made = (poa_prepared){.executor = executor, .plan = plan, .store = store};
  status = allocate_lists(made, error);
  if (status == POA_OK)
    status = bind_externals(made, error);
  if (status == POA_OK)
    status = poa_executor_reserve(executor, plan->arena_bytes, error);
  if (status != POA_OK) {
    poa_prepared_free(made);
    return status;
  }
  resolve_buffers(made);
  *prepared = made;
  return POA_OK;
}

void poa_prepared_free(poa_prepared *prepared) {
  if (!prepared)
    return;
  for (int i = 0; prepared->launches && i < prepared->plan->launch_count; i++)
    poa_external_call_free(prepared->launches[i].call);
  free(prepared->pointers);
  free(prepared->launches);
  free(prepared);
}

/* The step */

/* Runs one launch on this thread. An external call is thread 0's; as its function knows
 * nothing of the plan's barriers, it gets one on either side. */
static void run_launch(const poa_plan_launch *launch, int number, const prepared_launch *prepared,
                       poa_team_place *place) {
  if (launch->barrier || launch->external) {
#pragma omp barrier
    place->odd = 0;
  }
  if (!launch->external) {
    poa_run_tiles(launch, number, prepared->buffers, place);
    return;
  }
  if (place->thread == 0)
    poa_external_call_run(prepared->call, prepared->buffers);
#pragma omp barrier
}

static void run_timed(const poa_plan_launch *launch, int number, const prepared_launch *prepared,
                      poa_team_place *place, double *seconds) {
#pragma omp barrier
  double start = omp_get_wtime();
  run_launch(launch, number, prepared, place);
#pragma omp barrier
  if (place->thread == 0)
    *seconds = omp_get_wtime() - start;
}

/* The barrier stands outside the launch, so that waiting is told from working. */
static void run_traced(const poa_plan_launch *launch, int number, const prepared_launch *prepared,
                       poa_team_place *place, poa_trace *trace) {
  if (launch->barrier || launch->external) {
    double arrived = poa_seconds();
#pragma omp barrier
    poa_trace_add(trace, place->thread, "barrier", "wait", NULL, arrived, poa_seconds());
  }
  double begin = poa_seconds();
  run_launch(launch, number, prepared, place);
  poa_trace_add(trace, place->thread, launch->label, launch->family, NULL, begin, poa_seconds());
}

void poa_executor_run(poa_executor *executor, poa_prepared *prepared, double *seconds) {
  const poa_plan *plan = prepared->plan;
  if (prepared->resolved_arena != executor->arena.data)
    resolve_buffers(prepared); /* a later plan made the arena grow */
  poa_tile_shares_reset(executor->shares, executor->threads);
#pragma omp parallel num_threads(executor->threads)
  {
    /* the team may be smaller than asked for: OMP_THREAD_LIMIT, OMP_DYNAMIC */
    poa_team_place place = {.thread = omp_get_thread_num(),
                            .threads = omp_get_num_threads(),
                            .shares = executor->shares};
    for (int i = 0; i < plan->launch_count; i++) {
      if (seconds)
        run_timed(&plan->launches[i], i, &prepared->launches[i], &place, &seconds[i]);
      else if (executor->trace)
        run_traced(&plan->launches[i], i, &prepared->launches[i], &place, executor->trace);
      else
        run_launch(&plan->launches[i], i, &prepared->launches[i], &place);
    }
  }
}
