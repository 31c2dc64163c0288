/* checkpoint.c: saving and verified loading. */
#include "runtime/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file_order.h"
#include "runtime/shape.h"

/* Saving */

static char *parameter_key(const poa_plan_parameter *parameter) {
  size_t bytes = (size_t)poa_parameter_key(parameter, NULL, 0) + 1;
  char *key = malloc(bytes);
  if (key)
    poa_parameter_key(parameter, key, bytes);
  return key;
}

static const char *or_empty(const char *text) {
  return text ? text : "";
}

static poa_status write_tensors(const char *path, const poa_file_tensor *tensors, int count,
                                const poa_checkpoint_info *info, poa_error *error) {
  char step[24], seed[24], deck_position[24];
  snprintf(step, sizeof step, "%lld", (long long)info->step);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)info->seed);
  snprintf(deck_position, sizeof deck_position, "%lld", (long long)info->deck_position);
  const poa_metadata metadata[] = {
      {"step", step},
      {"seed", seed},
      {"deck_position", deck_position},
      {"model", or_empty(info->model)},
      {"overrides", or_empty(info->overrides)},
      {"precision", info->precision ? info->precision : "fp32"},
      {"normalization", or_empty(info->normalization)},
      {"version", POA_VERSION},
  };
  return poa_safetensors_write(path, count, tensors, sizeof metadata / sizeof *metadata, metadata,
                               error);
}

poa_status poa_checkpoint_save(const char *path, const poa_parameter_store *store,
                               const poa_checkpoint_info *info, poa_error *error) {
  const poa_plan *plan = poa_parameter_store_plan(store);
  poa_file_tensor *tensors = calloc((size_t)plan->parameter_count + 1, sizeof *tensors);
  bool complete = tensors;
  for (int i = 0; complete && i < plan->parameter_count; i++) {
    const poa_plan_parameter *parameter = &plan->parameters[i];
    tensors[i] = (poa_file_tensor){.name = parameter_key(parameter),
                                   .dtype = POA_TENSOR_F32,
                                   .shape = parameter->shape,
                                   .order = parameter->order,
                                   .data = poa_parameter_store_values(store, parameter)};
    complete = tensors[i].name;
  }
  poa_status status = complete
                          ? write_tensors(path, tensors, plan->parameter_count, info, error)
                          : poa_fail(error, POA_NO_MEMORY, "out of memory while saving '%s'", path);
  for (int i = 0; tensors && i < plan->parameter_count; i++)
    free((char *)(uintptr_t)tensors[i].name);
  free(tensors);
  return status;
}

/* Metadata */

static poa_status read_text(const poa_safetensors *file, const char *key, const char **value,
                            poa_error *error) {
  *value = poa_safetensors_metadata(file, key);
  if (*value)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "'%s' is not a checkpoint: its metadata lacks '%s'; give "
                  "the checkpoint that training wrote",
                  file->path, key);
}

/* Reads decimal digits, 0..most. */
static poa_status read_number(const poa_safetensors *file, const char *key, uint64_t most,
                              uint64_t *value, poa_error *error) {
  const char *text;
  poa_status status = read_text(file, key, &text, error);
  if (status != POA_OK)
    return status;
  char *end;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end || errno || number > most)
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s': metadata '%s' is '%.100s', expected a number in "
                    "0..%llu",
                    file->path, key, text, (unsigned long long)most);
  *value = number;
  return POA_OK;
}

poa_status poa_checkpoint_read_info(const poa_safetensors *file, poa_checkpoint_info *info,
                                    poa_error *error) {
  uint64_t step = 0, seed = 0, deck_position = 0;
  *info = (poa_checkpoint_info){0};
  poa_status status = read_number(file, "step", INT64_MAX, &step, error);
  if (status == POA_OK)
    status = read_number(file, "seed", UINT64_MAX, &seed, error);
  if (status == POA_OK)
    status = read_number(file, "deck_position", INT64_MAX, &deck_position, error);
  if (status == POA_OK)
    status = read_text(file, "model", &info->model, error);
  if (status == POA_OK)
    status = read_text(file, "overrides", &info->overrides, error);
  if (status == POA_OK)
    status = read_text(file, "version", &info->version, error);
  const char *precision = poa_safetensors_metadata(file, "precision");
  info->precision = precision ? precision : "fp32";
  info->normalization = or_empty(poa_safetensors_metadata(file, "normalization"));
  info->step = (int64_t)step;
  info->seed = seed;
  info->deck_position = (int64_t)deck_position;
  return status;
}

/* Loading. Pairs are found and checked first, then all values are copied. */

typedef struct tensor_pair {
  const poa_file_tensor *tensor;
  const poa_plan_parameter *parameter;
} tensor_pair;

static const poa_file_tensor *find_tensor(const poa_safetensors *file,
                                          const poa_plan_parameter *parameter) {
  char *key = parameter_key(parameter);
  const poa_file_tensor *tensor = key ? poa_safetensors_find(file, key) : NULL;
  free(key);
  return tensor;
}

static poa_status check_pair(const poa_safetensors *file, const tensor_pair *pair,
                             poa_error *error) {
  const poa_file_tensor *tensor = pair->tensor;
  char expected[POA_SHAPE_TEXT_BYTES], found[POA_SHAPE_TEXT_BYTES];
  if (!poa_shapes_equal(tensor->shape, pair->parameter->shape))
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s': tensor '%.300s' is %s, but the model has %s; was "
                    "the file made with other settings?",
                    file->path, tensor->name, poa_shape_text(tensor->shape, found),
                    poa_shape_text(pair->parameter->shape, expected));
  if (tensor->dtype != POA_TENSOR_F32)
    return poa_fail(error, POA_BAD_INPUT, "'%s': tensor '%.300s' is of type %s, expected F32",
                    file->path, tensor->name, poa_tensor_dtype_name(tensor->dtype));
  return POA_OK;
}

static poa_status missing(const poa_safetensors *file, const poa_plan_parameter *parameter,
                          poa_error *error) {
  char shape[POA_SHAPE_TEXT_BYTES];
  return poa_fail(error, POA_BAD_INPUT,
                  "'%s' lacks the tensor '%.100s%s%.300s' %s that the model "
                  "has; it has %d tensors, %s%.300s%s",
                  file->path, parameter->set, parameter->set[0] ? "." : "", parameter->name,
                  poa_shape_text(parameter->shape, shape), file->tensor_count,
                  file->tensor_count ? "such as '" : "none",
                  file->tensor_count ? file->tensors[0].name : "", file->tensor_count ? "'" : "");
}

static poa_status copy_values(poa_parameter_store *store, const tensor_pair *pairs, int count,
                              poa_error *error) {
  poa_status status = POA_OK;
  for (int i = 0; i < count && status == POA_OK; i++)
    status = poa_tensor_to_values(pairs[i].tensor, &pairs[i].parameter->order,
                                  poa_parameter_store_values(store, pairs[i].parameter), error);
  return status;
}

/* Pairs each parameter with its tensor. */
static poa_status pair_tensors(const poa_safetensors *file, const poa_parameter_store *store,
                               tensor_pair *pairs, poa_error *error) {
  const poa_plan *plan = poa_parameter_store_plan(store);
  for (int i = 0; i < plan->parameter_count; i++) {
    const poa_plan_parameter *parameter = &plan->parameters[i];
    pairs[i] = (tensor_pair){.tensor = find_tensor(file, parameter), .parameter = parameter};
    if (!pairs[i].tensor)
      return missing(file, parameter, error);
    poa_status status = check_pair(file, &pairs[i], error);
    if (status != POA_OK)
      return status;
  }
  return POA_OK;
}

static int compare_pairs(const void *a, const void *b) {
  return strcmp(((const tensor_pair *)a)->tensor->name, ((const tensor_pair *)b)->tensor->name);
}

/* Every tensor of a checkpoint must have found its parameter. */
static poa_status check_unexpected(const poa_safetensors *file, tensor_pair *pairs, int count,
                                   poa_error *error) {
  if (count == file->tensor_count)
    return POA_OK;
  qsort(pairs, (size_t)count, sizeof *pairs, compare_pairs);
  for (int i = 0; i < file->tensor_count; i++) {
    tensor_pair key = {.tensor = &file->tensors[i]};
    if (!count || !bsearch(&key, pairs, (size_t)count, sizeof *pairs, compare_pairs))
      return poa_fail(error, POA_BAD_INPUT,
                      "'%s' has the tensor '%.300s', which the model does "
                      "not (%d such tensors); was the file made with other settings?",
                      file->path, file->tensors[i].name, file->tensor_count - count);
  }
  return POA_OK;
}

static tensor_pair *allocate_pairs(const poa_parameter_store *store, poa_error *error) {
  tensor_pair *pairs =
      calloc((size_t)poa_parameter_store_plan(store)->parameter_count + 1, sizeof *pairs);
  if (!pairs)
    poa_fail(error, POA_NO_MEMORY, "out of memory while loading parameters");
  return pairs;
}

poa_status poa_checkpoint_load(const poa_safetensors *file, poa_parameter_store *store,
                               poa_error *error) {
  int count = poa_parameter_store_plan(store)->parameter_count;
  tensor_pair *pairs = allocate_pairs(store, error);
  if (!pairs)
    return POA_NO_MEMORY;
  poa_status status = pair_tensors(file, store, pairs, error);
  if (status == POA_OK)
    status = check_unexpected(file, pairs, count, error);
  if (status == POA_OK)
    status = copy_values(store, pairs, count, error);
  free(pairs);
  return status;
}
