/* run_folder.h: where a run keeps its files. */
#ifndef POA_PROGRAM_RUN_FOLDER_H
#define POA_PROGRAM_RUN_FOLDER_H

#include "poa.h"

typedef struct poa_run_folder {
  char path[700];
  char checkpoint[800], metrics[800], report[800];
} poa_run_folder;

/* Names the files of the folder `out`; makes nothing. Fails only on an overlong path. */
poa_status poa_run_folder_name(poa_run_folder *folder, const char *out, poa_error *error);
/* Makes the folder and its parents where they are missing. */
poa_status poa_run_folder_make(const poa_run_folder *folder, poa_error *error);
bool poa_run_folder_has_checkpoint(const poa_run_folder *folder);

#endif
