/* chart.c: SVG by hand: a frame, ticks, curves, dots, a legend. */
#include "runtime/chart.h"

#include <math.h>
#include <stdlib.h>

enum {
  WIDTH = 860,
  HEIGHT = 380,
  LEFT = 68,
  RIGHT = 186, /* room for the legend */
  TOP = 36,
  BOTTOM = 52,
  BUCKETS = 400, /* points of a long curve */
  LEGEND_ROWS = 14,
  TICKS = 40,
};

/* The range of one axis, in what is drawn: logarithms if logarithmic. */
typedef struct chart_axis {
  double low, high;
  bool logarithmic;
} chart_axis;

typedef struct chart_frame {
  chart_axis x, y;
} chart_frame;

void poa_html_escape(FILE *out, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    const char *entity = byte == '&'    ? "&amp;"
                         : byte == '<'  ? "&lt;"
                         : byte == '>'  ? "&gt;"
                         : byte == '"'  ? "&quot;"
                         : byte == '\'' ? "&#39;"
                                        : NULL;
    if (entity)
      fputs(entity, out);
    else
      fputc(byte < 0x20 && byte != '\n' && byte != '\t' ? '?' : byte, out);
  }
}

/* Axes */

static double scaled(const chart_axis *axis, double value) {
  if (!axis->logarithmic)
    return value;
  return value > 0 ? log10(value) : NAN;
}

/* 1, 2 or 5 times a power of ten, so that `span` has four to ten steps. */
static double round_step(double span) {
  double power = pow(10, floor(log10(span / 4)));
  double rest = span / 4 / power;
  return (rest >= 5 ? 5 : rest >= 2 ? 2 : 1) * power;
}

/* Widens the range: a linear one to whole steps, a logarithmic one by a little. A single value
 * gets some room around it. */
static void settle(chart_axis *axis) {
  if (!(axis->low <= axis->high)) /* no value at all */
    axis->low = 0, axis->high = 1;
  if (axis->high - axis->low < 1e-9 * fmax(fabs(axis->high), 1e-300)) {
    double room = axis->low != 0 && !axis->logarithmic ? fabs(axis->low) / 10 : 0.5;
    axis->low -= room;
    axis->high += room;
  }
  double step = round_step(axis->high - axis->low), room = (axis->high - axis->low) / 30;
  axis->low = axis->logarithmic ? axis->low - room : floor(axis->low / step + 1e-9) * step;
  axis->high = axis->logarithmic ? axis->high + room : ceil(axis->high / step - 1e-9) * step;
}

/* Adds the multiples of `step` that lie between two values. */
static int add_multiples(double step, double low, double high, double *ticks, int count) {
  for (double i = ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && count < TICKS; i++)
    ticks[count++] = i * step;
  return count;
}

/* The values that get a tick. A logarithmic axis has them at 1, 2 and 5 times the powers of ten, at
 * the powers alone if it is long, at even steps if it is short. */
static int place_ticks(const chart_axis *axis, double ticks[TICKS]) {
  double low = axis->low, high = axis->high;
  if (!axis->logarithmic)
    return add_multiples(round_step(high - low), low, high, ticks, 0);
  if (high - low < 1)
    return add_multiples(round_step(pow(10, high) - pow(10, low)), pow(10, low), pow(10, high),
                         ticks, 0);
  int count = 0;
  for (double power = floor(low); power <= high && count < TICKS - 3; power++)
    for (int digit = 1; digit <= (high - low > 4 ? 1 : 5); digit = digit == 1 ? 2 : digit + 3) {
      double value = digit * pow(10, power);
      if (log10(value) >= low && log10(value) <= high)
        ticks[count++] = value;
    }
  return count;
}

static void stretch(chart_axis *axis, double value) {
  axis->low = fmin(axis->low, value);
  axis->high = fmax(axis->high, value);
}

static chart_frame fit(const poa_chart *chart) {
  chart_frame frame = {.x = {INFINITY, -INFINITY, chart->log_x}, .y = {INFINITY, -INFINITY, false}};
  for (int i = 0; i < chart->series_count; i++)
    for (int64_t j = 0; j < chart->series[i].count; j++) {
      double x = scaled(&frame.x, chart->series[i].x[j]), y = chart->series[i].y[j];
      if (!isfinite(x) || !isfinite(y))
        continue;
      stretch(&frame.x, x);
      stretch(&frame.y, y);
    }
  settle(&frame.x);
  settle(&frame.y);
  return frame;
}

static double place(const chart_axis *axis, double value, double from, double to) {
  return from + (value - axis->low) / (axis->high - axis->low) * (to - from);
}

static double place_x(const chart_frame *frame, double value) {
  return place(&frame->x, scaled(&frame->x, value), LEFT, WIDTH - RIGHT);
}

static double place_y(const chart_frame *frame, double value) {
  return place(&frame->y, value, HEIGHT - BOTTOM, TOP);
}

/* "1.5G" and the like for large numbers. */
static void tick_text(char *text, size_t bytes, double value, bool percent) {
  static const struct {
    double unit;
    const char *letter;
  } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
  if (percent) {
    snprintf(text, bytes, "%.4g %%", 100 * value);
    return;
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (fabs(value) >= 10 * units[i].unit || (fabs(value) >= units[i].unit && i < 3)) {
      snprintf(text, bytes, "%.3g%s", value / units[i].unit, units[i].letter);
      return;
    }
  snprintf(text, bytes, "%.4g", fabs(value) < 1e-12 ? 0 : value);
}

static void write_axes(FILE *out, const poa_chart *chart, const chart_frame *frame) {
  char text[40];
  double ticks[TICKS];
  const int right = WIDTH - RIGHT, bottom = HEIGHT - BOTTOM;
  int count = place_ticks(&frame->y, ticks);
  for (int i = 0; i < count; i++) {
    double y = place_y(frame, ticks[i]);
    tick_text(text, sizeof text, ticks[i], chart->percent);
    fprintf(out,
            "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"var(--faint)\"/>"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            LEFT, y, right, y, LEFT - 8, y + 4, text);
  }
  count = place_ticks(&frame->x, ticks);
  for (int i = 0; i < count; i++) {
    double x = place_x(frame, ticks[i]);
    tick_text(text, sizeof text, ticks[i], false);
    fprintf(out,
            "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"var(--ink)\"/>"
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
            x, bottom, x, bottom + 5, x, bottom + 19, text);
  }
  fprintf(out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"var(--ink)\"/>\n", LEFT,
          bottom, right, bottom);
}

static void write_text(FILE *out, double x, double y, const char *attributes, const char *text) {
  fprintf(out, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, attributes);
  poa_html_escape(out, text);
  fprintf(out, "</text>\n");
}

static void write_titles(FILE *out, const poa_chart *chart) {
  write_text(out, LEFT, 20, " class=\"title\"", chart->title);
  write_text(out, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, " text-anchor=\"middle\"",
             chart->x_title);
  char attributes[100];
  snprintf(attributes, sizeof attributes, " text-anchor=\"middle\" transform=\"rotate(-90 14 %d)\"",
           (TOP + HEIGHT - BOTTOM) / 2);
  write_text(out, 14, (TOP + HEIGHT - BOTTOM) / 2.0, attributes, chart->y_title);
}

/* Series. Neighbours differ by the golden angle in hue, which no two of any few series share. */

static int hue(int index) {
  return (int)fmod(210 + 137.508 * index, 360);
}

static void write_colour(FILE *out, const char *attribute, int index) {
  fprintf(out, " %s=\"hsl(%d 65%% %d%%)\"", attribute, hue(index), index % 2 ? 42 : 50);
}

/* A curve of the means of equal runs of values. */
static void write_curve(FILE *out, const poa_chart_series *series, const chart_frame *frame,
                        int index) {
  int64_t run = (series->count + BUCKETS - 1) / BUCKETS;
  fprintf(out, "<polyline fill=\"none\" stroke-width=\"%s\"", series->labels ? "1" : "1.8");
  write_colour(out, "stroke", index);
  fprintf(out, " points=\"");
  for (int64_t first = 0; first < series->count; first += run) {
    double x = 0, y = 0;
    int64_t counted = 0;
    for (int64_t j = first; j < first + run && j < series->count; j++)
      if (isfinite(scaled(&frame->x, series->x[j])) && isfinite(series->y[j])) {
        x += series->x[j];
        y += series->y[j];
        counted++;
      }
    if (counted)
      fprintf(out, "%.1f,%.1f ", place_x(frame, x / (double)counted),
              place_y(frame, y / (double)counted));
  }
  fprintf(out, "\"/>\n");
}

static void write_dot(FILE *out, const poa_chart_series *series, const chart_frame *frame,
                      int index, int64_t j) {
  double x = place_x(frame, series->x[j]), y = place_y(frame, series->y[j]);
  if (!isfinite(x) || !isfinite(y))
    return;
  bool marked = series->marked && series->marked[j];
  fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"", x, y, marked ? "6" : "3.5");
  write_colour(out, "fill", index);
  fprintf(out, " stroke=\"%s\" stroke-width=\"%s\"><title>", marked ? "var(--ink)" : "var(--paper)",
          marked ? "2" : "1");
  poa_html_escape(out, series->labels ? series->labels[j] : series->name);
  fprintf(out, "</title></circle>\n");
}

/* The last row tells how many series found no room. */
static void write_legend(FILE *out, const poa_chart *chart) {
  int x = WIDTH - RIGHT + 18;
  bool all = chart->series_count <= LEGEND_ROWS;
  int shown = all ? chart->series_count : LEGEND_ROWS - 1;
  for (int i = 0; i < shown; i++) {
    int y = TOP + 8 + 20 * i;
    fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"4\" rx=\"2\"", x, y - 6);
    write_colour(out, "fill", i);
    fprintf(out, "/>");
    write_text(out, x + 22, y, "", chart->series[i].name);
  }
  char text[40];
  snprintf(text, sizeof text, "and %d more", chart->series_count - shown);
  if (!all)
    write_text(out, x + 22, TOP + 8 + 20 * shown, "", text);
}

void poa_chart_write(FILE *out, const poa_chart *chart) {
  chart_frame frame = fit(chart);
  fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
  poa_html_escape(out, chart->title);
  fprintf(out, "\">\n");
  write_axes(out, chart, &frame);
  write_titles(out, chart);
  for (int i = 0; i < chart->series_count; i++) {
    write_curve(out, &chart->series[i], &frame, i);
    for (int64_t j = 0; chart->points && j < chart->series[i].count; j++)
      write_dot(out, &chart->series[i], &frame, i, j);
  }
  if (chart->series_count > 1)
    write_legend(out, chart);
  fprintf(out, "</svg>\n");
}
