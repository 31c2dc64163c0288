/* statement.c: runs the statements of a module or an entry, once, at compile time.
 *
 * A loop over keep(depth) runs for every block there is; what the body assigns
 * becomes keep(new, old), and specialize takes one of the two. */
#include <string.h>

#include "frontend/elaborate.h"

const poa_worth *poa_find_variable(const poa_elaborator *e, const char *name) {
  if (!e->frame)
    return NULL;
  for (int i = e->frame->count - 1; i >= 0; i--)
    if (strcmp(e->frame->variables[i].name, name) == 0)
      return &e->frame->variables[i].value;
  return NULL;
}

void poa_assign_variable(poa_elaborator *e, const char *name, poa_worth value) {
  poa_frame *frame = e->frame;
  for (int i = 0; i < frame->count; i++)
    if (strcmp(frame->variables[i].name, name) == 0) {
      frame->variables[i].value = value;
      return;
    }
  e->work += frame->count / 64; /* what the search above takes */
  if (frame->count == frame->capacity) {
    int capacity = frame->capacity ? 2 * frame->capacity : 16;
    poa_variable *variables = poa_arena_alloc(e->arena, (size_t)capacity * sizeof *variables);
    if (frame->count)
      memcpy(variables, frame->variables, (size_t)frame->count * sizeof *variables);
    frame->variables = variables;
    frame->capacity = capacity;
  }
  frame->variables[frame->count++] = (poa_variable){name, value};
}

/* The values of a statement: one, or a list where there are several. */
static poa_worth statement_value(poa_elaborator *e, const poa_statement *statement) {
  if (statement->value_count == 1)
    return poa_elaborate(e, statement->values[0]);
  poa_worth list = {.kind = VALUE_LIST, .count = statement->value_count};
  list.items = poa_arena_alloc(e->arena, (size_t)list.count * sizeof *list.items);
  for (int i = 0; i < list.count; i++) {
    list.items[i] = poa_elaborate(e, statement->values[i]);
    if (list.items[i].kind == VALUE_ERROR)
      return poa_worth_error();
  }
  return list;
}

static void push_attributes(poa_elaborator *e, const poa_syntax_pairs *with) {
  for (int i = 0; i < with->count; i++) {
    poa_attribute_scope *scope = poa_arena_alloc(e->arena, sizeof *scope);
    *scope = (poa_attribute_scope){with->items[i].name, poa_elaborate(e, with->items[i].value),
                                   e->attributes};
    e->attributes = scope;
  }
}

static void assign(poa_elaborator *e, const poa_statement *statement, poa_worth value) {
  if (statement->name_count == 1) {
    poa_assign_variable(e, statement->names[0], value);
    return;
  }
  bool fits = value.kind == VALUE_LIST && value.count == statement->name_count;
  if (!fits && value.kind != VALUE_ERROR) {
    poa_syntax at = *statement->values[0];
    if (value.kind == VALUE_LIST)
      poa_complain(e, &at, "%d names take %d values, this has %d", statement->name_count,
                   statement->name_count, value.count);
    else
      poa_complain(e, &at, "%d names take a list of %d values, this is %s", statement->name_count,
                   statement->name_count, poa_worth_kind_name(value.kind));
  }
  for (int i = 0; i < statement->name_count; i++)
    poa_assign_variable(e, statement->names[i], fits ? value.items[i] : poa_worth_error());
}

static void run_output(poa_elaborator *e, const poa_statement *statement, const char *kind) {
  poa_worth name = poa_elaborate(e, statement->target);
  poa_worth value = statement_value(e, statement);
  if (name.kind == VALUE_ERROR || value.kind == VALUE_ERROR)
    return;
  if (name.kind != VALUE_STRING) {
    poa_complain(e, statement->target, "%s takes a name in quotes", kind);
    return;
  }
  poa_value tensor = poa_to_tensor(e, statement->values[0], value);
  if (tensor == POA_NO_VALUE)
    return;
  if (strcmp(kind, "report") == 0 && poa_type_of(e, tensor)->rank != 0) {
    poa_complain(e, statement->values[0], "a report is a single number, this is %s",
                 poa_show_type(e, poa_type_of(e, tensor)));
    return;
  }
  poa_attribute attributes[] = {poa_attribute_string("kind", kind),
                                poa_attribute_string("name", name.text)};
  poa_append(e, statement->target, POA_OP_output, &tensor, 1, attributes, 2, NULL);
}

static void run_update(poa_elaborator *e, const poa_statement *statement) {
  poa_worth target = poa_elaborate(e, statement->target);
  poa_worth value = statement_value(e, statement);
  if (target.kind == VALUE_ERROR || value.kind == VALUE_ERROR)
    return;
  if (target.kind != VALUE_PARAMETER) {
    poa_complain(e, statement->target, "only parameters and states can be updated; this is %s",
                 poa_worth_kind_name(target.kind));
    return;
  }
  poa_value operands[2] = {poa_parameter_node(e, target.index, statement->location),
                           poa_to_tensor(e, statement->values[0], value)};
  if (operands[1] == POA_NO_VALUE)
    return;
  operands[1] = poa_stretch(e, statement->values[0], operands[1], poa_type_of(e, operands[0]));
  if (operands[1] != POA_NO_VALUE)
    poa_append(e, statement->target, POA_OP_assign, operands, 2, NULL, 0, NULL);
}

static void run_if(poa_elaborator *e, const poa_statement *statement) {
  poa_worth condition = poa_elaborate(e, statement->target);
  if (condition.kind == VALUE_ERROR)
    return;
  int errors = e->diagnostics->errors;
  bool truth = poa_worth_is_true(e, statement->target, condition);
  if (e->diagnostics->errors == errors)
    poa_run_block(e, truth ? &statement->body : &statement->otherwise);
}

/* A variable after a block and what it was before, as a tensor that has either value. */
static poa_worth kept_value(poa_elaborator *e, const poa_statement *statement,
                            const poa_worth *keep, int64_t index, const poa_variable *variable,
                            const poa_worth *before) {
  const poa_worth *after = &variable->value;
  bool tensors = poa_is_tensor_like(after) || poa_is_tensor_like(before);
  bool numbers = after->kind == VALUE_NUMBER || before->kind == VALUE_NUMBER;
  if (!tensors || (!numbers && !(poa_is_tensor_like(after) && poa_is_tensor_like(before))))
    return poa_complain(e, statement->target,
                        "'%s' is %s before a block and %s after it; only tensors can differ from "
                        "one depth to another",
                        variable->name, poa_worth_kind_name(before->kind),
                        poa_worth_kind_name(after->kind));
  poa_value operands[2] = {poa_to_tensor(e, statement->target, *after),
                           poa_to_tensor(e, statement->target, *before)};
  if (operands[0] == POA_NO_VALUE || operands[1] == POA_NO_VALUE)
    return poa_worth_error();
  int shaped = before->kind == VALUE_NUMBER ? 0 : 1;
  operands[1 - shaped] =
      poa_stretch(e, statement->target, operands[1 - shaped], poa_type_of(e, operands[shaped]));
  poa_attribute attributes[] = {poa_attribute_string("elastic", e->lattice.name[keep->index].name),
                                poa_attribute_int("index", index),
                                poa_attribute_int("of", keep->total)};
  poa_value kept = poa_append(e, statement->target, POA_OP_keep, operands, 2, attributes, 3, NULL);
  return kept == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(kept);
}

static bool same_value(poa_elaborator *e, const poa_statement *statement, const poa_worth *a,
                       const poa_worth *b) {
  bool same_items = a->kind == VALUE_LIST && b->kind == VALUE_LIST && a->items == b->items;
  return a->kind == VALUE_ERROR || b->kind == VALUE_ERROR || same_items ||
         poa_worth_equal(e, statement->target, a, b);
}

/* Whether a block is there at every depth, as the first one is. */
static bool is_always_kept(const poa_elaborator *e, const poa_worth *keep, int64_t index) {
  const poa_elastic *depth = &e->lattice.name[keep->index];
  for (int64_t kept = depth->min; kept <= depth->max; kept += depth->step)
    if (!poa_block_kept(kept, keep->total, index))
      return false;
  return true;
}

/* One round of a loop over keep(depth): x becomes keep(new x, old x), unless there is no choice. */
static void run_kept_block(poa_elaborator *e, const poa_statement *statement, const poa_worth *keep,
                           int64_t index) {
  int count = e->frame->count;
  poa_variable *before = poa_arena_alloc(e->arena, (size_t)(count + 1) * sizeof *before);
  memcpy(before, e->frame->variables, (size_t)count * sizeof *before);
  poa_assign_variable(e, statement->names[0], poa_worth_integer(index));
  poa_run_block(e, &statement->body);
  for (int i = 0; i < count && !is_always_kept(e, keep, index); i++) {
    poa_variable *variable = &e->frame->variables[i];
    if (strcmp(variable->name, statement->names[0]) != 0 &&
        !same_value(e, statement, &before[i].value, &variable->value))
      variable->value = kept_value(e, statement, keep, index, variable, &before[i].value);
  }
}

/* What a block gives a name for the first time is gone after it: no later code may take
 * a value from a block that was dropped. */
static void run_keep(poa_elaborator *e, const poa_statement *statement, const poa_worth *keep) {
  int count = e->frame->count;
  for (int64_t i = 0; i < keep->total && !e->exhausted; i++) {
    if (keep->index >= 0) {
      run_kept_block(e, statement, keep, i);
    } else if (poa_block_kept(keep->kept, keep->total, i)) {
      poa_assign_variable(e, statement->names[0], poa_worth_integer(i));
      poa_run_block(e, &statement->body);
    }
    e->frame->count = count;
    if (e->frame->returned) {
      poa_complain(e, statement->target,
                   "a loop over keep(..) cannot return: which block is the "
                   "last depends on the depth");
      return;
    }
  }
}

static void run_over_parameters(poa_elaborator *e, const poa_statement *statement, int set) {
  int count = e->parameter_count;
  e->looped[set] = true;
  for (int i = 0; i < count && !e->frame->returned; i++) {
    if (e->rows[i].set != set)
      continue;
    poa_assign_variable(e, statement->names[0], (poa_worth){.kind = VALUE_PARAMETER, .index = i});
    poa_run_block(e, &statement->body);
  }
}

static void run_for(poa_elaborator *e, const poa_statement *statement) {
  poa_worth over = poa_elaborate(e, statement->target);
  switch (over.kind) {
  case VALUE_ERROR:
    return;
  case VALUE_KEEP:
    run_keep(e, statement, &over);
    return;
  case VALUE_SET:
    run_over_parameters(e, statement, over.index);
    return;
  case VALUE_LIST:
    for (int i = 0; i < over.count && !e->frame->returned && !e->exhausted; i++) {
      poa_assign_variable(e, statement->names[0], over.items[i]);
      poa_run_block(e, &statement->body);
    }
    return;
  default:
    poa_complain(e, statement->target,
                 "a loop goes over range(n), keep(depth), a list or a parameter set, not over %s",
                 poa_worth_kind_name(over.kind));
  }
}

static void run_statement(poa_elaborator *e, const poa_statement *statement) {
  switch (statement->kind) {
  case STATEMENT_ASSIGN:
    assign(e, statement, statement_value(e, statement));
    break;
  case STATEMENT_PARAM:
    poa_assign_variable(e, statement->names[0], poa_declare_parameter(e, statement));
    break;
  case STATEMENT_FOR:
    run_for(e, statement);
    break;
  case STATEMENT_IF:
    run_if(e, statement);
    break;
  case STATEMENT_RETURN:
    e->frame->result = statement_value(e, statement);
    e->frame->returned = true;
    break;
  case STATEMENT_REPORT:
    run_output(e, statement, "report");
    break;
  case STATEMENT_PROBE:
    run_output(e, statement, "probe");
    break;
  case STATEMENT_UPDATE:
    run_update(e, statement);
    break;
  case STATEMENT_EVALUATE:
    statement_value(e, statement);
    break;
  }
}

void poa_run_block(poa_elaborator *e, const poa_block *block) {
  for (int i = 0; i < block->count && !e->frame->returned; i++) {
    const poa_statement *statement = block->items[i];
    poa_syntax at = {.location = statement->location, .length = statement->length};
    if (e->diagnostics->errors > POA_MAX_DIAGNOSTICS || !poa_enter(e, &at))
      return;
    const poa_attribute_scope *outer = e->attributes;
    push_attributes(e, &statement->with);
    run_statement(e, statement);
    e->attributes = outer;
    poa_leave(e);
  }
}

/* One extent of a pattern: a new name takes it, anything else has to equal it. */
static bool bind_extent(poa_elaborator *e, const poa_formal *formal, const poa_syntax *pattern,
                        poa_extent actual, const poa_type *type, const poa_syntax *at) {
  bool is_name = pattern->kind == SYNTAX_NAME;
  bool known =
      is_name && (poa_find_variable(e, pattern->text) || poa_find_const(e, pattern->text) ||
                  poa_find_elastic(e, pattern->text) >= 0);
  if (is_name && !known) {
    poa_assign_variable(e, pattern->text, poa_worth_extent(actual));
    return true;
  }
  poa_extent wanted;
  if (!poa_to_extent(e, pattern, poa_elaborate(e, pattern), &wanted))
    return false;
  if (poa_extent_equal(&e->lattice, wanted, actual))
    return true;
  char text[160];
  poa_extent_print(&e->lattice, wanted, text, sizeof text);
  poa_complain(e, at, "the argument '%s' is %s, but this extent has to be %s", formal->name,
               poa_show_type(e, type), text);
  poa_diagnose_note(e->diagnostics, pattern->location, "the pattern of '%s' asks for it here",
                    formal->name);
  return false;
}

bool poa_bind_shape(poa_elaborator *e, const poa_formal *formal, poa_worth value,
                    const poa_syntax *at) {
  poa_value tensor = poa_to_tensor(e, at, value);
  if (tensor == POA_NO_VALUE)
    return false;
  poa_type type = *poa_type_of(e, tensor);
  bool rest = formal->rank > 0 && formal->shape[0]->kind == SYNTAX_REST;
  int wanted = formal->rank - rest;
  if (type.rank < wanted || (!rest && type.rank != wanted)) {
    poa_complain(e, at, "the argument '%s' is %s, but has to have %s%d axes", formal->name,
                 poa_show_type(e, &type), rest ? "at least " : "", wanted);
    poa_diagnose_note(e->diagnostics, formal->location, "'%s' is declared here", formal->name);
    return false;
  }
  for (int i = 0; i < wanted; i++)
    if (!bind_extent(e, formal, formal->shape[rest + i], type.dim[type.rank - wanted + i], &type,
                     at))
      return false;
  return true;
}

static bool bind_formals(poa_elaborator *e, const poa_syntax *call,
                         const poa_definition *definition, const poa_worth *arguments) {
  for (int i = 0; i < definition->formal_count; i++) {
    const poa_formal *formal = &definition->formals[i];
    bool given = arguments[i].kind != VALUE_NONE || arguments[i].count != -1;
    poa_worth value = given ? arguments[i] : poa_elaborate(e, formal->otherwise);
    if (value.kind == VALUE_ERROR)
      return false;
    poa_assign_variable(e, formal->name, value);
    if (formal->has_shape && value.kind != VALUE_NONE && !poa_bind_shape(e, formal, value, call))
      return false;
  }
  return true;
}

poa_worth poa_call_module(poa_elaborator *e, const poa_syntax *call,
                          const poa_definition *definition, const poa_worth *arguments) {
  if (e->calls >= POA_MAX_CALLS)
    return poa_complain(e, call, "calls are nested more than %d deep: does '%s' call itself?",
                        POA_MAX_CALLS, definition->name);
  poa_frame frame = {.definition = definition, .call = call, .caller = e->frame};
  poa_frame *outer = e->frame;
  const char *branch = e->branch;
  if (!branch && outer && !outer->call)
    e->branch = definition->name;
  e->frame = &frame;
  e->calls++;
  int errors = e->diagnostics->errors;
  if (bind_formals(e, call, definition, arguments))
    poa_run_block(e, &definition->body);
  bool failed = e->diagnostics->errors != errors;
  e->calls--;
  e->frame = outer;
  e->branch = branch;
  return failed ? poa_worth_error() : frame.returned ? frame.result : poa_worth_none();
}
