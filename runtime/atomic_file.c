/* atomic_file.c: temporary, sync, rename, sync. */
#include "runtime/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct poa_atomic_file {
  char *path;      /* where it goes in the end */
  char *temporary; /* "" until it exists */
  int descriptor;  /* -1 when closed */
};

static void dispose(poa_atomic_file **file) {
  poa_atomic_file *gone = *file;
  *file = NULL;
  if (!gone)
    return;
  if (gone->descriptor >= 0)
    close(gone->descriptor);
  free(gone->path);
  free(gone->temporary);
  free(gone);
}

void poa_atomic_file_abandon(poa_atomic_file **file) {
  if (*file && (*file)->temporary)
    unlink((*file)->temporary);
  dispose(file);
}

/* Records errno (`code`) as the failure of the file, then abandons it. */
static poa_status give_up(poa_atomic_file **file, int code, poa_error *error) {
  poa_status status =
      poa_fail(error, POA_IO, "cannot write '%s': %s%s", (*file)->path, strerror(code),
               code == ENOSPC || code == EDQUOT || code == EFBIG
                   ? "; free some space, the file is left as it was"
                   : "");
  poa_atomic_file_abandon(file);
  return status;
}

/* The path to rename over. A link is resolved: replacing it would leave its target stale. */
static char *target_path(const char *path) {
  char *resolved = realpath(path, NULL);
  return resolved ? resolved : strdup(path);
}

static int open_temporary(const char *temporary) {
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  int descriptor = open(temporary, flags, 0666);
  if (descriptor < 0 && errno == EEXIST) {
    unlink(temporary); /* left by a dead process that had our number */
    descriptor = open(temporary, flags, 0666);
  }
  return descriptor;
}

poa_status poa_atomic_file_open(poa_atomic_file **file, const char *path, poa_error *error) {
  *file = NULL;
  struct stat old;
  bool exists = stat(path, &old) == 0;
  if (exists && !S_ISREG(old.st_mode))
    return poa_fail(error, POA_IO, "cannot write '%s': it is there and is not a plain file", path);
  poa_atomic_file *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while writing '%s'", path);
  made->descriptor = -1;
  made->path = target_path(path);
  if (!made->path || asprintf(&made->temporary, "%s.tmp-%ld", made->path, (long)getpid()) < 0) {
    made->temporary = NULL;
    dispose(&made);
    return poa_fail(error, POA_NO_MEMORY, "out of memory while writing '%s'", path);
  }
  made->descriptor = open_temporary(made->temporary);
  if (made->descriptor < 0) {
    int code = errno;
    poa_fail(error, POA_IO, "cannot write '%s': creating '%s': %s", path, made->temporary,
             strerror(code));
    dispose(&made);
    return POA_IO;
  }
  if (exists && fchmod(made->descriptor, old.st_mode & 07777) != 0)
    return give_up(&made, errno, error);
  *file = made;
  return POA_OK;
}

poa_status poa_atomic_file_write(poa_atomic_file **file, const void *data, size_t bytes,
                                 poa_error *error) {
  const char *next = data;
  while (bytes > 0) {
    ssize_t written = write((*file)->descriptor, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return give_up(file, written < 0 ? errno : EIO, error);
    next += written;
    bytes -= (size_t)written;
  }
  return POA_OK;
}

const char *poa_atomic_file_temporary(const poa_atomic_file *file) {
  return file->temporary;
}

/* Makes the new name itself survive a crash. Some file systems cannot sync a folder. */
static int sync_folder(const char *path) {
  char *copy = strdup(path);
  int folder = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  free(copy);
  if (folder < 0)
    return errno;
  int code = fsync(folder) == 0 || errno == EINVAL ? 0 : errno;
  close(folder);
  return code;
}

poa_status poa_atomic_file_commit(poa_atomic_file **file, poa_error *error) {
  poa_atomic_file *done = *file;
  if (fsync(done->descriptor) != 0)
    return give_up(file, errno, error);
  int descriptor = done->descriptor;
  done->descriptor = -1; /* gone after close, whatever it returns */
  if (close(descriptor) != 0 || rename(done->temporary, done->path) != 0)
    return give_up(file, errno, error);
  int code = sync_folder(done->path);
  poa_status status = POA_OK;
  if (code)
    status = poa_fail(error, POA_IO, "'%s' is written, but its folder cannot be synced: %s",
                      done->path, strerror(code));
  dispose(file);
  return status;
}

poa_status poa_write_file_atomically(const char *path, const void *data, size_t bytes,
                                     poa_error *error) {
  poa_atomic_file *file;
  poa_status status = poa_atomic_file_open(&file, path, error);
  if (status == POA_OK)
    status = poa_atomic_file_write(&file, data, bytes, error);
  return status == POA_OK ? poa_atomic_file_commit(&file, error) : status;
}
