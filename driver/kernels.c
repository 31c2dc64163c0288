/* kernels.c: see kernels.h. */
#include "driver/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "codegen/object_cache.h"

poa_status poa_open_kernels(const poa_flags *flags, poa_target *target,
                            poa_kernel_library **library, poa_error *error) {
  char *folder = flags->no_cache ? NULL
                 : flags->cache  ? strdup(flags->cache)
                                 : poa_object_cache_default_dir();
  poa_status status = poa_target_init(target, flags->cpu, error);
  if (status == POA_OK)
    status = poa_kernel_library_create(library, target, folder, error);
  free(folder);
  return status;
}
