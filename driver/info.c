/* info.c: what a model is: its lattice, its sizes, what a step needs. Compiles nothing. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/lower.h"
#include "driver/driver.h"
#include "driver/precision.h"
#include "driver/subnetwork.h"

typedef struct step_needs {
  bool known; /* false for a model without the entry `step` */
  int launches, kernels, nodes;
  int64_t arena_bytes, parameter_bytes;
  double flops;
} step_needs;

static int compare_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many different kernels the launches need. */
static int count_kernels(const poa_lowered *lowered, poa_arena *arena) {
  int count = lowered->plan->launch_count, used = 0, distinct = 0;
  const char **keys = poa_arena_alloc(arena, (size_t)(count + 1) * sizeof *keys);
  for (int i = 0; i < count; i++)
    if (lowered->requests[i].emit)
      keys[used++] = lowered->requests[i].key;
  qsort(keys, (size_t)used, sizeof *keys, compare_text);
  for (int i = 0; i < used; i++)
    distinct += i == 0 || strcmp(keys[i], keys[i - 1]) != 0;
  return distinct;
}

static poa_status plan_step(const poa_flags *flags, poa_model *model, const poa_point *point,
                            poa_arena *arena, step_needs *needs, poa_error *error) {
  poa_options options = {.point = *point, .has_point = true};
  poa_graph *graph;
  poa_target target;
  poa_lowered lowered;
  poa_status status = poa_target_init(&target, NULL, error);
  if (status)
    return status;
  status = poa_precision_of(flags, &target, &options.bf16, error);
  if (status == POA_OK)
    status = poa_model_graph(model, "step", arena, &graph, error);
  if (status == POA_OK)
    status = poa_pipeline_run(graph, NULL, NULL, &options, false, NULL, NULL, error);
  if (status == POA_OK)
    status = poa_lower_launches(graph, &target, arena, &lowered, error);
  poa_target_free(&target);
  if (status)
    return status;
  *needs = (step_needs){.known = true,
                        .launches = lowered.plan->launch_count,
                        .kernels = count_kernels(&lowered, arena),
                        .nodes = (int)graph->node_count,
                        .arena_bytes = lowered.plan->arena_bytes,
                        .parameter_bytes = lowered.plan->parameter_bytes};
  for (int i = 0; i < lowered.plan->launch_count; i++)
    needs->flops += lowered.launches[i].flops;
  return POA_OK;
}

/* The largest point that training samples: the last but one. */
static poa_point sampled_point(const poa_lattice *lattice) {
  int64_t size = poa_lattice_size(lattice);
  return poa_lattice_point(lattice, size > 1 ? size - 2 : 0);
}

static void print_needs(const poa_lattice *lattice, const poa_point *point,
                        const step_needs *needs) {
  char text[256];
  poa_point_print(lattice, point, text, sizeof text);
  printf("step%s%s: %d nodes, %d launches, %d kernels, %.1f GFLOP of matrix products\n",
         *text ? " at " : "", text, needs->nodes, needs->launches, needs->kernels,
         needs->flops * 1e-9);
  printf(
      "peak memory of a step: %.1f MiB of values + %.1f MiB of parameters and state = %.1f MiB\n",
      (double)needs->arena_bytes / 1048576, (double)needs->parameter_bytes / 1048576,
      (double)(needs->arena_bytes + needs->parameter_bytes) / 1048576);
}

static json_t *point_json(const poa_lattice *lattice, const poa_point *point) {
  json_t *object = json_object();
  for (int i = 0; i < lattice->count; i++)
    json_object_set_new(object, lattice->name[i].name, json_integer(point->value[i]));
  return object;
}

static void print_json(const poa_lattice *lattice, const poa_subnetwork *networks, int64_t count,
                       const poa_point *point, const step_needs *needs) {
  json_t *root = json_object(), *list = json_array();
  json_object_set_new(root, "subnetworks", list);
  for (int64_t i = 0; i < count; i++) {
    json_t *object = point_json(lattice, &networks[i].point);
    json_object_set_new(object, "parameters", json_integer(networks[i].parameters));
    json_object_set_new(object, "flops", json_real(networks[i].flops));
    json_array_append_new(list, object);
  }
  if (needs->known) {
    json_t *step = json_object();
    json_object_set_new(root, "step", step);
    json_object_set_new(step, "at", point_json(lattice, point));
    json_object_set_new(step, "launches", json_integer(needs->launches));
    json_object_set_new(step, "kernels", json_integer(needs->kernels));
    json_object_set_new(step, "flops", json_real(needs->flops));
    json_object_set_new(step, "arena_bytes", json_integer(needs->arena_bytes));
    json_object_set_new(step, "parameter_bytes", json_integer(needs->parameter_bytes));
  }
  char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
  puts(text ? text : "{}");
  free(text);
  json_decref(root);
}

static void print_table(const poa_lattice *lattice, const poa_subnetwork *networks, int64_t count) {
  printf("%lld sub-network%s\n", (long long)count, count == 1 ? "" : "s");
  for (int i = 0; i < lattice->count; i++)
    printf("  %8s", lattice->name[i].name);
  printf("  %14s  %14s\n", "parameters", "GFLOP/image");
  for (int64_t at = 0; at < count; at++) {
    for (int i = 0; i < lattice->count; i++)
      printf("  %8lld", (long long)networks[at].point.value[i]);
    printf("  %14lld  %14.4f\n", (long long)networks[at].parameters, networks[at].flops * 1e-9);
  }
}

static poa_status measure_all(poa_model *model, poa_arena *arena, poa_subnetwork **networks,
                              int64_t *count, poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(model);
  *count = poa_model_has_entry(model, "features") ? poa_lattice_size(lattice) : 0;
  *networks = poa_arena_alloc(arena, (size_t)(*count + 1) * sizeof **networks);
  poa_arena *scratch = poa_arena_create();
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  poa_status status = POA_OK;
  for (int64_t i = 0; status == POA_OK && i < *count; i++) {
    poa_point point = poa_lattice_point(lattice, i);
    status = poa_subnetwork_measure(model, &point, scratch, &(*networks)[i], error);
  }
  poa_arena_free(scratch);
  return status;
}

static poa_status inform(const poa_flags *flags, poa_model *model, poa_arena *arena,
                         poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(model);
  poa_subnetwork *networks;
  int64_t count;
  step_needs needs = {0};
  poa_point point = sampled_point(lattice);
  if (flags->at && poa_point_parse(lattice, flags->at, &point, error))
    return error->status;
  if (measure_all(model, arena, &networks, &count, error))
    return error->status;
  if (poa_model_has_entry(model, "step") && plan_step(flags, model, &point, arena, &needs, error))
    return error->status;
  if (flags->json) {
    print_json(lattice, networks, count, &point, &needs);
    return POA_OK;
  }
  printf("%s\n", poa_model_path(model));
  if (count)
    print_table(lattice, networks, count);
  if (needs.known)
    print_needs(lattice, &point, &needs);
  return POA_OK;
}

int poa_info(const poa_flags *flags) {
  poa_error error = {0};
  poa_model *model = NULL;
  poa_arena *arena = poa_arena_create();
  bool good = !poa_load_model(flags, &model, &error) && !inform(flags, model, arena, &error);
  poa_arena_free(arena);
  poa_model_free(model);
  return good ? 0 : poa_report_failure(&error);
}
