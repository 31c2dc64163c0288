/* parse_definition.c: modules, entries and external functions. */
#include <string.h>

#include "frontend/parser.h"

#define MAX_FORMALS 200

typedef struct formals {
  int count, capacity;
  poa_formal *items;
} formals;

static poa_formal *add_formal(poa_parser *p, formals *list) {
  if (list->count == list->capacity) {
    int capacity = list->capacity ? 2 * list->capacity : 8;
    poa_formal *items = poa_arena_alloc(p->arena, (size_t)capacity * sizeof *items);
    if (list->count)
      memcpy(items, list->items, (size_t)list->count * sizeof *items);
    list->items = items;
    list->capacity = capacity;
  }
  return &list->items[list->count++];
}

/* name[b, n]: dtype from source(a = 1) = default */
static poa_formal parse_formal(poa_parser *p, bool input) {
  const poa_token *name = poa_expect_name(p, input ? "a name" : "the name of a parameter");
  poa_formal formal = {
      .name = name->text, .location = name->location, .length = name->length, .dtype = "f32"};
  if (poa_accept(p, "[")) {
    formal.has_shape = true;
    formal.shape = poa_parse_extents(p, &formal.rank);
  }
  if (input && poa_accept(p, ":"))
    formal.dtype = poa_expect_name(p, "f32, i32 or bool")->text;
  if (input && poa_accept(p, "from")) {
    const poa_token *source = poa_expect_name(p, "a source");
    formal.source = source->text;
    formal.source_location = source->location;
    poa_expect(p, "(", "'(' after the source");
    if (!poa_is(p, ")"))
      formal.arguments = poa_parse_pairs(p, ")");
    poa_expect(p, ")", "',' or ')'");
  }
  if (!input && poa_accept(p, "="))
    formal.otherwise = poa_parse_expression(p);
  return formal;
}

static void refuse_repetition(poa_parser *p, const formals *list, const poa_token *name) {
  for (int i = 0; i < list->count; i++)
    if (strcmp(list->items[i].name, name->text) == 0)
      poa_parse_failure(p, name, "'%s' stands here twice", name->text);
  if (list->count == MAX_FORMALS)
    poa_parse_failure(p, name, "more than %d parameters or inputs", MAX_FORMALS);
}

static void parse_formals(poa_parser *p, poa_definition *definition, bool input) {
  formals list = {0};
  poa_expect(p, "(", "'(' after the name");
  while (!poa_is(p, ")")) {
    const poa_token *name = poa_peek(p);
    poa_formal formal = parse_formal(p, input);
    refuse_repetition(p, &list, name);
    *add_formal(p, &list) = formal;
    if (!poa_accept(p, ","))
      break;
  }
  poa_expect(p, ")", "',' or ')'");
  definition->formals = list.items;
  definition->formal_count = list.count;
}

static poa_definition *new_definition(poa_parser *p, const char *what) {
  p->at++;
  const poa_token *name = poa_expect_name(p, what);
  poa_definition *definition = poa_arena_alloc(p->arena, sizeof *definition);
  definition->name = name->text;
  definition->location = name->location;
  definition->length = name->length;
  return definition;
}

poa_definition *poa_parse_module(poa_parser *p, bool entry) {
  poa_definition *definition =
      new_definition(p, entry ? "the name of the entry" : "the name of the module");
  parse_formals(p, definition, entry);
  definition->body = poa_parse_block(p);
  return definition;
}

/* "cblas_sgemm"(m: int, 1.0: float, a, ..): values with C types, tensors without. */
static void parse_c_arguments(poa_parser *p, poa_syntax_extern *external) {
  poa_pointers arguments = {0}, types = {0};
  poa_expect(p, "(", "'(' before the arguments of the C function");
  p->in_subscript = true; /* n: int64 is no label */
  while (!poa_is(p, ")")) {
    poa_push(p->arena, &arguments, poa_parse_expression(p));
    bool typed = poa_accept(p, ":");
    poa_push(p->arena, &types,
             typed ? poa_expect_name(p, "int, int64, float or double")->text : NULL);
    if (!poa_accept(p, ","))
      break;
  }
  p->in_subscript = false;
  poa_expect(p, ")", "',' or ')'");
  external->argument_count = arguments.count;
  external->arguments = (poa_syntax **)arguments.items;
  external->types = (const char **)types.items;
}

static void parse_gradients(poa_parser *p, poa_syntax_extern *external) {
  poa_pointers gradients = {0};
  if (poa_accept(p, "gradient"))
    do
      poa_push(p->arena, &gradients, poa_expect_name(p, "an extern or 'none'")->text);
    while (poa_accept(p, ","));
  external->gradients = (const char **)gradients.items;
  external->gradient_count = gradients.count;
}

/* extern swish(x[n]) -> y[n] = "swish_forward"(x, y, n: int64) gradient swish_backward */
poa_definition *poa_parse_extern(poa_parser *p) {
  poa_definition *definition = new_definition(p, "the name of the external function");
  parse_formals(p, definition, false);
  poa_expect(p, "->", "'->' and the result");
  const poa_token *result = poa_peek(p);
  definition->result = parse_formal(p, true);
  if (definition->result.source || strcmp(definition->result.dtype, "f32") != 0)
    poa_parse_failure(p, result, "the result of an external function is f32 and has no source");
  poa_expect(p, "=", "'=' and the C function");
  const poa_token *symbol = poa_peek(p);
  if (symbol->kind != TOKEN_STRING)
    poa_parse_failure(p, symbol, "expected the C function's name in quotes");
  p->at++;
  poa_syntax_extern *external = poa_arena_alloc(p->arena, sizeof *external);
  external->symbol = symbol->text;
  external->location = symbol->location;
  parse_c_arguments(p, external);
  parse_gradients(p, external);
  definition->external = external;
  return definition;
}
