/* prepare_fusion.c: the nodes of a graph as fuse starts from them.
 *
 * Parameter nodes of one name become one, views of constants constants. Axes of extent 1
 * that a reshape only adds leave element-wise ops, so that what a reduction that keeps its
 * axes says is still a row of the kernel:
 *
 *   %s = reduce_sum %x {axes=[1]} : f32[8]          %s = reduce_sum %x {axes=[1]} : f32[8]
 *   %k = reshape %s               : f32[8,1]   ->   %m = mul %s, %s               : f32[8]
 *   %m = mul %k, %k               : f32[8,1]        %k = reshape %m               : f32[8,1]
 *
 * What shows an assigned parameter at the end of the step, an output or another assign,
 * shows a copy: effects come last, but all values are those of the beginning. */
#include <string.h>

#include "passes/fusion.h"
#include "passes/strides.h"

typedef struct preparation {
  poa_fusion *f;
  const poa_node *nodes;
  poa_value *map;        /* node of the graph -> fused node */
  bool *assigned;        /* parameter nodes that an assign writes */
  uint32_t *table, mask; /* parameter nodes by name; UINT32_MAX: empty */
} preparation;

/* Parameters */

static uint32_t hash_of(const char *set, const char *name) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (const char *c = set; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 16777619u;
  hash = (hash ^ '/') * 16777619u;
  for (const char *c = name; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 16777619u;
  return hash;
}

/* The first node of the same parameter. */
static uint32_t first_of_name(preparation *p, uint32_t value) {
  const char *set = poa_node_string(&p->nodes[value], "set");
  const char *name = poa_node_string(&p->nodes[value], "name");
  uint32_t slot = hash_of(set, name) & p->mask;
  for (; p->table[slot] != UINT32_MAX; slot = (slot + 1) & p->mask) {
    const poa_node *other = &p->nodes[p->table[slot]];
    if (!strcmp(poa_node_string(other, "name"), name) &&
        !strcmp(poa_node_string(other, "set"), set))
      return p->table[slot];
  }
  p->table[slot] = value;
  return value;
}

/* Whether the value is an assigned parameter, or part of one, seen through movement. */
static bool shows_assigned(preparation *p, uint32_t value) {
  const poa_node *node = &p->nodes[value];
  int operands = poa_is_view(node->op) || node->op == POA_OP_concat ? node->operand_count : 0;
  for (int o = 0; o < operands; o++)
    if (shows_assigned(p, node->operands[o]))
      return true;
  return node->op == POA_OP_parameter && p->assigned[first_of_name(p, value)];
}

/* Writing nodes */

/* A node of another op, type or location than any of the graph. */
static poa_node *new_node(poa_fusion *f, const poa_node *like, const poa_type *type) {
  poa_node *node = poa_arena_alloc(f->scratch, sizeof *node);
  *node = *like;
  node->type = *type;
  node->type.dtype = like->type.dtype;
  return node;
}

static poa_value append_unary(poa_fusion *f, poa_op op, poa_value operand, const poa_type *type,
                              uint32_t order) {
  poa_node *node = new_node(f, poa_fused_op(f, operand), type);
  node->op = op;
  node->operand_count = 1;
  node->attributes = NULL;
  node->attribute_count = 0;
  return poa_fusion_append(f, node, &operand, order);
}

/* A reshape of what `operand` is a reshape of, if it is one; nothing if that has the type.
 * Of a constant, a constant. */
static poa_value append_reshape(poa_fusion *f, poa_value operand, const poa_type *type,
                                uint32_t order) {
  while (poa_fused_op(f, operand)->op == POA_OP_reshape)
    operand = poa_fused(f, operand)->operands[0];
  if (poa_fused_op(f, operand)->op == POA_OP_constant)
    return poa_fusion_append(f, new_node(f, poa_fused_op(f, operand), type), NULL, order);
  if (poa_same_shape(&poa_fused_op(f, operand)->type, type))
    return operand;
  return append_unary(f, POA_OP_reshape, operand, type, order);
}

/* Axes of extent 1 */

static bool is_leaf(const poa_node *node) {
  return node->op == POA_OP_parameter || node->op == POA_OP_input;
}

/* What `value` shows with axes of extent 1 added, or POA_NO_VALUE. */
static poa_value without_unit_axes(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->node->op != POA_OP_reshape)
    return POA_NO_VALUE;
  const poa_type *wide = &n->node->type, *narrow = &poa_fused_op(f, n->operands[0])->type;
  int next = 0;
  for (int a = 0; a < wide->rank; a++)
    if (next < narrow->rank && wide->dim[a].value == narrow->dim[next].value)
      next++;
    else if (wide->dim[a].value != 1)
      return POA_NO_VALUE;
  return next == narrow->rank && narrow->rank < wide->rank ? n->operands[0] : POA_NO_VALUE;
}

/* The shape that all operands have but for added axes, or NULL. */
static const poa_type *narrow_shape(const poa_fusion *f, const poa_node *node,
                                    const poa_value *operands) {
  const poa_type *shape = NULL;
  for (int o = 0; o < node->operand_count; o++) {
    poa_value inner = without_unit_axes(f, operands[o]);
    const poa_node *operand = poa_fused_op(f, operands[o]);
    if (inner == POA_NO_VALUE && operand->op != POA_OP_constant && !is_leaf(operand))
      return NULL;
    if (inner == POA_NO_VALUE)
      continue;
    if (shape && !poa_same_shape(shape, &poa_fused_op(f, inner)->type))
      return NULL;
    shape = &poa_fused_op(f, inner)->type;
  }
  return shape;
}

/* The element-wise `node` over `shape`, reshaped to its own. */
static poa_value append_narrow(poa_fusion *f, const poa_node *node, const poa_type *shape,
                               poa_value *operands, uint32_t order) {
  for (int o = 0; o < node->operand_count; o++)
    operands[o] = append_reshape(f, operands[o], shape, order);
  poa_value value = poa_fusion_append(f, new_node(f, node, shape), operands, order);
  return append_reshape(f, value, &node->type, order);
}

/* The base of an accumulate without its first axes, those that the block has not, in `type`,
 * and the block's start there. Axes longer than 1 join the next, which the block must cover. */
static bool narrow_base(const poa_node *node, const poa_type *block, poa_type *type,
                        poa_extent *start) {
  const poa_extent *from = poa_node_attribute(node, "start")->extents;
  const poa_extent *base = node->type.dim;
  int dropped = node->type.rank - block->rank;
  int64_t repeat = 1, at = 0;
  for (int a = 0; a < dropped; a++) {
    at = at * base[a].value + from[a].value;
    repeat *= base[a].value;
  }
  if (block->rank == 0 || (repeat > 1 && block->dim[0].value != base[dropped].value))
    return false;
  *type = *block;
  for (int a = 0; a < block->rank; a++) {
    type->dim[a] = base[dropped + a];
    start[a] = from[dropped + a];
  }
  start[0].value += at * type->dim[0].value;
  type->dim[0].value *= repeat;
  return true;
}

/* accumulate of a block that a reshape gave leading axes of extent 1, without them:
 *   accumulate %b, (reshape %x : f32[1,8]) {start=[2,0]} : f32[3,8]
 *   ->  reshape (accumulate (reshape %b : f32[24]), %x {start=[16]}) : f32[3,8] */
static poa_value append_narrow_sum(poa_fusion *f, const poa_node *node, const poa_value *operands,
                                   uint32_t order) {
  poa_value x = without_unit_axes(f, operands[1]);
  if (x == POA_NO_VALUE)
    return POA_NO_VALUE;
  const poa_type *wide = &poa_fused_op(f, operands[1])->type, *block = &poa_fused_op(f, x)->type;
  for (int a = 0; a < wide->rank; a++) {
    int in_block = a - (wide->rank - block->rank);
    if (wide->dim[a].value != (in_block < 0 ? 1 : block->dim[in_block].value))
      return POA_NO_VALUE;
  }
  poa_type type;
  poa_extent *start = poa_arena_alloc(f->graph->arena, POA_MAX_RANK * sizeof *start);
  if (!narrow_base(node, block, &type, start))
    return POA_NO_VALUE;
  poa_node *sum = new_node(f, node, &type);
  poa_attribute *attribute = poa_arena_alloc(f->graph->arena, sizeof *attribute);
  *attribute = node->attributes[0];
  attribute->count = type.rank;
  attribute->extents = start;
  sum->attributes = attribute;
  poa_value narrow[] = {append_reshape(f, operands[0], &type, order), x};
  return append_reshape(f, poa_fusion_append(f, sum, narrow, order), &node->type, order);
}

/* The walk */

static poa_value prepare_node(preparation *p, uint32_t i) {
  poa_fusion *f = p->f;
  const poa_node *node = &p->nodes[i];
  if (node->op == POA_OP_parameter && first_of_name(p, i) != i)
    return p->map[first_of_name(p, i)];
  poa_value *operands =
      poa_arena_alloc(f->scratch, (size_t)node->operand_count * sizeof *operands + 1);
  for (int o = 0; o < node->operand_count; o++)
    operands[o] = p->map[node->operands[o]];
  int last = node->operand_count - 1;
  if (poa_op_is(node->op, POA_FLAG_ROOT) && shows_assigned(p, node->operands[last]))
    operands[last] = append_unary(f, POA_OP_convert, operands[last], &node->type, i);
  if (poa_is_view(node->op) && poa_fused_op(f, operands[0])->op == POA_OP_constant)
    return poa_fusion_append(f, new_node(f, poa_fused_op(f, operands[0]), &node->type), NULL, i);
  if (node->op == POA_OP_reshape)
    return append_reshape(f, operands[0], &node->type, i);
  const poa_type *shape = NULL;
  if (poa_op_is(node->op, POA_FLAG_ELEMENTWISE))
    shape = narrow_shape(f, node, operands);
  if (shape)
    return append_narrow(f, node, shape, operands, i);
  if (node->op == POA_OP_accumulate) {
    poa_value sum = append_narrow_sum(f, node, operands, i);
    if (sum != POA_NO_VALUE)
      return sum;
  }
  return poa_fusion_append(f, node, operands, i);
}

/* Marks what effects depend on; inputs stay, for callers fill them. */
static void mark_live(poa_fusion *f) {
  for (uint32_t i = f->count; i-- > 0;) {
    poa_fused_node *n = poa_fused(f, i);
    n->live = n->live || poa_op_is(n->node->op, POA_FLAG_ROOT) || n->node->op == POA_OP_input;
    for (int o = 0; n->live && o < n->node->operand_count; o++)
      poa_fused(f, n->operands[o])->live = true;
  }
}

void poa_prepare_fusion(poa_fusion *f, const poa_node *nodes, uint32_t count) {
  preparation p = {.f = f, .nodes = nodes, .mask = 1};
  while (p.mask < 2 * count)
    p.mask = 2 * p.mask + 1;
  p.map = poa_arena_alloc(f->scratch, count * sizeof *p.map + 1);
  p.assigned = poa_arena_alloc(f->scratch, count * sizeof *p.assigned + 1);
  p.table = poa_arena_alloc(f->scratch, (p.mask + (size_t)1) * sizeof *p.table);
  memset(p.table, 0xff, (p.mask + (size_t)1) * sizeof *p.table);
  for (uint32_t i = 0; i < count; i++)
    if (nodes[i].op == POA_OP_parameter)
      first_of_name(&p, i);
  for (uint32_t i = 0; i < count; i++)
    if (nodes[i].op == POA_OP_assign)
      p.assigned[first_of_name(&p, nodes[i].operands[0])] = true;
  for (uint32_t i = 0; i < count; i++)
    p.map[i] = prepare_node(&p, i);
  mark_live(f);
}
