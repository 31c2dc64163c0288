/* training.c: the loop of a run.
 *
 * Each step deals a sub-network, fills the inputs, runs the step and logs what it reports. A
 * checkpoint holds the whole state: what is dealt and drawn depends on seed and step alone,
 * so a resumed run ends with the same bits. */
#include "program/training.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program/compile_ahead.h"
#include "program/first_step.h"
#include "program/initial_weights.h"
#include "program/sampling.h"
#include "program/training_report.h"
#include "runtime/clock.h"
#include "runtime/dataset.h"
#include "runtime/metrics.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "runtime/sources.h"

#define MAX_REPORTS 256
#define STEP "step"
#define TAKEN "update.taken" /* the report that is 0 where a step changes nothing */

typedef struct trainer {
  const poa_training *settings;
  poa_supernet *net;
  poa_dataset *data;
  poa_deck *deck;
  poa_feeder *feeder;
  poa_compile_ahead *ahead; /* NULL: plans need no compiling */
  poa_metrics *metrics;
  poa_trace *trace; /* of the first steps, or NULL */
  int64_t traced_until;
  poa_progress *progress;
  char normalization[100]; /* of the images, as text; "" if none are read */
  int64_t step;
  int64_t skipped;                 /* steps that changed nothing */
  double waited, waited_for_plans; /* seconds, for images and for kernels */
} trainer;

/* Folders */

poa_status poa_training_folder(const char *out, const char *model, bool resume,
                               poa_run_folder *folder, poa_error *error) {
  char otherwise[600];
  const char *slash = strrchr(model, '/');
  const char *base = slash ? slash + 1 : model;
  snprintf(otherwise, sizeof otherwise, "runs/%.*s", (int)strcspn(base, "."), base);
  poa_status status = poa_run_folder_name(folder, out ? out : otherwise, error);
  bool exists = status == POA_OK && poa_run_folder_has_checkpoint(folder);
  if (status == POA_OK && exists && !resume)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s already holds a run: go on with it by --resume, or choose another --out",
                    folder->path);
  if (status == POA_OK && !exists && resume)
    return poa_fail(error, POA_BAD_INPUT, "there is no run to resume in %s", folder->path);
  return status;
}

poa_status poa_training_recall(const poa_run_folder *folder, poa_safetensors **file,
                               poa_checkpoint_info *info, poa_error *error) {
  poa_status status = poa_safetensors_open(file, folder->checkpoint, error);
  return status ? status : poa_checkpoint_read_info(*file, info, error);
}

/* Checkpoints */

static poa_status load_checkpoint(trainer *t, poa_error *error) {
  poa_safetensors *file = NULL;
  poa_checkpoint_info info;
  poa_status status = poa_training_recall(&t->settings->folder, &file, &info, error);
  if (status == POA_OK)
    status = poa_checkpoint_load(file, t->net->store, error);
  if (status == POA_OK)
    t->step = info.step;
  poa_safetensors_close(file);
  return status;
}

static poa_status save_checkpoint(trainer *t, poa_error *error) {
  poa_checkpoint_info info = {
      .step = t->step,
      .seed = t->settings->seed,
      .deck_position = t->step,
      .model = t->settings->model,
      .overrides = t->settings->overrides,
      .precision = t->settings->precision,
      .normalization = t->normalization,
  };
  double begin = poa_seconds();
  poa_status status =
      poa_checkpoint_save(t->settings->folder.checkpoint, t->net->store, &info, error);
  poa_trace_add(t->trace, poa_trace_other(t->trace, POA_TRACE_RUN), "checkpoint", "run", NULL,
                begin, poa_seconds());
  return status;
}

/* Start */

static poa_point point_of(const trainer *t, int64_t step) {
  return poa_sampling_point(t->deck, t->settings->seed, step);
}

/* Has the sub-networks of the steps that follow compiled while this one runs. */
static void compile_ahead(trainer *t) {
  poa_point points[POA_AHEAD];
  int64_t left = t->settings->steps - t->step - 1;
  int count = left < POA_AHEAD ? (int)left : POA_AHEAD;
  for (int i = 0; i < count; i++)
    points[i] = point_of(t, t->step + 1 + i);
  poa_compile_ahead_want(t->ahead, points, count);
}

static poa_status program_of_step(trainer *t, poa_program_at **program, poa_error *error) {
  double waited = 0;
  poa_point point = point_of(t, t->step);
  if (!t->ahead)
    return poa_supernet_program(t->net, STEP, &point, false, program, error);
  poa_status status = poa_compile_ahead_take(t->ahead, &point, program, &waited, error);
  t->waited_for_plans += waited;
  if (status == POA_OK)
    compile_ahead(t);
  return status;
}

/* First values from elsewhere, or those of the checkpoint. */
static poa_status read_parameters(trainer *t, poa_error *error) {
  if (t->settings->resume)
    return load_checkpoint(t, error);
  return t->settings->init ? poa_take_initial_weights(t->net->store, t->settings->init, error)
                           : POA_OK;
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

static poa_status open_data(trainer *t, poa_error *error) {
  char text[200];
  poa_status status = poa_dataset_open(&t->data, t->settings->data, "train", error);
  if (status)
    return status;
  poa_dataset_describe(t->data, text, sizeof text);
  if (!t->settings->quiet)
    printf("data: %s\n", text);
  return POA_OK;
}

/* Fetches kernels while others make the first batch and all that a step needs in memory. */
static poa_status make_ready(trainer *t, poa_program_at *program, poa_error *error) {
  const poa_training *s = t->settings;
  poa_first_step first;
  poa_status status =
      poa_first_step_begin(&first, t->net, program->plan, !s->resume, s->seed, error);
  if (status == POA_OK)
    status = poa_supernet_link(t->net, program, error);
  poa_first_step_finish(&first);
  return status;
}

/* The step to begin with is known before the checkpoint's values are read. */
static poa_status start(trainer *t, poa_error *error) {
  const poa_training *s = t->settings;
  poa_program_at *program;
  poa_point point;
  poa_status status = poa_sampling_deck(t->net->lattice, &t->deck, error);
  if (status == POA_OK)
    status = open_data(t, error);
  if (status == POA_OK) {
    point = point_of(t, 0);
    status = poa_supernet_plan(t->net, STEP, &point, false, &program, error);
  }
  if (status == POA_OK)
    note_normalization(t, program->plan);
  if (status == POA_OK)
    status = make_ready(t, program, error);
  if (status == POA_OK)
    status = read_parameters(t, error);
  if (status == POA_OK)
    status = poa_feeder_create(&t->feeder, program->plan, t->data, s->seed, t->step, error);
  if (status == POA_OK)
    status = poa_compile_ahead_create(&t->ahead, t->net, STEP, error);
  if (status == POA_OK)
    status = poa_run_folder_make(&s->folder, error);
  if (status == POA_OK)
    status = poa_metrics_open(&t->metrics, s->folder.metrics, t->step, error);
  poa_progress_style style = s->quiet ? POA_PROGRESS_NONE : POA_PROGRESS_AUTO;
  if (status == POA_OK)
    status = poa_progress_create(&t->progress, stdout, style, "train", "steps", t->step, s->steps,
                                 error);
  return status;
}

/* The trace */

static void trace_threads(trainer *t, poa_trace *trace) {
  poa_executor_trace(t->net->executor, trace);
  poa_feeder_trace(t->feeder, trace);
  if (t->ahead)
    poa_compile_ahead_trace(t->ahead, trace);
}

static poa_status begin_trace(trainer *t, poa_error *error) {
  if (!t->settings->trace)
    return POA_OK;
  poa_status status = poa_trace_create(&t->trace, poa_executor_threads(t->net->executor), error);
  t->traced_until = t->step + POA_TRACED_STEPS;
  if (status == POA_OK)
    trace_threads(t, t->trace);
  return status;
}

/* What the thread that trains did; nothing once the traced steps are over. */
static void trace(trainer *t, const char *what, const char *detail, double begin) {
  if (t->step < t->traced_until)
    poa_trace_add(t->trace, poa_trace_other(t->trace, POA_TRACE_RUN), what, "run", detail, begin,
                  poa_seconds());
}

static void trace_step(trainer *t, const poa_program_at *program, double begin) {
  char point[256], detail[300];
  if (t->step >= t->traced_until)
    return;
  poa_point_print(t->net->lattice, &program->point, point, sizeof point);
  snprintf(detail, sizeof detail, "%" PRId64 " %s", t->step + 1, point);
  trace(t, "step", detail, begin);
  if (t->step + 1 == t->traced_until)
    trace_threads(t, NULL);
}

/* When the threads that add to it have ended, or the last traced step has. */
static poa_status write_trace(trainer *t, poa_error *error) {
  poa_status status = t->trace ? poa_trace_write(t->trace, t->settings->trace, error) : POA_OK;
  poa_trace_free(t->trace);
  t->trace = NULL;
  return status;
}

/* A step */

/* Files that could not be read are told when they are met, the first few by name. */
static void tell_unreadable(trainer *t) {
  char message[sizeof((poa_error *)0)->message];
  while (poa_dataset_complaint(t->data, message, sizeof message))
    poa_progress_message(t->progress, "left out: %s", message);
}

/* Reads the scalars that the step reports, with the point it ran at. */
static int read_reports(const trainer *t, const poa_program_at *program, poa_metric *values) {
  const poa_lattice *lattice = t->net->lattice;
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

/* What a step does about numbers that are not finite is the description's business; only where it
 * reports that it left everything as it was is the step called skipped. */
static void tell_if_not_finite(trainer *t, const poa_metric *values, int count) {
  char names[600] = "";
  bool taken = true;
  for (int i = 0; i < count; i++) {
    size_t used = strlen(names);
    taken = taken && (strcmp(values[i].name, TAKEN) != 0 || values[i].value != 0);
    if (!isfinite(values[i].value) && used + strlen(values[i].name) + 3 < sizeof names)
      snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", values[i].name);
  }
  t->skipped += !taken;
  if (*names || !taken)
    poa_progress_message(t->progress, "step %" PRId64 "%s%s%s", t->step + 1,
                         taken ? "" : " is skipped, it changes nothing",
                         *names ? ": not finite: " : "", names);
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
  double waited = 0, begin = poa_seconds();
  poa_status status = program_of_step(t, &program, error);
  trace(t, "wait for kernels", NULL, begin);
  if (status == POA_OK)
    status = poa_supernet_prepare(t->net, program, error);
  if (status == POA_OK)
    begin = poa_seconds();
  if (status == POA_OK)
    status = poa_feeder_fill(t->feeder, program->plan, t->step,
                             poa_executor_arena(t->net->executor), &waited, error);
  if (status) {
    tell_unreadable(t);
    return status;
  }
  trace(t, "wait for images", NULL, begin);
  begin = poa_seconds();
  poa_executor_run(t->net->executor, program->prepared, NULL);
  trace_step(t, program, begin);
  t->waited += waited;
  int count = read_reports(t, program, values);
  tell_if_not_finite(t, values, count);
  tell_unreadable(t);
  status = poa_metrics_write(t->metrics, t->step, count, values, error);
  t->step++;
  poa_progress_update(t->progress, t->step, shown_loss(values, count));
  return status;
}

/* The run */

static poa_status run_steps(trainer *t, poa_error *error) {
  const poa_training *s = t->settings;
  poa_signals signals;
  poa_status status = poa_signals_watch(&signals, error);
  if (status)
    return status;
  while (status == POA_OK && t->step < s->steps && !poa_signals_stop_asked(&signals)) {
    status = run_step(t, error);
    bool due = t->step % s->every == 0 && t->step < s->steps;
    if (status == POA_OK && due)
      status = save_checkpoint(t, error);
  }
  if (status == POA_OK)
    status = save_checkpoint(t, error);
  poa_signals_restore(&signals);
  poa_progress_finish(t->progress);
  t->progress = NULL;
  if (status == POA_OK && t->step < s->steps)
    return poa_fail(error, POA_INTERRUPTED,
                    "stopped after %" PRId64 " of %" PRId64
                    " steps; go on with: %s --data %s --out %s --resume",
                    t->step, s->steps, s->again, s->data, s->folder.path);
  return status;
}

static void tell_speed(const trainer *t) {
  char plans[200] = "";
  t->net->describe(t->net->context, plans, sizeof plans);
  printf("%s; waited %.1f s for images", plans, t->waited);
  if (t->net->link)
    printf(" and %.1f s for kernels", t->waited_for_plans);
  if (t->skipped)
    printf("; %" PRId64 " steps skipped", t->skipped);
  int64_t unreadable = poa_dataset_unreadable(t->data);
  if (unreadable)
    printf("; %" PRId64 " image file%s could not be read", unreadable, unreadable > 1 ? "s" : "");
  printf("\ncheckpoint: %s\n", t->settings->folder.checkpoint);
}

static poa_status train(trainer *t, poa_error *error) {
  poa_status status = start(t, error);
  if (status == POA_OK)
    status = begin_trace(t, error);
  if (status == POA_OK)
    status = run_steps(t, error);
  if (status)
    return status;
  poa_compile_ahead_free(t->ahead);
  t->ahead = NULL;
  tell_speed(t);
  poa_feeder_free(t->feeder); /* its thread would take time from the evaluation */
  t->feeder = NULL;
  status = write_trace(t, error);
  if (status)
    return status;
  poa_dataset_free(t->data); /* what it keeps would take memory from it */
  t->data = NULL;
  poa_metrics_close(t->metrics);
  t->metrics = NULL;
  return poa_report_training(t->net, &t->settings->folder, t->settings->data, t->settings->steps,
                             error);
}

poa_status poa_train_network(const poa_training *training, poa_supernet *net, poa_error *error) {
  trainer t = {.settings = training, .net = net};
  poa_status status = train(&t, error);
  poa_progress_finish(t.progress);
  poa_compile_ahead_free(t.ahead);
  poa_feeder_free(t.feeder);
  if (write_trace(&t, status ? NULL : error) && status == POA_OK)
    status = error->status;
  poa_metrics_close(t.metrics);
  poa_deck_free(t.deck);
  poa_dataset_free(t.data);
  return status;
}
