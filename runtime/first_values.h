/* first_values.h: what parameters hold before the first step, in pieces that may be filled in any
 * order, on any threads: the values follow from the seed and the names alone. */
#ifndef POA_RUNTIME_FIRST_VALUES_H
#define POA_RUNTIME_FIRST_VALUES_H

#include "runtime/parameter_store.h"

typedef struct poa_first_values poa_first_values;

/* Divides the work on `store`, which must outlive *values; the caller frees *values. Fails with
 * POA_BAD_INPUT on an initializer that cannot be followed (copy of what is not there, a circle of
 * copies, a negative deviation). */
poa_status poa_first_values_plan(poa_first_values **values, const poa_parameter_store *store,
                                 uint64_t seed, poa_error *error);
int64_t poa_first_values_pieces(const poa_first_values *values);
/* Fills a piece, and what starts as a copy of it. */
void poa_first_values_fill(const poa_first_values *values, int64_t piece);
void poa_first_values_free(poa_first_values *values);

#endif
