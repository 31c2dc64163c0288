/* train.c: pre-trains the elastic network.
 *
 * Each step deals a sub-network, fills the inputs, runs the compiled step and logs what it
 * reports. Sub-networks are compiled when they are first dealt. A checkpoint holds the whole
 * state: what is dealt and drawn depends on seed and step alone, so a resumed run
 * ends with the same bits. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "driver/evaluation.h"
#include "driver/run_folder.h"
#include "driver/sampling.h"
#include "driver/training_report.h"
#include "runtime/metrics.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "runtime/sources.h"

#define MAX_REPORTS 256

typedef struct trainer {
  poa_flags flags; /* those of the run when it is resumed */
  poa_arena *arena;
  poa_run_folder folder;
  poa_session session;
  poa_dataset *data;
  poa_deck *deck;
  poa_feeder *feeder;
  poa_metrics *metrics;
  poa_progress *progress;
  char normalization[100]; /* of the images, as text; "" if none are read */
  uint64_t seed;
  int64_t step, steps;
  int64_t skipped; /* steps that changed nothing */
  double waited;   /* seconds for images */
} trainer;

/* The number of steps is the constant `steps`, where the model has one. */
static poa_status read_steps(trainer *t, poa_error *error) {
  double steps;
  if (poa_model_number(t->session.model, "steps", &steps) && steps >= 1) {
    t->steps = (int64_t)steps;
    return POA_OK;
  }
  t->steps = t->flags.steps;
  if (t->steps < 1)
    return poa_fail(error, POA_BAD_INPUT, "the model has no constant 'steps': give --steps N");
  return POA_OK;
}

/* The sub-network of a step, compiled if it is new. */
static poa_status program_of(trainer *t, int64_t step, poa_program_at **program, poa_error *error) {
  poa_point point = poa_sampling_point(t->deck, t->seed, step);
  return poa_session_program(&t->session, "step", &point, false, program, error);
}

static poa_status load_checkpoint(trainer *t, poa_error *error) {
  poa_safetensors *file = NULL;
  poa_checkpoint_info info;
  poa_status status = poa_safetensors_open(&file, t->folder.checkpoint, error);
  if (status == POA_OK)
    status = poa_checkpoint_read_info(file, &info, error);
  if (status == POA_OK)
    status = poa_checkpoint_load(file, t->session.store, error);
  if (status == POA_OK)
    t->step = info.step;
  poa_safetensors_close(file);
  return status;
}

static poa_status save_checkpoint(trainer *t, poa_error *error) {
  poa_checkpoint_info info = {
      .step = t->step,
      .seed = t->seed,
      .deck_position = t->step,
      .model = t->flags.arguments[0],
      .normalization = t->normalization,
      .overrides = poa_join_overrides(&t->flags, t->arena),
  };
  return poa_checkpoint_save(t->folder.checkpoint, t->session.store, &info, error);
}

/* Of a run that is to be resumed, what it was started with counts. */
static poa_status recall_flags(trainer *t, const poa_flags *given, poa_error *error) {
  poa_safetensors *file = NULL;
  poa_checkpoint_info info;
  poa_status status = poa_safetensors_open(&file, t->folder.checkpoint, error);
  if (status == POA_OK)
    status = poa_checkpoint_read_info(file, &info, error);
  if (status == POA_OK && given->override_count > 0)
    status = poa_fail(error, POA_BAD_INPUT,
                      "a resumed run keeps the constants it was started with (%s): leave out --set",
                      *info.overrides ? info.overrides : "none were set");
  if (status == POA_OK && given->seed >= 0 && (uint64_t)given->seed != info.seed)
    status = poa_fail(error, POA_BAD_INPUT, "the run was started with --seed %" PRIu64, info.seed);
  if (status == POA_OK && strcmp(given->arguments[0], info.model) != 0)
    status = poa_fail(error, POA_BAD_INPUT, "the run in %s is of the model '%s', not '%s'",
                      t->folder.path, info.model, given->arguments[0]);
  if (status == POA_OK)
    status = poa_run_flags(&info, t->arena, &t->flags, error);
  poa_safetensors_close(file);
  return status;
}

static poa_status prepare_flags(trainer *t, const poa_flags *given, poa_error *error) {
  t->flags = *given;
  const char *slash = strrchr(given->arguments[0], '/');
  const char *base = slash ? slash + 1 : given->arguments[0];
  int length = (int)strcspn(base, ".");
  const char *otherwise = poa_arena_format(t->arena, "runs/%.*s", length, base);
  poa_status status = poa_run_folder_name(&t->folder, given->out ? given->out : otherwise, error);
  bool exists = status == POA_OK && poa_run_folder_has_checkpoint(&t->folder);
  if (status == POA_OK && exists && !given->resume)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s already holds a run: go on with it by --resume, or choose another --out",
                    t->folder.path);
  if (status == POA_OK && !exists && given->resume)
    return poa_fail(error, POA_BAD_INPUT, "there is no run to resume in %s", t->folder.path);
  if (status == POA_OK && exists)
    status = recall_flags(t, &t->flags, error);
  t->seed = t->flags.seed > 0 ? (uint64_t)t->flags.seed : 0;
  return status;
}

/* --steps sets the constant `steps`, where the model has one: schedules depend on it. */
static poa_status load_model(trainer *t, poa_model **model, poa_error *error) {
  poa_status status = poa_load_model(&t->flags, model, error);
  bool sets = status == POA_OK && t->flags.steps > 0 && poa_model_has_const(*model, "steps");
  if (!sets)
    return status;
  poa_model_free(*model);
  *model = NULL;
  if (t->flags.resume)
    return poa_fail(error, POA_BAD_INPUT,
                    "a resumed run keeps its number of steps: leave out --steps");
  if (t->flags.override_count == POA_MAX_OVERRIDES)
    return poa_fail(error, POA_BAD_INPUT, "more than %d constants set", POA_MAX_OVERRIDES);
  t->flags.overrides[t->flags.override_count++] =
      poa_arena_format(t->arena, "steps=%" PRId64, t->flags.steps);
  return poa_load_model(&t->flags, model, error);
}

static poa_status open_model(trainer *t, poa_error *error) {
  poa_model *model;
  poa_status status = load_model(t, &model, error);
  if (status == POA_OK)
    status = poa_session_open(&t->session, model, &t->flags, error);
  if (status == POA_OK)
    status = read_steps(t, error);
  if (status == POA_OK)
    status = poa_sampling_deck(poa_model_lattice(t->session.model), &t->deck, error);
  return status;
}

/* First values, or those of the checkpoint. */
static poa_status fill_parameters(trainer *t, poa_error *error) {
  if (t->flags.resume)
    return load_checkpoint(t, error);
  return poa_parameter_store_initialize(t->session.store, t->seed, 0, error);
}

/* How images are normalized goes into the checkpoint: a network is no use without it. */
static void note_normalization(trainer *t, const poa_plan *plan) {
  for (int i = 0; i < plan->input_count && !*t->normalization; i++) {
    const poa_plan_shape *shape = &plan->inputs[i].shape;
    if (shape->rank != 4 || (shape->dim[1] != 1 && shape->dim[1] != 3))
      continue;
    poa_normalization normalization = poa_dataset_normalization(t->data, (int)shape->dim[1]);
    poa_normalization_print(&normalization, (int)shape->dim[1], t->normalization,
                            sizeof t->normalization);
  }
}

static poa_status start(trainer *t, poa_error *error) {
  poa_program_at *first;
  poa_status status = open_model(t, error);
  if (status == POA_OK)
    status = poa_dataset_open(&t->data, t->flags.data, "train", error);
  if (status == POA_OK)
    status = program_of(t, 0, &first, error);
  if (status == POA_OK)
    note_normalization(t, first->plan);
  if (status == POA_OK)
    status = fill_parameters(t, error);
  if (status == POA_OK)
    status = poa_feeder_create(&t->feeder, first->plan, t->data, t->seed, t->step, error);
  if (status == POA_OK)
    status = poa_run_folder_make(&t->folder, error);
  if (status == POA_OK)
    status = poa_metrics_open(&t->metrics, t->folder.metrics, t->step, error);
  poa_progress_style style = t->flags.quiet ? POA_PROGRESS_NONE : POA_PROGRESS_AUTO;
  if (status == POA_OK)
    status = poa_progress_create(&t->progress, stdout, style, "train", "steps", t->step, t->steps,
                                 error);
  return status;
}

/* Reads the scalars that the step reports, with the point it ran at. */
static int read_reports(const trainer *t, const poa_program_at *program, poa_metric *values) {
  const poa_lattice *lattice = poa_model_lattice(t->session.model);
  int count = 0;
  for (int i = 0; i < lattice->count; i++)
    values[count++] = (poa_metric){lattice->name[i].name, (double)program->point.value[i]};
  for (int i = 0; i < program->plan->output_count && count < MAX_REPORTS; i++) {
    const poa_plan_output *output = &program->plan->outputs[i];
    if (output->kind == POA_OUTPUT_REPORT && output->dtype == POA_PLAN_F32)
      values[count++] = (poa_metric){
          output->name, *(const float *)poa_prepared_pointer(program->prepared, output->buffer)};
  }
  return count;
}

/* The description guards its updates by is_finite; here it is only told. */
static void tell_if_not_finite(trainer *t, const poa_metric *values, int count) {
  char names[600] = "";
  for (int i = 0; i < count; i++) {
    size_t used = strlen(names);
    if (!isfinite(values[i].value) && used + strlen(values[i].name) + 3 < sizeof names)
      snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", values[i].name);
  }
  if (!*names)
    return;
  t->skipped++;
  poa_progress_message(t->progress,
                       "step %" PRId64 " is skipped, it changes nothing: not finite: %s",
                       t->step + 1, names);
}

static double shown_loss(const poa_metric *values, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(values[i].name, "loss.total") == 0)
      return values[i].value;
  return NAN;
}

static poa_status run_step(trainer *t, poa_error *error) {
  poa_program_at *program;
  poa_metric values[MAX_REPORTS];
  double waited = 0;
  poa_status status = program_of(t, t->step, &program, error);
  if (status == POA_OK)
    status = poa_session_prepare(&t->session, program, error);
  if (status == POA_OK)
    status = poa_feeder_fill(t->feeder, program->plan, t->step,
                             poa_executor_arena(t->session.executor), &waited, error);
  if (status)
    return status;
  poa_executor_run(t->session.executor, program->prepared, NULL);
  t->waited += waited;
  int count = read_reports(t, program, values);
  tell_if_not_finite(t, values, count);
  status = poa_metrics_write(t->metrics, t->step, count, values, error);
  t->step++;
  poa_progress_update(t->progress, t->step, shown_loss(values, count));
  return status;
}

static poa_status run_steps(trainer *t, poa_error *error) {
  poa_signals signals;
  int64_t every = t->flags.every > 0 ? t->flags.every : 500;
  poa_status status = poa_signals_watch(&signals, error);
  if (status)
    return status;
  while (status == POA_OK && t->step < t->steps && !poa_signals_stop_asked(&signals)) {
    status = run_step(t, error);
    bool due = t->step % every == 0 && t->step < t->steps;
    if (status == POA_OK && due)
      status = save_checkpoint(t, error);
  }
  if (status == POA_OK)
    status = save_checkpoint(t, error);
  poa_signals_restore(&signals);
  poa_progress_finish(t->progress);
  t->progress = NULL;
  if (status == POA_OK && t->step < t->steps)
    return poa_fail(error, POA_INTERRUPTED,
                    "stopped after %" PRId64 " of %" PRId64
                    " steps; go on with: poa train %s --data %s --out %s --resume",
                    t->step, t->steps, t->flags.arguments[0], t->flags.data, t->folder.path);
  return status;
}

static void tell_speed(const trainer *t) {
  poa_kernel_statistics kernels = poa_kernel_library_statistics(t->session.library);
  printf("%" PRId64 " kernels compiled, %" PRId64 " from disk (%.1f s); waited %.1f s for images",
         kernels.compiled, kernels.from_disk, kernels.seconds, t->waited);
  if (t->skipped)
    printf("; %" PRId64 " steps skipped", t->skipped);
  printf("\ncheckpoint: %s\n", t->folder.checkpoint);
}

static poa_status train(trainer *t, const poa_flags *given, poa_error *error) {
  poa_status status = prepare_flags(t, given, error);
  if (status == POA_OK)
    status = start(t, error);
  if (status == POA_OK)
    status = run_steps(t, error);
  if (status)
    return status;
  tell_speed(t);
  poa_feeder_free(t->feeder); /* its thread would take time from the evaluation */
  t->feeder = NULL;
  poa_metrics_close(t->metrics);
  t->metrics = NULL;
  return poa_report_training(&t->session, &t->folder, t->flags.data, t->steps, error);
}

static void finish(trainer *t) {
  poa_progress_finish(t->progress);
  poa_feeder_free(t->feeder);
  poa_metrics_close(t->metrics);
  poa_deck_free(t->deck);
  poa_dataset_free(t->data);
  poa_session_close(&t->session);
  poa_arena_free(t->arena);
}

int poa_train(const poa_flags *flags) {
  poa_error error = {0};
  trainer t = {.arena = poa_arena_create()};
  poa_status status =
      t.arena ? train(&t, flags, &error) : poa_fail(&error, POA_NO_MEMORY, "out of memory");
  finish(&t);
  return status ? poa_report_failure(&error) : 0;
}
