/* tools.c: see tools.h. */
#include "support/tools.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool poa_tool_exists(const char *name) {
  const char *path = getenv("PATH");
  for (const char *at = path ? path : ""; *at;) {
    int length = (int)strcspn(at, ":");
    char full[PATH_MAX];
    if (snprintf(full, sizeof full, "%.*s/%s", length, at, name) < (int)sizeof full &&
        access(full, X_OK) == 0)
      return true;
    at += length + (at[length] == ':');
  }
  return false;
}

int poa_tool_run(const char *const *argv, const char *out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC,
                                     0666);
  pid_t child;
  int status = -1;
  /* posix_spawn takes no const, and changes nothing. */
  if (posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0 &&
      waitpid(child, &status, 0) != child)
    status = -1;
  posix_spawn_file_actions_destroy(&actions);
  return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
