/* train.c: `poa train`: a run whose plans are compiled as its steps come to need them. */
#include <inttypes.h>
#include <string.h>

#include "driver/precision.h"
#include "driver/run_flags.h"
#include "driver/session.h"
#include "program/training.h"

#define CHECKPOINT_EVERY 500

typedef struct trainer {
  poa_flags flags; /* those of the run when it is resumed */
  poa_arena *arena;
  poa_session session;
  poa_training settings;
} trainer;

/* Of a run that is to be resumed, what it was started with counts. */
static poa_status recall_flags(trainer *t, const poa_flags *given, poa_error *error) {
  poa_safetensors *file = NULL;
  poa_checkpoint_info info;
  poa_status status = poa_training_recall(&t->settings.folder, &file, &info, error);
  if (status == POA_OK && given->override_count > 0)
    status = poa_fail(error, POA_BAD_INPUT,
                      "a resumed run keeps the constants it was started with (%s): leave out --set",
                      *info.overrides ? info.overrides : "none were set");
  if (status == POA_OK && given->init)
    status = poa_fail(error, POA_BAD_INPUT,
                      "a resumed run goes on from its checkpoint: leave out --init");
  if (status == POA_OK && given->seed >= 0 && (uint64_t)given->seed != info.seed)
    status = poa_fail(error, POA_BAD_INPUT, "the run was started with --seed %" PRIu64, info.seed);
  if (status == POA_OK && given->precision && strcmp(given->precision, info.precision) != 0)
    status =
        poa_fail(error, POA_BAD_INPUT, "the run was started with --precision %s", info.precision);
  if (status == POA_OK && strcmp(given->arguments[0], info.model) != 0)
    status = poa_fail(error, POA_BAD_INPUT, "the run in %s is of the model '%s', not '%s'",
                      t->settings.folder.path, info.model, given->arguments[0]);
  if (status == POA_OK)
    status = poa_run_flags(&info, t->arena, &t->flags, error);
  poa_safetensors_close(file);
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

/* The number of steps is the constant `steps`, where the model has one. */
static poa_status read_steps(trainer *t, poa_error *error) {
  double steps;
  bool known = poa_model_number(t->session.model, "steps", &steps) && steps >= 1;
  t->settings.steps = known ? (int64_t)steps : t->flags.steps;
  if (t->settings.steps < 1)
    return poa_fail(error, POA_BAD_INPUT, "the model has no constant 'steps': give --steps N");
  return POA_OK;
}

static poa_status open_model(trainer *t, poa_error *error) {
  poa_model *model;
  poa_status status = load_model(t, &model, error);
  if (status == POA_OK)
    status = poa_session_open(&t->session, model, &t->flags, error);
  if (status == POA_OK && t->flags.resume &&
      strcmp(t->flags.precision, poa_precision_name(t->session.bf16)) != 0)
    status = poa_fail(error, POA_UNSUPPORTED,
                      "the run in %s computes products in %s and can only go on with them",
                      t->settings.folder.path, t->flags.precision);
  return status ? status : read_steps(t, error);
}

static void describe_run(trainer *t) {
  const poa_flags *flags = &t->flags;
  t->settings.model = flags->arguments[0];
  t->settings.overrides = poa_join_overrides(flags, t->arena);
  t->settings.precision = poa_precision_name(t->session.bf16);
  t->settings.again = poa_arena_format(t->arena, "poa train %s", flags->arguments[0]);
  t->settings.data = flags->data;
  t->settings.init = flags->init;
  t->settings.trace = flags->trace;
  t->settings.seed = flags->seed > 0 ? (uint64_t)flags->seed : 0;
  t->settings.every = flags->every > 0 ? flags->every : CHECKPOINT_EVERY;
  t->settings.resume = flags->resume;
  t->settings.quiet = flags->quiet;
}

static poa_status train(trainer *t, const poa_flags *given, poa_error *error) {
  t->flags = *given;
  if (given->trace && poa_check_writable(given->trace, error))
    return error->status;
  poa_status status = poa_training_folder(given->out, given->arguments[0], given->resume,
                                          &t->settings.folder, error);
  if (status == POA_OK && given->resume)
    status = recall_flags(t, given, error);
  if (status == POA_OK)
    status = open_model(t, error);
  if (status)
    return status;
  describe_run(t);
  return poa_train_network(&t->settings, &t->session.net, error);
}

int poa_train(const poa_flags *flags) {
  poa_error error = {0};
  trainer t = {.arena = poa_arena_create()};
  poa_status status =
      t.arena ? train(&t, flags, &error) : poa_fail(&error, POA_NO_MEMORY, "out of memory");
  poa_session_close(&t.session);
  poa_arena_free(t.arena);
  return status ? poa_report_failure(&error) : 0;
}
