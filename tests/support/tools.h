/* tools.h: compilers and other programs, run by tests. */
#ifndef POA_TESTS_TOOLS_H
#define POA_TESTS_TOOLS_H

#include <stdbool.h>

/* Whether a program of that name is in a folder of PATH. */
bool poa_tool_exists(const char *name);

/* Runs argv[0] (NULL at the end of argv), its output into the file `out` unless that is NULL.
 * Returns the exit status, -1 if it could not run or was killed. */
int poa_tool_run(const char *const *argv, const char *out);

#endif
