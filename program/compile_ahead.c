/* compile_ahead.c: see compile_ahead.h. */
#include "program/compile_ahead.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

/* A program that was made, or why it was not. */
typedef struct made {
  poa_point point;
  poa_program_at *program; /* NULL: `failure` says why */
  poa_error failure;
  struct made *next;
} made;

struct poa_compile_ahead {
  poa_supernet *net;
  const char *entry;
  int threads; /* for a point that is waited for */
  pthread_t thread;

  pthread_mutex_t mutex; /* of all below */
  pthread_cond_t changed;
  poa_point wanted[POA_AHEAD];
  int wanted_count;
  bool making; /* the point `at` */
  poa_point at;
  bool awaited, stop;
  poa_trace *trace;
  made *finished;
};

static bool is_making(const poa_compile_ahead *a, const poa_point *point) {
  return a->making && poa_point_equal(a->net->lattice, &a->at, point);
}

static made *find(const poa_compile_ahead *a, const poa_point *point) {
  for (made *m = a->finished; m; m = m->next)
    if (poa_point_equal(a->net->lattice, &m->point, point))
      return m;
  return NULL;
}

/* The thread */

static void take_first(poa_compile_ahead *a) {
  a->at = a->wanted[0];
  memmove(&a->wanted[0], &a->wanted[1], (size_t)--a->wanted_count * sizeof *a->wanted);
}

static void make(const poa_compile_ahead *a, made *one, poa_trace *trace) {
  char point[256];
  double begin = poa_seconds();
  poa_supernet_make(a->net, a->entry, &one->point, &one->program, &one->failure);
  poa_point_print(a->net->lattice, &one->point, point, sizeof point);
  poa_trace_add(trace, poa_trace_other(trace, POA_TRACE_COMPILE), "compile", "compile", point,
                begin, poa_seconds());
}

static void *make_programs(void *argument) {
  poa_compile_ahead *a = argument;
  pthread_mutex_lock(&a->mutex);
  while (!a->stop) {
    made *one = a->wanted_count > 0 ? calloc(1, sizeof *one) : NULL;
    if (!one) { /* nothing to do; without memory, who waits will make it */
      a->wanted_count = 0;
      pthread_cond_broadcast(&a->changed);
      pthread_cond_wait(&a->changed, &a->mutex);
      continue;
    }
    take_first(a);
    one->point = a->at;
    a->making = true;
    omp_set_num_threads(a->awaited ? a->threads : 1); /* of this thread's teams alone */
    poa_trace *trace = a->trace;
    pthread_mutex_unlock(&a->mutex);
    make(a, one, trace);
    pthread_mutex_lock(&a->mutex);
    a->making = false;
    one->next = a->finished;
    a->finished = one;
    pthread_cond_broadcast(&a->changed);
  }
  pthread_mutex_unlock(&a->mutex);
  return NULL;
}

/* Signals are for the thread that trains. */
static int start_thread(poa_compile_ahead *a) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = pthread_create(&a->thread, NULL, make_programs, a);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

poa_status poa_compile_ahead_create(poa_compile_ahead **ahead, poa_supernet *net, const char *entry,
                                    poa_error *error) {
  *ahead = NULL;
  if (!net->link)
    return POA_OK;
  poa_compile_ahead *a = calloc(1, sizeof *a);
  if (!a)
    return poa_fail(error, POA_NO_MEMORY, "no memory to compile ahead");
  a->net = net;
  a->entry = entry;
  a->threads = poa_executor_threads(net->executor);
  pthread_mutex_init(&a->mutex, NULL);
  pthread_cond_init(&a->changed, NULL);
  int code = start_thread(a);
  if (code) {
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->mutex);
    free(a);
    return poa_fail(error, POA_IO, "cannot start the thread that compiles ahead: %s",
                    strerror(code));
  }
  *ahead = a;
  return POA_OK;
}

/* Taking */

/* Gives the network what is finished, so that it is found there. Failures stay. */
static void hand_over(poa_compile_ahead *a) {
  for (made **link = &a->finished; *link;) {
    made *one = *link;
    if (!one->program) {
      link = &one->next;
      continue;
    }
    *link = one->next;
    poa_supernet_adopt(a->net, one->program);
    free(one);
  }
}

void poa_compile_ahead_free(poa_compile_ahead *ahead) {
  if (!ahead)
    return;
  pthread_mutex_lock(&ahead->mutex);
  ahead->stop = true;
  pthread_cond_broadcast(&ahead->changed);
  pthread_mutex_unlock(&ahead->mutex);
  pthread_join(ahead->thread, NULL);
  hand_over(ahead);
  for (made *one = ahead->finished, *next; one; one = next) {
    next = one->next;
    free(one);
  }
  pthread_cond_destroy(&ahead->changed);
  pthread_mutex_destroy(&ahead->mutex);
  free(ahead);
}

static void add_wanted(poa_compile_ahead *a, const poa_point *point) {
  if (poa_supernet_find(a->net, a->entry, point) || is_making(a, point) || find(a, point))
    return;
  for (int i = 0; i < a->wanted_count; i++)
    if (poa_point_equal(a->net->lattice, &a->wanted[i], point))
      return;
  a->wanted[a->wanted_count++] = *point;
}

void poa_compile_ahead_trace(poa_compile_ahead *ahead, poa_trace *trace) {
  pthread_mutex_lock(&ahead->mutex);
  ahead->trace = trace;
  pthread_mutex_unlock(&ahead->mutex);
}

void poa_compile_ahead_want(poa_compile_ahead *ahead, const poa_point *points, int count) {
  pthread_mutex_lock(&ahead->mutex);
  hand_over(ahead);
  ahead->wanted_count = 0;
  for (int i = 0; i < count && i < POA_AHEAD; i++)
    add_wanted(ahead, &points[i]);
  pthread_cond_broadcast(&ahead->changed);
  pthread_mutex_unlock(&ahead->mutex);
}

static bool is_coming(const poa_compile_ahead *a, const poa_point *point) {
  bool first = a->wanted_count > 0 && poa_point_equal(a->net->lattice, &a->wanted[0], point);
  return first || is_making(a, point);
}

/* Makes the point the next one, and waits for it. Others will be asked for again. */
static void await(poa_compile_ahead *a, const poa_point *point) {
  a->wanted[0] = *point;
  a->wanted_count = is_making(a, point) ? 0 : 1;
  a->awaited = true;
  pthread_cond_broadcast(&a->changed);
  while (is_coming(a, point))
    pthread_cond_wait(&a->changed, &a->mutex);
  a->awaited = false;
  hand_over(a);
}

static poa_status take(poa_compile_ahead *a, const poa_point *point, poa_program_at **program,
                       poa_error *error) {
  hand_over(a);
  if (!poa_supernet_find(a->net, a->entry, point) && !find(a, point))
    await(a, point);
  *program = poa_supernet_find(a->net, a->entry, point);
  if (*program)
    return POA_OK;
  const made *failed = find(a, point);
  return failed ? poa_fail(error, failed->failure.status, "%s", failed->failure.message)
                : poa_fail(error, POA_NO_MEMORY, "no memory for the entry '%s'", a->entry);
}

poa_status poa_compile_ahead_take(poa_compile_ahead *ahead, const poa_point *point,
                                  poa_program_at **program, double *waited, poa_error *error) {
  double start = poa_seconds();
  pthread_mutex_lock(&ahead->mutex);
  poa_status status = take(ahead, point, program, error);
  pthread_mutex_unlock(&ahead->mutex);
  *waited = poa_seconds() - start;
  return status;
}
