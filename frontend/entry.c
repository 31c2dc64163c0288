/* entry.c: an entry of a description becomes a graph. */
#include <string.h>

#include "frontend/elaborate.h"

poa_value poa_add_input(poa_elaborator *e, const poa_syntax *at, poa_input input) {
  poa_graph *graph = e->graph;
  if (!graph) {
    poa_complain(e, at, "a constant cannot depend on an input");
    return POA_NO_VALUE;
  }
  if (graph->input_count == e->input_capacity) {
    e->input_capacity = e->input_capacity ? 2 * e->input_capacity : 32;
    poa_input *inputs = poa_arena_alloc(e->arena, (size_t)e->input_capacity * sizeof *inputs);
    if (graph->input_count)
      memcpy(inputs, graph->inputs, (size_t)graph->input_count * sizeof *inputs);
    graph->inputs = inputs;
  }
  input.use = graph->input_count;
  graph->inputs[graph->input_count++] = input;
  poa_attribute attribute = poa_attribute_string("name", input.name);
  return poa_append(e, at, POA_OP_input, NULL, 0, &attribute, 1, &input.type);
}

static bool read_dtype(poa_elaborator *e, const poa_formal *formal, poa_dtype *dtype) {
  static const char *const names[] = {"f32", "i32", "bool"};
  for (int i = 0; i < 3; i++)
    if (strcmp(formal->dtype, names[i]) == 0) {
      *dtype = (poa_dtype)(POA_F32 + i);
      return true;
    }
  poa_diagnose(e->diagnostics, formal->location, formal->length,
               "the type '%s' of '%s' is none of f32, i32 and bool", formal->dtype, formal->name);
  return false;
}

/* The arguments of a source are numbers or strings known at compile time. */
static bool read_arguments(poa_elaborator *e, const poa_formal *formal, poa_input *input) {
  const poa_syntax_pairs *pairs = &formal->arguments;
  input->argument_count = pairs->count;
  input->arguments =
      poa_arena_alloc(e->arena, (size_t)(pairs->count + 1) * sizeof(*input->arguments));
  for (int i = 0; i < pairs->count; i++) {
    poa_worth value = poa_elaborate(e, pairs->items[i].value);
    input->arguments[i].name = pairs->items[i].name;
    if (value.kind == VALUE_STRING) {
      input->arguments[i].text = value.text;
    } else if (value.kind == VALUE_NUMBER && poa_number_is_known(&value.number)) {
      input->arguments[i].value = poa_number_value(&value.number);
    } else {
      if (value.kind != VALUE_ERROR)
        poa_complain(e, pairs->items[i].value,
                     "an argument of a source is a number or a string known at compile time");
      return false;
    }
  }
  return true;
}

/* The input is made nevertheless: only its filling is wrong. */
static void check_source(poa_elaborator *e, const poa_formal *formal) {
  char advice[500];
  if (formal->source && e->source_exists &&
      !e->source_exists(formal->source, advice, sizeof advice))
    poa_diagnose(e->diagnostics, formal->source_location, (int)strlen(formal->source),
                 "unknown source '%s'; %s", formal->source, advice);
}

static void add_formal_input(poa_elaborator *e, const poa_formal *formal) {
  poa_syntax at = {.location = formal->location, .length = formal->length};
  poa_input input = {.name = formal->name,
                     .source = formal->source ? formal->source : "",
                     .location = formal->location};
  input.type.rank = formal->rank;
  check_source(e, formal);
  bool good = read_dtype(e, formal, &input.type.dtype) && read_arguments(e, formal, &input);
  for (int i = 0; good && i < formal->rank; i++)
    good =
        poa_to_extent(e, formal->shape[i], poa_elaborate(e, formal->shape[i]), &input.type.dim[i]);
  poa_value value = good ? poa_add_input(e, &at, input) : POA_NO_VALUE;
  poa_assign_variable(e, formal->name,
                      value == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(value));
}

static void emit_result(poa_elaborator *e, const poa_syntax *at, const char *name,
                        poa_worth value) {
  poa_value tensor = poa_to_tensor(e, at, value);
  poa_attribute attributes[] = {poa_attribute_string("kind", "result"),
                                poa_attribute_string("name", name)};
  poa_append(e, at, POA_OP_output, &tensor, 1, attributes, 2, NULL);
}

/* What the entry returns: one tensor, or a list of them. */
static void emit_results(poa_elaborator *e, const poa_definition *entry, poa_worth result) {
  poa_syntax at = {.location = entry->location, .length = entry->length};
  if (result.kind == VALUE_ERROR)
    return;
  if (result.kind != VALUE_LIST) {
    emit_result(e, &at, entry->name, result);
    return;
  }
  for (int i = 0; i < result.count; i++)
    emit_result(e, &at, poa_arena_format(e->arena, "%s.%d", entry->name, i), result.items[i]);
}

static void refuse_second_update(poa_elaborator *e, const poa_node *node, bool *updated) {
  const poa_node *parameter = poa_node_of(e->graph, node->operands[0]);
  if (updated[node->operands[0]])
    poa_diagnose(e->diagnostics, node->location, 1, "'%s' is updated twice in one step",
                 poa_node_string(parameter, "name"));
  updated[node->operands[0]] = true;
}

/* Effects go to the end, so that a parameter means its value before the step. */
static void effects_last(poa_elaborator *e) {
  uint32_t count = e->graph->node_count;
  bool *updated = poa_arena_alloc(e->arena, count + 1);
  poa_value *map = poa_arena_alloc(e->arena, (count + 1) * sizeof *map);
  for (uint32_t i = 0; i < count; i++)
    if (e->graph->nodes[i].op == POA_OP_assign)
      refuse_second_update(e, &e->graph->nodes[i], updated);
  poa_node *nodes = poa_graph_take_nodes(e->graph, &count);
  for (int effects = 0; effects < 2; effects++)
    for (uint32_t i = 0; i < count; i++)
      if (poa_op_is(nodes[i].op, POA_FLAG_ROOT) == effects)
        map[i] = poa_graph_copy(e->graph, &nodes[i], map);
}

poa_graph *poa_elaborate_entry(poa_elaborator *e, const poa_definition *entry) {
  poa_frame frame = {.definition = entry};
  poa_graph *graph = poa_graph_create(e->arena, entry->name);
  graph->lattice = e->lattice;
  e->graph = graph;
  e->entry = entry;
  e->input_capacity = 0;
  e->frame = &frame;
  e->set = -1;
  e->at_max = false;
  e->scope = "";
  e->branch = NULL;
  e->attributes = NULL;
  for (int i = 0; i < e->parameter_count; i++)
    e->rows[i].node = POA_NO_VALUE;
  for (int i = 0; i < entry->formal_count; i++)
    add_formal_input(e, &entry->formals[i]);
  poa_run_block(e, &entry->body);
  if (frame.returned)
    emit_results(e, entry, frame.result);
  effects_last(e);
  e->frame = NULL;
  e->graph = NULL;
  return graph;
}
