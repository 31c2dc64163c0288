/* command_line.h: flags as a table, for the `poa` command and for ahead-of-time programs.
 *
 * A row says what a flag is called, what it takes and which field of the caller's struct
 * receives it; parsing (by getopt_long), `--help` and "did you mean" follow from the rows. */
#ifndef POA_PROGRAM_COMMAND_LINE_H
#define POA_PROGRAM_COMMAND_LINE_H

#include <stdio.h>

#include "poa.h"

#define POA_MAX_TEXTS 128

/* Texts given by repeating a flag, or arguments that are no flags, in order. */
typedef struct poa_texts {
  int count;
  const char *text[POA_MAX_TEXTS];
} poa_texts;

typedef enum poa_flag_kind {
  POA_FLAG_SWITCH, /* bool */
  POA_FLAG_TEXT,   /* const char * */
  POA_FLAG_TEXTS,  /* poa_texts; may be given again and again */
  POA_FLAG_COUNT,  /* int64_t, at least `smallest` */
  POA_FLAG_REAL,   /* double, above 0 */
} poa_flag_kind;

typedef struct poa_flag_row {
  const char *name; /* without the two dashes; "output" may also be given as -o */
  poa_flag_kind kind;
  size_t offset; /* of the field in the caller's struct */
  int64_t smallest;
  const char *value; /* what help calls the value; NULL for a switch */
  const char *description;
} poa_flag_row;

typedef struct poa_command_line {
  const char *program; /* "poa train", as messages call it */
  const char *help;    /* how to ask for help, "poa help train" */
  int row_count;
  const poa_flag_row *rows;
} poa_command_line;

/* Reads argv[1..argc-1] into `fields`, which holds the defaults, and everything that is no
 * flag into `arguments`. Texts are those of argv. Errors name the flag and what it takes. */
poa_status poa_command_line_parse(const poa_command_line *line, int argc, char **argv, void *fields,
                                  poa_texts *arguments, poa_error *error);
/* A line for each flag. */
void poa_command_line_describe(const poa_command_line *line, FILE *out);

#endif
