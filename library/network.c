/* network.c: the library's networks, over what the command is made of: a deployment finds model and
 * weights, a forward plan runs. */
#include <stdlib.h>
#include <string.h>

#include "driver/deployment.h"
#include "driver/forward.h"
#include "driver/kernels.h"
#include "runtime/openmp_start.h"

struct poa_network {
  poa_arena *arena;
  poa_deployment deployment;
  poa_target target;
  poa_kernel_library *library;
  poa_executor *executor;
  poa_parameter_store *store;
  poa_forward forward;
  int input_count, output_count;
  const poa_plan_output **outputs; /* the entry's results */
};

static const poa_network_options no_options;

/* The options as the flags of a command, which the rest of poa understands. */
static poa_status make_flags(const poa_network *n, const char *model, const poa_network_options *o,
                             poa_flags *flags, poa_error *error) {
  poa_status status = POA_OK;
  *flags = (poa_flags){.arguments = {model},
                       .argument_count = 1,
                       .at = o->at,
                       .weights = o->weights,
                       .from = o->set,
                       .cpu = o->cpu,
                       .cache = o->cache && *o->cache ? o->cache : NULL,
                       .no_cache = o->cache && !*o->cache,
                       .quiet = true};
  for (int i = 0; i < o->constant_count && status == POA_OK; i++)
    status = poa_overrides_split(o->constants[i], n->arena, flags, error);
  return status;
}

static poa_status choose_point(const poa_network *n, const poa_network_options *o, poa_point *point,
                               poa_error *error) {
  const poa_lattice *lattice = poa_model_lattice(n->deployment.model);
  *point = n->deployment.extracted ? n->deployment.point : poa_lattice_top(lattice);
  return o->at && !n->deployment.extracted ? poa_point_parse(lattice, o->at, point, error) : POA_OK;
}

static poa_status fill_store(poa_network *n, const poa_extraction *extraction, poa_error *error) {
  const poa_plan *plan = n->forward.plan;
  poa_status status = poa_parameter_store_create(&n->store, plan, error);
  for (int i = 0; i < extraction->count && status == POA_OK; i++)
    status = poa_deployment_plain_values(&n->deployment, extraction, i,
                                         poa_parameter_store_values(n->store, &plan->parameters[i]),
                                         error);
  return status;
}

static void list_outputs(poa_network *n) {
  const poa_plan *plan = n->forward.plan;
  n->outputs = poa_arena_alloc(n->arena, (size_t)(plan->output_count + 1) * sizeof *n->outputs);
  for (int i = 0; i < plan->output_count; i++)
    if (plan->outputs[i].kind == POA_OUTPUT_RESULT)
      n->outputs[n->output_count++] = &plan->outputs[i];
  n->input_count = plan->input_count;
}

static poa_status open(poa_network *n, const char *model, const poa_network_options *o,
                       poa_error *error) {
  poa_flags flags;
  poa_point point;
  poa_graph *graph;
  poa_extraction extraction;
  const char *entry = o->entry ? o->entry : "features";
  poa_status status = make_flags(n, model, o, &flags, error);
  if (status == POA_OK && o->batch > 0)
    status = poa_deployment_open_batch(&n->deployment, &flags, entry, o->batch, n->arena, error);
  else if (status == POA_OK)
    status = poa_deployment_open(&n->deployment, &flags, n->arena, error);
  if (status == POA_OK)
    status = choose_point(n, o, &point, error);
  if (status == POA_OK)
    status = poa_open_kernels(&flags, &n->target, &n->library, error);
  if (status == POA_OK)
    status = poa_executor_create(&n->executor, o->threads, NULL, error);
  if (status == POA_OK)
    status =
        poa_deployment_plain(&n->deployment, entry, &point, n->arena, &graph, &extraction, error);
  poa_options options = {.vector_lanes = n->target.vector_lanes};
  if (status == POA_OK)
    status = poa_forward_compile(&n->forward, graph, &options, n->library, error);
  if (status == POA_OK)
    status = fill_store(n, &extraction, error);
  if (status == POA_OK)
    status = poa_forward_prepare(&n->forward, n->executor, n->store, error);
  if (status == POA_OK)
    list_outputs(n);
  return status;
}

poa_status poa_network_open(poa_network **network, const char *model,
                            const poa_network_options *options, poa_error *error) {
  *network = NULL;
  poa_network *n = calloc(1, sizeof *n);
  poa_error ignored = {0};
  error = error ? error : &ignored;
  poa_openmp_start();
  if (!n || !(n->arena = poa_arena_create())) {
    free(n);
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a network");
  }
  poa_status status = open(n, model, options ? options : &no_options, error);
  if (status)
    poa_network_close(n);
  else
    *network = n;
  return status;
}

void poa_network_close(poa_network *n) {
  if (!n)
    return;
  poa_forward_close(&n->forward);
  poa_executor_free(n->executor);
  poa_parameter_store_free(n->store);
  poa_kernel_library_free(n->library);
  poa_target_free(&n->target);
  poa_deployment_close(&n->deployment);
  poa_arena_free(n->arena);
  free(n);
}

int poa_network_input_count(const poa_network *n) {
  return n->input_count;
}

int poa_network_output_count(const poa_network *n) {
  return n->output_count;
}

static poa_network_tensor describe(const char *name, poa_plan_dtype dtype,
                                   const poa_plan_shape *shape) {
  poa_network_tensor tensor = {.name = name, .rank = shape->rank};
  tensor.element = dtype == POA_PLAN_F32   ? POA_ELEMENT_F32
                   : dtype == POA_PLAN_I32 ? POA_ELEMENT_I32
                                           : POA_ELEMENT_BOOL;
  memcpy(tensor.extent, shape->dim, (size_t)shape->rank * sizeof *shape->dim);
  return tensor;
}

poa_network_tensor poa_network_input(const poa_network *n, int index) {
  if (index < 0 || index >= n->input_count)
    return (poa_network_tensor){0};
  const poa_plan_input *input = &n->forward.plan->inputs[index];
  return describe(input->name, input->dtype, &input->shape);
}

poa_network_tensor poa_network_output(const poa_network *n, int index) {
  if (index < 0 || index >= n->output_count)
    return (poa_network_tensor){0};
  const poa_plan_output *output = n->outputs[index];
  return describe(output->name, output->dtype, &output->shape);
}

void poa_network_run(poa_network *n, const void *const *inputs, void *const *outputs) {
  const poa_plan *plan = n->forward.plan;
  for (int i = 0; i < n->input_count; i++)
    memcpy(poa_prepared_pointer(n->forward.prepared, plan->inputs[i].buffer), inputs[i],
           (size_t)(poa_plan_elements(plan->inputs[i].shape) *
                    poa_plan_dtype_bytes(plan->inputs[i].dtype)));
  poa_executor_run(n->executor, n->forward.prepared, NULL);
  for (int i = 0; i < n->output_count; i++)
    if (outputs[i])
      memcpy(outputs[i], poa_prepared_pointer(n->forward.prepared, n->outputs[i]->buffer),
             (size_t)(poa_plan_elements(n->outputs[i]->shape) *
                      poa_plan_dtype_bytes(n->outputs[i]->dtype)));
}
