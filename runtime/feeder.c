/* feeder.c: fills the inputs of a step, with images ready before they are asked for.
 *
 * A thread prepares steps into a ring of two slots, in order:
 *
 *   thread:  prepare 7 into slot 1 | prepare 8 into slot 0 | wait for room ...
 *   fill(7): waits for 7, copies slot 1 to the arena, gives the slot back
 *
 * Between `taken` and `ready` lie the steps that are prepared. What is prepared depends
 * on the step alone, never on which thread was first. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/preparation.h"
#include "runtime/sources.h"

enum { SLOTS = 2 };

struct poa_feeder {
  uint64_t seed;
  poa_preparation *preparation; /* NULL: nothing to prepare, no thread */
  char *slots[SLOTS];           /* step s is prepared in slot s % SLOTS */
  pthread_t thread;
  bool running;

  pthread_mutex_t mutex; /* of all below */
  pthread_cond_t changed;
  int64_t taken, ready; /* next step to be filled; next to be prepared */
  bool stop;
  poa_trace *trace;
  poa_error failure; /* of preparing step `ready`; the thread has ended */
};

static void *prepare_steps(void *argument) {
  poa_feeder *f = argument;
  pthread_mutex_lock(&f->mutex);
  while (!f->stop && f->failure.status == POA_OK) {
    if (f->ready - f->taken == SLOTS) {
      pthread_cond_wait(&f->changed, &f->mutex);
      continue;
    }
    int64_t step = f->ready;
    poa_trace *trace = f->trace;
    pthread_mutex_unlock(&f->mutex);
    double begin = poa_seconds();
    poa_error failure = {0};
    poa_status status =
        poa_preparation_make(f->preparation, step, f->slots[step % SLOTS], &failure);
    poa_trace_add(trace, poa_trace_other(trace, POA_TRACE_IMAGES), "batch", "images", NULL, begin,
                  poa_seconds());
    pthread_mutex_lock(&f->mutex);
    if (status == POA_OK)
      f->ready++;
    else
      f->failure = failure;
    pthread_cond_broadcast(&f->changed);
  }
  pthread_mutex_unlock(&f->mutex);
  return NULL;
}

/* Signals are for the thread that trains: this one is started with all of them blocked. */
static poa_status start_thread(poa_feeder *f, poa_error *error) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = pthread_create(&f->thread, NULL, prepare_steps, f);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  f->running = code == 0;
  if (code == 0)
    return POA_OK;
  return poa_fail(error, POA_IO, "cannot start the thread that prepares images: %s",
                  strerror(code));
}

static poa_status create_slots(poa_feeder *f, poa_error *error) {
  size_t bytes = (size_t)poa_preparation_bytes(f->preparation);
  for (int i = 0; i < SLOTS; i++) {
    f->slots[i] = aligned_alloc(POA_ALIGNMENT, bytes);
    if (!f->slots[i])
      return poa_fail(error, POA_NO_MEMORY, "no memory to prepare %zu bytes of images", bytes);
  }
  return POA_OK;
}

/* Binds an input to a source that the feeder can fill. */
static poa_status bind(poa_bound_source *source, const poa_plan *plan, const poa_plan_input *input,
                       poa_error *error) {
  poa_status status = poa_source_bind(source, input, error);
  if (status == POA_OK && source->row->kind == POA_SOURCE_EVALUATOR)
    status = poa_fail(error, POA_BAD_INPUT,
                      "input '%s' from %s: filled only by evaluation; entry '%s' is not one to "
                      "train",
                      input->name, input->source, plan->entry);
  return status;
}

static poa_status check_plan(const poa_plan *plan, poa_error *error) {
  poa_status status = POA_OK;
  for (int i = 0; i < plan->input_count && status == POA_OK; i++) {
    poa_bound_source source;
    if (plan->inputs[i].source[0] != '\0')
      status = bind(&source, plan, &plan->inputs[i], error);
  }
  return status;
}

poa_status poa_feeder_create(poa_feeder **feeder, const poa_plan *plan, const poa_dataset *data,
                             uint64_t seed, int64_t first_step, poa_error *error) {
  poa_feeder *f = *feeder = calloc(1, sizeof *f);
  if (!f)
    return poa_fail(error, POA_NO_MEMORY, "no memory to feed inputs");
  f->seed = seed;
  f->taken = f->ready = first_step;
  pthread_mutex_init(&f->mutex, NULL);
  pthread_cond_init(&f->changed, NULL);
  poa_status status = check_plan(plan, error);
  if (status == POA_OK)
    status = poa_preparation_create(&f->preparation, plan, data, seed, error);
  if (status == POA_OK && f->preparation) {
    status = create_slots(f, error);
    if (status == POA_OK)
      status = start_thread(f, error);
  }
  if (status != POA_OK) {
    poa_feeder_free(f);
    *feeder = NULL;
  }
  return status;
}

void poa_feeder_trace(poa_feeder *feeder, poa_trace *trace) {
  pthread_mutex_lock(&feeder->mutex);
  feeder->trace = trace;
  pthread_mutex_unlock(&feeder->mutex);
}

void poa_feeder_free(poa_feeder *feeder) {
  if (!feeder)
    return;
  if (feeder->running) {
    pthread_mutex_lock(&feeder->mutex);
    feeder->stop = true;
    pthread_cond_broadcast(&feeder->changed);
    pthread_mutex_unlock(&feeder->mutex);
    pthread_join(feeder->thread, NULL);
  }
  poa_preparation_free(feeder->preparation);
  for (int i = 0; i < SLOTS; i++)
    free(feeder->slots[i]);
  pthread_cond_destroy(&feeder->changed);
  pthread_mutex_destroy(&feeder->mutex);
  free(feeder);
}

/* Waits until `step` is prepared. */
static poa_status await(poa_feeder *f, int64_t step, double *waited, poa_error *error) {
  double start = poa_seconds();
  pthread_mutex_lock(&f->mutex);
  while (f->ready <= step && f->failure.status == POA_OK)
    pthread_cond_wait(&f->changed, &f->mutex);
  poa_status status = POA_OK;
  if (f->ready <= step)
    status = poa_fail(error, f->failure.status, "%s", f->failure.message);
  pthread_mutex_unlock(&f->mutex);
  *waited = poa_seconds() - start;
  return status;
}

static void give_back(poa_feeder *f) {
  pthread_mutex_lock(&f->mutex);
  f->taken++;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
}

static poa_status fill_input(poa_feeder *f, const poa_plan *plan, const poa_plan_input *input,
                             int64_t step, char *arena, poa_error *error) {
  poa_bound_source source;
  poa_status status = bind(&source, plan, input, error);
  if (status != POA_OK)
    return status;
  char *out = arena + input->buffer.offset;
  if (source.row->kind == POA_SOURCE_COMPUTED) {
    source.row->fill(&source, f->seed, step, out);
    return POA_OK;
  }
  int64_t offset, bytes;
  status = poa_preparation_find(f->preparation, &source, &offset, &bytes, error);
  if (status == POA_OK)
    memcpy(out, f->slots[step % SLOTS] + offset, (size_t)bytes);
  return status;
}

poa_status poa_feeder_fill(poa_feeder *feeder, const poa_plan *plan, int64_t step, void *arena,
                           double *waited, poa_error *error) {
  *waited = 0;
  if (step != feeder->taken) /* written by this thread alone */
    return poa_fail(error, POA_BAD_INPUT, "steps come in order: expected step %lld, found %lld",
                    (long long)feeder->taken, (long long)step);
  poa_status status = POA_OK;
  if (feeder->preparation)
    status = await(feeder, step, waited, error);
  for (int i = 0; i < plan->input_count && status == POA_OK; i++)
    if (plan->inputs[i].source[0] != '\0')
      status = fill_input(feeder, plan, &plan->inputs[i], step, arena, error);
  if (status == POA_OK)
    give_back(feeder);
  return status;
}
