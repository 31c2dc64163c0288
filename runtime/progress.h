/* progress.h: how far long work has come.
 *
 * On a terminal, one line that is drawn anew:
 *
 *   train [=========>          ]  450/1000  12.3 steps/s  loss 5.124  0:45 left
 *
 * Elsewhere (a file, a pipe), a plain line every few seconds, so that a log stays readable. */
#ifndef POA_RUNTIME_PROGRESS_H
#define POA_RUNTIME_PROGRESS_H

#include <stdio.h>

#include "poa.h"

typedef struct poa_progress poa_progress;

typedef enum poa_progress_style {
  POA_PROGRESS_AUTO,  /* live on a terminal, else plain */
  POA_PROGRESS_LIVE,  /* one line, drawn anew */
  POA_PROGRESS_PLAIN, /* a line every few seconds */
  POA_PROGRESS_NONE,  /* messages only */
} poa_progress_style;

/* Starts showing on `out` (stays the caller's) the way from `done` to `total` (0: unknown) of
 * what `unit` ("steps") counts. `label` and `unit` must outlive *progress, the caller's. */
poa_status poa_progress_create(poa_progress **progress, FILE *out, poa_progress_style style,
                               const char *label, const char *unit, int64_t done, int64_t total,
                               poa_error *error);

/* `done` units are done. `loss` is shown unless it is NaN. Cheap: draws ten times a second
 * at most, but always at the end. */
void poa_progress_update(poa_progress *progress, int64_t done, double loss);

/* Prints a line of its own (without the newline) above the live line. */
void poa_progress_message(poa_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the live line and frees. NULL is left alone. */
void poa_progress_finish(poa_progress *progress);

#endif
