/* trace.h: a timeline of what each thread did, as chrome://tracing and Perfetto read it.
 *
 * Every thread that is to be seen has a track, and alone writes to it. Room is made when the trace
 * is created; what no longer fits is counted and left out.
 *
 *   {"traceEvents":[{"name":"gemm 1x 16x8x32","cat":"gemm","ph":"X","ts":12.5,"dur":3.1,..}, ..]}
 */
#ifndef POA_RUNTIME_TRACE_H
#define POA_RUNTIME_TRACE_H

#include "poa.h"

typedef struct poa_trace poa_trace;

/* Tracks 0.. are those of the team's threads; behind them lie the others. */
typedef enum poa_trace_track {
  POA_TRACE_RUN,     /* the thread that trains: steps, waiting, checkpoints */
  POA_TRACE_IMAGES,  /* the thread that prepares batches */
  POA_TRACE_COMPILE, /* the thread that compiles ahead */
  POA_TRACE_OTHERS
} poa_trace_track;

/* A trace for a team of `threads`, which the caller frees. */
poa_status poa_trace_create(poa_trace **trace, int threads, poa_error *error);
void poa_trace_free(poa_trace *trace);
/* The number of a track that is not the team's. */
int poa_trace_other(const poa_trace *trace, poa_trace_track track);

/* Adds what went on from `begin` to `end` (poa_seconds). `name` and `category` must live until the
 * trace is written; `detail`, which may be NULL, is copied up to a length. Never allocates. A trace
 * of NULL takes nothing. */
void poa_trace_add(poa_trace *trace, int track, const char *name, const char *category,
                   const char *detail, double begin, double end);

/* Writes the file, whole or not at all, when no thread adds any more. */
poa_status poa_trace_write(const poa_trace *trace, const char *path, poa_error *error);

#endif
