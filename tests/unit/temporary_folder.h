/* temporary_folder.h: a folder of its own for a test that writes files. */
#ifndef POA_TESTS_TEMPORARY_FOLDER_H
#define POA_TESTS_TEMPORARY_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes the folder and writes its path into `folder`. */
static inline void make_folder(char folder[64]) {
  strcpy(folder, "/tmp/poa-test-XXXXXX");
  if (!mkdtemp(folder))
    abort();
}

/* The number of files in it: tells whether a temporary was left behind. */
static inline int count_files(const char *folder) {
  int count = 0;
  DIR *opened = opendir(folder);
  for (struct dirent *entry; opened && (entry = readdir(opened));)
    count += entry->d_name[0] != '.';
  closedir(opened);
  return count;
}

static inline void remove_folder(const char *folder) {
  DIR *opened = opendir(folder);
  for (struct dirent *entry; opened && (entry = readdir(opened));) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    unlink(path);
  }
  closedir(opened);
  rmdir(folder);
}

#endif
