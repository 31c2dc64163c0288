/* metrics.c: metrics.jsonl, written and read back. */
#include "runtime/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/atomic_file.h"

struct poa_metrics {
  char *path;
  int descriptor;
};

/* Reading lines */

/* Called with the step and the parsed object of each line; `line` is its text with the newline. */
typedef poa_status line_fn(void *context, const char *line, int64_t step, const json_t *object,
                           poa_error *error);

static poa_status read_line(const char *path, const char *line, int64_t number, line_fn *call,
                            void *context, poa_error *error) {
  json_t *object = json_loads(line, 0, NULL);
  const json_t *step = json_object_get(object, "step");
  poa_status status = json_is_integer(step) && json_integer_value(step) >= 0
                          ? call(context, line, json_integer_value(step), object, error)
                          : poa_fail(error, POA_BAD_INPUT,
                                     "'%s', line %lld: expected a JSON object with a number "
                                     "\"step\"; repair or remove the file",
                                     path, (long long)number);
  json_decref(object);
  return status;
}

static poa_status read_lines(const char *path, FILE *file, line_fn *call, void *context,
                             poa_error *error) {
  char *line = NULL;
  size_t capacity = 0;
  poa_status status = POA_OK;
  for (int64_t number = 1; status == POA_OK; number++) {
    ssize_t length = getline(&line, &capacity, file);
    if (length <= 0 || line[length - 1] != '\n') /* the end, or torn off by a crash */
      break;
    status = read_line(path, line, number, call, context, error);
  }
  if (status == POA_OK && ferror(file))
    status = poa_fail(error, POA_IO, "cannot read '%s': %s", path, strerror(errno));
  free(line);
  return status;
}

/* Writing */

typedef struct kept_lines {
  int64_t first_step;
  FILE *out;
} kept_lines;

static poa_status keep_line(void *context, const char *line, int64_t step, const json_t *object,
                            poa_error *error) {
  (void)object, (void)error;
  kept_lines *kept = context;
  if (step < kept->first_step)
    fputs(line, kept->out);
  return POA_OK;
}

/* Leaves in the file the lines before `first_step`. */
static poa_status drop_lines(const char *path, int64_t first_step, poa_error *error) {
  FILE *file = first_step > 0 ? fopen(path, "re") : NULL;
  if (first_step > 0 && !file && errno != ENOENT)
    return poa_fail(error, POA_IO, "cannot open '%s': %s", path, strerror(errno));
  char *text = NULL;
  size_t bytes = 0;
  kept_lines kept = {.first_step = first_step, .out = open_memstream(&text, &bytes)};
  poa_status status = POA_OK;
  if (kept.out && file)
    status = read_lines(path, file, keep_line, &kept, error);
  if (file)
    fclose(file);
  if (!kept.out || fclose(kept.out) != 0)
    status = poa_fail(error, POA_NO_MEMORY, "out of memory while reading '%s'", path);
  if (status == POA_OK)
    status = poa_write_file_atomically(path, text, bytes, error);
  free(text);
  return status;
}

poa_status poa_metrics_open(poa_metrics **metrics, const char *path, int64_t first_step,
                            poa_error *error) {
  *metrics = NULL;
  poa_status status = drop_lines(path, first_step, error);
  if (status != POA_OK)
    return status;
  poa_metrics *made = calloc(1, sizeof *made);
  char *copy = strdup(path);
  if (!made || !copy) {
    free(made);
    free(copy);
    return poa_fail(error, POA_NO_MEMORY, "out of memory while opening '%s'", path);
  }
  *made = (poa_metrics){.path = copy, .descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)};
  if (made->descriptor < 0) {
    status = poa_fail(error, POA_IO, "cannot open '%s': %s", path, strerror(errno));
    poa_metrics_close(made);
    return status;
  }
  *metrics = made;
  return POA_OK;
}

/* Whole numbers as such, what is not finite as null. */
static json_t *number(double value) {
  if (!isfinite(value))
    return json_null();
  bool whole = value == floor(value) && fabs(value) < 0x1p53;
  return whole ? json_integer((json_int_t)value) : json_real(value);
}

static char *line_text(int64_t step, int count, const poa_metric *values) {
  json_t *object = json_object();
  bool done = object && json_object_set_new(object, "step", json_integer(step)) == 0;
  for (int i = 0; done && i < count; i++)
    done = json_object_set_new(object, values[i].name, number(values[i].value)) == 0;
  /* nine digits tell any two float32 apart */
  char *text = done ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(object);
  return text;
}

poa_status poa_metrics_write(poa_metrics *metrics, int64_t step, int count,
                             const poa_metric *values, poa_error *error) {
  char *text = line_text(step, count, values), *line = NULL;
  int length = text ? asprintf(&line, "%s\n", text) : -1;
  free(text);
  if (length < 0)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while writing '%s'", metrics->path);
  off_t end = lseek(metrics->descriptor, 0, SEEK_END);
  ssize_t written;
  do
    written = write(metrics->descriptor, line, (size_t)length);
  while (written < 0 && errno == EINTR);
  free(line);
  if (written == length)
    return POA_OK;
  if (written > 0 && ftruncate(metrics->descriptor, end) != 0)
    poa_fail(error, POA_IO, "cannot write '%s': %s", metrics->path, strerror(errno));
  return poa_fail(error, POA_IO, "cannot write '%s': %s", metrics->path,
                  written < 0 ? strerror(errno) : "the disk is full");
}

void poa_metrics_close(poa_metrics *metrics) {
  if (!metrics)
    return;
  if (metrics->descriptor >= 0)
    close(metrics->descriptor);
  free(metrics->path);
  free(metrics);
}

/* Reading back */

static bool is_power_of_two(int64_t value) {
  return (value & (value - 1)) == 0;
}

/* Doubles an array whenever its count reaches a power of two. */
static bool grow(void **data, int64_t count, size_t item) {
  if (count > 0 && !is_power_of_two(count))
    return true;
  void *larger = realloc(*data, (size_t)(count ? 2 * count : 1) * item);
  if (larger)
    *data = larger;
  return larger;
}

static poa_series *find_or_add(poa_metrics_table *table, const char *name) {
  poa_series *found = (poa_series *)poa_metrics_find(table, name);
  if (found)
    return found;
  void *series = table->series;
  char *copy = strdup(name);
  if (!copy || !grow(&series, table->series_count, sizeof *table->series)) {
    free(copy);
    return NULL;
  }
  table->series = series;
  table->series[table->series_count] = (poa_series){.name = copy};
  return &table->series[table->series_count++];
}

static bool append(poa_series *series, double step, double value) {
  void *steps = series->steps, *values = series->values;
  bool grown = grow(&steps, series->count, sizeof(double));
  series->steps = steps;
  grown = grow(&values, series->count, sizeof(double)) && grown;
  series->values = values;
  if (grown) {
    series->steps[series->count] = step;
    series->values[series->count++] = value;
  }
  return grown;
}

static poa_status add_line(void *context, const char *line, int64_t step, const json_t *object,
                           poa_error *error) {
  (void)line;
  const char *name;
  const json_t *item;
  /* json_object_foreach takes no const object, and changes none. */
  json_object_foreach((json_t *)(uintptr_t)object, name, item) {
    if (strcmp(name, "step") == 0 || !(json_is_number(item) || json_is_null(item)))
      continue;
    poa_series *series = find_or_add(context, name);
    double value = json_is_number(item) ? json_number_value(item) : NAN;
    if (!series || !append(series, (double)step, value))
      return poa_fail(error, POA_NO_MEMORY, "out of memory for the metrics");
  }
  return POA_OK;
}

poa_status poa_metrics_read(poa_metrics_table **table, const char *path, poa_error *error) {
  *table = NULL;
  FILE *file = fopen(path, "re");
  if (!file)
    return poa_fail(error, POA_IO, "cannot open '%s': %s", path, strerror(errno));
  poa_metrics_table *made = calloc(1, sizeof *made);
  poa_status status = made ? read_lines(path, file, add_line, made, error)
                           : poa_fail(error, POA_NO_MEMORY, "out of memory for the metrics");
  fclose(file);
  if (status != POA_OK) {
    poa_metrics_table_free(made);
    return status;
  }
  *table = made;
  return POA_OK;
}

void poa_metrics_table_free(poa_metrics_table *table) {
  if (!table)
    return;
  for (int i = 0; i < table->series_count; i++) {
    free(table->series[i].name);
    free(table->series[i].steps);
    free(table->series[i].values);
  }
  free(table->series);
  free(table);
}

const poa_series *poa_metrics_find(const poa_metrics_table *table, const char *name) {
  for (int i = 0; i < table->series_count; i++)
    if (strcmp(table->series[i].name, name) == 0)
      return &table->series[i];
  return NULL;
}
