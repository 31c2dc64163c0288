/* link.c: see link.h. */
#include "driver/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/child.h"

enum { SHOWN = 1200 }; /* characters of the linker's own message */

/* Whether `name` can be run: as a path, or from a folder of PATH. */
static bool can_run(const char *name) {
  if (strchr(name, '/'))
    return access(name, X_OK) == 0;
  const char *path = getenv("PATH");
  for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
    int length = (int)strcspn(at, ":");
    char full[4096];
    if (snprintf(full, sizeof full, "%.*s/%s", length, at, name) < (int)sizeof full &&
        access(full, X_OK) == 0)
      return true;
    at += length + (at[length] == ':');
  }
  return false;
}

poa_status poa_linker_find(const char **linker, poa_error *error) {
  const char *chosen = getenv("CC");
  if (chosen && *chosen) {
    *linker = chosen;
    if (can_run(chosen))
      return POA_OK;
    return poa_fail(error, POA_UNSUPPORTED,
                    "no linker: $CC is '%s', which cannot be run; it has to name a C compiler",
                    chosen);
  }
  static const char *const names[] = {"cc", "gcc", "clang", "clang-19"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (can_run(names[i])) {
      *linker = names[i];
      return POA_OK;
    }
  return poa_fail(error, POA_UNSUPPORTED,
                  "no linker: neither cc nor gcc nor clang is on the PATH; install gcc, name a C "
                  "compiler in $CC, or take --emit object, which needs none");
}

void poa_link_add(poa_link_line *line, const char *argument) {
  enum { CAPACITY = sizeof line->argument / sizeof *line->argument };
  if (line->count < CAPACITY - 1)
    line->argument[line->count++] = argument;
  line->argument[line->count] = NULL;
}

void poa_link_add_list(poa_link_line *line, poa_arena *arena, const char *prefix,
                       const char *list) {
  for (const char *at = list; *at;) {
    int length = (int)strcspn(at, "|");
    if (length)
      poa_link_add(line, poa_arena_format(arena, "%s%.*s", prefix, length, at));
    at += length + (at[length] == '|');
  }
}

/* The last lines of what was said, where linkers put what matters. */
static poa_status fail_with(FILE *said, const char *linker, int status, poa_error *error) {
  char text[SHOWN + 1] = "";
  long size = fseek(said, 0, SEEK_END) == 0 ? ftell(said) : 0;
  fseek(said, size > SHOWN ? size - SHOWN : 0, SEEK_SET);
  size_t read = fread(text, 1, SHOWN, said);
  while (read > 0 && text[read - 1] == '\n')
    read--;
  text[read] = '\0';
  if (WIFSIGNALED(status))
    return poa_fail(error, POA_IO, "the linker '%s' was killed by signal %d", linker,
                    WTERMSIG(status));
  return poa_fail(error, POA_IO, "the linker '%s' failed:\n%s", linker, text);
}

poa_status poa_linker_run(const char *linker, const char *const *arguments, poa_error *error) {
  FILE *said = tmpfile();
  if (!said)
    return poa_fail(error, POA_IO, "no temporary file: %s", strerror(errno));
  int status, code = poa_child_run(linker, arguments, said, true, &status);
  poa_status result = POA_OK;
  if (code != 0)
    result = poa_fail(error, POA_IO, "cannot run the linker '%s': %s", linker, strerror(code));
  else if (status != 0)
    result = fail_with(said, linker, status, error);
  fclose(said);
  return result;
}
