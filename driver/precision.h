/* precision.h: --precision: of the matrix products of training steps. */
#ifndef POA_DRIVER_PRECISION_H
#define POA_DRIVER_PRECISION_H

#include "codegen/library.h"
#include "driver/driver.h"

/* Sets *bf16 by the flag, which is fp32 if it is not given. Fails on another word. */
poa_status poa_precision_asked(const poa_flags *flags, bool *bf16, poa_error *error);
/* The same as far as `target` can: where it lacks bf16, stderr says so and *bf16 is false. */
poa_status poa_precision_of(const poa_flags *flags, const poa_target *target, bool *bf16,
                            poa_error *error);
/* "bf16" or "fp32". */
const char *poa_precision_name(bool bf16);

#endif
