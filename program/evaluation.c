/* evaluation.c: runs `features` over a data set, batch by batch. */
#include "program/evaluation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program/features_ends.h"
#include "runtime/clock.h"
#include "runtime/dataset_reader.h"
#include "runtime/knn.h"

/* The images in and the features out of the entry. */
typedef struct features_plan {
  const poa_program_at *program;
  poa_features_ends ends;
  int64_t batch, dimension;
  int channels, size;
} features_plan;

static poa_status measure_ends(const poa_program_at *program, features_plan *f, poa_error *error) {
  *f = (features_plan){.program = program};
  poa_status status = poa_find_features_ends(program->plan, &f->ends, error);
  if (status)
    return status;
  f->batch = f->ends.images->shape.dim[0];
  f->channels = (int)f->ends.images->shape.dim[1];
  f->size = (int)f->ends.images->shape.dim[2];
  f->dimension = f->ends.features->shape.dim[1];
  return POA_OK;
}

/* Features and labels of the images that can be read. */
typedef struct judged_rows {
  float *features; /* [count, dimension] */
  int32_t *labels; /* [count] */
  int64_t count;
} judged_rows;

static void free_rows(judged_rows *rows) {
  free(rows->features);
  free(rows->labels);
}

static poa_status compute_features(poa_supernet *net, const features_plan *f,
                                   poa_dataset_reader *reader, judged_rows *rows,
                                   poa_error *error) {
  poa_prepared *prepared = f->program->prepared;
  float *images = poa_prepared_pointer(prepared, f->ends.images->buffer);
  const float *features = poa_prepared_pointer(prepared, f->ends.features->buffer);
  int64_t image_size = (int64_t)f->channels * f->size * f->size;
  while (reader->next < reader->end) {
    int64_t have;
    if (poa_dataset_read(reader, f->batch, images, rows->labels + rows->count, &have, error))
      return error->status;
    if (have == 0) /* the rest cannot be read */
      break;
    memset(images + have * image_size, 0,
           (size_t)((f->batch - have) * image_size) * sizeof *images);
    poa_executor_run(net->executor, prepared, NULL);
    memcpy(rows->features + rows->count * f->dimension, features,
           (size_t)(have * f->dimension) * sizeof *features);
    rows->count += have;
  }
  return POA_OK;
}

/* Of the first `count` images. */
static poa_status compute_rows(poa_supernet *net, const features_plan *f, const poa_dataset *data,
                               int64_t count, const poa_normalization *normalization,
                               judged_rows *rows, poa_error *error) {
  poa_dataset_reader reader;
  *rows = (judged_rows){.features = malloc((size_t)(count * f->dimension) * sizeof(float)),
                        .labels = malloc((size_t)count * sizeof(int32_t))};
  if (!rows->features || !rows->labels)
    return poa_fail(error, POA_NO_MEMORY, "no memory for features");
  poa_status status =
      poa_dataset_reader_open(&reader, data, count, f->channels, f->size, normalization, error);
  if (status == POA_OK)
    status = compute_features(net, f, &reader, rows, error);
  poa_dataset_reader_close(&reader);
  if (status == POA_OK && rows->count == 0)
    status = poa_fail(error, POA_BAD_INPUT, "none of %lld images to evaluate with can be read",
                      (long long)count);
  return status;
}

static poa_status judge(poa_supernet *net, const features_plan *f, const poa_dataset *train,
                        const poa_dataset *test, int64_t bank, double *accuracy, poa_error *error) {
  poa_normalization normalization = poa_dataset_normalization(train, f->channels);
  judged_rows known, asked = {0};
  poa_status status = compute_rows(net, f, train, bank, &normalization, &known, error);
  if (status == POA_OK)
    status = compute_rows(net, f, test, test->count, &normalization, &asked, error);
  poa_knn_rows bank_rows = {known.features, known.labels, known.count};
  poa_knn_rows test_rows = {asked.features, asked.labels, asked.count};
  poa_knn_settings settings = POA_KNN_DEFAULTS;
  settings.threads = poa_executor_threads(net->executor);
  int classes = train->classes > test->classes ? train->classes : test->classes;
  if (status == POA_OK)
    status =
        poa_knn_accuracy(&bank_rows, &test_rows, f->dimension, classes, settings, accuracy, error);
  free_rows(&known);
  free_rows(&asked);
  return status;
}

poa_status poa_evaluate_point(poa_supernet *net, const poa_point *point, const poa_dataset *train,
                              const poa_dataset *test, int64_t limit, poa_evaluation *result,
                              poa_error *error) {
  double start = poa_seconds();
  poa_program_at *program;
  features_plan f;
  *result = (poa_evaluation){0};
  result->network.point = *point;
  poa_status status = net->measure(net->context, &result->network, error);
  if (status == POA_OK)
    status = poa_supernet_program(net, "features", point, false, &program, error);
  if (status == POA_OK)
    status = poa_supernet_prepare(net, program, error);
  if (status == POA_OK)
    status = measure_ends(program, &f, error);
  int64_t bank = limit > 0 && limit < train->count ? limit : train->count;
  if (status == POA_OK)
    status = judge(net, &f, train, test, bank, &result->accuracy, error);
  result->seconds = poa_seconds() - start;
  return status;
}

/* The k-th of `chosen` evenly spread indices of 0..count-1. */
static int64_t spread(int64_t k, int64_t chosen, int64_t count) {
  return chosen == 1 ? count - 1 : k * (count - 1) / (chosen - 1);
}

int64_t poa_select_points(const poa_lattice *lattice, int per_name, poa_point *points,
                          int64_t capacity) {
  int64_t total = 1, chosen[POA_MAX_ELASTIC], count[POA_MAX_ELASTIC];
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *e = &lattice->name[i];
    count[i] = (e->max - e->min) / e->step + 1;
    chosen[i] = count[i] < per_name ? count[i] : per_name;
    total *= chosen[i];
  }
  total = total < capacity ? total : capacity;
  for (int64_t at = 0; at < total; at++) {
    int64_t rest = at;
    for (int i = lattice->count - 1; i >= 0; rest /= chosen[i--])
      points[at].value[i] = lattice->name[i].min +
                            lattice->name[i].step * spread(rest % chosen[i], chosen[i], count[i]);
  }
  return total;
}

static void print_json(const poa_lattice *lattice, const poa_evaluation *e) {
  printf("{");
  for (int i = 0; i < lattice->count; i++)
    printf("\"%s\": %lld, ", lattice->name[i].name, (long long)e->network.point.value[i]);
  printf("\"parameters\": %lld, \"flops\": %.0f, \"knn\": %.4f}", (long long)e->network.parameters,
         e->network.flops, e->accuracy);
}

static void print_row(const poa_lattice *lattice, const poa_evaluation *e) {
  poa_point top = poa_lattice_top(lattice);
  bool intact = true;
  for (int i = 0; i < lattice->count; i++) {
    printf("  %8lld", (long long)e->network.point.value[i]);
    intact = intact && e->network.point.value[i] == top.value[i];
  }
  printf("  %12lld  %12.2f  %8.2f%s\n", (long long)e->network.parameters, e->network.flops * 1e-6,
         100 * e->accuracy, intact ? "  intact" : "");
}

void poa_print_evaluations(const poa_lattice *lattice, const poa_evaluation *evaluations,
                           int64_t count, bool json) {
  if (json) {
    printf("[");
    for (int64_t i = 0; i < count; i++) {
      printf("%s", i ? ",\n " : "");
      print_json(lattice, &evaluations[i]);
    }
    printf("]\n");
    return;
  }
  for (int i = 0; i < lattice->count; i++)
    printf("  %8s", lattice->name[i].name);
  printf("  %12s  %12s  %8s\n", "parameters", "MFLOP/image", "k-NN %");
  for (int64_t i = 0; i < count; i++)
    print_row(lattice, &evaluations[i]);
}
