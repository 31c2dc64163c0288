/* initial_weights.c: see initial_weights.h. */
#include "program/initial_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file_order.h"
#include "runtime/safetensors.h"
#include "runtime/shape.h"

/* What files put before the names of a backbone. */
static const char *const prefixes[] = {
    "", "backbone.", "teacher.backbone.", "student.backbone.", "module.", "model.", "encoder.",
};
enum { PREFIXES = sizeof prefixes / sizeof *prefixes };

typedef struct intake {
  const poa_safetensors *file;
  poa_parameter_store *store;
  const poa_plan *plan;
  const char *set, *prefix;
} intake;

/* The set that another starts as a copy of; without one, the first. */
static const char *find_set(const poa_plan *plan) {
  for (int i = 0; i < plan->parameter_count; i++)
    if (plan->parameters[i].initializer == POA_INIT_COPY)
      return plan->parameters[i].copy_of;
  return plan->parameter_count ? plan->parameters[0].set : "";
}

static bool is_wanted(const intake *m, int index) {
  return strcmp(m->plan->parameters[index].set, m->set) == 0;
}

static const poa_file_tensor *find_tensor(const intake *m, const char *prefix, const char *name) {
  char key[1200];
  snprintf(key, sizeof key, "%s%s", prefix, name);
  return poa_safetensors_find(m->file, key);
}

static int count_matches(const intake *m, const char *prefix) {
  int count = 0;
  for (int i = 0; i < m->plan->parameter_count; i++)
    count += is_wanted(m, i) && find_tensor(m, prefix, m->plan->parameters[i].name);
  return count;
}

static poa_status choose_prefix(intake *m, poa_error *error) {
  int best = 0;
  for (int i = 0; i < PREFIXES; i++) {
    int matches = count_matches(m, prefixes[i]);
    if (matches > best) {
      best = matches;
      m->prefix = prefixes[i];
    }
  }
  if (best > 0)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "'%s' has none of the model's parameters, such as '%s': it has '%s'",
                  m->file->path, m->plan->parameter_count ? m->plan->parameters[0].name : "",
                  m->file->tensor_count ? m->file->tensors[0].name : "nothing");
}

/* Whether some parameter of the same part is in the file. */
static bool has_part(const intake *m, const char *name) {
  size_t length = strcspn(name, ".");
  for (int i = 0; i < m->plan->parameter_count; i++) {
    const char *other = m->plan->parameters[i].name;
    if (is_wanted(m, i) && strncmp(other, name, length) == 0 &&
        (other[length] == '.' || other[length] == '\0') && find_tensor(m, m->prefix, other))
      return true;
  }
  return false;
}

static poa_status check_parameter(const intake *m, const poa_plan_parameter *parameter,
                                  poa_error *error) {
  const poa_file_tensor *tensor = find_tensor(m, m->prefix, parameter->name);
  char ours[POA_SHAPE_TEXT_BYTES], theirs[POA_SHAPE_TEXT_BYTES];
  if (!tensor && has_part(m, parameter->name))
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s' lacks '%s%s', while it has others of that part: its network is another "
                    "than the largest of this model (which constants set its depth and parts?)",
                    m->file->path, m->prefix, parameter->name);
  if (!tensor || poa_shapes_equal(tensor->shape, parameter->shape))
    return POA_OK;
  return poa_fail(
      error, POA_BAD_INPUT,
      "'%s': '%s' is %s, and in the largest network of this model %s: set the constants "
      "for width, patches and image size to those of the file",
      m->file->path, tensor->name, poa_shape_text(tensor->shape, theirs),
      poa_shape_text(parameter->shape, ours));
}

static poa_status check_all(const intake *m, poa_error *error) {
  for (int i = 0; i < m->plan->parameter_count; i++)
    if (is_wanted(m, i) && check_parameter(m, &m->plan->parameters[i], error))
      return error->status;
  return POA_OK;
}

static poa_status copy_all(const intake *m, poa_error *error) {
  int taken = 0, kept = 0;
  for (int i = 0; i < m->plan->parameter_count; i++) {
    const poa_plan_parameter *parameter = &m->plan->parameters[i];
    if (!is_wanted(m, i))
      continue;
    const poa_file_tensor *tensor = find_tensor(m, m->prefix, parameter->name);
    if (tensor && poa_tensor_to_values(tensor, &parameter->order,
                                       poa_parameter_store_values(m->store, parameter), error))
      return error->status;
    taken += tensor != NULL;
    kept += tensor == NULL;
  }
  printf("%s: %d parameters taken, %d of the model keep their first values, %d tensors of the file "
         "are not the model's\n",
         m->file->path, taken, kept, m->file->tensor_count - taken);
  return POA_OK;
}

poa_status poa_take_initial_weights(poa_parameter_store *store, const char *path,
                                    poa_error *error) {
  poa_safetensors *file = NULL;
  poa_status status = poa_safetensors_open(&file, path, error);
  if (status)
    return status;
  const poa_plan *plan = poa_parameter_store_plan(store);
  intake m = {.file = file, .store = store, .plan = plan, .set = find_set(plan), .prefix = ""};
  status = choose_prefix(&m, error);
  if (status == POA_OK)
    status = check_all(&m, error);
  if (status == POA_OK)
    status = copy_all(&m, error);
  if (status == POA_OK)
    status = poa_parameter_store_copy_sets(store, error);
  poa_safetensors_close(file);
  return status;
}
