/* pipeline.c: the table of passes, the order in which they run by default, and the one
 * loop that runs, checks, times and reports them. */
#include <string.h>

#include "passes/passes.h"
#include "passes/schedule.h"
#include "runtime/clock.h"

const poa_pipeline_row poa_pipeline[] = {
    {"specialize", poa_specialize, "binds the elastic names to a point of the lattice", NULL},
    {"extract", poa_extract, "cuts out a plain network with parameters of its own", NULL},
    {"cut_rows", poa_cut_rows, "computes only the rows that are read", NULL},
    {"differentiate", poa_differentiate, "writes gradients out as a backward sweep", NULL},
    {"expand", poa_expand, "composite ops and mixed reductions become plain ones", NULL},
    {"simplify", poa_simplify, "folds constants, merges equal nodes, algebra, dead code", NULL},
    {"recompute", poa_recompute, "large values of short sums are computed again rather than held",
     NULL},
    {"lower_precision", poa_lower_precision, "products in bf16, if asked for", NULL},
    {"fuse", poa_fuse, "gives every node its kernel", NULL},
    {"layout", poa_layout, "gives every stored value its buffer and strides", NULL},
    {"schedule", poa_schedule, "orders kernels and places buffers; exact peak memory",
     poa_schedule_check},
};
const int poa_pipeline_count = sizeof poa_pipeline / sizeof *poa_pipeline;

/* Simplify runs twice: before differentiate, so that there is less to differentiate and
 * transposes are flags of products, whose gradients then need none; and after expand, to
 * share what forward and backward both compute. Precision comes last of what works on values, since
 * rules of algebra would have to carry it along. */
static const char *const default_order[] = {
    "specialize", "simplify",        "cut_rows", "differentiate", "expand",   "simplify",
    "recompute",  "lower_precision", "fuse",     "layout",        "schedule",
};
enum { DEFAULT_COUNT = sizeof default_order / sizeof *default_order };

/* Where and how to run. */
typedef struct run {
  poa_graph *graph;
  const poa_options *options;
  bool verify;
  poa_after_pass after;
  void *context;
  poa_error *error;
} run;

static const poa_pipeline_row *find(const char *name) {
  for (int i = 0; i < poa_pipeline_count; i++)
    if (!strcmp(poa_pipeline[i].name, name))
      return &poa_pipeline[i];
  return NULL;
}

static poa_status refuse(const char *name, poa_error *error) {
  const char *candidates[sizeof poa_pipeline / sizeof *poa_pipeline];
  for (int i = 0; i < poa_pipeline_count; i++)
    candidates[i] = poa_pipeline[i].name;
  const char *nearest = poa_nearest(name, candidates, poa_pipeline_count);
  if (nearest)
    return poa_fail(error, POA_BAD_INPUT, "there is no pass '%s'; did you mean '%s'?", name,
                    nearest);
  return poa_fail(error, POA_BAD_INPUT, "there is no pass '%s'; `poa opt --list` lists them", name);
}

static bool must_verify(const run *r) {
#ifndef NDEBUG
  (void)r;
  return true;
#else
  return r->verify;
#endif
}

static poa_status verify_after(const run *r, const poa_pipeline_row *row) {
  poa_status status = poa_graph_verify(r->graph, r->error);
  if (status == POA_OK && row->check)
    status = row->check(r->graph, r->error);
  if (status == POA_BAD_INPUT)
    poa_context(r->error, "the graph is not valid after %s", row->name);
  return status;
}

static poa_status run_pass(const run *r, const char *name) {
  const poa_pipeline_row *row = find(name);
  if (!row)
    return refuse(name, r->error);
  double start = poa_seconds();
  poa_status status = row->pass(r->graph, r->options, r->error);
  if (status)
    return status;
  double elapsed = poa_seconds() - start;
  if (must_verify(r))
    status = verify_after(r, row);
  if (status)
    return status;
  if (r->after)
    r->after(r->context, name, r->graph, elapsed);
  return POA_OK;
}

/* "fuse, schedule": names between commas, blanks around them ignored. */
static poa_status run_named(const run *r, const char *names) {
  char *list = poa_arena_text(r->graph->arena, names), *rest = NULL;
  for (char *name = strtok_r(list, ", \t\n", &rest); name; name = strtok_r(NULL, ", \t\n", &rest)) {
    poa_status status = run_pass(r, name);
    if (status)
      return status;
  }
  return POA_OK;
}

/* The number of default passes up to and including the last one named `last`. */
static int count_up_to(const char *last) {
  int count = DEFAULT_COUNT;
  while (last && count > 0 && strcmp(default_order[count - 1], last) != 0)
    count--;
  return count;
}

poa_status poa_pipeline_run(poa_graph *graph, const char *names, const char *last,
                            const poa_options *options, bool verify, poa_after_pass after,
                            void *context, poa_error *error) {
  static const poa_options defaults = {.has_point = false};
  run r = {graph, options ? options : &defaults, verify, after, context, error};
  if (names)
    return run_named(&r, names);
  if (last && !find(last))
    return refuse(last, error);
  int count = count_up_to(last);
  for (int i = 0; i < count; i++) {
    poa_status status = run_pass(&r, default_order[i]);
    if (status)
      return status;
  }
  return POA_OK;
}
