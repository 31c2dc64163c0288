/* passes.h: the map of passes/. A pass is one file and one function over a graph;
 * pipeline.c has the table of all of them and the one loop that runs them. */
#ifndef POA_PASSES_H
#define POA_PASSES_H

#include "ir/ir.h"

typedef struct poa_options {
  poa_point point; /* specialize: the lattice point; the top if `has_point` is false */
  bool has_point;
  bool keep_probes; /* simplify: keep outputs of kind "probe" */
  int vector_lanes; /* layout hints; 0: 16 */
  bool bf16;        /* lower_precision: products in bf16 */
} poa_options;

typedef poa_status (*poa_pass)(poa_graph *graph, const poa_options *options, poa_error *error);

/* specialize.c: binds the elastic names; keep and ratio nodes go */
poa_status poa_specialize(poa_graph *graph, const poa_options *options, poa_error *error);
/* extract.c: a sub-network becomes a plain network with parameters of its own; see extract.h */
poa_status poa_extract(poa_graph *graph, const poa_options *options, poa_error *error);
/* cut_rows.c: rows that nobody reads are not computed */
poa_status poa_cut_rows(poa_graph *graph, const poa_options *options, poa_error *error);
/* differentiate.c, gradients.c: reverse mode; gradient and detach nodes go */
poa_status poa_differentiate(poa_graph *graph, const poa_options *options, poa_error *error);
/* expand.c: composite ops and mixed reductions become plain ones */
poa_status poa_expand(poa_graph *graph, const poa_options *options, poa_error *error);
/* simplify.c: folding, common sub-expressions, algebra, dead code */
poa_status poa_simplify(poa_graph *graph, const poa_options *options, poa_error *error);
/* recompute.c: attention weights are computed again in the backward sweep */
poa_status poa_recompute(poa_graph *graph, const poa_options *options, poa_error *error);
/* lower_precision.c: marks the products that are computed in bf16, if asked for */
poa_status poa_lower_precision(poa_graph *graph, const poa_options *options, poa_error *error);
/* fuse.c: gives every node its kernel */
poa_status poa_fuse(poa_graph *graph, const poa_options *options, poa_error *error);
/* layout.c: gives every stored value its root and strides */
poa_status poa_layout(poa_graph *graph, const poa_options *options, poa_error *error);
/* schedule.c: order of kernels, places of buffers, exact peak memory */
poa_status poa_schedule(poa_graph *graph, const poa_options *options, poa_error *error);

/* read_parameters.c: the table of parameters */

/* Sets read[i] where the graph reads row i of its table. */
void poa_mark_read_parameters(const poa_graph *graph, bool *read);
/* Leaves only those rows in the table. A symbolic graph reads what some point reads. */
void poa_drop_unread_parameters(poa_graph *graph);

/* pipeline.c */

typedef struct poa_pipeline_row {
  const char *name;
  poa_pass pass;
  const char *description; /* one line */
  /* Checks what the pass establishes beyond what the verifier sees; NULL: nothing. */
  poa_status (*check)(const poa_graph *graph, poa_error *error);
} poa_pipeline_row;

extern const poa_pipeline_row poa_pipeline[];
extern const int poa_pipeline_count;

/* Called after each pass that ran. May be NULL. */
typedef void (*poa_after_pass)(void *context, const char *pass, const poa_graph *graph,
                               double seconds);

/* Runs the passes named in `names` ("fuse,schedule"), or the default order of pipeline.c,
 * where simplify stands twice, up to and including the last run of `last` when `names` is
 * NULL (`last` NULL: all). `options` NULL: none set. Verifies after every pass in
 * debug builds or when `verify` is set, the schedule by simulating it; a violation names the
 * pass that made it. */
poa_status poa_pipeline_run(poa_graph *graph, const char *names, const char *last,
                            const poa_options *options, bool verify, poa_after_pass after,
                            void *context, poa_error *error);

#endif
