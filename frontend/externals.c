/* externals.c: calls of C functions that a description declares.
 *
 * The graph gets one external for each way a function is called, since the extents
 * among its arguments are values of that call; gradients are externals as well. */
#include <string.h>

#include "frontend/elaborate.h"

static const poa_definition *find_extern(poa_elaborator *e, const char *name) {
  for (int i = 0; i < e->program->module_count; i++)
    if (e->program->modules[i]->external && strcmp(e->program->modules[i]->name, name) == 0)
      return e->program->modules[i];
  return NULL;
}

static int tensor_position(const poa_definition *definition, const char *name) {
  for (int i = 0; i < definition->formal_count; i++)
    if (strcmp(definition->formals[i].name, name) == 0)
      return i;
  return -1;
}

/* A tensor is passed as a pointer, anything else as the C type that stands with it. */
static bool c_argument(poa_elaborator *e, const poa_definition *definition, int i,
                       poa_c_argument *argument) {
  static const char *const types[] = {"int", "int64", "float", "double"};
  const poa_syntax *syntax = definition->external->arguments[i];
  const char *type = definition->external->types[i];
  if (!type) {
    bool result = syntax->kind == SYNTAX_NAME && !strcmp(syntax->text, definition->result.name);
    int position = syntax->kind == SYNTAX_NAME ? tensor_position(definition, syntax->text) : -1;
    *argument = (poa_c_argument){.kind = POA_C_TENSOR, .integer = result ? -1 : position};
    if (!result && position < 0)
      poa_complain(e, syntax, "expected a tensor of '%s', or VALUE: int, int64, float or double",
                   definition->name);
    return result || position >= 0;
  }
  poa_worth value = poa_elaborate(e, syntax);
  if (value.kind != VALUE_NUMBER || !poa_number_is_known(&value.number)) {
    if (value.kind != VALUE_ERROR)
      poa_complain(e, syntax,
                   "an argument of a C function is a number known at compile time "
                   "(an elastic extent is not)");
    return false;
  }
  for (int kind = 0; kind < 4; kind++)
    if (strcmp(type, types[kind]) == 0) {
      double real = poa_number_value(&value.number);
      *argument = (poa_c_argument){(poa_c_kind)(POA_C_INT + kind), (int64_t)real, real};
      return true;
    }
  poa_complain(e, syntax, "unknown C type '%s'%s", type, poa_suggestion(e, type, types, 4));
  return false;
}

/* Grows the graph's table by one. */
static poa_external *add_external(poa_elaborator *e, const poa_definition *definition) {
  poa_graph *graph = e->graph;
  int count = graph->external_count;
  poa_external *grown = poa_arena_alloc(graph->arena, (size_t)(count + 1) * sizeof *grown);
  if (count)
    memcpy(grown, graph->externals, (size_t)count * sizeof *grown);
  graph->externals = grown;
  graph->external_count++;
  grown[count] = (poa_external){
      .name = poa_arena_format(e->arena, "%s_%d", definition->name, count),
      .symbol = definition->external->symbol,
      .operand_count = definition->formal_count,
  };
  return &grown[count];
}

static bool fill_arguments(poa_elaborator *e, const poa_definition *definition,
                           poa_c_argument *arguments) {
  for (int i = 0; i < definition->external->argument_count; i++)
    if (!c_argument(e, definition, i, &arguments[i]))
      return false;
  return true;
}

/* Extents in force stay those of the call: a gradient's C arguments may name them. */
static const char *declare(poa_elaborator *e, const poa_syntax *call,
                           const poa_definition *definition) {
  poa_c_argument *arguments = poa_arena_alloc(
      e->arena, (size_t)(definition->external->argument_count + 1) * sizeof *arguments);
  if (!fill_arguments(e, definition, arguments))
    return NULL;
  const poa_syntax_extern *external = definition->external;
  const char **gradients = poa_new_names(e, definition->formal_count);
  for (int i = 0; i < external->gradient_count && i < definition->formal_count; i++) {
    if (strcmp(external->gradients[i], "none") == 0)
      continue;
    const poa_definition *gradient = find_extern(e, external->gradients[i]);
    if (!gradient || gradient->formal_count != definition->formal_count + 2) {
      poa_complain(e, call,
                   "the gradient '%s' of '%s' has to be an extern of its arguments, its "
                   "result and the result's gradient",
                   external->gradients[i], definition->name);
      return NULL;
    }
    gradients[i] = declare(e, call, gradient);
    if (!gradients[i])
      return NULL;
  }
  poa_external *added = add_external(e, definition);
  added->argument_count = external->argument_count;
  added->arguments = arguments;
  added->gradients = gradients;
  return added->name;
}

static bool bind_operands(poa_elaborator *e, const poa_syntax *call,
                          const poa_definition *definition, const poa_worth *arguments,
                          poa_value *operands) {
  for (int i = 0; i < definition->formal_count; i++) {
    const poa_formal *formal = &definition->formals[i];
    operands[i] = poa_to_tensor(e, call, arguments[i]);
    if (operands[i] == POA_NO_VALUE)
      return false;
    poa_assign_variable(e, formal->name, arguments[i]);
    if (formal->has_shape && !poa_bind_shape(e, formal, arguments[i], call))
      return false;
  }
  return true;
}

static poa_value call_in_frame(poa_elaborator *e, const poa_syntax *call,
                               const poa_definition *definition, const poa_worth *arguments) {
  poa_value operands[POA_MAX_ARGUMENTS];
  poa_type type = {.dtype = POA_F32, .rank = definition->result.rank};
  if (!bind_operands(e, call, definition, arguments, operands))
    return POA_NO_VALUE;
  for (int i = 0; i < type.rank; i++) {
    const poa_syntax *extent = definition->result.shape[i];
    if (!poa_to_extent(e, extent, poa_elaborate(e, extent), &type.dim[i]))
      return POA_NO_VALUE;
  }
  const char *name = declare(e, call, definition);
  if (!name)
    return POA_NO_VALUE;
  poa_attribute attribute = poa_attribute_string("external", name);
  return poa_append(e, call, POA_OP_call, operands, definition->formal_count, &attribute, 1, &type);
}

poa_worth poa_call_external(poa_elaborator *e, const poa_syntax *call,
                            const poa_definition *definition, const poa_worth *arguments) {
  if (!e->graph)
    return poa_complain(e, call, "a constant cannot call an external function");
  poa_frame frame = {.definition = definition, .call = call, .caller = e->frame};
  poa_frame *outer = e->frame;
  e->frame = &frame;
  poa_value value = call_in_frame(e, call, definition, arguments);
  e->frame = outer;
  return value == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(value);
}
