/* internal.h: what the passes share with each other. */
#ifndef POA_PASSES_INTERNAL_H
#define POA_PASSES_INTERNAL_H

#include "passes/passes.h"

/* specialize.c: fails, naming `pass`, where a node depends on elastic names or is in a
 * kernel already. */
poa_status poa_require_early(const poa_graph *graph, const char *pass, poa_error *error);

#endif
