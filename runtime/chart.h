/* chart.h: line and scatter charts as inline SVG.
 *
 * A chart is plain data; drawing it is one pass over it. Axes get round ticks (1, 2 or 5
 * times a power of ten). Long curves are averaged down to what the width can show.
 * Values that are not finite are left out. Every point of a scatter tells its label when pointed
 * at. */
#ifndef POA_RUNTIME_CHART_H
#define POA_RUNTIME_CHART_H

#include <stdio.h>

#include "poa.h"

/* One curve, or one group of points that a thin line joins. Nothing is owned. */
typedef struct poa_chart_series {
  const char *name; /* in the legend */
  int64_t count;
  const double *x, *y;       /* [count]; x rising */
  const char *const *labels; /* [count], of points; NULL for curves */
  const bool *marked;        /* [count], points that get a ring; NULL for none */
} poa_chart_series;

typedef struct poa_chart {
  const char *title, *x_title, *y_title;
  bool points;  /* draw a dot at each value */
  bool log_x;   /* logarithmic x; values not above 0 are left out */
  bool percent; /* y is a share, 0..1, shown in per cent */
  int series_count;
  const poa_chart_series *series;
} poa_chart;

/* Writes the chart as an <svg> element. Colours come from the page's CSS variables
 * --ink, --faint and --paper. Write errors are left in `out` (ferror). */
void poa_chart_write(FILE *out, const poa_chart *chart);

/* Writes text with the characters that HTML gives a meaning replaced. */
void poa_html_escape(FILE *out, const char *text);

#endif
