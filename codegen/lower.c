/* lower.c: see lower.h. */
#include "codegen/lower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/barriers.h"
#include "codegen/cluster.h"
#include "codegen/key_text.h"
#include "codegen/names.h"
#include "runtime/file_order.h"

typedef struct lowering {
  const poa_graph *graph;
  const poa_target *target;
  poa_arena *arena;
  poa_error *error;
  int kernel_count;
  uint32_t *first, *end; /* nodes of kernel k lie in [first[k], end[k]) */
  int64_t *parameter_offset;
  poa_names parameters; /* name and set -> number */
  poa_names keys;       /* key of a kernel -> the first launch of it */
  poa_kernel *kernels;
  poa_lowered *out;
} lowering;

static void *allocate(const lowering *l, int count, size_t size) {
  return poa_arena_alloc(l->arena, (size_t)count * size);
}

static int64_t bytes_of(poa_dtype dtype) {
  return dtype == POA_BOOL ? 1 : 4;
}

static poa_plan_dtype plan_dtype(poa_dtype dtype) {
  return dtype == POA_F32 ? POA_PLAN_F32 : dtype == POA_I32 ? POA_PLAN_I32 : POA_PLAN_BOOL;
}

static poa_plan_shape plan_shape(const poa_type *type) {
  poa_plan_shape shape = {.rank = type->rank};
  for (int a = 0; a < type->rank; a++)
    shape.dim[a] = type->dim[a].value;
  return shape;
}

/* Buffers. */

static poa_status find_root(lowering *l, poa_value root, poa_plan_space *space, int64_t *offset) {
  const poa_node *node = poa_node_of(l->graph, root);
  *space = POA_SPACE_ARENA;
  *offset = node->storage.place;
  if (node->op == POA_OP_parameter) {
    int number = *poa_names_find(&l->parameters, poa_node_string(node, "name"),
                                 poa_node_string(node, "set"));
    *space = POA_SPACE_PARAMETERS;
    *offset = number < 0 ? -1 : l->parameter_offset[number];
  }
  if (*offset < 0)
    return poa_fail(l->error, POA_UNSUPPORTED,
                    "the buffer of %%%u (%s) has no place, a bug of poa: run schedule before code "
                    "is generated",
                    root, poa_op_table(node->op)->name);
  return POA_OK;
}

static poa_status buffer_of(lowering *l, const poa_use *use, poa_plan_buffer *buffer) {
  int64_t offset;
  if (find_root(l, use->root, &buffer->space, &offset))
    return POA_UNSUPPORTED;
  buffer->offset = offset + use->offset * bytes_of(use->dtype);
  buffer->bytes = use->span * bytes_of(use->dtype);
  return POA_OK;
}

static bool is_dense(const poa_use *use) {
  int64_t stride = 1;
  for (int a = use->rank - 1; a >= 0; a--) {
    if (use->extent[a] != 1 && use->stride[a] != stride)
      return false;
    stride *= use->extent[a];
  }
  return true;
}

static poa_status check_dense(const lowering *l, const poa_use *use, const char *what) {
  if (is_dense(use))
    return POA_OK;
  return poa_fail(l->error, POA_UNSUPPORTED,
                  "%s must be dense in memory, but %%%u is strided, a bug of poa's layout", what,
                  use->root);
}

/* Requests and labels. */

#define MOST_OPS 8

static char *label_cluster(const lowering *l, const poa_cluster *c, const char *family) {
  poa_key_text label = {.arena = l->arena};
  int written = 0;
  poa_put(&label, family);
  poa_put(&label, c->rank ? " " : "");
  poa_put_numbers(&label, c->extent, c->rank, "x");
  for (int v = 0; v < c->value_count; v++) {
    poa_op op = c->values[v].op;
    if (op == POA_OP_input || op == POA_OP_constant || written++ >= MOST_OPS)
      continue;
    poa_put(&label, " ");
    poa_put(&label, poa_op_table(op)->name);
  }
  if (written > MOST_OPS)
    poa_put(&label, poa_arena_format(l->arena, " and %d more", written - MOST_OPS));
  poa_put(&label, written ? "" : " copy");
  return label.bytes;
}

static char *label_gemm(const lowering *l, const poa_gemm *g) {
  int64_t batch = 1;
  for (int i = 0; i < g->batch_rank; i++)
    batch *= g->batch[i];
  return poa_arena_format(l->arena, "gemm %lldx %lldx%lldx%lld%s%s", (long long)batch,
                          (long long)g->m, (long long)g->n, (long long)g->k, g->bf16 ? " bf16" : "",
                          g->accumulate ? " +=" : "");
}

static char *gemm_key(const lowering *l, const poa_gemm *gemm) {
  char few[512];
  int length = poa_gemm_key(gemm, few, sizeof few);
  if ((size_t)length < sizeof few)
    return poa_arena_span(l->arena, few, (size_t)length);
  char *key = poa_arena_alloc(l->arena, (size_t)length + 1);
  poa_gemm_key(gemm, key, (size_t)length + 1);
  return key;
}

static void describe_cluster(const lowering *l, const poa_kernel *k, poa_plan_launch *launch,
                             poa_kernel_request *request) {
  bool columns = k->kind == POA_KERNEL_COLUMNS;
  launch->family = columns ? "columns" : k->cluster->rank ? "rows" : "scalar";
  launch->label = label_cluster(l, k->cluster, launch->family);
  launch->tiles = columns ? poa_columns_tiles(k->cluster, l->target) : poa_rows_tiles(k->cluster);
  request->emit = columns ? poa_columns_emit : poa_rows_emit;
  request->description = k->cluster;
}

static void describe_gemm(const lowering *l, const poa_kernel *k, poa_plan_launch *launch,
                          poa_kernel_request *request) {
  launch->family = "gemm";
  launch->label = label_gemm(l, k->gemm);
  launch->tiles = poa_gemm_tiles(k->gemm, l->target);
  request->emit = poa_gemm_emit;
  request->description = k->gemm;
}

static void describe_scatter(const lowering *l, const poa_kernel *k, poa_plan_launch *launch,
                             poa_kernel_request *request) {
  launch->family = "scatter";
  launch->label = poa_arena_format(l->arena, "scatter %lld rows", (long long)k->scatter->count);
  launch->tiles = poa_scatter_tiles(k->scatter);
  request->emit = poa_scatter_emit;
  request->description = k->scatter;
}

static char *key_of(const lowering *l, const poa_kernel *k) {
  switch (k->kind) {
  case POA_KERNEL_GEMM:
    return gemm_key(l, k->gemm);
  case POA_KERNEL_SCATTER:
    return poa_scatter_key(k->scatter, l->arena);
  default:
    return poa_cluster_key(k->cluster, l->arena);
  }
}

/* A kernel that stands in the plan already has all that follows from its key: most of a deep
 * network's kernels do. */
static void request_kernel(lowering *l, int number) {
  const poa_kernel *k = &l->kernels[number];
  poa_plan_launch *launch = &l->out->launches[number];
  poa_kernel_request *request = &l->out->requests[number];
  char *key = key_of(l, k);
  int *known = poa_names_find(&l->keys, key, NULL);
  if (*known >= 0) {
    const poa_plan_launch *like = &l->out->launches[*known];
    launch->family = like->family;
    launch->label = like->label;
    launch->tiles = like->tiles;
    *request = l->out->requests[*known];
    return;
  }
  *known = number;
  request->key = key;
  if (k->kind == POA_KERNEL_GEMM)
    describe_gemm(l, k, launch, request);
  else if (k->kind == POA_KERNEL_SCATTER)
    describe_scatter(l, k, launch, request);
  else
    describe_cluster(l, k, launch, request);
}

/* External calls. */

static const poa_external *find_external(const poa_graph *graph, const char *name) {
  for (int i = 0; i < graph->external_count; i++)
    if (!strcmp(graph->externals[i].name, name))
      return &graph->externals[i];
  return NULL;
}

static poa_plan_argument plan_argument(const poa_c_argument *a, int operand_count) {
  static const poa_plan_argument_kind kinds[] = {[POA_C_TENSOR] = POA_ARGUMENT_POINTER,
                                                 [POA_C_INT] = POA_ARGUMENT_INT,
                                                 [POA_C_INT64] = POA_ARGUMENT_INT64,
                                                 [POA_C_FLOAT] = POA_ARGUMENT_FLOAT,
                                                 [POA_C_DOUBLE] = POA_ARGUMENT_DOUBLE};
  poa_plan_argument argument = {kinds[a->kind], a->integer, a->real};
  if (a->kind == POA_C_TENSOR && a->integer < 0)
    argument.integer = operand_count; /* the result is the last buffer */
  return argument;
}

static poa_status lower_external(const lowering *l, const poa_kernel *k, poa_plan_launch *launch) {
  const char *name = poa_node_string(k->call, "external");
  const poa_external *external = find_external(l->graph, name);
  if (!external)
    return poa_fail(l->error, POA_BAD_INPUT, "call of '%s', which no extern declares", name);
  for (int i = 0; i < k->use_count; i++)
    if (check_dense(l, &k->uses[i], "an operand or result of an external function"))
      return POA_UNSUPPORTED;
  poa_plan_argument *arguments = allocate(l, external->argument_count, sizeof *arguments);
  for (int i = 0; i < external->argument_count; i++)
    arguments[i] = plan_argument(&external->arguments[i], k->call->operand_count);
  poa_plan_external *out = allocate(l, 1, sizeof *out);
  *out = (poa_plan_external){external->symbol, external->argument_count, arguments};
  launch->external = out;
  launch->family = "external";
  launch->label = poa_arena_format(l->arena, "external %s", external->symbol);
  launch->tiles = 1;
  return POA_OK;
}

/* Launches. */

/* What a use takes of memory: an axis of stride 0 shows the same elements again and again, and so
 * do windows, of which the span is all there is. Read and written counts twice. */
static int64_t use_bytes(const poa_use *use) {
  int64_t elements = 1;
  for (int a = 0; a < use->rank; a++)
    if (use->stride[a] != 0)
      elements *= use->extent[a];
  int64_t touched = elements < use->span ? elements : use->span;
  return touched * bytes_of(use->dtype) * (use->read + use->written);
}

/* A kernel belongs to the branch of its product, if it has one, else of its last node. */
static const char *branch_of(const lowering *l, int number) {
  const char *branch = NULL;
  for (uint32_t v = l->first[number]; v < l->end[number]; v++) {
    const poa_node *node = poa_node_of(l->graph, v);
    if (node->kernel != number)
      continue;
    branch = node->location.branch;
    if (node->op == POA_OP_dot)
      break;
  }
  return branch;
}

static poa_status lower_kernel(lowering *l, int number, int *local) {
  poa_kernel *k = &l->kernels[number];
  poa_plan_launch *launch = &l->out->launches[number];
  if (poa_classify(l->graph, l->first[number], l->end[number], number, local, l->arena, k,
                   l->error))
    return POA_UNSUPPORTED;
  poa_plan_buffer *buffers = allocate(l, k->use_count, sizeof *buffers);
  for (int i = 0; i < k->use_count; i++)
    if (buffer_of(l, &k->uses[i], &buffers[i]))
      return POA_UNSUPPORTED;
  *launch = (poa_plan_launch){.buffer_count = k->use_count,
                              .buffers = buffers,
                              .branch = branch_of(l, number),
                              .flops = k->flops};
  for (int i = 0; i < k->use_count; i++)
    launch->bytes += use_bytes(&k->uses[i]);
  if (k->kind == POA_KERNEL_EXTERNAL)
    return lower_external(l, k, launch);
  request_kernel(l, number);
  return POA_OK;
}

static void find_kernels(lowering *l) {
  for (uint32_t v = 0; v < l->graph->node_count; v++)
    if (l->graph->nodes[v].kernel >= l->kernel_count)
      l->kernel_count = l->graph->nodes[v].kernel + 1;
  l->first = allocate(l, l->kernel_count, sizeof *l->first);
  l->end = allocate(l, l->kernel_count, sizeof *l->end);
  for (uint32_t v = 0; v < l->graph->node_count; v++) {
    int k = l->graph->nodes[v].kernel;
    if (k < 0)
      continue;
    if (l->end[k] == 0)
      l->first[k] = v;
    l->end[k] = v + 1;
  }
}

static poa_status lower_kernels(lowering *l) {
  find_kernels(l);
  poa_names_open(&l->keys, l->arena, l->kernel_count);
  l->kernels = allocate(l, l->kernel_count, sizeof *l->kernels);
  l->out->launches = allocate(l, l->kernel_count, sizeof *l->out->launches);
  l->out->requests = allocate(l, l->kernel_count, sizeof *l->out->requests);
  const poa_use **uses = allocate(l, l->kernel_count, sizeof *uses);
  int *local = allocate(l, (int)l->graph->node_count, sizeof *local);
  for (uint32_t v = 0; v < l->graph->node_count; v++)
    local[v] = -1;
  for (int k = 0; k < l->kernel_count; k++) {
    if (lower_kernel(l, k, local))
      return POA_UNSUPPORTED;
    uses[k] = l->kernels[k].uses;
  }
  poa_place_barriers(l->out->launches, l->kernel_count, uses, l->arena);
  l->out->plan->launches = l->out->launches;
  l->out->plan->launch_count = l->kernel_count;
  return POA_OK;
}

/* Parameters, inputs, outputs. */

static poa_status initializer_of(const lowering *l, const poa_parameter *parameter,
                                 poa_initializer *initializer) {
  static const char *const names[] = {[POA_INIT_CONSTANT] = "constant",
                                      [POA_INIT_TRUNC_NORMAL] = "trunc_normal",
                                      [POA_INIT_NORMAL] = "normal",
                                      [POA_INIT_UNIFORM] = "uniform",
                                      [POA_INIT_COPY] = "copy"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i], parameter->initializer)) {
      *initializer = (poa_initializer)i;
      return POA_OK;
    }
  return poa_fail(l->error, POA_BAD_INPUT,
                  "parameter '%s' has the unknown initializer '%s'; known are constant, normal, "
                  "trunc_normal, uniform and copy",
                  parameter->name, parameter->initializer);
}

static poa_status lower_parameters(lowering *l) {
  const poa_graph *graph = l->graph;
  poa_plan_parameter *out = allocate(l, graph->parameter_count, sizeof *out);
  l->parameter_offset = allocate(l, graph->parameter_count, sizeof *l->parameter_offset);
  int64_t offset = 0;
  poa_names_open(&l->parameters, l->arena, graph->parameter_count);
  for (int i = 0; i < graph->parameter_count; i++) {
    const poa_parameter *parameter = &graph->parameters[i];
    out[i] = (poa_plan_parameter){.set = parameter->set,
                                  .name = parameter->name,
                                  .shape = plan_shape(&parameter->file_type),
                                  .offset = offset,
                                  .a = parameter->argument,
                                  .copy_of = parameter->copy_of};
    out[i].order = poa_order_of_axes(parameter->file_axes, parameter->type.rank);
    if (initializer_of(l, parameter, &out[i].initializer))
      return POA_BAD_INPUT;
    l->parameter_offset[i] = offset;
    *poa_names_find(&l->parameters, parameter->name, parameter->set) = i;
    int64_t bytes = poa_type_elements(parameter->type) * bytes_of(parameter->type.dtype);
    offset = (offset + bytes + POA_ALIGNMENT - 1) / POA_ALIGNMENT * POA_ALIGNMENT;
  }
  l->out->plan->parameters = out;
  l->out->plan->parameter_count = graph->parameter_count;
  l->out->plan->parameter_bytes = offset;
  return POA_OK;
}

poa_status poa_lower_parameters(const poa_graph *graph, poa_arena *arena, poa_plan **plan,
                                poa_error *error) {
  poa_lowered lowered = {.plan = poa_arena_alloc(arena, sizeof *lowered.plan)};
  lowering l = {.graph = graph, .arena = arena, .error = error, .out = &lowered};
  *plan = lowered.plan;
  lowered.plan->entry = graph->name;
  return lower_parameters(&l);
}

static const poa_plan_source_argument *source_arguments(const lowering *l, const poa_input *input) {
  poa_plan_source_argument *out = allocate(l, input->argument_count, sizeof *out);
  for (int i = 0; i < input->argument_count; i++)
    out[i] = (poa_plan_source_argument){.name = input->arguments[i].name,
                                        .value = input->arguments[i].value,
                                        .text = input->arguments[i].text};
  return out;
}

static poa_status lower_input(lowering *l, const poa_input *input, poa_value v,
                              poa_plan_input *out) {
  const poa_node *node = poa_node_of(l->graph, v);
  *out = (poa_plan_input){.name = input->name,
                          .dtype = plan_dtype(node->type.dtype),
                          .shape = plan_shape(&node->type),
                          .source = input->source,
                          .argument_count = input->argument_count,
                          .arguments = source_arguments(l, input),
                          .use = input->use};
  if (poa_check_stored(l->graph, v, l->error))
    return POA_UNSUPPORTED;
  poa_use use = poa_use_of(node, &node->type, 0);
  if (check_dense(l, &use, "an input"))
    return POA_UNSUPPORTED;
  return buffer_of(l, &use, &out->buffer);
}

/* The node that reads an input, or POA_NO_VALUE. */
static poa_value find_input_node(const poa_graph *graph, const char *name) {
  for (uint32_t v = 0; v < graph->node_count; v++)
    if (graph->nodes[v].op == POA_OP_input &&
        !strcmp(poa_node_string(&graph->nodes[v], "name"), name))
      return v;
  return POA_NO_VALUE;
}

static poa_status lower_inputs(lowering *l) {
  poa_plan *plan = l->out->plan;
  poa_plan_input *out = allocate(l, l->graph->input_count, sizeof *out);
  for (int i = 0; i < l->graph->input_count; i++) {
    poa_value v = find_input_node(l->graph, l->graph->inputs[i].name);
    if (v == POA_NO_VALUE)
      continue;
    if (lower_input(l, &l->graph->inputs[i], v, &out[plan->input_count++]))
      return POA_UNSUPPORTED;
  }
  plan->inputs = out;
  return POA_OK;
}

static poa_plan_output_kind output_kind(const char *kind) {
  if (!strcmp(kind, "report"))
    return POA_OUTPUT_REPORT;
  return !strcmp(kind, "probe") ? POA_OUTPUT_PROBE : POA_OUTPUT_RESULT;
}

static poa_status lower_output(lowering *l, const poa_node *node, poa_plan_output *out) {
  const poa_node *value = poa_node_of(l->graph, node->operands[0]);
  *out = (poa_plan_output){.name = poa_node_string(node, "name"),
                           .kind = output_kind(poa_node_string(node, "kind")),
                           .dtype = plan_dtype(value->type.dtype),
                           .shape = plan_shape(&value->type)};
  if (poa_check_stored(l->graph, node->operands[0], l->error))
    return POA_UNSUPPORTED;
  poa_use use = poa_use_of(value, &value->type, 0);
  if (check_dense(l, &use, "an output"))
    return POA_UNSUPPORTED;
  return buffer_of(l, &use, &out->buffer);
}

static poa_status lower_outputs(lowering *l) {
  poa_plan *plan = l->out->plan;
  int count = 0;
  for (uint32_t v = 0; v < l->graph->node_count; v++)
    count += l->graph->nodes[v].op == POA_OP_output;
  poa_plan_output *out = allocate(l, count, sizeof *out);
  for (uint32_t v = 0; v < l->graph->node_count; v++)
    if (l->graph->nodes[v].op == POA_OP_output &&
        lower_output(l, &l->graph->nodes[v], &out[plan->output_count++]))
      return POA_UNSUPPORTED;
  plan->outputs = out;
  return POA_OK;
}

poa_status poa_lower_launches(const poa_graph *scheduled, const poa_target *target,
                              poa_arena *arena, poa_lowered *lowered, poa_error *error) {
  lowering l = {
      .graph = scheduled, .target = target, .arena = arena, .error = error, .out = lowered};
  *lowered = (poa_lowered){.plan = poa_arena_alloc(arena, sizeof *lowered->plan)};
  lowered->plan->entry = scheduled->name;
  lowered->plan->arena_bytes = scheduled->arena_bytes;
  for (uint32_t v = 0; v < scheduled->node_count; v++)
    lowered->updates |= scheduled->nodes[v].op == POA_OP_assign;
  if (scheduled->arena_bytes < 0)
    return poa_fail(error, POA_UNSUPPORTED,
                    "graph '%s' has no schedule yet: run the pass schedule first", scheduled->name);
  poa_status status = lower_parameters(&l);
  status = status ? status : lower_kernels(&l);
  status = status ? status : lower_inputs(&l);
  return status ? status : lower_outputs(&l);
}

poa_status poa_lower_link(const poa_kernel_request *requests, poa_plan_launch *launches, int count,
                          poa_kernel_library *library, poa_arena *arena, poa_error *error) {
  poa_kernel_request *asked = poa_arena_alloc(arena, (size_t)count * sizeof *asked);
  poa_kernel_fn *functions = poa_arena_alloc(arena, (size_t)count * sizeof *functions);
  int64_t kernels = 0;
  for (int i = 0; i < count; i++)
    if (requests[i].emit)
      asked[kernels++] = requests[i];
  poa_status status = poa_kernel_library_get(library, asked, kernels, functions, error);
  if (status)
    return status;
  kernels = 0;
  for (int i = 0; i < count; i++)
    if (requests[i].emit)
      launches[i].kernel = functions[kernels++];
  return POA_OK;
}

poa_status poa_lower(const poa_graph *scheduled, poa_kernel_library *library, poa_arena *arena,
                     poa_plan **plan, poa_error *error) {
  poa_lowered lowered;
  poa_status status =
      poa_lower_launches(scheduled, poa_kernel_library_target(library), arena, &lowered, error);
  if (status == POA_OK)
    status = poa_lower_link(lowered.requests, lowered.launches, lowered.plan->launch_count, library,
                            arena, error);
  *plan = status ? NULL : lowered.plan;
  return status;
}
