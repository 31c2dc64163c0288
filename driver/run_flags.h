/* run_flags.h: what a run was started with. */
#ifndef POA_DRIVER_RUN_FLAGS_H
#define POA_DRIVER_RUN_FLAGS_H

#include "driver/driver.h"
#include "runtime/checkpoint.h"

/* Sets flags as the run of an opened checkpoint had them: model, constants, seed, precision.
 * Strings belong
 * to `arena`. */
poa_status poa_run_flags(const poa_checkpoint_info *info, poa_arena *arena, poa_flags *flags,
                         poa_error *error);
/* "a=1,b=[2,3]": the overrides as one text of `arena`. */
const char *poa_join_overrides(const poa_flags *flags, poa_arena *arena);

#endif
