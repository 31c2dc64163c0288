/* recorded_case.c: takes a recorded step into a session. Nothing here knows what the
 * step computes: names in the file meet names in the description. */
#include "driver/recorded_case.h"

#include "runtime/file_order.h"

#include <stdlib.h>
#include <string.h>

static json_t *metadata_json(const poa_case *recorded, const char *key) {
  const char *text = poa_safetensors_metadata(recorded->file, key);
  return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

poa_status poa_case_open(poa_case *recorded, const char *path, poa_error *error) {
  *recorded = (poa_case){0};
  poa_status status = poa_safetensors_open(&recorded->file, path, error);
  if (status)
    return status;
  recorded->config = metadata_json(recorded, "config");
  recorded->choice = metadata_json(recorded, "choice");
  recorded->step = metadata_json(recorded, "step");
  if (!json_is_object(recorded->config))
    return poa_fail(error, POA_BAD_INPUT,
                    "%s is no recorded step: its metadata has no 'config' that is a JSON object",
                    path);
  return POA_OK;
}

void poa_case_close(poa_case *recorded) {
  json_decref(recorded->config);
  json_decref(recorded->choice);
  json_decref(recorded->step);
  poa_safetensors_close(recorded->file);
}

/* Ours go before the user's, who has the last word. */
static poa_status add_override(poa_flags *flags, int *own, const char *text, poa_error *error) {
  if (flags->override_count == POA_MAX_OVERRIDES)
    return poa_fail(error, POA_BAD_INPUT, "the case sets more than %d constants",
                    POA_MAX_OVERRIDES);
  memmove(&flags->overrides[*own + 1], &flags->overrides[*own],
          (size_t)(flags->override_count - *own) * sizeof *flags->overrides);
  flags->overrides[(*own)++] = text;
  flags->override_count++;
  return POA_OK;
}

static poa_status config_overrides(const poa_case *recorded, poa_model *model, poa_arena *arena,
                                   poa_flags *flags, int *own, poa_error *error) {
  const char *name;
  json_t *item;
  json_object_foreach(recorded->config, name, item) {
    if (!poa_model_has_const(model, name))
      continue;
    char *value = json_dumps(item, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *text = value ? poa_arena_format(arena, "%s=%s", name, value) : NULL;
    free(value);
    if (!text || add_override(flags, own, text, error))
      return poa_fail(error, POA_NO_MEMORY, "out of memory");
  }
  const char *batch = poa_safetensors_metadata(recorded->file, "batch_size");
  if (!batch || !poa_model_has_const(model, "batch_size"))
    return POA_OK;
  return add_override(flags, own, poa_arena_format(arena, "batch_size=%s", batch), error);
}

static bool already_set(const poa_flags *flags, const char *name) {
  size_t length = strlen(name);
  for (int i = 0; i < flags->override_count; i++)
    if (strncmp(flags->overrides[i], name, length) == 0 && flags->overrides[i][length] == '=')
      return true;
  return false;
}

static poa_status extent_overrides(const poa_case *recorded, poa_model *model, poa_arena *arena,
                                   poa_flags *flags, int *own, poa_error *error) {
  for (int i = 0; i < recorded->file->tensor_count; i++) {
    const poa_file_tensor *tensor = &recorded->file->tensors[i];
    if (strncmp(tensor->name, "in.", 3) != 0)
      continue;
    for (int axis = 0; axis < tensor->shape.rank; axis++) {
      const char *name = poa_model_extent_const(model, "step", tensor->name + 3, axis);
      if (!name || already_set(flags, name))
        continue;
      const char *text =
          poa_arena_format(arena, "%s=%lld", name, (long long)tensor->shape.dim[axis]);
      if (add_override(flags, own, text, error))
        return error->status;
    }
  }
  return POA_OK;
}

poa_status poa_case_overrides(const poa_case *recorded, poa_model *model, poa_arena *arena,
                              poa_flags *flags, poa_error *error) {
  int own = 0;
  poa_status status = config_overrides(recorded, model, arena, flags, &own, error);
  return status ? status : extent_overrides(recorded, model, arena, flags, &own, error);
}

static bool flatten(const json_t *item, int64_t *values, int *count) {
  if (json_is_number(item)) {
    if (*count == POA_MAX_ELASTIC)
      return false;
    values[(*count)++] = (int64_t)json_number_value(item);
    return true;
  }
  for (size_t i = 0; i < json_array_size(item); i++)
    if (!flatten(json_array_get(item, i), values, count))
      return false;
  return json_is_array(item);
}

poa_status poa_case_point(const poa_case *recorded, const poa_lattice *lattice, poa_point *point,
                          poa_error *error) {
  int count = 0;
  *point = poa_lattice_top(lattice);
  if (!recorded->choice)
    return POA_OK;
  bool good = flatten(recorded->choice, point->value, &count) && count == lattice->count;
  if (good && poa_lattice_contains(lattice, point))
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "%s: its 'choice' is no point of the model's lattice of %d names",
                  recorded->file->path, lattice->count);
}

/* Whether the case records weights of this set. */
static bool records_set(const poa_case *recorded, const char *set) {
  size_t length = strlen(set);
  for (int i = 0; length && i < recorded->file->tensor_count; i++) {
    const char *name = recorded->file->tensors[i].name;
    if (strncmp(name, set, length) == 0 && name[length] == '.')
      return true;
  }
  return false;
}

/* the number "m0" for the set or state "m". */
static const json_t *initial_number(const poa_case *recorded, const char *name) {
  char key[160];
  snprintf(key, sizeof key, "%s0", name);
  return json_object_get(recorded->step, key);
}

static poa_status fill_parameter(const poa_case *recorded, const poa_plan_parameter *parameter,
                                 float *values, poa_error *error) {
  char key[512];
  poa_parameter_key(parameter, key, sizeof key);
  int64_t count = poa_plan_elements(parameter->shape);
  const poa_file_tensor *tensor = poa_safetensors_find(recorded->file, key);
  if (tensor) {
    if (poa_plan_elements(tensor->shape) != count)
      return poa_fail(error, POA_BAD_INPUT, "%s: '%s' has %lld elements, the model's has %lld",
                      recorded->file->path, key, (long long)poa_plan_elements(tensor->shape),
                      (long long)count);
    return poa_tensor_to_values(tensor, &parameter->order, values, error);
  }
  if (records_set(recorded, parameter->set))
    return poa_fail(error, POA_BAD_INPUT, "%s lacks the weight '%s'", recorded->file->path, key);
  const json_t *number =
      initial_number(recorded, *parameter->set ? parameter->set : parameter->name);
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)json_number_value(number);
  return POA_OK;
}

poa_status poa_case_fill_parameters(const poa_case *recorded, poa_session *session,
                                    poa_error *error) {
  const poa_plan *plan = poa_parameter_store_plan(session->net.store);
  for (int i = 0; i < plan->parameter_count; i++) {
    float *values = poa_parameter_store_values(session->net.store, &plan->parameters[i]);
    poa_status status = fill_parameter(recorded, &plan->parameters[i], values, error);
    if (status)
      return status;
  }
  return POA_OK;
}

static poa_status fill_from_tensor(const poa_case *recorded, const poa_file_tensor *tensor,
                                   const poa_plan_input *input, void *to, poa_error *error) {
  int64_t have = poa_plan_elements(tensor->shape), want = poa_plan_elements(input->shape);
  if (have > want)
    return poa_fail(error, POA_BAD_INPUT, "%s: '%s' has %lld elements, the input holds %lld",
                    recorded->file->path, tensor->name, (long long)have, (long long)want);
  memset(to, 0, (size_t)(want * poa_plan_dtype_bytes(input->dtype)));
  if (input->dtype == POA_PLAN_F32)
    poa_tensor_to_f32(tensor, to);
  else if (input->dtype == POA_PLAN_I32)
    return poa_tensor_to_i32(tensor, to, error);
  else
    return poa_tensor_to_bool(tensor, to, error);
  return POA_OK;
}

static poa_status fill_input(const poa_case *recorded, const poa_plan_input *input, void *to,
                             poa_error *error) {
  char key[160];
  snprintf(key, sizeof key, "in.%s", input->name);
  const poa_file_tensor *tensor = poa_safetensors_find(recorded->file, key);
  if (tensor)
    return fill_from_tensor(recorded, tensor, input, to, error);
  if (poa_plan_elements(input->shape) == 0)
    return POA_OK;
  const json_t *number = json_object_get(recorded->step, input->name);
  bool is_number = json_is_number(number) || json_is_boolean(number);
  if (!is_number || input->dtype != POA_PLAN_F32 || input->shape.rank != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s has neither a tensor '%s' nor a number '%s' in 'step' for the input '%s'",
                    recorded->file->path, key, input->name, input->name);
  *(float *)to = json_is_number(number) ? (float)json_number_value(number) : json_is_true(number);
  return POA_OK;
}

poa_status poa_case_fill_inputs(const poa_case *recorded, const poa_program_at *program,
                                poa_error *error) {
  for (int i = 0; i < program->plan->input_count; i++) {
    const poa_plan_input *input = &program->plan->inputs[i];
    void *to = poa_prepared_pointer(program->prepared, input->buffer);
    poa_status status = fill_input(recorded, input, to, error);
    if (status)
      return status;
  }
  return POA_OK;
}
