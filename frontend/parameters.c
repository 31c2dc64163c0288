/* parameters.c: the parameters of a model, of all its sets.
 *
 * A parameter is stored at the largest value of its extents and read as the prefix
 * of each. It is declared by the first branch that runs over its `param`, with the
 * attributes then in force; the other sets follow. */
#include <string.h>

#include "frontend/elaborate.h"

static uint64_t hash_name(int set, const char *name) {
  uint64_t hash = 1469598103934665603u ^ (uint64_t)(set + 1);
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 1099511628211u;
  return hash;
}

static int *hash_slot(const poa_elaborator *e, int set, const char *name) {
  uint64_t at = hash_name(set, name);
  for (;; at++) {
    int *slot = &e->parameter_hash[at & (uint64_t)(e->hash_capacity - 1)];
    bool match =
        *slot >= 0 && e->rows[*slot].set == set && strcmp(e->parameters[*slot].name, name) == 0;
    if (*slot < 0 || match)
      return slot;
  }
}

static void grow_hash(poa_elaborator *e) {
  e->hash_capacity = e->hash_capacity ? 2 * e->hash_capacity : 1024;
  e->parameter_hash =
      poa_arena_alloc(e->arena, (size_t)e->hash_capacity * sizeof *e->parameter_hash);
  for (int i = 0; i < e->hash_capacity; i++)
    e->parameter_hash[i] = -1;
  for (int i = 0; i < e->parameter_count; i++)
    *hash_slot(e, e->rows[i].set, e->parameters[i].name) = i;
}

static void grow_table(poa_elaborator *e) {
  int capacity = e->parameter_capacity ? 2 * e->parameter_capacity : 256;
  poa_parameter *parameters = poa_arena_alloc(e->arena, (size_t)capacity * sizeof *parameters);
  poa_parameter_row *rows = poa_arena_alloc(e->arena, (size_t)capacity * sizeof *rows);
  if (e->parameter_count) {
    memcpy(parameters, e->parameters, (size_t)e->parameter_count * sizeof *parameters);
    memcpy(rows, e->rows, (size_t)e->parameter_count * sizeof *rows);
  }
  e->parameters = parameters;
  e->rows = rows;
  e->parameter_capacity = capacity;
}

static int find_parameter(poa_elaborator *e, int set, const char *name) {
  return e->hash_capacity ? *hash_slot(e, set, name) : -1;
}

static int add_parameter(poa_elaborator *e, int set, poa_parameter parameter) {
  if (e->parameter_count == e->parameter_capacity)
    grow_table(e);
  if (2 * (e->parameter_count + 1) > e->hash_capacity)
    grow_hash(e);
  int index = e->parameter_count++;
  parameter.set = set < 0 ? "" : e->program->sets[set].name;
  e->parameters[index] = parameter;
  e->rows[index] = (poa_parameter_row){set, e->attributes, POA_NO_VALUE};
  *hash_slot(e, set, parameter.name) = index;
  if (set >= 0 && e->looped[set])
    e->stale = true;
  return index;
}

int poa_find_set(const poa_elaborator *e, const char *name) {
  for (int i = 0; i < e->program->set_count; i++)
    if (strcmp(e->program->sets[i].name, name) == 0)
      return i;
  return -1;
}

static bool known_argument(poa_elaborator *e, const poa_syntax *call, double *value) {
  if (call->count != 1) {
    poa_complain(e, call, "the initializer %s takes one number", call->text);
    return false;
  }
  poa_worth argument = poa_elaborate(e, call->children[0]);
  if (argument.kind == VALUE_NUMBER && !argument.number.is_real) {
    poa_point top = poa_lattice_top(&e->lattice); /* a fan-in is the largest network's */
    argument = poa_worth_real((double)poa_extent_at(argument.number.numerator, &top) /
                              (double)poa_extent_at(argument.number.denominator, &top));
  }
  bool known = argument.kind == VALUE_NUMBER && poa_number_is_known(&argument.number);
  if (known)
    *value = poa_number_value(&argument.number);
  else if (argument.kind != VALUE_ERROR)
    poa_complain(e, call->children[0], "an initializer takes a number known at compile time");
  return known;
}

/* zeros, ones, constant(x), normal(d), trunc_normal(d), uniform(a) */
static bool read_initializer(poa_elaborator *e, const poa_syntax *syntax,
                             poa_parameter *parameter) {
  static const char *const names[] = {"zeros",  "ones",         "constant",
                                      "normal", "trunc_normal", "uniform"};
  bool plain = syntax->kind == SYNTAX_NAME, call = syntax->kind == SYNTAX_CALL;
  if (plain && (strcmp(syntax->text, "zeros") == 0 || strcmp(syntax->text, "ones") == 0)) {
    parameter->initializer = "constant";
    parameter->argument = *syntax->text == 'o';
    return true;
  }
  for (int i = 2; i < 6 && call; i++)
    if (strcmp(syntax->text, names[i]) == 0) {
      parameter->initializer = names[i];
      return known_argument(e, syntax, &parameter->argument);
    }
  poa_complain(e, syntax,
               "expected an initializer: zeros, ones, constant(x), normal(deviation), "
               "trunc_normal(deviation) or uniform(bound)%s",
               plain || call ? poa_suggestion(e, syntax->text, names, 6) : "");
  return false;
}

static bool read_extents(poa_elaborator *e, poa_syntax **shape, int rank, poa_type *read) {
  *read = (poa_type){POA_F32, rank, {{0}}};
  for (int i = 0; i < rank; i++)
    if (!poa_to_extent(e, shape[i], poa_elaborate(e, shape[i]), &read->dim[i]))
      return false;
  return true;
}

static poa_type at_top(const poa_elaborator *e, poa_type type) {
  poa_point top = poa_lattice_top(&e->lattice);
  for (int i = 0; i < type.rank; i++)
    type.dim[i] = poa_known(poa_extent_at(type.dim[i], &top));
  return type;
}

static bool positive(poa_elaborator *e, const poa_statement *statement, const poa_type *type) {
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i].value < 1) {
      poa_complain(e, statement->shape[i], "this extent is %lld; a parameter's are at least 1",
                   (long long)type->dim[i].value);
      return false;
    }
  return true;
}

static bool file_shape_fits(poa_elaborator *e, const poa_statement *statement,
                            const poa_parameter *parameter) {
  if (poa_type_elements(parameter->type) == poa_type_elements(parameter->file_type))
    return true;
  poa_complain(e, statement->file_shape[0], "%s and %s have different numbers of elements",
               poa_show_type(e, &parameter->type), poa_show_type(e, &parameter->file_type));
  return false;
}

/* as transpose [3, 2, 0, 1]: axis i of the file is axis axes[i] of the parameter. */
static bool read_file_axes(poa_elaborator *e, const poa_statement *statement,
                           poa_parameter *parameter) {
  int rank = parameter->type.rank;
  poa_worth list = poa_elaborate(e, statement->file_axes);
  if (list.kind != VALUE_LIST || list.count != rank) {
    poa_complain(e, statement->file_axes, "expected a list of all %d axes of the parameter", rank);
    return false;
  }
  int64_t *axes = poa_arena_alloc(e->arena, ((size_t)rank + 1) * sizeof *axes);
  unsigned seen = 0;
  for (int i = 0, axis; i < rank; i++) {
    if (!poa_to_axis(e, statement->file_axes, list.items[i], rank, &axis))
      return false;
    axes[i] = axis;
    seen |= 1u << axis;
    parameter->file_type.dim[i] = parameter->type.dim[axis];
  }
  if (seen != (1u << rank) - 1) {
    poa_complain(e, statement->file_axes, "each of the %d axes must stand once in this list", rank);
    return false;
  }
  parameter->file_axes = axes;
  return true;
}

static bool describe_parameter(poa_elaborator *e, const poa_statement *statement,
                               const poa_type *read, poa_parameter *parameter) {
  parameter->location = statement->location;
  parameter->type = parameter->file_type = at_top(e, *read);
  if (!positive(e, statement, &parameter->type))
    return false;
  if (statement->file_shape) {
    poa_type file;
    if (!read_extents(e, statement->file_shape, statement->file_rank, &file))
      return false;
    parameter->file_type = at_top(e, file);
    if (!file_shape_fits(e, statement, parameter))
      return false;
  }
  if (statement->file_axes && !read_file_axes(e, statement, parameter))
    return false;
  return read_initializer(e, statement->values[0], parameter);
}

static poa_worth read_prefix(poa_elaborator *e, const poa_statement *statement, int index,
                             const poa_type *read) {
  poa_syntax at = {.location = statement->location, .length = statement->length};
  poa_value node = poa_parameter_node(e, index, statement->location);
  if (poa_type_equal(&e->lattice, read, &e->parameters[index].type))
    return poa_worth_tensor(node);
  poa_extent start[POA_MAX_RANK] = {{0}};
  poa_attribute attributes[] = {poa_attribute_extents("start", start, read->rank),
                                poa_attribute_extents("limit", read->dim, read->rank)};
  poa_value prefix = poa_append(e, &at, POA_OP_slice, &node, 1, attributes, 2, NULL);
  return prefix == POA_NO_VALUE ? poa_worth_error() : poa_worth_tensor(prefix);
}

poa_worth poa_declare_parameter(poa_elaborator *e, const poa_statement *statement) {
  poa_syntax at = {.location = statement->location, .length = statement->length};
  if (e->set < 0)
    return poa_complain(e, &at,
                        "a parameter outside a branch: which set is '%s' of? Apply the "
                        "module as SET at max: ... or SET at sampled: ...",
                        statement->names[0]);
  poa_type read;
  poa_parameter parameter = {0};
  if (!read_extents(e, statement->shape, statement->rank, &read) ||
      !describe_parameter(e, statement, &read, &parameter))
    return poa_worth_error();
  parameter.name = *e->scope ? poa_arena_format(e->arena, "%s.%s", e->scope, statement->names[0])
                             : statement->names[0];
  int index = find_parameter(e, e->set, parameter.name);
  if (index < 0)
    index = add_parameter(e, e->set, parameter);
  const poa_parameter *known = &e->parameters[index];
  if (!poa_type_equal(&e->lattice, &known->type, &parameter.type)) {
    poa_complain(e, &at, "'%s' is %s here but was declared as %s", parameter.name,
                 poa_show_type(e, &parameter.type), poa_show_type(e, &known->type));
    poa_diagnose_note(e->diagnostics, known->location, "declared here");
    return poa_worth_error();
  }
  return read_prefix(e, statement, index, &read);
}

poa_worth poa_state(poa_elaborator *e, const poa_syntax *at, const char *name, const poa_type *type,
                    double initial) {
  int index = find_parameter(e, -1, name);
  if (index < 0) {
    poa_type stored = at_top(e, *type);
    poa_parameter state = {.name = name,
                           .type = stored,
                           .file_type = stored,
                           .initializer = "constant",
                           .argument = initial,
                           .location = at->location};
    index = add_parameter(e, -1, state);
  }
  if (!poa_type_equal(&e->lattice, &e->parameters[index].type, type))
    return poa_complain(e, at, "the state '%s' is %s here but %s elsewhere", name,
                        poa_show_type(e, type), poa_show_type(e, &e->parameters[index].type));
  return (poa_worth){.kind = VALUE_PARAMETER, .index = index};
}

poa_worth poa_corresponding(poa_elaborator *e, const poa_syntax *at, int set, int parameter) {
  if (e->rows[parameter].set < 0)
    return poa_complain(e, at, "a state belongs to no set");
  poa_parameter twin = e->parameters[parameter];
  int index = find_parameter(e, set, twin.name);
  if (index < 0) {
    const poa_attribute_scope *outer = e->attributes;
    e->attributes = e->rows[parameter].attributes;
    index = add_parameter(e, set, twin);
    e->attributes = outer;
  }
  return (poa_worth){.kind = VALUE_PARAMETER, .index = index};
}

poa_value poa_parameter_node(poa_elaborator *e, int parameter, poa_location at) {
  poa_parameter_row *row = &e->rows[parameter];
  if (row->node != POA_NO_VALUE)
    return row->node;
  const poa_parameter *p = &e->parameters[parameter];
  poa_syntax syntax = {.location = at, .length = 1};
  poa_attribute attributes[] = {poa_attribute_string("set", p->set),
                                poa_attribute_string("name", p->name)};
  row->node = poa_append(e, &syntax, POA_OP_parameter, NULL, 0, attributes, 2, &p->type);
  return row->node;
}

poa_worth poa_parameter_member(poa_elaborator *e, const poa_syntax *at, int parameter,
                               const char *member) {
  if (strcmp(member, "name") == 0)
    return poa_worth_text(e->parameters[parameter].name);
  const char *names[64] = {"name"};
  int count = 1;
  for (const poa_attribute_scope *s = e->rows[parameter].attributes; s; s = s->outer) {
    if (strcmp(s->name, member) == 0)
      return s->value;
    if (count < 64)
      names[count++] = s->name;
  }
  return poa_complain(e, at, "the parameter '%s' has no attribute '%s'%s",
                      e->parameters[parameter].name, member,
                      poa_suggestion(e, member, names, count));
}

/* What the declarations of the sets say of their first values. */
void poa_finish_parameters(poa_elaborator *e) {
  for (int i = 0; i < e->parameter_count; i++) {
    int set = e->rows[i].set;
    if (set < 0)
      continue;
    const poa_set_syntax *syntax = &e->program->sets[set];
    int source = syntax->copy_of ? poa_find_set(e, syntax->copy_of) : -1;
    if (syntax->zeros) {
      e->parameters[i].initializer = "constant";
      e->parameters[i].argument = 0;
    } else if (source >= 0 && source != set &&
               find_parameter(e, source, e->parameters[i].name) >= 0) {
      e->parameters[i].initializer = "copy";
      e->parameters[i].copy_of = syntax->copy_of;
      e->parameters[i].argument = 0;
    }
  }
}
