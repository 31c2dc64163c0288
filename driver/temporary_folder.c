/* temporary_folder.c: see temporary_folder.h. */
#include "driver/temporary_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *poa_temporary_base(void) {
  const char *base = getenv("TMPDIR");
  return base && *base ? base : "/tmp";
}

poa_status poa_make_temporary_folder(poa_arena *arena, const char **folder, poa_error *error) {
  char *path = poa_arena_format(arena, "%s/poa-XXXXXX", poa_temporary_base());
  *folder = path;
  return mkdtemp(path) ? POA_OK
                       : poa_fail(error, POA_IO, "cannot make a temporary folder '%s': %s", path,
                                  strerror(errno));
}

void poa_remove_temporary_folder(const char *folder) {
  DIR *open = opendir(folder);
  for (struct dirent *entry; open && (entry = readdir(open));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      unlinkat(dirfd(open), entry->d_name, 0);
  if (open)
    closedir(open);
  rmdir(folder);
}
