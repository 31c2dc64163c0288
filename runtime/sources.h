/* sources.h: what fills the inputs of an entry before each step.
 *
 * An input of a description names a source: `lr from cosine(base = 0.004, ...)`,
 * `global_crops[...] from crops(scale_min = 0.32, ...)`. The table in sources.c has
 * one row per source. Sources that read images are prepared ahead on a thread of
 * their own; the others are computed when the step begins. */
#ifndef POA_RUNTIME_SOURCES_H
#define POA_RUNTIME_SOURCES_H

#include "runtime/plan.h"
#include "runtime/trace.h"

typedef struct poa_dataset poa_dataset;
typedef struct poa_feeder poa_feeder;

/* Room enough for any advice about names. */
#define POA_SOURCE_ADVICE 400

/* Whether `name` is a source. If not, `advice` gets what to write instead: "did you mean
 * 'cosine'?", or where no name is near, "expected one of " and all of them. */
bool poa_source_exists(const char *name, char *advice, size_t size);

/* Checks the sources of `plan` (names, arguments, shapes against the data) and starts
 * preparing images for `first_step`. Image sources must be alike in all later plans.
 * `data` may be NULL if no source reads images; it must outlive the feeder. */
poa_status poa_feeder_create(poa_feeder **feeder, const poa_plan *plan, const poa_dataset *data,
                             uint64_t seed, int64_t first_step, poa_error *error);
void poa_feeder_free(poa_feeder *feeder);
/* From the next step that is prepared on, `trace` gets when it was; NULL: none does. */
void poa_feeder_trace(poa_feeder *feeder, poa_trace *trace);

/* Writes the inputs of `step` (steps come in order) into the arena of `plan`. Sets
 * *waited to the seconds spent waiting for images. */
poa_status poa_feeder_fill(poa_feeder *feeder, const poa_plan *plan, int64_t step, void *arena,
                           double *waited, poa_error *error);

#endif
