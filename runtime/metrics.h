/* metrics.h: the numbers of a run, one JSON object a line.
 *
 *   {"step":12,"total":9.0123,"lr":0.004}
 *
 * Every line is written whole, in one call, as soon as it is known, so a run can be watched
 * and a killed one loses at most a torn last line. Values that are not finite are null. */
#ifndef POA_RUNTIME_METRICS_H
#define POA_RUNTIME_METRICS_H

#include "poa.h"

typedef struct poa_metrics poa_metrics;

typedef struct poa_metric {
  const char *name;
  double value;
} poa_metric;

/* One name's values over the steps; NaN where null was read. */
typedef struct poa_series {
  char *name;
  int64_t count;
  double *steps, *values;
} poa_series;

/* A whole file, column by column, in the order of first appearance. */
typedef struct poa_metrics_table {
  int series_count;
  poa_series *series;
} poa_metrics_table;

/* Opens `path` for appending, first dropping the lines of `first_step` and later (all, for 0) and
 * a torn last line. *metrics is the caller's. Fails where another line is no metrics. */
poa_status poa_metrics_open(poa_metrics **metrics, const char *path, int64_t first_step,
                            poa_error *error);

/* Appends a line. */
poa_status poa_metrics_write(poa_metrics *metrics, int64_t step, int count,
                             const poa_metric *values, poa_error *error);
void poa_metrics_close(poa_metrics *metrics);

/* Reads `path`; *table is the caller's. Ignores a torn last line. */
poa_status poa_metrics_read(poa_metrics_table **table, const char *path, poa_error *error);
void poa_metrics_table_free(poa_metrics_table *table);

/* The series `name`, or NULL. */
const poa_series *poa_metrics_find(const poa_metrics_table *table, const char *name);

#endif
