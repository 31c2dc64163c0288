/* metrics.c: metrics.jsonl, written, cut on resuming, read back. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "runtime/metrics.h"
#include "temporary_folder.h"

static char folder[64], path[100];

static void setup(void) {
  make_folder(folder);
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
}

static void teardown(void) {
  remove_folder(folder);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static poa_metrics *open_metrics(int64_t first_step) {
  poa_error error = {0};
  poa_metrics *metrics;
  cr_assert_eq(poa_metrics_open(&metrics, path, first_step, &error), POA_OK, "%s", error.message);
  return metrics;
}

static void write_steps(int64_t first, int64_t last) {
  poa_metrics *metrics = open_metrics(first);
  for (int64_t step = first; step < last; step++) {
    const poa_metric values[] = {{"total", 0.1f + (float)step}, {"a \"b\"", -1e-7}, {"bad", NAN}};
    cr_assert_eq(poa_metrics_write(metrics, step, 3, values, NULL), POA_OK);
  }
  poa_metrics_close(metrics);
}

static poa_metrics_table *read_table(void) {
  poa_error error = {0};
  poa_metrics_table *table;
  cr_assert_eq(poa_metrics_read(&table, path, &error), POA_OK, "%s", error.message);
  return table;
}

static void append_text(const char *text) {
  FILE *file = fopen(path, "a");
  fputs(text, file);
  fclose(file);
}

/* Protects: values read back exactly as float32, in order, also when not finite. */
Test(metrics, round_trip) {
  write_steps(0, 100);
  poa_metrics_table *table = read_table();
  cr_assert_eq(table->series_count, 3);
  const poa_series *total = poa_metrics_find(table, "total");
  cr_assert_eq(total->count, 100);
  for (int i = 0; i < 100; i++) {
    cr_assert_eq(total->steps[i], i);
    cr_assert_eq((float)total->values[i], 0.1f + (float)i);
  }
  cr_assert_eq(poa_metrics_find(table, "a \"b\"")->values[7], -1e-7);
  cr_assert(isnan(poa_metrics_find(table, "bad")->values[99]));
  cr_assert_null(poa_metrics_find(table, "none"));
  poa_metrics_table_free(table);
}

/* Protects: resuming at a step drops what was written from it on, and a line torn by a
 * crash; no step appears twice in the file. */
Test(metrics, resume_cuts_later_lines) {
  write_steps(0, 10);
  append_text("{\"step\":10,\"tot");
  write_steps(7, 12);
  poa_metrics_table *table = read_table();
  const poa_series *total = poa_metrics_find(table, "total");
  cr_assert_eq(total->count, 12);
  for (int i = 0; i < 12; i++)
    cr_assert_eq(total->steps[i], i);
  poa_metrics_table_free(table);
  poa_metrics_close(open_metrics(0));
  table = read_table();
  cr_assert_eq(table->series_count, 0);
  poa_metrics_table_free(table);
}

/* Protects: a file that is something else is not thrown away silently. */
Test(metrics, foreign_lines_are_errors) {
  const char *const rows[] = {"hello\n",         "{}\n",  "{\"step\":\"1\"}\n",
                              "{\"step\":-1}\n", "[1]\n", "\n"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    poa_error error = {0};
    poa_metrics *metrics;
    poa_metrics_close(open_metrics(0));
    append_text("{\"step\":1}\n");
    append_text(rows[i]);
    cr_expect_eq(poa_metrics_open(&metrics, path, 5, &error), POA_BAD_INPUT, "row %zu", i);
    cr_expect(strstr(error.message, path) && strstr(error.message, "line 2"), "%s", error.message);
    poa_metrics_table *table;
    cr_expect_eq(poa_metrics_read(&table, path, NULL), POA_BAD_INPUT);
  }
}

/* Protects: a full disk is an error, and leaves no half line before later ones. */
Test(metrics, full_disk) {
  poa_error error = {0};
  poa_metrics *metrics = open_metrics(0);
  const poa_metric value = {"total", 1};
  struct rlimit old, limit;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(poa_metrics_write(metrics, 0, 1, &value, NULL), POA_OK);
  getrlimit(RLIMIT_FSIZE, &old);
  limit = old;
  limit.rlim_cur = 30; /* within the second line */
  setrlimit(RLIMIT_FSIZE, &limit);
  poa_status status = poa_metrics_write(metrics, 1, 1, &value, &error);
  setrlimit(RLIMIT_FSIZE, &old);
  cr_assert_eq(status, POA_IO);
  cr_assert(strstr(error.message, path), "%s", error.message);
  cr_assert_eq(poa_metrics_write(metrics, 2, 1, &value, NULL), POA_OK);
  poa_metrics_close(metrics);
  poa_metrics_table *table = read_table();
  cr_assert_eq(table->series[0].count, 2);
  cr_assert_eq(table->series[0].steps[1], 2);
  poa_metrics_table_free(table);
}
