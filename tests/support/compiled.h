/* compiled.h: compiles a graph for a test and runs it in the plainest way: launches in order
 * on one thread, each cut into a given number of ranges of tiles, the last range first. */
#ifndef POA_TESTS_COMPILED_H
#define POA_TESTS_COMPILED_H

#include "codegen/lower.h"

typedef struct poa_compiled poa_compiled;

/* Compiles a scheduled graph for `cpu` (NULL: this machine). The graph must outlive the result,
 * which the caller frees. */
poa_status poa_compiled_create(poa_compiled **compiled, const poa_graph *scheduled, const char *cpu,
                               poa_error *error);
void poa_compiled_free(poa_compiled *compiled);

/* Fills inputs and parameters through bindings->load, runs one step, and hands outputs and
 * assigned parameters to bindings->store, with the nodes of the scheduled graph. */
poa_status poa_compiled_run(poa_compiled *compiled, const poa_bindings *bindings, int parts,
                            poa_error *error);

const poa_plan *poa_compiled_plan(const poa_compiled *compiled);
poa_kernel_statistics poa_compiled_statistics(const poa_compiled *compiled);

/* Both at once, from a graph at any stage: the default passes from specialize on are run on it
 * first if it has no schedule. */
poa_status poa_compile_and_run(poa_graph *graph, const char *cpu, const poa_bindings *bindings,
                               int parts, poa_error *error);

#endif
