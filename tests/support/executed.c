/* executed.c: see executed.h. */
#include "support/executed.h"

#include <stdlib.h>
#include <string.h>

struct poa_executed {
  const poa_graph *graph;
  poa_target target;
  poa_kernel_library *library;
  poa_arena *arena;
  poa_plan *plan;
  poa_parameter_store *store;
  poa_executor *executor;
  poa_prepared *prepared;
};

static poa_status prepare(poa_executed *x, int threads, const poa_plugins *plugins,
                          poa_error *error) {
  poa_status status = poa_target_init(&x->target, NULL, error);
  if (!status)
    status = poa_kernel_library_create(&x->library, &x->target, NULL, error);
  if (!status)
    status = poa_lower(x->graph, x->library, x->arena, &x->plan, error);
  if (!status)
    status = poa_parameter_store_create(&x->store, x->plan, error);
  if (!status)
    status = poa_executor_create(&x->executor, threads, plugins, error);
  return status ? status
                : poa_executor_prepare(x->executor, x->plan, x->store, &x->prepared, error);
}

poa_status poa_executed_create(poa_executed **executed, const poa_graph *scheduled, int threads,
                               const poa_plugins *plugins, poa_error *error) {
  *executed = NULL;
  poa_executed *x = calloc(1, sizeof *x);
  if (!x)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a test");
  x->graph = scheduled;
  x->arena = poa_arena_create();
  poa_status status = prepare(x, threads, plugins, error);
  if (status)
    poa_executed_free(x);
  else
    *executed = x;
  return status;
}

void poa_executed_free(poa_executed *x) {
  if (!x)
    return;
  poa_prepared_free(x->prepared);
  poa_executor_free(x->executor);
  poa_parameter_store_free(x->store);
  poa_kernel_library_free(x->library);
  poa_target_free(&x->target);
  poa_arena_free(x->arena);
  free(x);
}

const poa_plan *poa_executed_plan(const poa_executed *executed) {
  return executed->plan;
}

/* Where the value of a node lies that comes from outside or goes there; else NULL. `outputs`
 * counts the outputs so far: the plan has them in node order. */
static void *place_of(const poa_executed *x, const poa_node *node, bool load, int *outputs) {
  const poa_node *parameter =
      node->op == POA_OP_assign ? poa_node_of(x->graph, node->operands[0]) : node;
  if (node->op == (load ? POA_OP_parameter : POA_OP_assign))
    return poa_parameter_store_values(
        x->store, poa_parameter_store_find(x->store, poa_node_string(parameter, "set"),
                                           poa_node_string(parameter, "name")));
  if (!load && node->op == POA_OP_output)
    return poa_prepared_pointer(x->prepared, x->plan->outputs[(*outputs)++].buffer);
  for (int i = 0; load && node->op == POA_OP_input && i < x->plan->input_count; i++)
    if (!strcmp(x->plan->inputs[i].name, poa_node_string(node, "name")))
      return poa_prepared_pointer(x->prepared, x->plan->inputs[i].buffer);
  return NULL;
}

/* Between memory as kernels see it and doubles. */
static void copy_elements(void *memory, poa_tensor *tensor, bool load) {
  float *reals = memory;
  int32_t *integers = memory;
  uint8_t *bools = memory;
  for (int64_t i = 0, n = poa_type_elements(tensor->type); i < n; i++) {
    double *value = &tensor->data[i];
    if (tensor->type.dtype == POA_F32)
      load ? (void)(reals[i] = (float)*value) : (void)(*value = (double)reals[i]);
    else if (tensor->type.dtype == POA_I32)
      load ? (void)(integers[i] = (int32_t)*value) : (void)(*value = integers[i]);
    else
      load ? (void)(bools[i] = *value != 0) : (void)(*value = bools[i]);
  }
}

static poa_status transfer(const poa_executed *x, const poa_node *node, void *memory, bool load,
                           const poa_bindings *b, poa_error *error) {
  poa_tensor tensor = {node->type,
                       calloc((size_t)poa_type_elements(node->type) + 1, sizeof(double))};
  if (!tensor.data)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a test");
  poa_status status = POA_OK;
  if (load)
    status = b->load(b->context, x->graph, node, &tensor, error);
  copy_elements(memory, &tensor, load);
  if (!load)
    status = b->store(b->context, x->graph, node, &tensor, error);
  free(tensor.data);
  return status;
}

static poa_status transfer_all(const poa_executed *x, bool load, const poa_bindings *b,
                               poa_error *error) {
  int outputs = 0;
  for (uint32_t v = 0; v < x->graph->node_count; v++) {
    const poa_node *node = poa_node_of(x->graph, v);
    void *memory = place_of(x, node, load, &outputs);
    if (memory && transfer(x, node, memory, load, b, error))
      return error->status;
  }
  return POA_OK;
}

poa_status poa_executed_run(poa_executed *x, const poa_bindings *bindings, poa_error *error) {
  poa_status status = transfer_all(x, true, bindings, error);
  if (status)
    return status;
  poa_executor_run(x->executor, x->prepared, NULL);
  return transfer_all(x, false, bindings, error);
}
