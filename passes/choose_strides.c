/* choose_strides.c: the order in which a value's axes lie in memory.
 *
 *   %o = dot %p, %v                        : f32[8,6,50,64]
 *   %t = transpose %o {perm=[0,2,1,3]}     : f32[8,50,6,64]
 *   %r = reshape %t                        : f32[400,384]
 *
 * Row-major, %o would have to be copied for the reshape. Stored so that %t is row-major,
 * strides [19200,64,384,1], all three are the same bytes. Each transpose that a value
 * reaches through views proposes an order; the one whose consumers move the fewest bytes
 * more than they have to wins, row-major in case of a tie. */
#include <string.h>

#include "passes/layout.h"
#include "passes/strides.h"

enum { MOST_CANDIDATES = 4, MOST_DEPTH = 8 };

typedef struct candidates {
  const poa_layout_state *state;
  int count;
  poa_storage storage[MOST_CANDIDATES];
} candidates;

/* Adds the storage of `value` that makes the last of `path`, views from value on, dense. */
static void propose(candidates *c, const poa_value *path, int length) {
  const poa_graph *graph = c->state->graph;
  const poa_node *last = poa_node_of(graph, path[length - 1]);
  poa_storage s = {.root = 0, .place = -1};
  poa_dense_strides(&last->type, s.stride);
  for (int i = length - 1; i >= 0; i--) {
    const poa_node *view = poa_node_of(graph, path[i]);
    if (!poa_operand_storage(view, &poa_node_of(graph, view->operands[0])->type, &s, &s))
      return;
  }
  const poa_node *first = poa_node_of(graph, path[0]);
  const poa_type *type = &poa_node_of(graph, first->operands[0])->type;
  for (int i = 0; i < c->count; i++)
    if (poa_same_place(type, &c->storage[i], &s))
      return;
  if (c->count < MOST_CANDIDATES)
    c->storage[c->count++] = s;
}

static void collect(candidates *c, poa_value value, poa_value *path, int length) {
  for (uint32_t u = c->state->users.first[value]; u < c->state->users.first[value + 1]; u++) {
    const poa_node *user = poa_node_of(c->state->graph, c->state->users.list[u]);
    if (user->kernel >= 0 || length == MOST_DEPTH ||
        (user->op != POA_OP_transpose && user->op != POA_OP_reshape))
      continue;
    path[length] = c->state->users.list[u];
    if (user->op == POA_OP_transpose)
      propose(c, path, length + 1);
    collect(c, c->state->users.list[u], path, length + 1);
  }
}

static bool unit_stride(const poa_type *type, const int64_t *stride, int from) {
  int64_t elements = 1;
  for (int a = from; a < type->rank; a++) {
    elements *= type->dim[a].value;
    if (type->dim[a].value != 1 && stride[a] == 1)
      return true;
  }
  return elements == 1;
}

/* Bytes that `user` moves more than it has to when operand `value` has storage `s`. */
static int64_t reading_cost(const poa_layout_state *state, const poa_node *user, poa_value value,
                            const poa_storage *s) {
  const poa_type *type = &poa_node_of(state->graph, value)->type;
  int64_t bytes = poa_type_bytes(type);
  if (user->op == POA_OP_output || user->op == POA_OP_call)
    return poa_strides_dense(type, s->stride) ? 0 : 2 * bytes;
  if (user->op == POA_OP_dot)
    return unit_stride(type, s->stride, type->rank - 2) ? 0 : bytes;
  if (user->kernel < 0 || type->rank == 0)
    return 0;
  int64_t inner = s->stride[type->rank - 1];
  return inner == 1 || inner == 0 || type->dim[type->rank - 1].value == 1 ? 0 : bytes;
}

static int64_t cost(const poa_layout_state *state, poa_value value, const poa_storage *s,
                    int depth) {
  const poa_type *type = &poa_node_of(state->graph, value)->type;
  int64_t sum = 0;
  for (uint32_t u = state->users.first[value]; u < state->users.first[value + 1]; u++) {
    const poa_node *user = poa_node_of(state->graph, state->users.list[u]);
    poa_storage view;
    if (user->kernel >= 0 || !poa_is_view(user->op))
      sum += reading_cost(state, user, value, s);
    else if (!poa_view_storage(user, type, s, &view))
      sum += 2 * poa_type_bytes(type);
    else if (depth < MOST_DEPTH)
      sum += cost(state, state->users.list[u], &view, depth + 1);
  }
  return sum;
}

void poa_choose_strides(const poa_layout_state *s, poa_value value, int64_t *stride) {
  candidates c = {.state = s, .count = 1};
  poa_value path[MOST_DEPTH];
  const poa_node *node = poa_node_of(s->graph, value);
  poa_dense_strides(&node->type, c.storage[0].stride);
  int best = 0;
  int64_t least = cost(s, value, &c.storage[0], 0);
  if (least && node->op != POA_OP_call)
    collect(&c, value, path, 0);
  for (int i = 1; i < c.count; i++) {
    /* It is written once, too. */
    int64_t sum = reading_cost(s, node, value, &c.storage[i]) + cost(s, value, &c.storage[i], 0);
    if (sum < least) {
      least = sum;
      best = i;
    }
  }
  memcpy(stride, c.storage[best].stride, sizeof c.storage[best].stride);
}
