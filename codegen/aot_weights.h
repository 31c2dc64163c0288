/* aot_weights.h: many megabytes of weights in a module. */
#ifndef POA_CODEGEN_AOT_WEIGHTS_H
#define POA_CODEGEN_AOT_WEIGHTS_H

#include "codegen/codegen.h"

/* Weights on their way into a module's object. */
typedef struct poa_aot_weights {
  int descriptor; /* of a file without a name that holds them; -1: none */
} poa_aot_weights;

/* Defines the hidden symbol `name` as `size` (at least 1) read-only bytes, page-aligned in a
 * section of their own. They are kept in a nameless file in the folder of `path` until the module
 * has become an object: close then, also after a failure. */
poa_status poa_aot_weights_open(poa_aot_weights *weights, poa_emitter *e, const char *name,
                                const void *bytes, size_t size, const char *path, poa_error *error);
void poa_aot_weights_close(poa_aot_weights *weights);

#endif
