/* internal.h: what the passes share with each other. */
#ifndef POA_PASSES_INTERNAL_H
#define POA_PASSES_INTERNAL_H

#include "passes/passes.h"

/* specialize.c: poa_specialize. (*layer_factors)[i] tells whether node i of the result was a ratio
 * that is 1 at the top of the lattice, as max(in) / in is; in the graph's arena. NULL, where the
 * graph was specialized already: it has constants alone. */
poa_status poa_specialize_layers(poa_graph *graph, const poa_options *options,
                                 const bool **layer_factors, poa_error *error);
/* specialize.c: fails, naming `pass`, where a node depends on elastic names or is in a
 * kernel already. */
poa_status poa_require_early(const poa_graph *graph, const char *pass, poa_error *error);

#endif
