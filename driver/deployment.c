/* deployment.c: see deployment.h. */
#include "driver/deployment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codegen/lower.h"
#include "driver/run_flags.h"
#include "program/run_folder.h"
#include "runtime/file_order.h"
#include "runtime/shape.h"

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_weight_file(const char *path) {
  size_t length = strlen(path);
  const char *ending = ".safetensors";
  return length > strlen(ending) && strcmp(path + length - strlen(ending), ending) == 0;
}

/* Opening */

/* Opens the weights at `path`: a file, or the checkpoint of a run's folder. */
static poa_status open_weights(poa_deployment *d, const char *path, poa_error *error) {
  poa_run_folder folder;
  if (!is_folder(path))
    return poa_safetensors_open(&d->weights, path, error);
  poa_status status = poa_run_folder_name(&folder, path, error);
  if (status == POA_OK && !poa_run_folder_has_checkpoint(&folder))
    status = poa_fail(error, POA_BAD_INPUT,
                      "'%s' is no run: the folder has no checkpoint.safetensors", path);
  return status ? status : poa_safetensors_open(&d->weights, folder.checkpoint, error);
}

static const char *metadata(const poa_deployment *d, const char *key) {
  const char *text = d->weights ? poa_safetensors_metadata(d->weights, key) : NULL;
  return text ? text : "";
}

/* What the weights say of themselves; a file of another program says nothing. */
static void read_metadata(poa_deployment *d, const char *path, poa_arena *arena) {
  d->extracted = d->weights && poa_safetensors_metadata(d->weights, POA_KEY_POINT) &&
                 poa_safetensors_metadata(d->weights, POA_KEY_SOURCE);
  d->normalization = poa_arena_text(arena, metadata(d, "normalization"));
  d->step = strtoll(metadata(d, "step"), NULL, 10);
  d->source = d->extracted ? poa_arena_text(arena, metadata(d, POA_KEY_SOURCE))
              : d->weights ? poa_arena_text(arena, path)
                           : "";
}

/* The description and constants that the weights were trained with, then the user's. */
static poa_status recall_model(poa_deployment *d, const poa_flags *given, poa_arena *arena,
                               poa_error *error) {
  poa_status status = POA_OK;
  const char *model = metadata(d, "model"), *overrides = metadata(d, "overrides");
  if (!*model)
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s' does not say what model it is of: give the description instead, and this "
                    "file by --weights",
                    given->arguments[0]);
  d->flags.arguments[0] = poa_arena_text(arena, model);
  d->flags.override_count = 0;
  if (*overrides)
    status = poa_overrides_split(overrides, arena, &d->flags, error);
  for (int i = 0; i < given->override_count && status == POA_OK; i++)
    status = poa_overrides_split(given->overrides[i], arena, &d->flags, error);
  return status;
}

/* An extracted file has one set of parameters and one point, which may be asked for. */
static poa_status check_set(const poa_deployment *d, poa_error *error) {
  if (!d->extracted || !d->flags.from)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "--from %s: '%s' is a plain network with one set of parameters, extracted from "
                  "%s; leave out --from, or give the run",
                  d->flags.from, d->weights->path, d->source);
}

static poa_status check_point(const poa_deployment *d, const char *asked, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(d->model);
  poa_point point;
  if (strcmp(asked, "all") == 0)
    return POA_OK;
  poa_status status = poa_point_parse(lattice, asked, &point, error);
  if (status == POA_OK && !poa_point_equal(lattice, &point, &d->point))
    status = poa_fail(error, POA_BAD_INPUT,
                      "'%s' is the plain network at %s: other points are in the run that it was "
                      "extracted from",
                      d->weights->path, metadata(d, POA_KEY_POINT));
  return status;
}

static poa_status read_point(poa_deployment *d, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(d->model);
  poa_status status = poa_point_parse(lattice, metadata(d, POA_KEY_POINT), &d->point, error);
  if (status)
    return poa_context(error, "'%s'", d->weights->path);
  for (int i = 0; i < d->flags.points.count && status == POA_OK; i++)
    status = check_point(d, d->flags.points.text[i], error);
  return status;
}

/* `extra`: a constant to be set over everything else, or NULL. */
static poa_status open_model(poa_deployment *d, const poa_flags *flags, const char *extra,
                             poa_arena *arena, poa_error *error) {
  const char *given = flags->arguments[0];
  bool described = !is_folder(given) && !is_weight_file(given);
  const char *path = flags->weights ? flags->weights : described ? NULL : given;
  *d = (poa_deployment){.flags = *flags, .source = "", .normalization = "", .arena = arena};
  poa_status status = path ? open_weights(d, path, error) : POA_OK;
  if (status)
    return status;
  read_metadata(d, path, arena);
  status = check_set(d, error);
  if (status == POA_OK && !described)
    status = recall_model(d, flags, arena, error);
  d->overrides = poa_join_overrides(&d->flags, arena);
  if (status == POA_OK && extra)
    status = poa_overrides_split(extra, arena, &d->flags, error);
  if (status == POA_OK)
    status = poa_load_model(&d->flags, &d->model, error);
  if (status == POA_OK && d->extracted)
    status = read_point(d, error);
  return status;
}

poa_status poa_deployment_open(poa_deployment *d, const poa_flags *flags, poa_arena *arena,
                               poa_error *error) {
  return open_model(d, flags, NULL, arena, error);
}

static const char *batch_constant(const poa_deployment *d, const char *entry) {
  return poa_model_extent_const(d->model, entry, "images", 0);
}

bool poa_deployment_has_batch(const poa_deployment *d, const char *entry) {
  return batch_constant(d, entry) != NULL;
}

/* Of an unknown entry, what entries there are. */
static poa_status explain_no_batch(const poa_deployment *d, const char *entry, poa_arena *arena,
                                   poa_error *error) {
  poa_graph *graph;
  poa_status status = poa_model_graph(d->model, entry, arena, &graph, error);
  return status ? status
                : poa_fail(error, POA_BAD_INPUT,
                           "the entry '%s' has no input 'images' whose first extent is a constant",
                           entry);
}

poa_status poa_deployment_open_batch(poa_deployment *d, const poa_flags *flags, const char *entry,
                                     int64_t batch, poa_arena *arena, poa_error *error) {
  poa_status status = open_model(d, flags, NULL, arena, error);
  const char *constant = status ? NULL : batch_constant(d, entry);
  if (status == POA_OK && !constant)
    status = explain_no_batch(d, entry, arena, error);
  if (status)
    return status;
  const char *extra = poa_arena_format(arena, "%s=%lld", constant, (long long)batch);
  poa_deployment_close(d);
  return open_model(d, flags, extra, arena, error);
}

void poa_deployment_close(poa_deployment *d) {
  poa_parameter_store_free(d->first);
  poa_safetensors_close(d->weights);
  if (d->model)
    poa_model_free(d->model);
  *d = (poa_deployment){0};
}

poa_status poa_deployment_plain(const poa_deployment *d, const char *entry, const poa_point *point,
                                poa_arena *arena, poa_graph **graph, poa_extraction *extraction,
                                poa_error *error) {
  poa_options options = {.point = *point, .has_point = true};
  poa_status status = poa_model_graph(d->model, entry, arena, graph, error);
  return status ? status : poa_extract_parameters(*graph, &options, extraction, error);
}

/* Values */

static poa_status check_shape(const poa_deployment *d, const poa_file_tensor *tensor,
                              const poa_type *type, poa_error *error) {
  char expected[POA_SHAPE_TEXT_BYTES], found[POA_SHAPE_TEXT_BYTES];
  poa_plan_shape shape = {.rank = type->rank};
  for (int i = 0; i < type->rank; i++)
    shape.dim[i] = type->dim[i].value;
  if (poa_shapes_equal(tensor->shape, shape))
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "'%s' does not fit the model: '%s' is %s, expected %s; were other constants set "
                  "(--set) when it was trained?",
                  d->weights->path, tensor->name, poa_shape_text(tensor->shape, found),
                  poa_shape_text(shape, expected));
}

/* The tensor `name` as a run has it, SET.NAME, or as a file of plain weights has it. */
static const poa_file_tensor *find_tensor(const poa_deployment *d, const char *set,
                                          const char *name) {
  char key[1100];
  const char *chosen = d->flags.from ? d->flags.from : set;
  snprintf(key, sizeof key, "%s%s%s", chosen, *chosen ? "." : "", name);
  const poa_file_tensor *tensor = poa_safetensors_find(d->weights, key);
  return tensor || d->flags.from ? tensor : poa_safetensors_find(d->weights, name);
}

static poa_status read_tensor(const poa_deployment *d, const char *set, const char *name,
                              const poa_type *file_type, const int64_t *file_axes, float *out,
                              poa_error *error) {
  poa_file_order order = poa_order_of_axes(file_axes, file_type->rank);
  const poa_file_tensor *tensor = find_tensor(d, set, name);
  if (!tensor)
    return poa_fail(error, POA_BAD_INPUT, "'%s' lacks '%s%s%s', which the model reads",
                    d->weights->path, d->flags.from ? d->flags.from : "", d->flags.from ? "." : "",
                    name);
  poa_status status = check_shape(d, tensor, file_type, error);
  return status ? status : poa_tensor_to_values(tensor, &order, out, error);
}

/* Without weights: the first values of a run with seed 0. */
static poa_status make_first_values(poa_deployment *d, poa_error *error) {
  poa_graph *graph;
  poa_plan *plan;
  poa_status status =
      poa_model_graph(d->model, poa_model_entry_name(d->model, 0), d->arena, &graph, error);
  if (status == POA_OK)
    status = poa_lower_parameters(graph, d->arena, &plan, error);
  if (status == POA_OK)
    status = poa_parameter_store_create(&d->first, plan, error);
  if (status == POA_OK)
    status = poa_parameter_store_initialize(d->first, 0, 0, error);
  return status;
}

poa_status poa_deployment_values(poa_deployment *d, const poa_parameter *parameter, float *out,
                                 poa_error *error) {
  if (d->weights)
    return read_tensor(d, parameter->set, parameter->name, &parameter->file_type,
                       parameter->file_axes, out, error);
  poa_status status = d->first ? POA_OK : make_first_values(d, error);
  if (status)
    return status;
  const poa_plan_parameter *found = poa_parameter_store_find(
      d->first, d->flags.from ? d->flags.from : parameter->set, parameter->name);
  if (!found)
    return poa_fail(error, POA_BAD_INPUT, "the model has no parameter '%s' in a set '%s'",
                    parameter->name, d->flags.from);
  memcpy(out, poa_parameter_store_values(d->first, found),
         (size_t)poa_type_elements(parameter->type) * sizeof *out);
  return POA_OK;
}

/* Copies the first elements along each axis, times `factor`. */
static void cut(const float *whole, const poa_type *from, const poa_type *to, double factor,
                float *out) {
  int64_t index[POA_MAX_RANK] = {0}, count = poa_type_elements(*to);
  for (int64_t i = 0; i < count; i++) {
    int64_t at = 0;
    for (int axis = 0; axis < to->rank; axis++)
      at = at * from->dim[axis].value + index[axis];
    out[i] = (float)(factor * (double)whole[at]);
    for (int axis = to->rank - 1; axis >= 0 && ++index[axis] == to->dim[axis].value; axis--)
      index[axis] = 0;
  }
}

poa_status poa_deployment_plain_values(poa_deployment *d, const poa_extraction *extraction,
                                       int index, float *out, poa_error *error) {
  const poa_plain_parameter *plain = &extraction->parameters[index];
  const poa_parameter *elastic = &extraction->elastic[plain->source];
  if (d->extracted)
    return read_tensor(d, "", plain->name, &plain->file_type, elastic->file_axes, out, error);
  float *whole = malloc((size_t)poa_type_elements(elastic->type) * sizeof *whole);
  if (!whole)
    return poa_fail(error, POA_NO_MEMORY, "no memory for '%s'", elastic->name);
  poa_status status = poa_deployment_values(d, elastic, whole, error);
  if (status == POA_OK)
    cut(whole, &elastic->type, &plain->type, plain->factor, out);
  free(whole);
  return status;
}
