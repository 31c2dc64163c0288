/* run_folder.c: the folder of a run: checkpoint.safetensors, metrics.jsonl, report.html. */
#include "program/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

poa_status poa_run_folder_name(poa_run_folder *folder, const char *out, poa_error *error) {
  int length = snprintf(folder->path, sizeof folder->path, "%s", out);
  if (length <= 0 || (size_t)length >= sizeof folder->path)
    return poa_fail(error, POA_BAD_INPUT, "the path of the run's folder is empty or too long");
  snprintf(folder->checkpoint, sizeof folder->checkpoint, "%s/checkpoint.safetensors",
           folder->path);
  snprintf(folder->metrics, sizeof folder->metrics, "%s/metrics.jsonl", folder->path);
  snprintf(folder->report, sizeof folder->report, "%s/report.html", folder->path);
  return POA_OK;
}

poa_status poa_run_folder_make(const poa_run_folder *folder, poa_error *error) {
  char path[sizeof folder->path];
  memcpy(path, folder->path, sizeof path);
  for (char *at = path + 1;; at++) {
    bool end = *at == '\0';
    if (*at != '/' && !end)
      continue;
    *at = '\0';
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
      return poa_fail(error, POA_IO, "cannot make the folder '%s': %s", path, strerror(errno));
    if (end)
      break;
    *at = '/';
  }
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
    return poa_fail(error, POA_IO, "'%s' is not a folder", path);
  return POA_OK;
}

bool poa_run_folder_has_checkpoint(const poa_run_folder *folder) {
  struct stat status;
  return stat(folder->checkpoint, &status) == 0;
}
