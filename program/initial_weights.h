/* initial_weights.h: starts a network from weights that were trained elsewhere. */
#ifndef POA_PROGRAM_INITIAL_WEIGHTS_H
#define POA_PROGRAM_INITIAL_WEIGHTS_H

#include "runtime/parameter_store.h"

/* Takes the values of the file at `path`, a plain network's with the names that timm and DINOv2
 * use, into the set that others start as copies of (the student; or the only one), then makes the
 * copies again. Where a part of the network, named by what stands before the first dot of a name,
 * is in the file at all, it must be there whole; what is not keeps its first values. Says on
 * standard output what was taken, kept and ignored. Fails, changing nothing, where shapes differ or
 * nothing fits. */
poa_status poa_take_initial_weights(poa_parameter_store *store, const char *path, poa_error *error);

#endif
