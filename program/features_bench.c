/* features_bench.c: latency and throughput, on one thread and on all. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "program/features.h"
#include "runtime/clock.h"

enum { MAX_RUNS = 1000, MIN_RUNS = 5 };

#define BENCH_SECONDS 1.0

typedef struct timing {
  int runs;
  double seconds[MAX_RUNS]; /* sorted */
} timing;

static int compare_seconds(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Runs for `least` seconds, after two runs that count for nothing. */
static void measure(poa_features *f, const poa_ready_size *size, double least, timing *t) {
  memset(poa_prepared_pointer(size->prepared, size->ends.images->buffer), 0,
         (size_t)size->ends.images->buffer.bytes);
  for (int i = 0; i < 2; i++)
    poa_executor_run(f->executor, size->prepared, NULL);
  double start = poa_seconds();
  for (t->runs = 0; t->runs < MAX_RUNS;) {
    double before = poa_seconds();
    poa_executor_run(f->executor, size->prepared, NULL);
    double now = poa_seconds();
    t->seconds[t->runs++] = now - before;
    if (t->runs >= MIN_RUNS && now - start > least)
      break;
  }
  qsort(t->seconds, (size_t)t->runs, sizeof *t->seconds, compare_seconds);
}

double poa_features_time(poa_features *f, const poa_ready_size *size, double least_seconds) {
  timing t;
  measure(f, size, least_seconds, &t);
  return t.seconds[t.runs / 2];
}

static void print_row(const poa_features *f, const poa_ready_size *size, const timing *t,
                      bool first) {
  double median = t->seconds[t->runs / 2], slow = t->seconds[t->runs * 9 / 10];
  int64_t batch = size->entry->batch;
  double gflops = size->entry->flops * (double)batch / median * 1e-9;
  if (f->flags->json)
    printf("%s{\"threads\": %d, \"batch\": %lld, \"runs\": %d, \"median_ms\": %.5g, \"best_ms\": "
           "%.5g, \"p90_ms\": %.5g, \"images_per_s\": %.5g, \"gflops\": %.5g}",
           first ? "" : ",\n ", poa_executor_threads(f->executor), (long long)batch, t->runs,
           1e3 * median, 1e3 * t->seconds[0], 1e3 * slow, (double)batch / median, gflops);
  else
    printf("  %7d  %6lld  %10.3f  %10.3f  %10.3f  %10.1f  %8.1f\n",
           poa_executor_threads(f->executor), (long long)batch, 1e3 * median, 1e3 * t->seconds[0],
           1e3 * slow, (double)batch / median, gflops);
}

/* All sizes of the point, with as many threads as the executor has. */
static void bench_sizes(poa_features *f, bool first) {
  for (int i = f->size_count - 1; i >= 0; i--) {
    timing t;
    measure(f, &f->sizes[i], BENCH_SECONDS, &t);
    print_row(f, &f->sizes[i], &t, first && i == f->size_count - 1);
  }
}

static poa_status change_threads(poa_features *f, int threads, poa_error *error) {
  poa_point point = f->point;
  poa_features_release(f);
  poa_executor_free(f->executor);
  f->executor = NULL;
  poa_status status = poa_executor_create(&f->executor, threads, NULL, error);
  return status ? status : poa_features_take(f, &point, error);
}

static void print_head(const poa_features *f) {
  char point[256];
  poa_point_print(&f->program->lattice, &f->point, point, sizeof point);
  if (f->flags->json) {
    printf("[");
    return;
  }
  printf("%s%s%s: %lld parameters, %.4g GFLOP for an image\n", f->program->model,
         *point ? " at " : "", point, (long long)f->sizes[0].entry->parameters,
         f->sizes[0].entry->flops * 1e-9);
  printf("  %7s  %6s  %10s  %10s  %10s  %10s  %8s\n", "threads", "batch", "median ms", "best ms",
         "p90 ms", "images/s", "GFLOP/s");
}

poa_status poa_features_bench(poa_features *f, poa_error *error) {
  int most = f->flags->threads > 0 ? (int)f->flags->threads : omp_get_max_threads();
  poa_status status = POA_OK;
  print_head(f);
  if (f->flags->threads <= 0 && most > 1) {
    status = change_threads(f, 1, error);
    if (status == POA_OK)
      bench_sizes(f, true);
  }
  if (status == POA_OK)
    status = change_threads(f, most, error);
  if (status == POA_OK)
    bench_sizes(f, f->flags->threads > 0 || most == 1);
  if (f->flags->json)
    printf("]\n");
  return status;
}
