/* temporary_folder.h: where files go that nobody keeps. */
#ifndef POA_DRIVER_TEMPORARY_FOLDER_H
#define POA_DRIVER_TEMPORARY_FOLDER_H

#include "runtime/arena.h"

/* The folder that TMPDIR names, or /tmp. */
const char *poa_temporary_base(void);
/* Makes an empty folder of its own there; *folder is in the arena. */
poa_status poa_make_temporary_folder(poa_arena *arena, const char **folder, poa_error *error);
/* Removes the folder and the files in it, but no folders. */
void poa_remove_temporary_folder(const char *folder);

#endif
