/* eval.c: judges sub-networks of a trained run. */
#include <stdlib.h>

#include "driver/run_flags.h"
#include "driver/session.h"
#include "program/evaluation.h"
#include "program/labelled_data.h"
#include "program/run_folder.h"

#define MAX_POINTS 2048
#define VALUES_PER_NAME 4

typedef struct evaluator {
  poa_flags flags; /* with those of the run */
  poa_arena *arena;
  poa_session session;
  poa_safetensors *file;
  poa_dataset *train, *test;
  int64_t count;
  poa_point points[MAX_POINTS];
  poa_evaluation evaluations[MAX_POINTS];
} evaluator;

static poa_status open_run(evaluator *e, const poa_flags *given, poa_error *error) {
  poa_run_folder folder;
  poa_checkpoint_info info;
  poa_model *model;
  e->flags = *given;
  poa_status status = poa_run_folder_name(&folder, given->arguments[0], error);
  if (status == POA_OK && !poa_run_folder_has_checkpoint(&folder))
    status = poa_fail(error, POA_BAD_INPUT, "there is no run in '%s': it has no %s",
                      given->arguments[0], "checkpoint.safetensors");
  if (status == POA_OK)
    status = poa_safetensors_open(&e->file, folder.checkpoint, error);
  if (status == POA_OK)
    status = poa_checkpoint_read_info(e->file, &info, error);
  if (status)
    return status;
  status = poa_run_flags(&info, e->arena, &e->flags, error);
  e->flags.precision = NULL; /* of the steps, not of features */
  if (status == POA_OK)
    status = poa_load_model(&e->flags, &model, error);
  return status ? status : poa_session_open(&e->session, model, &e->flags, error);
}

static poa_status choose_points(evaluator *e, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(e->session.model);
  if (e->flags.at) {
    e->count = 1;
    return poa_point_parse(lattice, e->flags.at, &e->points[0], error);
  }
  if (!e->flags.all) {
    e->count = poa_select_points(lattice, VALUES_PER_NAME, e->points, MAX_POINTS);
    return POA_OK;
  }
  e->count = poa_lattice_size(lattice);
  if (e->count > MAX_POINTS)
    return poa_fail(error, POA_UNSUPPORTED, "--all goes up to %d sub-networks, the model has %lld",
                    MAX_POINTS, (long long)e->count);
  for (int64_t i = 0; i < e->count; i++)
    e->points[i] = poa_lattice_point(lattice, i);
  return POA_OK;
}

/* The first program makes the parameter store, which the checkpoint then fills. */
static poa_status load_weights(evaluator *e, poa_error *error) {
  poa_program_at *program;
  poa_status status =
      poa_supernet_program(&e->session.net, "features", &e->points[0], false, &program, error);
  return status ? status : poa_checkpoint_load(e->file, e->session.net.store, error);
}

static poa_status evaluate(evaluator *e, const poa_flags *given, poa_error *error) {
  poa_status status = open_run(e, given, error);
  if (status == POA_OK)
    status = choose_points(e, error);
  if (status == POA_OK)
    status = poa_open_labelled(given->data, &e->train, &e->test, error);
  if (status == POA_OK)
    status = load_weights(e, error);
  int64_t limit = given->limit > 0 ? given->limit : 0;
  for (int64_t i = 0; status == POA_OK && i < e->count; i++)
    status = poa_evaluate_point(&e->session.net, &e->points[i], e->train, e->test, limit,
                                &e->evaluations[i], error);
  if (status == POA_OK)
    poa_print_evaluations(poa_model_lattice(e->session.model), e->evaluations, e->count,
                          given->json);
  return status;
}

int poa_eval(const poa_flags *flags) {
  poa_error error = {0};
  evaluator *e = calloc(1, sizeof *e);
  poa_status status = POA_NO_MEMORY;
  if (e && (e->arena = poa_arena_create()))
    status = evaluate(e, flags, &error);
  else
    poa_fail(&error, POA_NO_MEMORY, "out of memory");
  if (e) {
    poa_complain_of_data(e->train, e->test);
    poa_dataset_free(e->train);
    poa_dataset_free(e->test);
    poa_safetensors_close(e->file);
    poa_session_close(&e->session);
    poa_arena_free(e->arena);
  }
  free(e);
  return status ? poa_report_failure(&error) : 0;
}
