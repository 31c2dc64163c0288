/* diagnostics.h: errors in a description, as many as a run finds.
 *
 *   vit.poa:12:7: error: unknown name 'widht'; did you mean 'width'?
 *      12 |   x = widht * 4
 *         |       ^~~~~
 */
#ifndef POA_FRONTEND_DIAGNOSTICS_H
#define POA_FRONTEND_DIAGNOSTICS_H

#include <stdio.h>

#include "ir/ir.h"

#define POA_MAX_DIAGNOSTICS 20

typedef struct poa_source_text {
  const char *file, *text;
  struct poa_source_text *next;
} poa_source_text;

typedef struct poa_diagnostics {
  poa_arena *arena;
  FILE *out; /* where they are written as they are found; NULL: nowhere */
  int errors;
  char first[512];   /* the first one without its lines, for poa_error */
  bool muted;        /* the last error was not shown: nor are its notes */
  poa_location last; /* one error a place */
  poa_source_text *sources;
} poa_diagnostics;

/* Lets carets show lines of `file`. Both texts outlive the diagnostics. */
void poa_diagnostics_source(poa_diagnostics *d, const char *file, const char *text);
void poa_diagnose(poa_diagnostics *d, poa_location at, int length, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A further line under the last error. */
void poa_diagnose_note(poa_diagnostics *d, poa_location at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
