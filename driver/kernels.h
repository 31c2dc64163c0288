/* kernels.h: the CPU and the library of kernels that a command's flags ask for. */
#ifndef POA_DRIVER_KERNELS_H
#define POA_DRIVER_KERNELS_H

#include "codegen/library.h"
#include "driver/driver.h"

/* By --cpu, --cache and --no-cache. Both are the caller's to free, also after a failure. */
poa_status poa_open_kernels(const poa_flags *flags, poa_target *target,
                            poa_kernel_library **library, poa_error *error);

#endif
