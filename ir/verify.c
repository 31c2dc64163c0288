/* verify.c: whether a graph is one. Run after passes in debug and test builds, so that the
 * pass that broke a rule is named and not a later one that stumbled over it. Checked here:
 * the model's tables, operands before uses, attributes, shapes and dtypes, and kernels that
 * stand together in order (docs/kernels.md); verify_storage.c checks the rest. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/verify.h"

/* The node as print writes it; the caller frees. NULL without memory. */
static char *node_text(const poa_graph *graph, poa_value value) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return NULL;
  poa_node_print(graph, value, out);
  fclose(out);
  return text;
}

poa_status poa_verify_fail(const poa_graph *graph, poa_value value, poa_error *error,
                           const char *format, ...) {
  char message[1200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  char *text = node_text(graph, value);
  poa_fail(error, POA_BAD_INPUT, "%s\n  in graph @%.60s: %.500s", message, graph->name,
           text ? text : "");
  free(text);
  return POA_BAD_INPUT;
}

static bool same_elements(const poa_type *a, const poa_type *b) {
  return a->dtype == b->dtype && poa_type_elements(*a) == poa_type_elements(*b);
}

/* Whether the axes in files are those of the parameter, each once. */
static bool permutes(const poa_parameter *p) {
  unsigned seen = 0;
  for (int i = 0; i < p->type.rank; i++) {
    int64_t axis = p->file_axes[i];
    if (axis < 0 || axis >= p->type.rank || seen >> axis & 1 ||
        p->file_type.dim[i].value != p->type.dim[axis].value)
      return false;
    seen |= 1u << axis;
  }
  return p->file_type.rank == p->type.rank;
}

static poa_status check_parameter(const poa_graph *graph, const poa_parameter *p,
                                  poa_error *error) {
  if (!poa_type_known(p->type) || !poa_type_known(p->file_type) ||
      !same_elements(&p->type, &p->file_type))
    return poa_fail(error, POA_BAD_INPUT,
                    "parameter %s of %s: its type %s and its type in files, %s, must be known and "
                    "hold the same elements",
                    p->name, p->set, poa_type_words(graph, &p->type).text,
                    poa_type_words(graph, &p->file_type).text);
  if (p->file_axes && !permutes(p))
    return poa_fail(error, POA_BAD_INPUT,
                    "parameter %s of %s: its axes in files are no permutation of %s that gives %s",
                    p->name, p->set, poa_type_words(graph, &p->type).text,
                    poa_type_words(graph, &p->file_type).text);
  if (!p->copy_of)
    return POA_OK;
  int from = poa_graph_find_parameter(graph, p->copy_of, p->name);
  if (from < 0 || !poa_type_equal(&graph->lattice, &graph->parameters[from].type, &p->type))
    return poa_fail(error, POA_BAD_INPUT,
                    "parameter %s of %s copies from set '%s', which has no such parameter of the "
                    "same type",
                    p->name, p->set, p->copy_of);
  return POA_OK;
}

static int by_name(const void *a, const void *b) {
  const poa_parameter *x = *(const poa_parameter *const *)a, *y = *(const poa_parameter *const *)b;
  int order = strcmp(x->name, y->name);
  return order ? order : strcmp(x->set, y->set);
}

static poa_status check_unique(const poa_graph *graph, poa_error *error) {
  size_t count = (size_t)graph->parameter_count;
  const poa_parameter **sorted = malloc((count + 1) * sizeof *sorted);
  if (!sorted)
    return poa_fail(error, POA_NO_MEMORY, "no memory to verify a graph");
  for (size_t i = 0; i < count; i++)
    sorted[i] = &graph->parameters[i];
  qsort(sorted, count, sizeof *sorted, by_name);
  poa_status status = POA_OK;
  for (size_t i = 1; i < count && !status; i++)
    if (!by_name(&sorted[i - 1], &sorted[i]))
      status = poa_fail(error, POA_BAD_INPUT, "parameter %s of %s exists twice", sorted[i]->name,
                        sorted[i]->set);
  free(sorted);
  return status;
}

static poa_status check_tables(const poa_graph *graph, poa_error *error) {
  for (int i = 0; i < graph->parameter_count; i++)
    if (check_parameter(graph, &graph->parameters[i], error))
      return POA_BAD_INPUT;
  for (int i = 0; i < graph->input_count; i++)
    for (int j = 0; j < i; j++)
      if (!strcmp(graph->inputs[i].name, graph->inputs[j].name))
        return poa_fail(error, POA_BAD_INPUT, "input %s exists twice", graph->inputs[i].name);
  return check_unique(graph, error);
}

static poa_status check_operands(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  int expected = poa_op_table(node->op)->operands;
  if (expected == POA_VARIADIC ? node->operand_count < 1 : node->operand_count != expected)
    return poa_fail(error, POA_BAD_INPUT, "%%%" PRIu32 ": %s has %d operands", v,
                    poa_op_table(node->op)->name, node->operand_count);
  for (int i = 0; i < node->operand_count; i++)
    if (node->operands[i] >= v)
      return poa_verify_fail(graph, v, error, "operand %%%" PRIu32 " stands no earlier",
                             node->operands[i]);
  return POA_OK;
}

static bool is_slot(const poa_slot *slot, const poa_attribute *a) {
  return a->kind == slot->kind && strlen(a->key) == (size_t)slot->length &&
         !strncmp(a->key, slot->key, (size_t)slot->length);
}

/* Attributes are those of the row, in its order. */
static poa_status check_attributes(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  poa_slot slots[POA_MAX_SLOTS];
  int slot_count = poa_op_slots(node->op, slots), next = 0;
  for (int s = 0; s < slot_count; s++) {
    bool given = next < node->attribute_count && is_slot(&slots[s], &node->attributes[next]);
    if (!given && !slots[s].optional)
      return poa_verify_fail(graph, v, error, "attribute '%.*s' (%s) is missing or out of order",
                             slots[s].length, slots[s].key, poa_attribute_kind_name(slots[s].kind));
    next += given;
  }
  if (next < node->attribute_count)
    return poa_verify_fail(graph, v, error, "attribute '%s' is not one of \"%s\"",
                           node->attributes[next].key, poa_op_table(node->op)->attributes);
  return POA_OK;
}

bool poa_node_known(const poa_node *node) {
  for (int i = 0; i < node->attribute_count; i++)
    for (int k = 0; node->attributes[i].extents && k < node->attributes[i].count; k++)
      if (node->attributes[i].extents[k].expr)
        return false;
  return poa_type_known(node->type);
}

static poa_status check_shape(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  poa_error rule = {0};
  poa_type type;
  if (poa_infer(graph, node, &node->type, &type, &rule))
    return poa_verify_fail(graph, v, error, "%s", rule.message);
  if (!graph->specialized)
    return POA_OK;
  if (node->op == POA_OP_keep || node->op == POA_OP_ratio)
    return poa_verify_fail(graph, v, error, "%s is left in a specialized graph",
                           poa_op_table(node->op)->name);
  if (!poa_node_known(node))
    return poa_verify_fail(graph, v, error, "an extent is symbolic in a specialized graph");
  return POA_OK;
}

static poa_status check_input(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  const char *name = poa_node_string(node, "name");
  for (int i = 0; i < graph->input_count; i++) {
    const poa_input *input = &graph->inputs[i];
    if (strcmp(input->name, name))
      continue;
    if (poa_type_equal(&graph->lattice, &input->type, &node->type))
      return POA_OK;
    return poa_verify_fail(graph, v, error, "input %s is %s", name,
                           poa_type_words(graph, &input->type).text);
  }
  return poa_verify_fail(graph, v, error, "the graph has no input '%s'", name);
}

static poa_status check_parameter_node(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  const char *set = poa_node_string(node, "set"), *name = poa_node_string(node, "name");
  int index = poa_graph_find_parameter(graph, set, name);
  if (index < 0)
    return poa_verify_fail(graph, v, error, "the model has no parameter '%s' of set '%s'", name,
                           set);
  const poa_type *type = &graph->parameters[index].type;
  if (!poa_type_equal(&graph->lattice, type, &node->type))
    return poa_verify_fail(graph, v, error, "parameter %s is %s", name,
                           poa_type_words(graph, type).text);
  return POA_OK;
}

static poa_status check_call(const poa_graph *graph, poa_value v, poa_error *error) {
  const poa_node *node = &graph->nodes[v];
  const char *name = poa_node_string(node, "external");
  for (int i = 0; i < graph->external_count; i++) {
    const poa_external *e = &graph->externals[i];
    if (strcmp(e->name, name))
      continue;
    for (int k = 0; k < e->argument_count; k++)
      if (e->arguments[k].kind == POA_C_TENSOR && e->arguments[k].integer >= node->operand_count)
        return poa_verify_fail(
            graph, v, error, "argument %d of %s is operand %" PRId64 ", but there are %d operands",
            k, name, e->arguments[k].integer, node->operand_count);
    return POA_OK;
  }
  return poa_verify_fail(graph, v, error, "the model has no external '%s'", name);
}

static poa_status check_output(const poa_graph *graph, poa_value v, poa_error *error) {
  static const char *const kinds[] = {"result", "report", "probe"};
  const char *kind = poa_node_string(&graph->nodes[v], "kind");
  for (int i = 0; i < 3; i++)
    if (!strcmp(kinds[i], kind))
      return POA_OK;
  return poa_verify_fail(graph, v, error, "the kind of an output is result, report or probe");
}

/* What a node names exists. */
static poa_status check_names(const poa_graph *graph, poa_value v, poa_error *error) {
  switch (graph->nodes[v].op) {
  case POA_OP_input:
    return check_input(graph, v, error);
  case POA_OP_parameter:
    return check_parameter_node(graph, v, error);
  case POA_OP_call:
    return check_call(graph, v, error);
  case POA_OP_output:
    return check_output(graph, v, error);
  default:
    return POA_OK;
  }
}

static bool needs_no_kernel(poa_op op) {
  return poa_op_is(op, POA_FLAG_LEAF | POA_FLAG_VIEW | POA_FLAG_ROOT) || op == POA_OP_concat;
}

/* Kernels are numbered 0, 1, .. in node order and the nodes of each stand together. */
static poa_status check_kernels(const poa_graph *graph, poa_error *error) {
  int newest = -1, open = -1;
  for (poa_value v = 0; v < graph->node_count; v++) {
    int kernel = graph->nodes[v].kernel;
    if (kernel < -1 || (kernel >= 0 && kernel != open && kernel != newest + 1))
      return poa_verify_fail(graph, v, error,
                             "it is in kernel %d, but kernel %d stands before it: kernels are "
                             "numbered in order and their nodes stand together",
                             kernel, newest);
    open = kernel;
    newest = kernel > newest ? kernel : newest;
  }
  for (poa_value v = 0; newest >= 0 && v < graph->node_count; v++)
    if (graph->nodes[v].kernel < 0 && !needs_no_kernel(graph->nodes[v].op))
      return poa_verify_fail(graph, v, error, "it computes something but is in no kernel");
  return POA_OK;
}

poa_status poa_graph_verify(const poa_graph *graph, poa_error *error) {
  poa_error local = {0};
  error = error ? error : &local;
  if (check_tables(graph, error))
    return error->status;
  for (poa_value v = 0; v < graph->node_count; v++)
    if (check_operands(graph, v, error) || check_attributes(graph, v, error) ||
        check_shape(graph, v, error) || check_names(graph, v, error))
      return error->status;
  if (check_kernels(graph, error) || poa_verify_storage(graph, error))
    return error->status;
  return POA_OK;
}
