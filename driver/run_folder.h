/* run_folder.h: where a run keeps its files. */
#ifndef POA_DRIVER_RUN_FOLDER_H
#define POA_DRIVER_RUN_FOLDER_H

#include "driver/driver.h"
#include "runtime/checkpoint.h"

typedef struct poa_run_folder {
  char path[700];
  char checkpoint[800], metrics[800], report[800];
} poa_run_folder;

/* Names the files of the folder `out`; makes nothing. Fails only on an overlong path. */
poa_status poa_run_folder_name(poa_run_folder *folder, const char *out, poa_error *error);
/* Makes the folder and its parents where they are missing. */
poa_status poa_run_folder_make(const poa_run_folder *folder, poa_error *error);
bool poa_run_folder_has_checkpoint(const poa_run_folder *folder);

/* Sets flags as the run of an opened checkpoint had them: model, constants, seed. Strings belong
 * to `arena`. */
poa_status poa_run_flags(const poa_checkpoint_info *info, poa_arena *arena, poa_flags *flags,
                         poa_error *error);
/* "a=1,b=[2,3]": the overrides as one text of `arena`. */
const char *poa_join_overrides(const poa_flags *flags, poa_arena *arena);

#endif
