/* report.c: the page around the charts. */
#include "runtime/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/atomic_file.h"
#include "runtime/chart.h"

static const char style[] =
    ":root{--ink:#1d2430;--faint:#d9dee6;--paper:#fff}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--faint:#39414d;--paper:#14181e}}\n"
    "body{margin:2rem auto;max-width:60rem;padding:0 1rem;color:var(--ink);"
    "background:var(--paper);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}\n"
    "svg{width:100%;height:auto;margin:1rem 0}svg text{fill:var(--ink);font-size:12px}"
    "svg .title{font-size:15px;font-weight:600}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--faint);text-align:left}"
    "td.number,th.number{text-align:right}tr.intact td{font-weight:600}\n";

static void write_element(FILE *out, const char *tag, const char *text) {
  fprintf(out, "<%s>", tag);
  poa_html_escape(out, text);
  fprintf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

static void write_head(FILE *out, const poa_report *report) {
  fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width\">\n");
  write_element(out, "title", report->title);
  fprintf(out, "\n<style>\n%s</style>\n</head>\n<body>\n", style);
  write_element(out, "h1", report->title);
  fprintf(out, "\n");
}

static void write_facts(FILE *out, const poa_report *report) {
  if (report->fact_count == 0)
    return;
  fprintf(out, "<table>\n");
  for (int i = 0; i < report->fact_count; i++) {
    fprintf(out, "<tr>");
    write_element(out, "th", report->facts[i].name);
    write_element(out, "td", report->facts[i].value);
    fprintf(out, "</tr>\n");
  }
  fprintf(out, "</table>\n");
}

static bool write_curves(FILE *out, const poa_report_curves *curves) {
  poa_chart_series *series = calloc((size_t)curves->series_count + 1, sizeof *series);
  if (!series)
    return false;
  for (int i = 0; i < curves->series_count; i++)
    series[i] = (poa_chart_series){.name = curves->series[i]->name,
                                   .count = curves->series[i]->count,
                                   .x = curves->series[i]->steps,
                                   .y = curves->series[i]->values};
  poa_chart_write(out, &(poa_chart){.title = curves->title,
                                    .x_title = "step",
                                    .y_title = "",
                                    .series_count = curves->series_count,
                                    .series = series});
  free(series);
  return true;
}

/* The models' numbers as the chart wants them: one array per column, groups by FLOPs. */
typedef struct model_columns {
  poa_report_model *models;
  double *flops, *accuracy;
  const char **labels;
  bool *intact;
  poa_chart_series *groups;
  int group_count;
} model_columns;

/* Models of one group stand together; within it, by FLOPs. The comparison sees only models
 * of one group. */
static int compare_flops(const void *a, const void *b) {
  const poa_report_model *x = a, *y = b;
  return (x->flops > y->flops) - (x->flops < y->flops);
}

static int group_end(const poa_report_model *models, int first, int count) {
  int last = first + 1;
  while (last < count && strcmp(models[last].group, models[first].group) == 0)
    last++;
  return last;
}

static bool allocate_columns(model_columns *columns, size_t count) {
  columns->models = calloc(count, sizeof *columns->models);
  columns->flops = calloc(count, sizeof *columns->flops);
  columns->accuracy = calloc(count, sizeof *columns->accuracy);
  columns->labels = calloc(count, sizeof *columns->labels);
  columns->intact = calloc(count, sizeof *columns->intact);
  columns->groups = calloc(count, sizeof *columns->groups);
  return columns->models && columns->flops && columns->accuracy && columns->labels &&
         columns->intact && columns->groups;
}

static char *model_label(const poa_report_model *model) {
  char *label = NULL;
  int length = asprintf(&label, "%s: %.2f %%, %.4g GFLOP, %.4g M parameters", model->name,
                        100 * model->accuracy, model->flops / 1e9, model->parameters / 1e6);
  return length < 0 ? NULL : label;
}

static bool fill_columns(model_columns *columns, const poa_report *report) {
  memcpy(columns->models, report->models, (size_t)report->model_count * sizeof *report->models);
  for (int first = 0, last; first < report->model_count; first = last) {
    last = group_end(columns->models, first, report->model_count);
    qsort(columns->models + first, (size_t)(last - first), sizeof *columns->models, compare_flops);
    columns->groups[columns->group_count++] =
        (poa_chart_series){.name = columns->models[first].group,
                           .count = last - first,
                           .x = columns->flops + first,
                           .y = columns->accuracy + first,
                           .labels = columns->labels + first,
                           .marked = columns->intact + first};
  }
  for (int i = 0; i < report->model_count; i++) {
    columns->flops[i] = columns->models[i].flops;
    columns->accuracy[i] = columns->models[i].accuracy;
    columns->intact[i] = columns->models[i].intact;
    columns->labels[i] = model_label(&columns->models[i]);
    if (!columns->labels[i])
      return false;
  }
  return true;
}

static void free_columns(model_columns *columns, int count) {
  for (int i = 0; columns->labels && i < count; i++)
    free((char *)(uintptr_t)columns->labels[i]);
  free(columns->models);
  free(columns->flops);
  free(columns->accuracy);
  free(columns->labels);
  free(columns->intact);
  free(columns->groups);
}

static void write_table(FILE *out, const poa_report *report) {
  fprintf(out, "<table>\n<tr><th>model</th><th class=\"number\">parameters (M)</th>"
               "<th class=\"number\">GFLOP</th>");
  write_element(out, "th class=\"number\"", report->accuracy_name);
  fprintf(out, "</tr>\n");
  for (int i = 0; i < report->model_count; i++) {
    const poa_report_model *model = &report->models[i];
    fprintf(out, "<tr%s>", model->intact ? " class=\"intact\"" : "");
    write_element(out, "td", model->name);
    fprintf(out,
            "<td class=\"number\">%.3f</td><td class=\"number\">%.4g</td>"
            "<td class=\"number\">%.2f %%</td></tr>\n",
            model->parameters / 1e6, model->flops / 1e9, 100 * model->accuracy);
  }
  fprintf(out, "</table>\n");
}

static bool write_models(FILE *out, const poa_report *report) {
  if (report->model_count == 0)
    return true;
  model_columns columns = {0};
  bool done =
      allocate_columns(&columns, (size_t)report->model_count) && fill_columns(&columns, report);
  if (done) {
    fprintf(out, "<h2>Sub-models</h2>\n");
    poa_chart_write(out, &(poa_chart){.title = "Every sub-model, the intact one ringed",
                                      .x_title = "FLOPs of one image",
                                      .y_title = report->accuracy_name,
                                      .points = true,
                                      .log_x = true,
                                      .percent = true,
                                      .series_count = columns.group_count,
                                      .series = columns.groups});
    write_table(out, report);
  }
  free_columns(&columns, report->model_count);
  return done;
}

static bool write_page(FILE *out, const poa_report *report) {
  write_head(out, report);
  write_facts(out, report);
  bool done = true;
  for (int i = 0; done && i < report->curves_count; i++)
    done = write_curves(out, &report->curves[i]);
  done = done && write_models(out, report);
  fprintf(out, "</body>\n</html>\n");
  return done && !ferror(out);
}

poa_status poa_report_write(const char *path, const poa_report *report, poa_error *error) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  bool done = out && write_page(out, report);
  if (out)
    done = fclose(out) == 0 && done;
  poa_status status =
      done ? poa_write_file_atomically(path, text, bytes, error)
           : poa_fail(error, POA_NO_MEMORY, "out of memory for the report '%s'", path);
  free(text);
  return status;
}
