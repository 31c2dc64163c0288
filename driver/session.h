/* session.h: a model at work: its kernels, its parameters, and a plan for each entry and
 * point that was asked for. */
#ifndef POA_DRIVER_SESSION_H
#define POA_DRIVER_SESSION_H

#include "codegen/library.h"
#include "driver/driver.h"
#include "runtime/executor.h"
#include "runtime/parameter_store.h"

/* An entry compiled at a point of the lattice. */
typedef struct poa_program_at {
  char entry[64];
  poa_point point;
  bool probes;
  poa_plan *plan;
  poa_prepared *prepared; /* NULL until first run */
  double pass_seconds;    /* from description to scheduled graph */
  struct poa_program_at *next;
} poa_program_at;

typedef struct poa_session {
  poa_model *model;
  poa_target target;
  poa_kernel_library *library;
  poa_plugins *plugins;
  poa_executor *executor;
  poa_parameter_store *store; /* made with the first plan */
  poa_program_at *programs;
} poa_session;

/* Opens `model` (taken over, also on failure) for the CPU, cache, threads and plugins of `flags`.
 * Close with poa_session_close, also after a failure. */
poa_status poa_session_open(poa_session *session, poa_model *model, const poa_flags *flags,
                            poa_error *error);
void poa_session_close(poa_session *session);

/* The program of `entry` at `point`, compiled now or taken from before. It belongs to the
 * session. The parameter store exists afterwards (zeros until initialized). */
poa_status poa_session_program(poa_session *session, const char *entry, const poa_point *point,
                               bool probes, poa_program_at **program, poa_error *error);
/* Makes the program ready to run: pointers into the arena are final until the next
 * program is made ready. */
poa_status poa_session_prepare(poa_session *session, poa_program_at *program, poa_error *error);

const poa_plan_input *poa_plan_find_input(const poa_plan *plan, const char *name);
const poa_plan_output *poa_plan_find_output(const poa_plan *plan, const char *name);

#endif
