/* install_paths.h: where poa's own parts lie, relative to the program: installed under one prefix,
 * or in the folder where it was built. */
#ifndef POA_DRIVER_INSTALL_PATHS_H
#define POA_DRIVER_INSTALL_PATHS_H

#include "poa.h"

/* The folder with libpoart.a and libpoa_program.a, into `path`. Fails where they are missing. */
poa_status poa_library_dir(char *path, size_t size, poa_error *error);
/* The folder with the recipes, into `path`: $POA_MODELS, installed ones, or the source tree's. */
void poa_models_dir(char *path, size_t size);

#endif
