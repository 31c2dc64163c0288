/* output_path.c: names of files, and whether one can be written, asked before the work begins. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/driver.h"

const char *poa_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

poa_status poa_check_writable(const char *path, poa_error *error) {
  char folder[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  struct stat status;
  if (slash)
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
  if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode))
    return poa_fail(error, POA_IO, "cannot write '%s': there is no folder '%s'", path, folder);
  if (access(folder, W_OK) != 0)
    return poa_fail(error, POA_IO, "cannot write '%s': the folder '%s' cannot be written", path,
                    folder);
  if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
    return poa_fail(error, POA_IO, "cannot write '%s': it is there and is no plain file", path);
  return POA_OK;
}
