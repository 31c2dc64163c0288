/* own_folder.c: see own_folder.h. */
#include "runtime/own_folder.h"

#include <string.h>
#include <unistd.h>

bool poa_own_folder(char *path, size_t size) {
  ssize_t length = readlink("/proc/self/exe", path, size);
  char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
  if (!slash || (size_t)length == size) /* as long as the space: perhaps cut off */
    return false;
  *slash = '\0';
  return true;
}
