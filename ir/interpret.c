/* interpret.c: runs a graph node by node. Slow and obviously right: this is what every op
 * means, and compiled code is correct when it agrees. All numbers are doubles; with
 * `round_to_f32` the result of each op is rounded once, as an ideal f32 machine would.
 * A value is freed after its last use. Kernels and storage are ignored, so a fused or
 * laid-out graph must compute the same as the graph it came from. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "ir/internal.h"
#include "ir/interpret.h"

#define ELEMENTWISE 1
#define COMMUTATIVE 0
#define COSTLY 0
#define VIEW 0
#define REDUCTION 0
#define COMPOSITE 0
#define ROOT 0
#define LEAF 0
#define EARLY 0

typedef struct rule {
  poa_interpret_rule whole;
  poa_evaluate_rule element;
} rule;

static const rule rules[] = {
#define POA_OP(name, operands, attributes, shape, gradient, flags)                                 \
  {(flags) ? NULL : poa_interpret_##name, (flags) ? poa_evaluate_##name : NULL},
#include "ir/ops.def"
#undef POA_OP
};

double poa_evaluate(poa_op op, const double *operands) {
  return rules[op].element ? rules[op].element(operands) : NAN;
}

double poa_to_dtype(double value, poa_dtype dtype, bool round_to_f32) {
  if (dtype == POA_BOOL)
    return value != 0;
  if (dtype == POA_F32)
    return round_to_f32 ? (double)(float)value : value;
  if (isnan(value))
    return 0;
  return value <= INT32_MIN ? INT32_MIN : value >= INT32_MAX ? INT32_MAX : trunc(value);
}

static void evaluate_elements(poa_evaluate_rule evaluate, int operand_count,
                              const poa_tensor *const *x, poa_tensor *y) {
  int64_t elements = poa_type_elements(y->type);
  double operands[3];
  for (int64_t i = 0; i < elements; i++) {
    for (int k = 0; k < operand_count; k++)
      operands[k] = x[k]->data[i];
    y->data[i] = evaluate(operands);
  }
}

static poa_status allocate(poa_interpreter *in, poa_value value) {
  poa_tensor *tensor = &in->values[value];
  tensor->type = in->graph->nodes[value].type;
  int64_t elements = poa_type_elements(tensor->type);
  tensor->data = calloc(elements > 0 ? (size_t)elements : 1, sizeof(double));
  if (!tensor->data)
    return poa_fail(in->error, POA_NO_MEMORY,
                    "no memory to interpret %%%" PRIu32 ", a %s of %" PRId64 " elements", value,
                    poa_type_words(in->graph, &tensor->type).text, elements);
  return POA_OK;
}

/* Makes each element one that its dtype can hold. */
static void settle(const poa_interpreter *in, poa_tensor *y) {
  int64_t elements = poa_type_elements(y->type);
  for (int64_t i = 0; i < elements; i++)
    y->data[i] = poa_to_dtype(y->data[i], y->type.dtype, in->round_to_f32);
}

static poa_status run_node(poa_interpreter *in, poa_value value, const poa_tensor **x) {
  const poa_node *node = &in->graph->nodes[value];
  poa_tensor *y = &in->values[value];
  poa_status status = allocate(in, value);
  if (status)
    return status;
  for (int i = 0; i < node->operand_count; i++)
    x[i] = &in->values[node->operands[i]];
  if (rules[node->op].element)
    evaluate_elements(rules[node->op].element, node->operand_count, x, y);
  else
    status = rules[node->op].whole(in, node, x, y);
  settle(in, y);
  return status;
}

static void free_tensor(poa_tensor *tensor) {
  free(tensor->data);
  tensor->data = NULL;
}

/* Frees what node `value` used last, and its own result if nothing uses it. */
static void free_used(poa_interpreter *in, poa_value value, const poa_value *last_use) {
  const poa_node *node = &in->graph->nodes[value];
  for (int i = 0; i < node->operand_count; i++)
    if (last_use[node->operands[i]] == value)
      free_tensor(&in->values[node->operands[i]]);
  if (last_use[value] == value)
    free_tensor(&in->values[value]);
}

static int find_last_uses(const poa_graph *graph, poa_value *last_use) {
  int most_operands = 1;
  for (poa_value v = 0; v < graph->node_count; v++) {
    const poa_node *node = &graph->nodes[v];
    last_use[v] = v;
    for (int i = 0; i < node->operand_count; i++)
      last_use[node->operands[i]] = v;
    if (node->operand_count > most_operands)
      most_operands = node->operand_count;
  }
  return most_operands;
}

static poa_status check_known(const poa_graph *graph, poa_error *error) {
  for (poa_value v = 0; v < graph->node_count; v++)
    if (!poa_type_known(graph->nodes[v].type))
      return poa_fail(error, POA_BAD_INPUT,
                      "%%%" PRIu32 " is %s: only a graph with known extents can be interpreted "
                      "(specialize it first)",
                      v, poa_type_words(graph, &graph->nodes[v].type).text);
  return POA_OK;
}

static poa_status run(poa_interpreter *in, poa_value *last_use) {
  int most_operands = find_last_uses(in->graph, last_use);
  const poa_tensor **x = calloc((size_t)most_operands, sizeof *x);
  if (!x)
    return poa_fail(in->error, POA_NO_MEMORY, "no memory to interpret a graph");
  poa_status status = POA_OK;
  for (poa_value v = 0; v < in->graph->node_count && !status; v++) {
    status = run_node(in, v, x);
    free_used(in, v, last_use);
  }
  free(x);
  return status;
}

poa_status poa_graph_interpret(const poa_graph *graph, const poa_bindings *bindings,
                               bool round_to_f32, poa_error *error) {
  if (check_known(graph, error))
    return POA_BAD_INPUT;
  poa_interpreter in = {graph, bindings, round_to_f32, NULL, error};
  in.values = calloc((size_t)graph->node_count + 1, sizeof *in.values);
  poa_value *last_use = calloc((size_t)graph->node_count + 1, sizeof *last_use);
  poa_status status = in.values && last_use
                          ? run(&in, last_use)
                          : poa_fail(error, POA_NO_MEMORY, "no memory to interpret a graph");
  for (poa_value v = 0; in.values && v < graph->node_count; v++)
    free_tensor(&in.values[v]);
  free(in.values);
  free(last_use);
  return status;
}
