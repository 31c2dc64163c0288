/* parse_node.c: one line of a graph's body.
 *
 *   %12 = add %3, %7 {..} : f32[64,192] in %4+64 [192,1] at 4096 loc "vit.poa":12:7 */
#include <inttypes.h>
#include <string.h>

#include "ir/parse.h"

/* A node as it is read. */
typedef struct line {
  const char *name, *name_at, *op_at;
  poa_op op;
  poa_value *operands;
  int operand_count;
  poa_attribute attributes[POA_MAX_SLOTS];
  int attribute_count;
  poa_type type;
  poa_storage storage;
  const char *root_name, *root_at; /* NULL unless the root stands further down */
  poa_location location;
} line;

static poa_status unknown(poa_reader *r, const char *at, const char *what, const char *name,
                          const char *nearest, const char *otherwise) {
  if (nearest)
    return poa_lex_fail(&r->lexer, at, "unknown %s '%s'; did you mean '%s'?", what, name, nearest);
  return poa_lex_fail(&r->lexer, at, "unknown %s '%s'%s", what, name, otherwise);
}

static poa_status read_op(poa_reader *r, line *l) {
  const char *name, *candidates[POA_OP_COUNT];
  l->op_at = r->lexer.token.start;
  if (poa_read_name(r, "an op", &name))
    return POA_BAD_INPUT;
  if (poa_op_from_name(name, &l->op))
    return POA_OK;
  for (int i = 0; i < POA_OP_COUNT; i++)
    candidates[i] = poa_op_table((poa_op)i)->name;
  return unknown(r, l->op_at, "op", name, poa_nearest(name, candidates, POA_OP_COUNT), "");
}

static poa_status read_operand(poa_reader *r, poa_value *value) {
  const char *name, *at;
  if (poa_read_value_name(r, &name, &at))
    return POA_BAD_INPUT;
  *value = poa_value_names_find(&r->names, name);
  if (*value != POA_NO_VALUE)
    return POA_OK;
  return unknown(r, at, "value", name, poa_value_names_nearest(&r->names, name),
                 " (values are used below the line that makes them)");
}

static poa_status read_operands(poa_reader *r, line *l) {
  int capacity = 0;
  if (!poa_lex_at(&r->lexer, "%"))
    return POA_OK;
  do {
    if (l->operand_count >= POA_MAX_LIST)
      return poa_lex_fail(&r->lexer, l->op_at, "this op has too many operands");
    if (l->operand_count == capacity) {
      capacity = capacity ? capacity * 2 : 4;
      poa_value *larger = poa_arena_alloc(r->arena, (size_t)capacity * sizeof *larger);
      if (l->operand_count)
        memcpy(larger, l->operands, (size_t)l->operand_count * sizeof *larger);
      l->operands = larger;
    }
    if (read_operand(r, &l->operands[l->operand_count++]))
      return POA_BAD_INPUT;
  } while (poa_read_accept(r, ","));
  return POA_OK;
}

static poa_status read_extents(poa_reader *r, poa_attribute *a) {
  poa_extent *extents = poa_arena_alloc(r->arena, POA_MAX_RANK * sizeof *extents);
  a->extents = extents;
  return poa_read_shape(r, extents, &a->count);
}

static poa_status read_expr(poa_reader *r, poa_attribute *a) {
  poa_extent *extent = poa_arena_alloc(r->arena, sizeof *extent);
  a->extents = extent;
  a->count = 1;
  return poa_read_extent(r, extent);
}

static poa_status read_attribute_value(poa_reader *r, poa_attribute *a) {
  int64_t *integers = NULL;
  poa_status status = POA_OK;
  switch (a->kind) {
  case POA_ATTRIBUTE_INT:
    return poa_read_int(r, "an integer", INT64_MIN, INT64_MAX, &a->integer);
  case POA_ATTRIBUTE_FLOAT:
    return poa_read_float(r, "a number", &a->real);
  case POA_ATTRIBUTE_STRING:
    return poa_read_string(r, "a string in quotes", &a->text);
  case POA_ATTRIBUTE_INTS:
    status = poa_read_ints(r, "an integer", &integers, &a->count);
    a->integers = integers;
    return status;
  case POA_ATTRIBUTE_EXTENTS:
    return read_extents(r, a);
  case POA_ATTRIBUTE_EXPR:
    return read_expr(r, a);
  }
  return status;
}

/* Finds the slot of an attribute by its key; -1 with a message if there is none. */
static int find_slot(poa_reader *r, const line *l, const char *key, const char *at,
                     poa_slot *slots) {
  int count = poa_op_slots(l->op, slots);
  const char *candidates[POA_MAX_SLOTS];
  for (int i = 0; i < count; i++) {
    candidates[i] = poa_arena_span(r->arena, slots[i].key, (size_t)slots[i].length);
    if (!strcmp(candidates[i], key))
      return i;
  }
  const char *op = poa_op_table(l->op)->name;
  const char *what = poa_arena_format(r->arena, "attribute of %s", op);
  unknown(r, at, what, key, poa_nearest(key, candidates, count), count ? "" : "; it has none");
  return -1;
}

static poa_status read_attribute(poa_reader *r, line *l) {
  poa_slot slots[POA_MAX_SLOTS];
  const char *key, *at = r->lexer.token.start;
  if (poa_read_name(r, "an attribute's name", &key))
    return POA_BAD_INPUT;
  int slot = find_slot(r, l, key, at, slots);
  if (slot < 0)
    return POA_BAD_INPUT;
  for (int i = 0; i < l->attribute_count; i++)
    if (!strcmp(l->attributes[i].key, key))
      return poa_lex_fail(&r->lexer, at, "attribute '%s' is given twice", key);
  poa_attribute *a = &l->attributes[l->attribute_count++];
  *a = (poa_attribute){.key = key, .kind = slots[slot].kind};
  return poa_read_expect(r, "=") || read_attribute_value(r, a) ? POA_BAD_INPUT : POA_OK;
}

static poa_status read_attributes(poa_reader *r, line *l) {
  if (!poa_read_accept(r, "{"))
    return POA_OK;
  do
    if (read_attribute(r, l))
      return POA_BAD_INPUT;
  while (poa_read_accept(r, ","));
  return poa_read_expect(r, "}");
}

static poa_status read_root(poa_reader *r, line *l) {
  l->storage.root = r->graph->node_count;
  if (poa_read_accept(r, "self"))
    return POA_OK;
  if (!poa_lex_at(&r->lexer, "%"))
    return poa_lex_expected(&r->lexer, "'self' or the value whose buffer it lies in");
  if (poa_read_value_name(r, &l->root_name, &l->root_at))
    return POA_BAD_INPUT;
  poa_value root = poa_value_names_find(&r->names, l->root_name);
  if (root == POA_NO_VALUE)
    return POA_OK;
  l->storage.root = root;
  l->root_name = NULL;
  return POA_OK;
}

static poa_status read_storage(poa_reader *r, line *l) {
  int64_t *strides;
  int count;
  const char *at = r->lexer.token.start;
  if (!poa_read_accept(r, "in"))
    return POA_OK;
  if (read_root(r, l))
    return POA_BAD_INPUT;
  if (!poa_read_accept(r, "+") && !poa_lex_at(&r->lexer, "-"))
    return poa_lex_expected(&r->lexer, "'+' and the offset in the buffer");
  if (poa_read_int(r, "an offset", INT64_MIN, INT64_MAX, &l->storage.offset) ||
      poa_read_ints(r, "a stride", &strides, &count))
    return POA_BAD_INPUT;
  if (count != l->type.rank)
    return poa_lex_fail(&r->lexer, at, "%d strides for a value of %d axes", count, l->type.rank);
  for (int i = 0; i < count; i++)
    l->storage.stride[i] = strides[i];
  if (poa_read_accept(r, "at"))
    return poa_read_int(r, "a place in bytes", 0, INT64_MAX, &l->storage.place);
  return POA_OK;
}

static void remember_root(poa_reader *r, const line *l) {
  poa_forward_root *forward = poa_arena_alloc(r->arena, sizeof *forward);
  *forward = (poa_forward_root){r->graph->node_count, l->root_name, l->root_at, r->forward_roots};
  r->forward_roots = forward;
}

static poa_status add_line(poa_reader *r, const line *l, int kernel) {
  poa_error error = {0};
  if (l->root_name)
    remember_root(r, l);
  poa_value value = poa_graph_add(r->graph, l->op, l->operands, l->operand_count, l->attributes,
                                  l->attribute_count, &l->type, l->location, &error);
  if (value == POA_NO_VALUE)
    return poa_lex_fail(&r->lexer, l->op_at, "%s", error.message);
  r->graph->nodes[value].kernel = kernel;
  r->graph->nodes[value].storage = l->storage;
  if (!poa_value_names_add(&r->names, r->arena, l->name, value))
    return poa_lex_fail(&r->lexer, l->name_at, "value '%s' is made twice", l->name);
  return POA_OK;
}

poa_status poa_read_node(poa_reader *r, int kernel) {
  line l = {.storage = {.root = POA_NO_VALUE, .place = -1}};
  if (poa_read_value_name(r, &l.name, &l.name_at) || poa_read_expect(r, "=") || read_op(r, &l) ||
      read_operands(r, &l) || read_attributes(r, &l) || poa_read_expect(r, ":") ||
      poa_read_type(r, &l.type) || read_storage(r, &l) || poa_read_location(r, &l.location))
    return POA_BAD_INPUT;
  return add_line(r, &l, kernel);
}

poa_status poa_read_forward_roots(poa_reader *r) {
  for (const poa_forward_root *f = r->forward_roots; f; f = f->previous) {
    poa_value root = poa_value_names_find(&r->names, f->name);
    if (root == POA_NO_VALUE)
      return unknown(r, f->at, "value", f->name, poa_value_names_nearest(&r->names, f->name), "");
    r->graph->nodes[f->node].storage.root = root;
  }
  return POA_OK;
}
