/* compiled.c: see compiled.h. */
#include "support/compiled.h"

#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"

struct poa_compiled {
  const poa_graph *graph;
  poa_target target;
  poa_kernel_library *library;
  poa_arena *arena;
  poa_plan *plan;
  char *spaces[2]; /* by poa_plan_space */
};

#define GUARD 4096 /* bytes behind each space that must stay as they are */

static char *space(int64_t bytes) {
  char *memory = aligned_alloc(POA_ALIGNMENT, (size_t)(bytes + GUARD + 63) / 64 * 64);
  if (memory)
    memset(memory, 0xa5, (size_t)(bytes + GUARD));
  return memory;
}

static poa_status check_guard(const char *memory, int64_t bytes, poa_error *error) {
  for (int64_t i = bytes; i < bytes + GUARD; i++)
    if ((unsigned char)memory[i] != 0xa5)
      return poa_fail(error, POA_UNSUPPORTED, "a kernel wrote behind the end of its space");
  return POA_OK;
}

poa_status poa_compiled_create(poa_compiled **compiled, const poa_graph *scheduled, const char *cpu,
                               poa_error *error) {
  poa_compiled *c = *compiled = calloc(1, sizeof *c);
  if (!c)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a test");
  c->graph = scheduled;
  c->arena = poa_arena_create();
  poa_status status = poa_target_init(&c->target, cpu, error);
  if (!status)
    status = poa_kernel_library_create(&c->library, &c->target, NULL, error);
  if (!status)
    status = poa_lower(scheduled, c->library, c->arena, &c->plan, error);
  if (!status) {
    c->spaces[POA_SPACE_ARENA] = space(c->plan->arena_bytes);
    c->spaces[POA_SPACE_PARAMETERS] = space(c->plan->parameter_bytes);
    return POA_OK;
  }
  poa_compiled_free(c);
  *compiled = NULL;
  return status;
}

void poa_compiled_free(poa_compiled *c) {
  if (!c)
    return;
  free(c->spaces[0]);
  free(c->spaces[1]);
  poa_kernel_library_free(c->library);
  poa_target_free(&c->target);
  poa_arena_free(c->arena);
  free(c);
}

const poa_plan *poa_compiled_plan(const poa_compiled *compiled) {
  return compiled->plan;
}

poa_kernel_statistics poa_compiled_statistics(const poa_compiled *compiled) {
  return poa_kernel_library_statistics(compiled->library);
}

/* Memory of plan dtypes and tensors of doubles. */

static void write_elements(char *memory, const poa_tensor *tensor) {
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements; i++) {
    if (tensor->type.dtype == POA_F32)
      ((float *)(void *)memory)[i] = (float)tensor->data[i];
    else if (tensor->type.dtype == POA_I32)
      ((int32_t *)(void *)memory)[i] = (int32_t)tensor->data[i];
    else
      memory[i] = tensor->data[i] != 0;
  }
}

static void read_elements(const char *memory, poa_tensor *tensor) {
  int64_t elements = poa_type_elements(tensor->type);
  for (int64_t i = 0; i < elements; i++) {
    if (tensor->type.dtype == POA_F32)
      tensor->data[i] = (double)((const float *)(const void *)memory)[i];
    else if (tensor->type.dtype == POA_I32)
      tensor->data[i] = ((const int32_t *)(const void *)memory)[i];
    else
      tensor->data[i] = memory[i];
  }
}

static char *at(const poa_compiled *c, poa_plan_buffer buffer) {
  return c->spaces[buffer.space] + buffer.offset;
}

static char *parameter_at(const poa_compiled *c, const poa_node *node) {
  int number = poa_graph_find_parameter(c->graph, poa_node_string(node, "set"),
                                        poa_node_string(node, "name"));
  return c->spaces[POA_SPACE_PARAMETERS] + c->plan->parameters[number].offset;
}

static char *input_at(const poa_compiled *c, const poa_node *node) {
  for (int i = 0; i < c->plan->input_count; i++)
    if (!strcmp(c->plan->inputs[i].name, poa_node_string(node, "name")))
      return at(c, c->plan->inputs[i].buffer);
  return NULL;
}

static poa_status transfer(const poa_compiled *c, const poa_node *node, char *memory, bool load,
                           const poa_bindings *b, poa_error *error) {
  int64_t elements = poa_type_elements(node->type);
  poa_tensor tensor = {node->type, calloc((size_t)elements + 1, sizeof(double))};
  if (!tensor.data)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a test");
  poa_status status;
  if (load) {
    status = b->load(b->context, c->graph, node, &tensor, error);
    write_elements(memory, &tensor);
  } else {
    read_elements(memory, &tensor);
    status = b->store(b->context, c->graph, node, &tensor, error);
  }
  free(tensor.data);
  return status;
}

static poa_status load_all(const poa_compiled *c, const poa_bindings *b, poa_error *error) {
  for (uint32_t v = 0; v < c->graph->node_count; v++) {
    const poa_node *node = &c->graph->nodes[v];
    char *memory = node->op == POA_OP_parameter ? parameter_at(c, node)
                   : node->op == POA_OP_input   ? input_at(c, node)
                                                : NULL;
    if (memory && transfer(c, node, memory, true, b, error))
      return error->status;
  }
  return POA_OK;
}

static poa_status store_all(const poa_compiled *c, const poa_bindings *b, poa_error *error) {
  int output = 0;
  for (uint32_t v = 0; v < c->graph->node_count; v++) {
    const poa_node *node = &c->graph->nodes[v];
    char *memory = NULL;
    if (node->op == POA_OP_output)
      memory = at(c, c->plan->outputs[output++].buffer);
    else if (node->op == POA_OP_assign)
      memory = parameter_at(c, &c->graph->nodes[node->operands[0]]);
    if (memory && transfer(c, node, memory, false, b, error))
      return error->status;
  }
  return POA_OK;
}

static poa_status launch(const poa_compiled *c, const poa_plan_launch *l, int parts,
                         poa_error *error) {
  if (!l->kernel)
    return poa_fail(error, POA_UNSUPPORTED, "%s: tests run no external functions", l->label);
  void **pointers = calloc((size_t)l->buffer_count + 1, sizeof *pointers);
  if (!pointers)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a test");
  for (int i = 0; i < l->buffer_count; i++)
    pointers[i] = at(c, l->buffers[i]);
  for (int i = parts - 1; i >= 0; i--)
    l->kernel(pointers, l->tiles * i / parts, l->tiles * (i + 1) / parts);
  free(pointers);
  return POA_OK;
}

poa_status poa_compiled_run(poa_compiled *c, const poa_bindings *bindings, int parts,
                            poa_error *error) {
  poa_status status = load_all(c, bindings, error);
  for (int i = 0; i < c->plan->launch_count && !status; i++)
    status = launch(c, &c->plan->launches[i], parts, error);
  if (!status)
    status = check_guard(c->spaces[POA_SPACE_ARENA], c->plan->arena_bytes, error);
  if (!status)
    status = check_guard(c->spaces[POA_SPACE_PARAMETERS], c->plan->parameter_bytes, error);
  return status ? status : store_all(c, bindings, error);
}

poa_status poa_compile_and_run(poa_graph *graph, const char *cpu, const poa_bindings *bindings,
                               int parts, poa_error *error) {
  poa_options options = {.keep_probes = true};
  poa_status status = POA_OK;
  if (graph->arena_bytes < 0)
    status = poa_pipeline_run(graph, NULL, NULL, &options, true, NULL, NULL, error);
  poa_compiled *compiled = NULL;
  if (!status)
    status = poa_compiled_create(&compiled, graph, cpu, error);
  if (!status)
    status = poa_compiled_run(compiled, bindings, parts, error);
  poa_compiled_free(compiled);
  return status;
}
