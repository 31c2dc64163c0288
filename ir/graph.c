/* graph.c: nodes in a flat array, operands before uses. A node is appended once its
 * attributes fit its row of ops.def and its shape rule holds, so that every graph in
 * memory is well typed:
 *
 *   poa_graph_add(g, POA_OP_reduce_sum, &x, 1, &axes, 1, NULL, location, error)
 *
 * Growing moves the nodes; the old array stays readable in the arena. */
#include <string.h>

#include "ir/internal.h"

poa_graph *poa_graph_create(poa_arena *arena, const char *name) {
  poa_graph *graph = poa_arena_alloc(arena, sizeof *graph);
  graph->arena = arena;
  graph->name = poa_arena_text(arena, name);
  graph->lattice.select_scale = 0;
  graph->arena_bytes = -1;
  return graph;
}

poa_graph *poa_graph_share(const poa_graph *graph, poa_arena *arena) {
  poa_graph *shared = poa_arena_alloc(arena, sizeof *shared);
  *shared = *graph;
  shared->arena = arena;
  shared->node_capacity = graph->node_count; /* what is appended goes to an array of its own */
  return shared;
}

static void *copy_of(poa_arena *arena, const void *memory, size_t size) {
  return size ? memcpy(poa_arena_room(arena, size), memory, size) : NULL;
}

static void reserve_one(poa_graph *graph) {
  if (graph->node_count < graph->node_capacity)
    return;
  uint32_t capacity = graph->node_capacity ? graph->node_capacity * 2 : 64;
  poa_node *nodes = poa_arena_room(graph->arena, capacity * sizeof *nodes);
  if (graph->node_count)
    memcpy(nodes, graph->nodes, graph->node_count * sizeof *nodes);
  graph->nodes = nodes;
  graph->node_capacity = capacity;
}

static bool slot_is(const poa_slot *slot, const char *key) {
  return strlen(key) == (size_t)slot->length && !strncmp(slot->key, key, (size_t)slot->length);
}

static const poa_attribute *given(const poa_slot *slot, const poa_attribute *attributes,
                                  int count) {
  for (int i = 0; i < count; i++)
    if (slot_is(slot, attributes[i].key))
      return &attributes[i];
  return NULL;
}

/* Integers may stand for extents, and one extent for an expression. */
static bool coerce(poa_arena *arena, poa_attribute *a, poa_attribute_kind kind) {
  if (a->kind == POA_ATTRIBUTE_INTS && kind == POA_ATTRIBUTE_EXTENTS) {
    poa_extent *extents = poa_arena_alloc(arena, (size_t)a->count * sizeof *extents);
    for (int i = 0; i < a->count; i++)
      extents[i] = poa_known(a->integers[i]);
    *a = (poa_attribute){.key = a->key, .count = a->count, .extents = extents};
    a->kind = kind;
  }
  if (a->kind == POA_ATTRIBUTE_EXTENTS && kind == POA_ATTRIBUTE_EXPR && a->count == 1)
    a->kind = kind;
  if (a->kind == POA_ATTRIBUTE_INT && kind == POA_ATTRIBUTE_FLOAT)
    *a = poa_attribute_float(a->key, (double)a->integer);
  return a->kind == kind;
}

static void own(poa_arena *arena, poa_attribute *a) {
  a->key = poa_arena_text(arena, a->key);
  if (a->text)
    a->text = poa_arena_text(arena, a->text);
  if (a->integers)
    a->integers = copy_of(arena, a->integers, (size_t)a->count * sizeof *a->integers);
  if (a->extents)
    a->extents = copy_of(arena, a->extents, (size_t)a->count * sizeof *a->extents);
}

static poa_status refuse_unknown(poa_op op, const poa_slot *slots, int slot_count,
                                 const poa_attribute *attributes, int count, poa_error *error) {
  for (int i = 0; i < count; i++) {
    bool known = false;
    for (int s = 0; s < slot_count; s++)
      known |= slot_is(&slots[s], attributes[i].key);
    if (!known)
      return poa_fail(error, POA_BAD_INPUT, "%s has no attribute '%s'; its attributes are \"%s\"",
                      poa_op_table(op)->name, attributes[i].key, poa_op_table(op)->attributes);
  }
  return POA_OK;
}

/* Puts copies of the attributes into the node, in the order of the op's row. */
static poa_status take_attributes(poa_arena *arena, poa_node *node, const poa_attribute *attributes,
                                  int count, poa_error *error) {
  poa_slot slots[POA_MAX_SLOTS];
  int slot_count = poa_op_slots(node->op, slots);
  const char *op = poa_op_table(node->op)->name;
  if (refuse_unknown(node->op, slots, slot_count, attributes, count, error))
    return POA_BAD_INPUT;
  node->attributes = poa_arena_alloc(arena, (size_t)slot_count * sizeof *node->attributes);
  for (int s = 0; s < slot_count; s++) {
    const poa_attribute *a = given(&slots[s], attributes, count);
    if (!a && slots[s].optional)
      continue;
    if (!a)
      return poa_fail(error, POA_BAD_INPUT, "%s lacks its attribute '%.*s' (%s)", op,
                      slots[s].length, slots[s].key, poa_attribute_kind_name(slots[s].kind));
    poa_attribute *taken = &node->attributes[node->attribute_count++];
    *taken = *a;
    if (!coerce(arena, taken, slots[s].kind))
      return poa_fail(error, POA_BAD_INPUT, "%s: attribute '%s' is of kind %s, expected %s", op,
                      a->key, poa_attribute_kind_name(a->kind),
                      poa_attribute_kind_name(slots[s].kind));
    own(arena, taken);
  }
  return POA_OK;
}

static poa_status check_operands(const poa_graph *graph, const poa_node *node, poa_error *error) {
  const poa_op_info *info = poa_op_table(node->op);
  if (info->operands != POA_VARIADIC && node->operand_count != info->operands)
    return poa_fail(error, POA_BAD_INPUT, "%s takes %d operand%s, not %d", info->name,
                    info->operands, info->operands == 1 ? "" : "s", node->operand_count);
  if (info->operands == POA_VARIADIC && node->operand_count < 1)
    return poa_fail(error, POA_BAD_INPUT, "%s takes at least one operand", info->name);
  for (int i = 0; i < node->operand_count; i++)
    if (node->operands[i] >= graph->node_count)
      return poa_fail(error, POA_BAD_INPUT, "%s: operand %d is no earlier value", info->name, i);
  return POA_OK;
}

static const poa_storage no_storage = {.root = POA_NO_VALUE, .place = -1};

poa_value poa_graph_add(poa_graph *graph, poa_op op, const poa_value *operands, int operand_count,
                        const poa_attribute *attributes, int attribute_count, const poa_type *type,
                        poa_location location, poa_error *error) {
  poa_node node = {
      .op = op,
      .operand_count = operand_count,
      .operands = copy_of(graph->arena, operands, (size_t)operand_count * sizeof *operands),
      .location = location,
      .kernel = -1,
      .storage = no_storage,
  };
  if (check_operands(graph, &node, error) ||
      take_attributes(graph->arena, &node, attributes, attribute_count, error) ||
      poa_infer(graph, &node, type, &node.type, error))
    return POA_NO_VALUE;
  reserve_one(graph);
  graph->nodes[graph->node_count] = node;
  return graph->node_count++;
}

poa_value poa_graph_copy(poa_graph *graph, const poa_node *node, const poa_value *map) {
  poa_node copy = *node;
  copy.operands =
      copy_of(graph->arena, node->operands, (size_t)node->operand_count * sizeof *node->operands);
  for (int i = 0; i < copy.operand_count; i++)
    copy.operands[i] = map[copy.operands[i]];
  reserve_one(graph);
  graph->nodes[graph->node_count] = copy;
  return graph->node_count++;
}

poa_node *poa_graph_take_nodes(poa_graph *graph, uint32_t *count) {
  poa_node *nodes = graph->nodes;
  *count = graph->node_count;
  /* Whoever takes them writes about as many: room for these at once costs no more. */
  graph->node_capacity = *count + *count / 2 + 64;
  graph->nodes = poa_arena_room(graph->arena, graph->node_capacity * sizeof *graph->nodes);
  graph->node_count = 0;
  return nodes;
}

poa_attribute poa_attribute_int(const char *key, int64_t value) {
  return (poa_attribute){.key = key, .kind = POA_ATTRIBUTE_INT, .integer = value};
}

poa_attribute poa_attribute_float(const char *key, double value) {
  return (poa_attribute){.key = key, .kind = POA_ATTRIBUTE_FLOAT, .real = value};
}

poa_attribute poa_attribute_string(const char *key, const char *value) {
  return (poa_attribute){.key = key, .kind = POA_ATTRIBUTE_STRING, .text = value};
}

poa_attribute poa_attribute_ints(const char *key, const int64_t *values, int count) {
  return (poa_attribute){
      .key = key, .kind = POA_ATTRIBUTE_INTS, .count = count, .integers = values};
}

poa_attribute poa_attribute_extents(const char *key, const poa_extent *values, int count) {
  return (poa_attribute){
      .key = key, .kind = POA_ATTRIBUTE_EXTENTS, .count = count, .extents = values};
}

poa_attribute poa_attribute_expr(const char *key, const poa_extent *value) {
  return (poa_attribute){.key = key, .kind = POA_ATTRIBUTE_EXPR, .count = 1, .extents = value};
}

const poa_attribute *poa_node_attribute(const poa_node *node, const char *key) {
  for (int i = 0; i < node->attribute_count; i++)
    if (!strcmp(node->attributes[i].key, key))
      return &node->attributes[i];
  return NULL;
}

int64_t poa_node_int(const poa_node *node, const char *key, int64_t otherwise) {
  const poa_attribute *a = poa_node_attribute(node, key);
  return a ? a->integer : otherwise;
}

double poa_node_float(const poa_node *node, const char *key, double otherwise) {
  const poa_attribute *a = poa_node_attribute(node, key);
  return a ? a->real : otherwise;
}

const char *poa_node_string(const poa_node *node, const char *key) {
  const poa_attribute *a = poa_node_attribute(node, key);
  return a ? a->text : NULL;
}

int poa_graph_find_parameter(const poa_graph *graph, const char *set, const char *name) {
  for (int i = 0; i < graph->parameter_count; i++)
    if (!strcmp(graph->parameters[i].name, name) && !strcmp(graph->parameters[i].set, set))
      return i;
  return -1;
}
