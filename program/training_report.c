/* training_report.c: how good each sub-network has become, as a table and as a page. */
#include "program/training_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program/evaluation.h"
#include "program/labelled_data.h"
#include "runtime/arena.h"
#include "runtime/metrics.h"
#include "runtime/progress.h"
#include "runtime/report.h"

#define VALUES_PER_NAME 4

typedef struct judged {
  int64_t count;
  poa_evaluation evaluations[POA_REPORTED_POINTS];
} judged;

int64_t poa_reported_points(const poa_lattice *lattice, poa_point points[POA_REPORTED_POINTS]) {
  return poa_select_points(lattice, VALUES_PER_NAME, points, POA_REPORTED_POINTS);
}

static poa_status evaluate_points(poa_supernet *net, const poa_dataset *train,
                                  const poa_dataset *test, judged *result, poa_error *error) {
  poa_point points[POA_REPORTED_POINTS];
  poa_progress *progress = NULL;
  int64_t count = poa_reported_points(net->lattice, points);
  poa_status status = poa_progress_create(&progress, stdout, POA_PROGRESS_AUTO, "evaluate",
                                          "sub-networks", 0, count, error);
  for (int64_t i = 0; status == POA_OK && i < count; i++) {
    status = poa_evaluate_point(net, &points[i], train, test, (int64_t)net->eval_images,
                                &result->evaluations[i], error);
    result->count = status == POA_OK ? i + 1 : i;
    poa_progress_update(progress, i + 1, 0.0 / 0.0);
  }
  poa_progress_finish(progress);
  return status;
}

/* A network that cannot be judged, for want of labels or of finite features, is no failure of
 * the run: its checkpoint is written. */
static poa_status evaluate(poa_supernet *net, const char *data, judged *result, poa_error *error) {
  poa_dataset *train = NULL, *test = NULL;
  poa_error why = {0};
  if (!net->has_features) {
    printf("no evaluation: there is no entry 'features'\n");
    return POA_OK;
  }
  poa_status status = poa_open_labelled(data, &train, &test, &why);
  if (status == POA_OK)
    status = evaluate_points(net, train, test, result, &why);
  poa_complain_of_data(NULL, test); /* of the others training has told */
  poa_dataset_free(train);
  poa_dataset_free(test);
  if (status == POA_OK)
    return POA_OK;
  if (status != POA_BAD_INPUT)
    return poa_fail(error, status, "%s", why.message);
  printf("no evaluation: %s\n", why.message);
  return POA_OK;
}

/* The series whose names begin with `prefix`. */
static int find_series(const poa_metrics_table *table, const char *prefix,
                       const poa_series **series) {
  int count = 0;
  for (int i = 0; i < table->series_count; i++)
    if (strncmp(table->series[i].name, prefix, strlen(prefix)) == 0)
      series[count++] = &table->series[i];
  return count;
}

static void describe_models(const poa_lattice *lattice, const judged *result, poa_arena *arena,
                            poa_report_model *models) {
  poa_point top = poa_lattice_top(lattice);
  for (int64_t i = 0; i < result->count; i++) {
    const poa_evaluation *e = &result->evaluations[i];
    char name[256];
    poa_point_print(lattice, &e->network.point, name, sizeof name);
    bool intact = true;
    for (int k = 0; k < lattice->count; k++)
      intact = intact && e->network.point.value[k] == top.value[k];
    const char *group = lattice->count ? poa_arena_format(arena, "%s %lld", lattice->name[0].name,
                                                          (long long)e->network.point.value[0])
                                       : "network";
    models[i] = (poa_report_model){poa_arena_text(arena, name),
                                   group,
                                   intact,
                                   (double)e->network.parameters,
                                   e->network.flops,
                                   e->accuracy};
  }
}

static poa_status write_page(poa_supernet *net, const poa_run_folder *folder, int64_t steps,
                             const judged *result, poa_arena *arena, poa_error *error) {
  poa_metrics_table *table = NULL;
  poa_status status = poa_metrics_read(&table, folder->metrics, error);
  if (status)
    return status;
  size_t bytes = (size_t)(table->series_count + 1) * sizeof(poa_series *);
  const poa_series **losses = poa_arena_alloc(arena, bytes);
  const poa_series **norms = poa_arena_alloc(arena, bytes);
  poa_report_curves curves[] = {
      {"Losses", find_series(table, "loss.", losses), losses},
      {"Gradient norms before clipping", find_series(table, "clip.", norms), norms},
  };
  poa_report_model models[POA_REPORTED_POINTS];
  describe_models(net->lattice, result, arena, models);
  poa_report_fact facts[] = {
      {"model", net->model},
      {"steps", poa_arena_format(arena, "%lld", (long long)steps)},
      {"processor", net->processor},
  };
  poa_report report = {.title = "Pre-training of an elastic network",
                       .fact_count = 3,
                       .facts = facts,
                       .curves_count = 2,
                       .curves = curves,
                       .model_count = (int)result->count,
                       .models = models,
                       .accuracy_name = "k-NN accuracy"};
  status = poa_report_write(folder->report, &report, error);
  poa_metrics_table_free(table);
  return status;
}

poa_status poa_report_training(poa_supernet *net, const poa_run_folder *folder, const char *data,
                               int64_t steps, poa_error *error) {
  judged *result = calloc(1, sizeof *result);
  poa_arena *arena = poa_arena_create();
  poa_status status =
      result && arena ? POA_OK : poa_fail(error, POA_NO_MEMORY, "no memory for the report");
  if (status == POA_OK)
    status = evaluate(net, data, result, error);
  if (status == POA_OK && result->count)
    poa_print_evaluations(net->lattice, result->evaluations, result->count, false);
  if (status == POA_OK)
    status = write_page(net, folder, steps, result, arena, error);
  if (status == POA_OK)
    printf("report: %s\n", folder->report);
  poa_arena_free(arena);
  free(result);
  return status;
}
