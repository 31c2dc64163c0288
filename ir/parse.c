/* parse.c: reads what print.c writes. The lines above the graph describe the model (its
 * elastic names, parameters and external functions); then comes one graph. Any text gets
 * a graph or a message with its place, never a crash. docs/ir.md has the grammar. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "ir/parse.h"

/* Room for one more element in a list that doubles; `count` are in use. */
static void *room(poa_arena *arena, void *list, int count, size_t size) {
  if (count && (count & (count - 1)))
    return list;
  void *larger = poa_arena_alloc(arena, (size_t)(count ? count * 2 : 1) * size);
  return count ? memcpy(larger, list, (size_t)count * size) : larger;
}

static poa_status check_elastic(poa_reader *r, const char *at, const poa_elastic *name) {
  if (name->max < name->min || (name->max - name->min) % name->step)
    return poa_lex_fail(&r->lexer, at,
                        "%s never reaches %" PRId64 " from %" PRId64 " in steps of %" PRId64,
                        name->name, name->max, name->min, name->step);
  for (int i = 0; i < r->graph->lattice.count; i++)
    if (!strcmp(r->graph->lattice.name[i].name, name->name))
      return poa_lex_fail(&r->lexer, at, "elastic name '%s' is declared twice", name->name);
  return POA_OK;
}

/* elastic width: 384..1024 step 64 */
static poa_status read_elastic(poa_reader *r) {
  poa_lattice *lattice = &r->graph->lattice;
  poa_elastic name = {.step = 1};
  const char *at = r->lexer.token.start;
  if (poa_read_name(r, "an elastic name", &name.name) || poa_read_expect(r, ":") ||
      poa_read_int(r, "a smallest value", 0, INT32_MAX, &name.min) || poa_read_expect(r, "..") ||
      poa_read_int(r, "a largest value", 0, INT32_MAX, &name.max))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "step") && poa_read_int(r, "a step", 1, INT32_MAX, &name.step))
    return POA_BAD_INPUT;
  name.uniform = poa_read_accept(r, "uniform");
  int64_t group = 0;
  if (poa_read_accept(r, "group") && poa_read_int(r, "a group", 1, POA_MAX_ELASTIC, &group))
    return POA_BAD_INPUT;
  name.group = (int)group;
  if (check_elastic(r, at, &name))
    return POA_BAD_INPUT;
  if (lattice->count == POA_MAX_ELASTIC)
    return poa_lex_fail(&r->lexer, at, "a model has at most %d elastic names", POA_MAX_ELASTIC);
  lattice->name[lattice->count++] = name;
  return POA_OK;
}

/* trunc_normal(0.02) or copy("student") */
static poa_status read_initializer(poa_reader *r, poa_parameter *p) {
  static const char *const known[] = {"constant", "normal", "trunc_normal", "uniform", "copy"};
  const char *at = r->lexer.token.start;
  bool found = false;
  if (poa_read_name(r, "an initializer", &p->initializer))
    return POA_BAD_INPUT;
  for (int i = 0; i < 5; i++)
    found |= !strcmp(known[i], p->initializer);
  const char *nearest = poa_nearest(p->initializer, known, 5);
  if (!found)
    return poa_lex_fail(&r->lexer, at, "unknown initializer '%s'; did you mean '%s'?",
                        p->initializer, nearest ? nearest : known[0]);
  if (poa_read_expect(r, "("))
    return POA_BAD_INPUT;
  bool copies = !strcmp(p->initializer, "copy");
  if (copies ? poa_read_string(r, "the set to copy from, in quotes", &p->copy_of)
             : poa_read_float(r, "a number", &p->argument))
    return POA_BAD_INPUT;
  return poa_read_expect(r, ")");
}

/* by [3,2,0,1]: the axes of the parameter that files have in this order. */
static poa_status read_file_axes(poa_reader *r, poa_parameter *p) {
  int64_t *axes;
  int count;
  if (!poa_read_accept(r, "by"))
    return POA_OK;
  if (poa_read_ints(r, "an axis", &axes, &count))
    return POA_BAD_INPUT;
  if (count != p->type.rank)
    return poa_lex_expected(&r->lexer, "as many axes as the parameter has");
  p->file_axes = axes;
  return POA_OK;
}

/* param "student" "norm.weight": f32[1024] as [1024] = constant(1) */
static poa_status read_parameter(poa_reader *r) {
  poa_graph *graph = r->graph;
  poa_parameter p = {0};
  if (poa_read_string(r, "the parameter's set, in quotes", &p.set) ||
      poa_read_string(r, "the parameter's name, in quotes", &p.name) || poa_read_expect(r, ":") ||
      poa_read_type(r, &p.type))
    return POA_BAD_INPUT;
  p.file_type = p.type;
  if (poa_read_accept(r, "as") && poa_read_shape(r, p.file_type.dim, &p.file_type.rank))
    return POA_BAD_INPUT;
  if (read_file_axes(r, &p) || poa_read_expect(r, "=") || read_initializer(r, &p) ||
      poa_read_location(r, &p.location))
    return POA_BAD_INPUT;
  graph->parameters = room(r->arena, graph->parameters, graph->parameter_count, sizeof p);
  graph->parameters[graph->parameter_count++] = p;
  return POA_OK;
}

static poa_status read_c_kind(poa_reader *r, poa_c_kind *kind) {
  static const char *const kinds[] = {
      [POA_C_TENSOR] = "tensor", [POA_C_INT] = "int",       [POA_C_INT64] = "int64",
      [POA_C_FLOAT] = "float",   [POA_C_DOUBLE] = "double",
  };
  for (int i = 0; i < 5; i++)
    if (poa_read_accept(r, kinds[i])) {
      *kind = (poa_c_kind)i;
      return POA_OK;
    }
  return poa_lex_expected(&r->lexer, "tensor, int, int64, float or double");
}

static poa_status read_c_argument(poa_reader *r, poa_c_argument *a) {
  if (read_c_kind(r, &a->kind))
    return POA_BAD_INPUT;
  if (a->kind == POA_C_FLOAT || a->kind == POA_C_DOUBLE)
    return poa_read_float(r, "a number", &a->real);
  if (a->kind != POA_C_TENSOR)
    return poa_read_int(r, "an integer", INT64_MIN, INT64_MAX, &a->integer);
  a->integer = -1;
  if (poa_read_accept(r, "result"))
    return POA_OK;
  return poa_read_int(r, "an operand's number or 'result'", 0, INT32_MAX, &a->integer);
}

static poa_status read_gradients(poa_reader *r, poa_external *e) {
  if (poa_read_expect(r, "["))
    return POA_BAD_INPUT;
  do {
    const char *name = NULL;
    if (!poa_read_accept(r, "none") &&
        poa_read_string(r, "the name of an external in quotes, or none", &name))
      return POA_BAD_INPUT;
    e->gradients = room(r->arena, e->gradients, e->operand_count, sizeof name);
    e->gradients[e->operand_count++] = name;
  } while (poa_read_accept(r, ","));
  return poa_read_expect(r, "]");
}

/* external "swish_1" = "swish"(tensor 0, tensor result, int64 320) gradients ["swish_grad_1"] */
static poa_status read_external(poa_reader *r) {
  poa_graph *graph = r->graph;
  poa_external e = {0};
  if (poa_read_string(r, "the external's name, in quotes", &e.name) || poa_read_expect(r, "=") ||
      poa_read_string(r, "its symbol, in quotes", &e.symbol) || poa_read_expect(r, "("))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, ")")) {
    poa_c_argument argument = {0};
    if ((e.argument_count && poa_read_expect(r, ",")) || read_c_argument(r, &argument))
      return POA_BAD_INPUT;
    e.arguments = room(r->arena, e.arguments, e.argument_count, sizeof argument);
    e.arguments[e.argument_count++] = argument;
  }
  if (poa_read_expect(r, ")"))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "gradients") && read_gradients(r, &e))
    return POA_BAD_INPUT;
  graph->externals = room(r->arena, graph->externals, graph->external_count, sizeof e);
  graph->externals[graph->external_count++] = e;
  return POA_OK;
}

/* at {width=256, depth=8}, in the order of the elastic names */
static poa_status read_point(poa_reader *r) {
  const poa_lattice *lattice = &r->graph->lattice;
  const char *at = r->lexer.token.start;
  r->graph->specialized = true;
  if (poa_read_expect(r, "{"))
    return POA_BAD_INPUT;
  for (int i = 0; i < lattice->count; i++)
    if ((i && poa_read_expect(r, ",")) || poa_read_expect(r, lattice->name[i].name) ||
        poa_read_expect(r, "=") ||
        poa_read_int(r, "a value", 0, INT32_MAX, &r->graph->point.value[i]))
      return POA_BAD_INPUT;
  if (!poa_lattice_contains(lattice, &r->graph->point))
    return poa_lex_fail(&r->lexer, at, "this is no point of the lattice");
  return poa_read_expect(r, "}");
}

static poa_status read_source_argument(poa_reader *r, poa_source_argument *a) {
  if (poa_read_any_name(r, "an argument's name", &a->name) || poa_read_expect(r, "="))
    return POA_BAD_INPUT;
  if (r->lexer.token.kind == POA_TOKEN_STRING)
    return poa_read_string(r, "a string", &a->text);
  return poa_read_float(r, "a number or a string in quotes", &a->value);
}

static poa_status read_source(poa_reader *r, poa_input *input) {
  if (poa_read_any_name(r, "what fills the input", &input->source) || poa_read_expect(r, "("))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, ")")) {
    poa_source_argument a = {0};
    if ((input->argument_count && poa_read_expect(r, ",")) || read_source_argument(r, &a))
      return POA_BAD_INPUT;
    input->arguments = room(r->arena, input->arguments, input->argument_count, sizeof a);
    input->arguments[input->argument_count++] = a;
  }
  return poa_read_expect(r, ")");
}

/* %images: f32[16,3,32,32] = crops(scale_min=0.32) use 1 */
static poa_status read_input(poa_reader *r) {
  poa_graph *graph = r->graph;
  poa_input input = {.source = ""};
  const char *at;
  int64_t use = 0;
  if (poa_read_value_name(r, &input.name, &at) || poa_read_expect(r, ":") ||
      poa_read_type(r, &input.type))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "=") && read_source(r, &input))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "use") && poa_read_int(r, "a number of use", 0, INT_MAX, &use))
    return POA_BAD_INPUT;
  input.use = (int)use;
  if (poa_read_location(r, &input.location))
    return POA_BAD_INPUT;
  graph->inputs = room(r->arena, graph->inputs, graph->input_count, sizeof input);
  graph->inputs[graph->input_count++] = input;
  return POA_OK;
}

static poa_status read_inputs(poa_reader *r) {
  if (poa_read_expect(r, "("))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, ")"))
    if ((r->graph->input_count && poa_read_expect(r, ",")) || read_input(r))
      return POA_BAD_INPUT;
  return poa_read_expect(r, ")");
}

/* kernel 7 { lines } */
static poa_status read_kernel(poa_reader *r) {
  int64_t number;
  if (poa_read_expect(r, "kernel") || poa_read_int(r, "a kernel's number", 0, INT_MAX, &number) ||
      poa_read_expect(r, "{"))
    return POA_BAD_INPUT;
  while (poa_lex_at(&r->lexer, "%"))
    if (poa_read_node(r, (int)number))
      return POA_BAD_INPUT;
  if (!poa_lex_at(&r->lexer, "}"))
    return poa_lex_expected(&r->lexer, "a line '%name = op ..' or '}'");
  return poa_read_expect(r, "}");
}

static poa_status read_body(poa_reader *r) {
  if (poa_read_expect(r, "{"))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, "}")) {
    bool is_node = poa_lex_at(&r->lexer, "%");
    if (!is_node && !poa_lex_at(&r->lexer, "kernel"))
      return poa_lex_expected(&r->lexer, "a line '%name = op ..', 'kernel' or '}'");
    if (is_node ? poa_read_node(r, -1) : read_kernel(r))
      return POA_BAD_INPUT;
  }
  return poa_read_expect(r, "}") || poa_read_forward_roots(r) ? POA_BAD_INPUT : POA_OK;
}

/* graph @step at {..} (inputs) peak 4096 { body } */
static poa_status read_graph(poa_reader *r) {
  if (poa_read_expect(r, "@") || poa_read_any_name(r, "the graph's name", &r->graph->name))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "at") && read_point(r))
    return POA_BAD_INPUT;
  if (read_inputs(r))
    return POA_BAD_INPUT;
  if (poa_read_accept(r, "peak") &&
      poa_read_int(r, "a number of bytes", 0, INT64_MAX, &r->graph->arena_bytes))
    return POA_BAD_INPUT;
  if (read_body(r))
    return POA_BAD_INPUT;
  return r->lexer.token.kind == POA_TOKEN_END
             ? POA_OK
             : poa_lex_expected(&r->lexer, "the end of the text after the graph");
}

static poa_status read_select_scale(poa_reader *r) {
  return poa_read_float(r, "a number", &r->graph->lattice.select_scale);
}

typedef struct section {
  const char *keyword;
  poa_status (*read)(poa_reader *r);
} section;

static const section sections[] = {
    {"elastic", read_elastic}, {"select_scale", read_select_scale},
    {"param", read_parameter}, {"external", read_external},
    {"graph", read_graph},
};
#define SECTIONS (int)(sizeof sections / sizeof *sections)

static poa_status unknown_section(poa_reader *r) {
  const char *candidates[SECTIONS], *word, *at = r->lexer.token.start;
  const char *what = "elastic, select_scale, param, external or graph";
  if (r->lexer.token.kind != POA_TOKEN_NAME)
    return poa_lex_expected(&r->lexer, what);
  for (int i = 0; i < SECTIONS; i++)
    candidates[i] = sections[i].keyword;
  if (poa_read_name(r, what, &word))
    return POA_BAD_INPUT;
  const char *nearest = poa_nearest(word, candidates, SECTIONS);
  if (nearest)
    return poa_lex_fail(&r->lexer, at, "expected %s; did you mean '%s'?", what, nearest);
  return poa_lex_fail(&r->lexer, at, "expected %s, found '%.40s'", what, word);
}

static poa_status read_module(poa_reader *r) {
  for (;;) {
    const section *found = NULL;
    for (int i = 0; i < SECTIONS && !found; i++)
      if (poa_lex_at(&r->lexer, sections[i].keyword))
        found = &sections[i];
    if (!found)
      return unknown_section(r);
    if (poa_read_expect(r, found->keyword) || found->read(r))
      return POA_BAD_INPUT;
    if (found->read == read_graph)
      return POA_OK;
  }
}

poa_status poa_graph_parse(poa_arena *arena, const char *name, const char *text, poa_graph **graph,
                           poa_error *error) {
  poa_error local = {0};
  poa_reader r = {.arena = arena, .graph = poa_graph_create(arena, "")};
  if (poa_lex_start(&r.lexer, arena, name, text, error ? error : &local) || read_module(&r))
    return POA_BAD_INPUT;
  *graph = r.graph;
  return POA_OK;
}
