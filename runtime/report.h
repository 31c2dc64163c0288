/* report.h: report.html, the one page that tells how a run went.
 *
 * Loss curves from the metrics, accuracy against FLOPs for every sub-model that was evaluated,
 * and the same as a table. One file, inline SVG, no scripts, nothing fetched, so it
 * can be mailed or opened years later. */
#ifndef POA_RUNTIME_REPORT_H
#define POA_RUNTIME_REPORT_H

#include "runtime/metrics.h"

/* A chart of some of the metrics. */
typedef struct poa_report_curves {
  const char *title;
  int series_count;
  const poa_series *const *series; /* from a poa_metrics_table */
} poa_report_curves;

/* An evaluated sub-model. */
typedef struct poa_report_model {
  const char *name;  /* "width=256,depth=8" */
  const char *group; /* "width 256": models of one group share a colour */
  bool intact;       /* the maximal model, marked with a ring */
  double parameters, flops;
  double accuracy; /* 0..1 */
} poa_report_model;

/* A line of what the run was: "steps", "1000". */
typedef struct poa_report_fact {
  const char *name, *value;
} poa_report_fact;

/* Nothing is owned. Parts with a count of 0 are left out of the page. */
typedef struct poa_report {
  const char *title;
  int fact_count, curves_count, model_count;
  const poa_report_fact *facts;
  const poa_report_curves *curves;
  const poa_report_model *models; /* groups one after the other */
  const char *accuracy_name;      /* "k-NN accuracy" */
} poa_report;

/* Writes the page, whole or not at all. */
poa_status poa_report_write(const char *path, const poa_report *report, poa_error *error);

#endif
