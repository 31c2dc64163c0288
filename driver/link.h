/* link.h: runs the system's linker, through the C compiler that knows where its parts are. */
#ifndef POA_DRIVER_LINK_H
#define POA_DRIVER_LINK_H

#include "runtime/arena.h"

/* The C compiler to link with: $CC, or the first of cc, gcc, clang on the PATH. Fails with what to
 * install. */
poa_status poa_linker_find(const char **linker, poa_error *error);

/* Runs `linker` with `arguments` (NULL at the end; the first is its name). What it complains of is
 * in the error. */
poa_status poa_linker_run(const char *linker, const char *const *arguments, poa_error *error);

/* A list of arguments that grows. */
typedef struct poa_link_line {
  int count;
  const char *argument[256];
} poa_link_line;

void poa_link_add(poa_link_line *line, const char *argument);
/* Adds the items of a list separated by '|', each after `prefix`; they are made in `arena`. */
void poa_link_add_list(poa_link_line *line, poa_arena *arena, const char *prefix, const char *list);

#endif
