/* executed.h: runs a graph for a test as a training run would: parameters in a store, launches
 * on a team of threads, external functions from plugins. */
#ifndef POA_TESTS_EXECUTED_H
#define POA_TESTS_EXECUTED_H

#include "codegen/lower.h"
#include "runtime/executor.h"

typedef struct poa_executed poa_executed;

/* Compiles a scheduled graph for this machine. `plugins` (may be NULL) and the graph must
 * outlive the result, which the caller frees. */
poa_status poa_executed_create(poa_executed **executed, const poa_graph *scheduled, int threads,
                               const poa_plugins *plugins, poa_error *error);
void poa_executed_free(poa_executed *executed);

/* Fills inputs and parameters through bindings->load, runs one step, and hands outputs and
 * assigned parameters to bindings->store, with the nodes of the scheduled graph. */
poa_status poa_executed_run(poa_executed *executed, const poa_bindings *bindings, poa_error *error);

const poa_plan *poa_executed_plan(const poa_executed *executed);

#endif
