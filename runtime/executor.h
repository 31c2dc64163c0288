/* executor.h: runs the steps of plans.
 *
 * A plan is prepared once: its launches' buffers become pointers, its external calls
 * are bound. A step is then one OpenMP parallel region: every thread walks the
 * launches and computes its own share of each one's tiles; they wait for each
 * other only where a launch asks for it. A step allocates nothing.
 *
 *   launch   tiles   barrier   thread 0   thread 1
 *   embed        8             0..3       4..7
 *   norm         3   yes       0..1       2
 *   gate         3             0          1..2      the odd tile goes round
 *
 * Launches with no barrier between them run at the same time, and tile i of one need not
 * run on the thread that ran tile i of another: they must not depend on each other.
 *
 * Threads and the machine. Waiting at a barrier spins. Two teams that share cores (two
 * processes, tests run side by side) each spin while the other should work: with
 * libgomp's defaults a step then takes 65 to 79 times as long, with libomp twice. Run one
 * process per set of cores, or set GOMP_SPINCOUNT=1000 before the program starts. The
 * executor changes none of OpenMP's settings. */
#ifndef POA_RUNTIME_EXECUTOR_H
#define POA_RUNTIME_EXECUTOR_H

#include "runtime/external.h"
#include "runtime/parameter_store.h"
#include "runtime/plan.h"
#include "runtime/trace.h"

typedef struct poa_executor poa_executor;
typedef struct poa_prepared poa_prepared;

/* Makes an executor with an empty arena. `threads`: 0 means as many as OpenMP would take; more than
 * 4096 are refused.
 * `plugins` (may be NULL: none) serve external calls and must outlive the executor. */
poa_status poa_executor_create(poa_executor **executor, int threads, const poa_plugins *plugins,
                               poa_error *error);

/* Frees the executor and its arena, after everything prepared with it is freed. */
void poa_executor_free(poa_executor *executor);

/* Makes the arena at least `bytes` large, as preparing a plan does. */
poa_status poa_executor_reserve(poa_executor *executor, int64_t bytes, poa_error *error);

/* Makes `plan` ready to run on the values of `store` (may be NULL for a plan without
 * parameters). Both must outlive *prepared, which the caller frees. Grows the arena if
 * the plan needs more: pointers into the arena got before are then void, and plans
 * prepared before go on working. Fails where the plan does not fit the store, a
 * buffer leaves its space, or an external function cannot be bound. */
poa_status poa_executor_prepare(poa_executor *executor, const poa_plan *plan,
                                const poa_parameter_store *store, poa_prepared **prepared,
                                poa_error *error);
void poa_prepared_free(poa_prepared *prepared);

/* Computes one step. `seconds`, if not NULL, receives the time of each of the plan's launches;
 * timing puts a barrier around every launch and changes no value. */
void poa_executor_run(poa_executor *executor, poa_prepared *prepared, double *seconds);

/* From the next step on, `trace` gets every launch and wait of every thread; NULL: none does. It
 * must have been made for as many threads. */
void poa_executor_trace(poa_executor *executor, poa_trace *trace);

/* The arena, shared by all plans prepared: where a step's inputs go and its outputs lie.
 * Valid until the next poa_executor_prepare. */
void *poa_executor_arena(const poa_executor *executor);

/* Where `buffer` of the prepared plan lies. Valid until the next poa_executor_prepare. */
void *poa_prepared_pointer(const poa_prepared *prepared, poa_plan_buffer buffer);

/* The number of threads that steps ask for. */
int poa_executor_threads(const poa_executor *executor);

#endif
