/* child.c: see child.h. */
#include "driver/child.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

int poa_child_run(const char *program, const char *const *arguments, FILE *out, bool complaints,
                  int *status) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
  if (complaints)
    posix_spawn_file_actions_adddup2(&actions, fileno(out), STDERR_FILENO);
  pid_t child;
  /* posix_spawn takes no const, and changes nothing. */
  int code =
      posix_spawnp(&child, program, &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  *status = 0;
  while (code == 0 && waitpid(child, status, 0) < 0 && errno == EINTR)
    ;
  return code;
}
