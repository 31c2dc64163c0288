/* install_paths.c: see install_paths.h. */
#include "driver/install_paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/own_folder.h"

/* `below` the executable's folder, if `has` is there. */
static bool find_folder(const char *below, const char *has, char *path, size_t size) {
  char own[PATH_MAX], joined[2 * PATH_MAX], probe[2 * PATH_MAX], whole[PATH_MAX];
  if (!poa_own_folder(own, sizeof own))
    return false;
  snprintf(joined, sizeof joined, "%s/%s", own, below);
  if (!realpath(joined, whole) || (size_t)snprintf(path, size, "%s", whole) >= size)
    return false;
  snprintf(probe, sizeof probe, "%s/%s", whole, has);
  return access(probe, R_OK) == 0;
}

poa_status poa_library_dir(char *path, size_t size, poa_error *error) {
  if (find_folder("../lib/poa", "libpoart.a", path, size) ||
      find_folder(".", "libpoart.a", path, size))
    return POA_OK;
  return poa_fail(
      error, POA_UNSUPPORTED,
      "libpoart.a is neither in ../lib/poa beside this program nor in its folder: is poa "
      "installed whole?");
}

void poa_models_dir(char *path, size_t size) {
  const char *folder = getenv("POA_MODELS");
  if (folder && *folder)
    snprintf(path, size, "%s", folder);
  else if (!find_folder("../share/poa/models", "poa.poa", path, size))
    snprintf(path, size, "%s", POA_MODELS_DIR);
}
