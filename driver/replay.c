/* replay.c: runs a recorded step and compares all that it left behind.
 *
 * A deviation is max|ours - recorded| / max|recorded| of a tensor. A padded result (more rows
 * than were recorded) is compared in the rows recorded; where none were, nothing is. An
 * updated weight has to agree as a value and, sharper, in its change: within 1e-3 of the
 * largest change plus 2e-7 of the largest weight. What the step does not know, such as the
 * state of a loss that is switched off, counts as left as it was.
 *
 * The step runs twice: with all probes, and as it is trained, where what only probes read is not
 * computed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "driver/recorded_case.h"
#include "runtime/file_order.h"

typedef struct limit_row {
  const char *prefix;
  double limit;
} limit_row;

/* A float32 program with its own order of summation stays inside these. */
static const limit_row limits[] = {
    {"loss.", 1e-5},   {"clip.", 1e-5},       {"mid.", 1e-4},  {"extract.", 1e-4},
    {"target.", 1e-4}, {"new_center.", 1e-4}, {"grad.", 2e-4}, {"new_", 1e-5},
};
#define ZERO_LIMIT 1e-6 /* absolute, where the recorded tensor is all zero */
#define CHANGE_LIMIT 1e-3
#define ROUNDING_LIMIT 2e-7

typedef struct verdict {
  int compared, failed;
} verdict;

static const limit_row *find_limit(const char *name) {
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (strncmp(name, limits[i].prefix, strlen(limits[i].prefix)) == 0)
      return &limits[i];
  return NULL;
}

/* max|b| and max|a - b|; a NaN anywhere makes the difference infinite. */
static double largest_difference(const float *a, const float *b, int64_t count, double *largest) {
  double difference = 0;
  *largest = 0;
  for (int64_t i = 0; i < count; i++) {
    double d = fabs((double)a[i] - b[i]);
    if (!(d <= difference))
      difference = isnan(d) ? INFINITY : d;
    if (fabs((double)b[i]) > *largest)
      *largest = fabs((double)b[i]);
  }
  return difference;
}

static void report(verdict *v, const char *name, double deviation, double limit, bool good) {
  v->compared++;
  v->failed += !good;
  printf("  %-52s %9.2e  limit %7.1e  %s\n", name, deviation, limit, good ? "ok" : "FAILED");
}

static void compare(verdict *v, const char *name, const float *ours, const float *recorded,
                    int64_t count, double limit, double scale) {
  double largest, difference = largest_difference(ours, recorded, count, &largest);
  if (largest == 0)
    report(v, name, difference, ZERO_LIMIT * scale, difference <= ZERO_LIMIT * scale);
  else
    report(v, name, difference / largest, limit * scale, difference <= limit * scale * largest);
}

/* The change of a weight from its recorded first value. */
static void compare_change(verdict *v, const char *name, const float *ours, const float *recorded,
                           const poa_file_tensor *before, int64_t count, double scale,
                           float *scratch) {
  poa_tensor_to_f32(before, scratch);
  double change = 0, weight = 0;
  for (int64_t i = 0; i < count; i++) {
    change = fmax(change, fabs((double)recorded[i] - scratch[i]));
    weight = fmax(weight, fabs((double)recorded[i]));
  }
  double largest, difference = largest_difference(ours, recorded, count, &largest);
  double allowed = (CHANGE_LIMIT * change + ROUNDING_LIMIT * weight) * scale;
  char label[300];
  snprintf(label, sizeof label, "%s (change)", name);
  report(v, label, change > 0 ? difference / change : difference, CHANGE_LIMIT * scale,
         difference <= allowed);
}

/* What the step left under the recorded name, or NULL. */
static const float *find_result(const poa_session *session, const poa_program_at *program,
                                const char *name, int64_t *count) {
  const poa_plan_output *output = poa_plan_find_output(program->plan, name);
  if (output && output->dtype == POA_PLAN_F32) {
    *count = poa_plan_elements(output->shape);
    return poa_prepared_pointer(program->prepared, output->buffer);
  }
  const poa_plan *plan = program->plan;
  for (int i = 0; strncmp(name, "new_", 4) == 0 && i < plan->parameter_count; i++) {
    char key[512];
    poa_parameter_key(&plan->parameters[i], key, sizeof key);
    if (strcmp(key, name + 4) == 0) {
      *count = poa_plan_elements(plan->parameters[i].shape);
      return poa_parameter_store_values(session->net.store, &plan->parameters[i]);
    }
  }
  return NULL;
}

/* The parameter whose values, or gradient, a recorded tensor holds: "grad.NAME", "new_SET.NAME";
 * NULL if it is none. */
static const poa_plan_parameter *parameter_named(const poa_plan *plan, const char *recorded) {
  const char *name = strchr(recorded, '.');
  for (int i = 0; name && i < plan->parameter_count; i++)
    if (strcmp(plan->parameters[i].name, name + 1) == 0)
      return &plan->parameters[i];
  return NULL;
}

/* The recorded value from before the step of a tensor "new_NAME", or NULL. */
static const poa_file_tensor *find_before(const poa_case *recorded, const poa_file_tensor *after) {
  if (strncmp(after->name, "new_", 4) != 0)
    return NULL;
  const poa_file_tensor *before = poa_safetensors_find(recorded->file, after->name + 4);
  bool same_size = before && poa_plan_elements(before->shape) == poa_plan_elements(after->shape);
  return same_size ? before : NULL;
}

static void compare_tensor(verdict *v, const poa_case *recorded, const poa_session *session,
                           const poa_program_at *program, const poa_file_tensor *tensor,
                           double scale, float *scratch) {
  const limit_row *row = find_limit(tensor->name);
  int64_t have = 0, count = poa_plan_elements(tensor->shape);
  if (!row || count == 0)
    return;
  const poa_file_tensor *before = find_before(recorded, tensor);
  const float *ours = find_result(session, program, tensor->name, &have);
  if (!ours && before) {
    poa_tensor_to_f32(before, scratch);
    ours = scratch;
    have = count;
  }
  if (!ours && !program->probes)
    return;
  if (!ours || have < count) {
    report(v, tensor->name, INFINITY, row->limit * scale, false);
    printf("    %s\n", ours ? "the step's result is smaller" : "the step has no such result");
    return;
  }
  float *expected = scratch + count;
  poa_tensor_to_f32(tensor, expected);
  const poa_plan_parameter *parameter = parameter_named(program->plan, tensor->name);
  if (parameter && poa_is_reordered(&parameter->order) && have == count && ours != scratch) {
    poa_to_file_order(&parameter->order, parameter->shape, ours, expected + count);
    ours = expected + count;
  }
  compare(v, tensor->name, ours, expected, count, row->limit, scale);
  if (before && strcmp(row->prefix, "new_") == 0)
    compare_change(v, tensor->name, ours, expected, before, count, scale, scratch);
}

static poa_status compare_all(const poa_case *recorded, const poa_session *session,
                              const poa_program_at *program, double scale, verdict *v,
                              poa_error *error) {
  int64_t largest = 1;
  for (int i = 0; i < recorded->file->tensor_count; i++) {
    int64_t count = poa_plan_elements(recorded->file->tensors[i].shape);
    largest = count > largest ? count : largest;
  }
  float *scratch = malloc((size_t)(3 * largest) * sizeof *scratch);
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to compare %lld numbers", (long long)largest);
  for (int i = 0; i < recorded->file->tensor_count; i++)
    compare_tensor(v, recorded, session, program, &recorded->file->tensors[i], scale, scratch);
  free(scratch);
  return POA_OK;
}

static poa_status run_step(poa_session *session, const poa_case *recorded, bool probes,
                           double scale, verdict *v, poa_error *error) {
  poa_point point;
  poa_program_at *program;
  poa_status status = poa_case_point(recorded, poa_model_lattice(session->model), &point, error);
  if (status == POA_OK)
    status = poa_supernet_program(&session->net, "step", &point, probes, &program, error);
  if (status == POA_OK)
    status = poa_case_fill_parameters(recorded, session, error);
  if (status == POA_OK)
    status = poa_supernet_prepare(&session->net, program, error);
  if (status == POA_OK)
    status = poa_case_fill_inputs(recorded, program, error);
  if (status)
    return status;
  poa_executor_run(session->net.executor, program->prepared, NULL);
  printf("%s\n", probes ? "with probes" : "as trained");
  return compare_all(recorded, session, program, scale, v, error);
}

/* The model as the case wants it: loaded once to learn its constants, then again. */
static poa_status load_for_case(const poa_case *recorded, poa_arena *arena, poa_flags *flags,
                                poa_model **model, poa_error *error) {
  poa_status status = poa_load_model(flags, model, error);
  if (status == POA_OK)
    status = poa_case_overrides(recorded, *model, arena, flags, error);
  poa_model_free(*model);
  *model = NULL;
  return status ? status : poa_load_model(flags, model, error);
}

static poa_status replay(const poa_flags *given, poa_arena *arena, verdict *v, poa_error *error) {
  poa_flags flags = *given;
  poa_case recorded;
  poa_model *model = NULL;
  poa_session session = {0};
  poa_status status = poa_case_open(&recorded, flags.arguments[1], error);
  if (status == POA_OK)
    status = load_for_case(&recorded, arena, &flags, &model, error);
  if (status == POA_OK) {
    status = poa_session_open(&session, model, &flags, error);
    if (status == POA_OK)
      status = run_step(&session, &recorded, true, flags.scale, v, error);
    if (status == POA_OK)
      status = run_step(&session, &recorded, false, flags.scale, v, error);
    poa_session_close(&session);
  }
  poa_case_close(&recorded);
  return status;
}

int poa_replay(const poa_flags *flags) {
  poa_error error = {0};
  verdict v = {0};
  poa_arena *arena = poa_arena_create();
  poa_status status = replay(flags, arena, &v, &error);
  poa_arena_free(arena);
  if (status)
    return poa_report_failure(&error);
  if (v.compared == 0) {
    poa_fail(&error, POA_BAD_INPUT, "%s records no result to compare", flags->arguments[1]);
    return poa_report_failure(&error);
  }
  if (v.failed)
    printf("replay: FAILED: %d of %d tensors\n", v.failed, v.compared);
  else
    printf("replay: ok\n");
  return v.failed ? 1 : 0;
}
