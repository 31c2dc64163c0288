/* child.h: other programs, run and waited for. */
#ifndef POA_DRIVER_CHILD_H
#define POA_DRIVER_CHILD_H

#include <stdbool.h>
#include <stdio.h>

/* Runs `program` (looked up in PATH if it has no slash) with `arguments` (NULL at the end; the
 * first is its name). Its output goes to `out`, and what it complains of too if `complaints`.
 * Returns an errno if it cannot be started, else 0 and its wait status in *status. */
int poa_child_run(const char *program, const char *const *arguments, FILE *out, bool complaints,
                  int *status);

#endif
