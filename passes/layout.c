/* layout.c: where every stored value lies.
 *
 * Decided from the last node to the first, so that who wants a value in a certain place
 * speaks before the value is placed:
 *
 *   concat         its operands lie in the blocks of its buffer
 *   accumulate,    the base lies where the result does, if nothing reads it afterwards;
 *   scatter_add    the product that is added in place, at its block
 *   assign         the value lies in the parameter's buffer
 *
 * A wish reaches a value through transposes and reshapes. The first wish wins; where one
 * is not met, write_layout.c copies. A value that nobody places gets a buffer of its own. */
#include <limits.h>

#include "passes/layout.h"
#include "passes/passes.h"
#include "passes/strides.h"

typedef poa_layout_state state;

enum { END = INT_MAX - 1, NEVER = INT_MAX };

static const poa_node *node_at(const state *s, poa_value value) {
  return &s->graph->nodes[value];
}

/* The last kernel that reads the value from memory, other than for node `except`. */
static int last_read(const state *s, poa_value value, poa_value except) {
  int last = -1;
  for (uint32_t u = s->users.first[value]; u < s->users.first[value + 1]; u++) {
    const poa_node *user = node_at(s, s->users.list[u]);
    if (s->users.list[u] == except)
      continue;
    int at = user->kernel >= 0           ? user->kernel
             : user->op == POA_OP_output ? END
                                         : last_read(s, s->users.list[u], except);
    last = at > last ? at : last;
  }
  return last;
}

static bool is_stored(const state *s, poa_value value) {
  const poa_node *node = node_at(s, value);
  if (node->kernel < 0)
    return node->op == POA_OP_concat;
  if (poa_op_is(node->op, POA_FLAG_ROOT))
    return false;
  for (uint32_t u = s->users.first[value]; u < s->users.first[value + 1]; u++)
    if (node_at(s, s->users.list[u])->kernel != node->kernel)
      return true;
  return node->op == POA_OP_accumulate || node->op == POA_OP_scatter_add || node->op == POA_OP_call;
}

static bool shown(const state *s, poa_value value) {
  for (uint32_t u = s->users.first[value]; u < s->users.first[value + 1]; u++)
    if (node_at(s, s->users.list[u])->op == POA_OP_output)
      return true;
  return false;
}

/* The product that an accumulate adds in place, or POA_NO_VALUE. `place`: in, where the
 * sum lies; out, where the product does. */
static poa_value added_product(const state *s, poa_value accumulate, poa_storage *place,
                               bool *possible) {
  const poa_node *node = node_at(s, accumulate);
  poa_value at = node->operands[1];
  *place = poa_block_storage(place, poa_node_attribute(node, "start"));
  *possible = true;
  while (poa_is_view(node_at(s, at)->op) && node_at(s, at)->kernel == node->kernel) {
    const poa_node *view = node_at(s, at);
    if (!poa_operand_storage(view, &node_at(s, view->operands[0])->type, place, place))
      *possible = false;
    at = view->operands[0];
  }
  bool product = node_at(s, at)->op == POA_OP_dot && node_at(s, at)->kernel == node->kernel;
  *possible = *possible || !product;
  return product ? at : POA_NO_VALUE;
}

/* Whether a value that nobody placed yet may lie there. */
static bool accepts(const state *s, poa_value value, const poa_storage *place) {
  const poa_node *node = node_at(s, value);
  poa_storage product = *place;
  bool possible;
  if (s->spots[value].placed || (node->kernel < 0 && node->op != POA_OP_concat))
    return false;
  if ((node->op == POA_OP_call || shown(s, value)) &&
      !poa_strides_dense(&node->type, place->stride))
    return false;
  if (node->op != POA_OP_accumulate)
    return true;
  added_product(s, value, &product, &possible);
  return possible;
}

/* Places `value`, seen through transposes and reshapes, if it may lie there and all that
 * reads it, but for `reader`, is over before kernel `until`. */
static bool place_through_views(state *s, poa_value value, poa_storage place, poa_value reader,
                                int until) {
  while (poa_is_view(node_at(s, value)->op) && node_at(s, value)->kernel < 0) {
    const poa_node *view = node_at(s, value);
    if (!poa_operand_storage(view, &node_at(s, view->operands[0])->type, &place, &place))
      return false;
    value = view->operands[0];
  }
  if (!accepts(s, value, &place) || (until != NEVER && last_read(s, value, reader) >= until))
    return false;
  s->spots[value].placed = true;
  s->spots[value].storage = place;
  s->spots[value].until = until;
  return true;
}

static void place_alone(state *s, poa_value value) {
  poa_spot *spot = &s->spots[value];
  if (spot->placed)
    return;
  spot->placed = true;
  spot->storage = (poa_storage){.root = value, .place = -1};
  poa_choose_strides(s, value, spot->storage.stride);
}

static void place_dense(state *s, poa_value value) {
  poa_spot *spot = &s->spots[value];
  if (spot->placed)
    return;
  spot->placed = true;
  spot->storage = (poa_storage){.root = value, .place = -1};
  poa_dense_strides(&node_at(s, value)->type, spot->storage.stride);
}

static void place_concat(state *s, poa_value value) {
  const poa_node *node = node_at(s, value);
  int64_t axis = poa_node_int(node, "axis", 0);
  place_dense(s, value);
  poa_storage block = s->spots[value].storage;
  for (int o = 0; o < node->operand_count; o++) {
    place_through_views(s, node->operands[o], block, value, s->spots[value].until);
    block.offset += node_at(s, node->operands[o])->type.dim[axis].value * block.stride[axis];
  }
}

/* What a chain of views shows. */
static poa_value viewed(const state *s, poa_value value) {
  while (poa_is_view(node_at(s, value)->op) && node_at(s, value)->kernel < 0)
    value = node_at(s, value)->operands[0];
  return value;
}

/* accumulate and scatter_add: the base is overwritten if nothing else needs it. */
static void place_update(state *s, poa_value value) {
  const poa_node *node = node_at(s, value);
  poa_spot *spot = &s->spots[value];
  place_dense(s, value);
  bool apart = true;
  for (int o = 1; o < node->operand_count; o++)
    apart &= viewed(s, node->operands[o]) != viewed(s, node->operands[0]);
  spot->copy_base =
      !apart || !place_through_views(s, node->operands[0], spot->storage, value, node->kernel);
  if (node->op != POA_OP_accumulate)
    return;
  poa_storage place = spot->storage;
  bool possible;
  poa_value product = added_product(s, value, &place, &possible);
  if (product != POA_NO_VALUE) {
    s->spots[product].placed = true;
    s->spots[product].storage = place;
  }
}

static void place_assign(state *s, poa_value value) {
  const poa_node *node = node_at(s, value);
  if (node->kernel < 0 || node_at(s, node->operands[1])->kernel != node->kernel)
    return;
  poa_storage place = {.root = node->operands[0], .place = -1};
  poa_dense_strides(&node->type, place.stride);
  s->spots[value].in_place = place_through_views(s, node->operands[1], place, value, NEVER);
}

static void place_node(state *s, poa_value value) {
  const poa_node *node = node_at(s, value);
  if (node->op == POA_OP_input || node->op == POA_OP_parameter)
    place_dense(s, value);
  else if (node->op == POA_OP_assign)
    place_assign(s, value);
  else if (node->op == POA_OP_concat)
    place_concat(s, value);
  else if (node->op == POA_OP_accumulate || node->op == POA_OP_scatter_add)
    place_update(s, value);
  else if (is_stored(s, value))
    place_alone(s, value);
}

bool poa_graph_is_fused(const poa_graph *graph) {
  for (poa_value v = 0; v < graph->node_count; v++) {
    const poa_node *node = &graph->nodes[v];
    bool moves_nothing = poa_is_view(node->op) || node->op == POA_OP_concat ||
                         poa_op_is(node->op, POA_FLAG_ROOT) ||
                         (poa_op_is(node->op, POA_FLAG_LEAF) && node->op != POA_OP_iota);
    if (node->kernel < 0 && !moves_nothing)
      return false;
  }
  return true;
}

bool poa_graph_has_storage(const poa_graph *graph) {
  for (poa_value v = 0; v < graph->node_count; v++)
    if (graph->nodes[v].storage.root != POA_NO_VALUE)
      return true;
  return false;
}

/* Gives every stored value its root, offset and strides.
 *
 *   before:                                 after:
 *     %x = input .. : f32[4,8]                %x = input .. : f32[4,8] in self+0 [8,1]
 *     kernel 0 {                              kernel 0 {
 *       %e = exp %x : f32[4,8]                  %e = exp %x : f32[4,8] in %c+0 [16,1]
 *     }                                       }
 *     kernel 1 {                              kernel 1 {
 *       %n = neg %x : f32[4,8]                  %n = neg %x : f32[4,8] in %c+8 [16,1]
 *     }                                       }
 *     %c = concat %e, %n : f32[4,16]          %c = concat %e, %n : f32[4,16] in self+0 [16,1]
 *
 * Requires: fuse. Establishes: docs/kernels.md, "Storage". Keeps: the values and the
 * kernels, in their order. Breaks: kernel numbers, where copies come between. */
poa_status poa_layout(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_graph_has_storage(graph))
    return poa_fail(error, POA_BAD_INPUT, "layout: %s has storage already", graph->name);
  if (!poa_graph_is_fused(graph))
    return poa_fail(error, POA_BAD_INPUT, "layout: %s has no kernels; run fuse first", graph->name);
  poa_arena *scratch = poa_arena_borrow(graph->arena);
  if (!scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to lay out %s", graph->name);
  state s = {.graph = graph, .scratch = scratch, .users = poa_find_users(graph, scratch)};
  s.spots = poa_arena_alloc(scratch, graph->node_count * sizeof *s.spots + 1);
  for (poa_value v = 0; v < graph->node_count; v++)
    s.spots[v].until = NEVER;
  for (poa_value v = graph->node_count; v-- > 0;)
    place_node(&s, v);
  poa_write_layout(&s);
  poa_arena_free(scratch);
  return POA_OK;
}
