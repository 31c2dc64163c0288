/* atomic_file.h: writes a file whole or not at all.
 *
 * What is written goes to FILE.tmp-PID in the same folder; committing syncs it, renames
 * it over FILE and syncs the folder. After a crash, a full disk or any other failure FILE
 * is what it was before.
 *
 *   poa_atomic_file_open, poa_atomic_file_write ..., poa_atomic_file_commit
 *
 * A failed write or commit removes the temporary; nothing is left to clean up. */
#ifndef POA_RUNTIME_ATOMIC_FILE_H
#define POA_RUNTIME_ATOMIC_FILE_H

#include "poa.h"

typedef struct poa_atomic_file poa_atomic_file;

/* Starts writing `path` (a symbolic link is followed, anything but a plain file is refused).
 * On success *file is to be committed or abandoned. */
poa_status poa_atomic_file_open(poa_atomic_file **file, const char *path, poa_error *error);

/* Appends. On failure the file is abandoned and *file set to NULL. */
poa_status poa_atomic_file_write(poa_atomic_file **file, const void *data, size_t bytes,
                                 poa_error *error);

/* Where it is written before it is committed, for others to write it by name: a truncated or
 * rewritten file counts as written, a replaced one does not. Valid until commit or abandon. */
const char *poa_atomic_file_temporary(const poa_atomic_file *file);

/* Makes it the file at `path`. *file is set to NULL, also on failure. */
poa_status poa_atomic_file_commit(poa_atomic_file **file, poa_error *error);

/* Removes the temporary and sets *file to NULL; NULL is left alone. */
void poa_atomic_file_abandon(poa_atomic_file **file);

/* All of the above for one block of bytes. */
poa_status poa_write_file_atomically(const char *path, const void *data, size_t bytes,
                                     poa_error *error);

#endif
