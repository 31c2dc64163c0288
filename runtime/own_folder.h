/* own_folder.h: where the running program lies, so that it finds what lies beside it. */
#ifndef POA_RUNTIME_OWN_FOLDER_H
#define POA_RUNTIME_OWN_FOLDER_H

#include "poa.h"

/* Writes the folder of this executable, without a slash at the end, to `path` of `size`; false if
 * it cannot be told or is too long. */
bool poa_own_folder(char *path, size_t size);

#endif
