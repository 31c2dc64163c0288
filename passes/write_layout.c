/* write_layout.c: storage written into the graph, with the copies that are needed.
 *
 * A copy is a rows kernel of one `convert` to the same dtype, in front of what wants it:
 *
 *   %1 = transpose %0 : f32[4,8] in %0 [1,4]        %1 = transpose %0 : f32[4,8] in %0 [1,4]
 *   %2 = reshape %1 : f32[32]                       kernel 3 {
 *                                                     %2 = convert %1 : f32[4,8] in self [8,1]
 *                                                   }
 *                                                   %3 = reshape %2 : f32[32] in %2 [1]
 *
 * While nodes are written, roots are numbers of buffers; which node owns a buffer, the first
 * that fills it, is only known at the end. */
#include <assert.h>
#include <string.h>

#include "ir/build.h"
#include "passes/layout.h"
#include "passes/strides.h"

typedef struct writer {
  poa_layout_state *s;
  const poa_node *nodes; /* of the old graph */
  uint32_t count;
  poa_build b;
  poa_value *map;    /* old node -> new node that readers use */
  poa_value *copies; /* old node -> its dense copy, or POA_NO_VALUE */
  int kernels;       /* written so far */
  uint32_t buffers;  /* numbers given so far; those of the layout's spots come first */
} writer;

static poa_node *new_node(const writer *w, poa_value value) {
  return &w->b.graph->nodes[value];
}

static bool is_constant(const writer *w, poa_value new_value) {
  return new_node(w, new_value)->op == POA_OP_constant;
}

/* Writes a kernel that copies `value` (of the new graph) to `place`. */
static poa_value write_copy(writer *w, poa_value value, const poa_storage *place) {
  w->b.location = new_node(w, value)->location;
  poa_value copy = poa_b_convert(&w->b, value, new_node(w, value)->type.dtype);
  new_node(w, copy)->kernel = w->kernels++;
  new_node(w, copy)->storage = *place;
  return copy;
}

/* The value of old node `old` in a row-major buffer. */
static poa_value dense_copy(writer *w, poa_value old) {
  if (w->copies[old] == POA_NO_VALUE) {
    poa_storage place = {.root = w->buffers++, .place = -1};
    poa_dense_strides(&w->nodes[old].type, place.stride);
    w->copies[old] = write_copy(w, w->map[old], &place);
  }
  return w->copies[old];
}

/* What a node that reads dense memory, or memory at all, finds there. */
static poa_value readable(writer *w, poa_value old, bool dense) {
  poa_value value = w->map[old];
  const poa_node *node = new_node(w, value);
  if (is_constant(w, value) || (dense && !poa_strides_dense(&node->type, node->storage.stride)))
    return dense_copy(w, old);
  return value;
}

/* `operands` are of the new graph. */
static poa_value write_node(writer *w, poa_value old, const poa_value *operands, int kernel) {
  poa_node node = w->nodes[old];
  poa_value *positions =
      poa_arena_alloc(w->s->scratch, (size_t)node.operand_count * sizeof *positions + 1);
  for (int o = 0; o < node.operand_count; o++)
    positions[o] = (poa_value)o;
  node.operands = positions;
  node.kernel = kernel;
  if (w->s->spots[old].placed)
    node.storage = w->s->spots[old].storage;
  w->map[old] = poa_graph_copy(w->b.graph, &node, operands);
  return w->map[old];
}

static poa_value *mapped_operands(writer *w, poa_value old) {
  const poa_node *node = &w->nodes[old];
  poa_value *operands =
      poa_arena_alloc(w->s->scratch, (size_t)node->operand_count * sizeof *operands + 1);
  for (int o = 0; o < node->operand_count; o++)
    operands[o] = w->map[node->operands[o]];
  return operands;
}

static void write_view(writer *w, poa_value old) {
  poa_value operand = w->map[w->nodes[old].operands[0]];
  poa_storage place;
  assert(new_node(w, operand)->storage.root != POA_NO_VALUE);
  if (!poa_view_storage(&w->nodes[old], &new_node(w, operand)->type, &new_node(w, operand)->storage,
                        &place)) {
    operand = dense_copy(w, w->nodes[old].operands[0]);
    poa_view_storage(&w->nodes[old], &new_node(w, operand)->type, &new_node(w, operand)->storage,
                     &place);
  }
  poa_value view = write_node(w, old, &operand, -1);
  new_node(w, view)->storage = place;
}

/* Operands that do not lie in their block yet are copied there. */
static void write_concat(writer *w, poa_value old) {
  const poa_node *node = &w->nodes[old];
  poa_value *operands = mapped_operands(w, old);
  int64_t axis = poa_node_int(node, "axis", 0);
  poa_storage block = w->s->spots[old].storage;
  for (int o = 0; o < node->operand_count; o++) {
    const poa_type *type = &w->nodes[node->operands[o]].type;
    if (is_constant(w, operands[o]) ||
        !poa_same_place(type, &new_node(w, operands[o])->storage, &block))
      operands[o] = write_copy(w, operands[o], &block);
    block.offset += type->dim[axis].value * block.stride[axis];
  }
  write_node(w, old, operands, -1);
}

static void write_outside(writer *w, poa_value old) {
  const poa_node *node = &w->nodes[old];
  if (poa_is_view(node->op)) {
    write_view(w, old);
  } else if (node->op == POA_OP_concat) {
    write_concat(w, old);
  } else if (node->op == POA_OP_output) {
    poa_value operand = readable(w, node->operands[0], true);
    write_node(w, old, &operand, -1);
  } else {
    write_node(w, old, mapped_operands(w, old), -1);
  }
}

/* Finds or copies what the node reads, before its kernel begins. */
static poa_value *prepare_operands(writer *w, poa_value old) {
  const poa_node *node = &w->nodes[old];
  poa_value *operands = mapped_operands(w, old);
  for (int o = 0; o < node->operand_count; o++) {
    poa_value operand = node->operands[o];
    if (w->nodes[operand].kernel == node->kernel)
      continue;
    if (node->op == POA_OP_call)
      operands[o] = readable(w, operand, true);
    else if (node->op == POA_OP_dot || node->op == POA_OP_gather ||
             (node->op == POA_OP_scatter_add && o == 1))
      operands[o] = readable(w, operand, false);
  }
  if (w->s->spots[old].copy_base)
    operands[0] = write_copy(w, operands[0], &w->s->spots[old].storage);
  return operands;
}

static void write_in_kernel(writer *w, poa_value old, poa_value *operands, int kernel) {
  const poa_node *node = &w->nodes[old];
  for (int o = 0; o < node->operand_count; o++)
    if (w->nodes[node->operands[o]].kernel == node->kernel)
      operands[o] = w->map[node->operands[o]];
  write_node(w, old, operands, kernel);
}

/* Writes the nodes first .. end-1, one kernel. Assigns done in place follow it. */
static void write_kernel(writer *w, poa_value first, poa_value end) {
  poa_value **operands =
      (poa_value **)poa_arena_alloc(w->s->scratch, (end - first) * sizeof *operands);
  for (poa_value v = first; v < end; v++)
    operands[v - first] = prepare_operands(w, v);
  int kernel = w->kernels++;
  for (poa_value v = first; v < end; v++)
    if (!w->s->spots[v].in_place)
      write_in_kernel(w, v, operands[v - first], kernel);
  for (poa_value v = first; v < end; v++)
    if (w->s->spots[v].in_place)
      write_in_kernel(w, v, operands[v - first], -1);
}

static poa_value end_of_kernel(const writer *w, poa_value first) {
  poa_value end = first + 1;
  while (end < w->count && w->nodes[end].kernel == w->nodes[first].kernel)
    end++;
  return end;
}

/* Whether the node is where a value is put into a buffer. */
static bool occupies(const poa_node *node) {
  return node->storage.root != POA_NO_VALUE && !poa_is_view(node->op);
}

/* From numbers of buffers to the nodes that own them: the first that fills each. */
static void name_roots(writer *w) {
  poa_graph *graph = w->b.graph;
  int64_t *elements = poa_arena_alloc(w->s->scratch, w->buffers * sizeof *elements + 1);
  poa_value *owner = poa_arena_alloc(w->s->scratch, w->buffers * sizeof *owner + 1);
  for (poa_value v = 0; v < graph->node_count; v++) {
    const poa_node *node = &graph->nodes[v];
    if (!occupies(node) || poa_type_elements(node->type) <= elements[node->storage.root])
      continue;
    elements[node->storage.root] = poa_type_elements(node->type);
    owner[node->storage.root] = v;
  }
  for (poa_value v = 0; v < graph->node_count; v++) {
    poa_storage *storage = &graph->nodes[v].storage;
    if (storage->root != POA_NO_VALUE)
      storage->root = owner[storage->root];
  }
}

void poa_write_layout(poa_layout_state *s) {
  writer w = {.s = s, .b = {.graph = s->graph}};
  w.nodes = poa_graph_take_nodes(s->graph, &w.count);
  w.buffers = w.count;
  w.map = poa_arena_alloc(s->scratch, w.count * sizeof *w.map + 1);
  w.copies = poa_arena_alloc(s->scratch, w.count * sizeof *w.copies + 1);
  memset(w.copies, 0xff, w.count * sizeof *w.copies);
  for (poa_value v = 0, end; v < w.count; v = end) {
    end = v + 1;
    if (w.nodes[v].kernel < 0) {
      write_outside(&w, v);
    } else {
      end = end_of_kernel(&w, v);
      write_kernel(&w, v, end);
    }
  }
  name_roots(&w);
}
