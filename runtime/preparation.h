/* preparation.h: makes the inputs of a step that take time: crops and masks.
 *
 * What a step gets depends on (seed, step) alone. Step s takes images s*B..s*B+B-1 of a
 * list that is shuffled anew for every pass over the data; a rest smaller than B is left
 * out. Every `crops` input sees the same B images, every mask input the same masks. In the place of
 * an image that cannot be read the next one of the data set is taken. */
#ifndef POA_RUNTIME_PREPARATION_H
#define POA_RUNTIME_PREPARATION_H

#include "runtime/dataset.h"
#include "runtime/source_table.h"

typedef struct poa_preparation poa_preparation;

/* For the prepared inputs among those of `plan`; *preparation is NULL if there are none.
 * Checks them against the data (which may be NULL if there are no crops) and each other.
 * Keeps nothing of the plan. `data` must outlive the preparation. */
poa_status poa_preparation_create(poa_preparation **preparation, const poa_plan *plan,
                                  const poa_dataset *data, uint64_t seed, poa_error *error);
void poa_preparation_free(poa_preparation *preparation);

/* Bytes of a prepared step. */
int64_t poa_preparation_bytes(const poa_preparation *preparation);

/* Makes `step` in `prepared`, of that many bytes. */
poa_status poa_preparation_make(poa_preparation *preparation, int64_t step, char *prepared,
                                poa_error *error);

/* Sets *offset and *bytes to where a prepared step holds an input, of this plan or a later
 * one. The input must be as it was when the preparation was created. `preparation` may be NULL. */
poa_status poa_preparation_find(const poa_preparation *preparation, const poa_bound_source *source,
                                int64_t *offset, int64_t *bytes, poa_error *error);

#endif
