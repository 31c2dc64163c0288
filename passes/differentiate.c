/* differentiate.c: reverse-mode differentiation, graph to graph.
 *
 * For each scalar with `gradient` nodes one backward sweep visits the nodes that lie
 * on a path from a wanted value to the scalar, each after all its consumers, and adds
 * up what they contribute to its adjoint d scalar / d node:
 *
 *   adjoint(x) = sum over uses y = f(.., x, ..) of  adjoint(y) * df/dx
 *
 * gradients.c has df/dx. How contributions are joined decides what can run in place:
 *
 *   value      whole ones by add as they come; blocks (what passed through a slice) by
 *              accumulate into the sum, or by concat where they tile the value
 *   parameter  a chain of accumulates, each right behind the product that it adds, so
 *              that every product can add into the one gradient buffer; blocks at
 *              their place in the parameter, through any slices and reshapes between
 *
 * Source: Griewank & Walther, Evaluating Derivatives (2008), chapters 3 and 4. */
#include <string.h>

#include "passes/gradients.h"
#include "passes/internal.h"

typedef struct block {
  poa_value value;
  const poa_extent *start;
  struct block *next;
} block;

/* d scalar / d node as it grows. */
typedef struct adjoint {
  poa_value sum;        /* of whole contributions; for a parameter, the head of its chain */
  block *first, **last; /* contributions to blocks of a value, in order of arrival */
} adjoint;

/* One round: all gradients of one scalar. Indices are of `nodes`, the graph before. */
typedef struct sweep {
  poa_build b;
  poa_arena *scratch;
  const poa_node *nodes;
  uint32_t count;
  poa_value scalar;
  poa_value *map;  /* to the graph being built */
  poa_value *same; /* the first node of the same parameter, or the node itself */
  bool *wanted;    /* its gradient is asked for */
  bool *active;    /* depends on a wanted value */
  bool *chained;   /* a wanted parameter or views of one: contributions pass at once */
  adjoint *adjoints;
  poa_error *error;
} sweep;

static const poa_node *node_at(const sweep *s, poa_value value) {
  return &s->nodes[value];
}

static bool carries(const poa_node *node) {
  return node->type.dtype == POA_F32;
}

/* Which nodes depend on wanted ones */

static uint64_t hash_text(uint64_t hash, const char *text) {
  for (; *text; text++)
    hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
  return hash;
}

static bool same_parameter(const poa_node *a, const poa_node *b) {
  return !strcmp(poa_node_string(a, "set"), poa_node_string(b, "set")) &&
         !strcmp(poa_node_string(a, "name"), poa_node_string(b, "name"));
}

/* Several nodes may read one parameter: `same` names the first for each. */
static void find_same_parameters(sweep *s) {
  uint32_t size = 64;
  while (size < 2 * s->count)
    size *= 2;
  uint32_t *table = poa_arena_alloc(s->scratch, size * sizeof *table);
  for (uint32_t i = 0; i < s->count; i++) {
    const poa_node *node = node_at(s, i);
    s->same[i] = i;
    if (node->op != POA_OP_parameter)
      continue;
    uint64_t hash = hash_text(0xcbf29ce484222325u, poa_node_string(node, "set"));
    hash = hash_text(hash, poa_node_string(node, "name"));
    uint32_t slot = (uint32_t)(hash ^ hash >> 32) & (size - 1);
    while (table[slot] && !same_parameter(node_at(s, table[slot] - 1), node))
      slot = (slot + 1) & (size - 1);
    if (table[slot])
      s->same[i] = table[slot] - 1;
    else
      table[slot] = i + 1;
  }
}

static poa_value operand_of(const sweep *s, const poa_node *node, int i) {
  return s->same[node->operands[i]];
}

static bool differentiable(const poa_node *node) {
  return poa_gradient_rule_of(node->op) && carries(node);
}

/* Only views whose contributions stay small on their way to the parameter. */
static bool passes_at_once(poa_op op) {
  return op == POA_OP_slice || op == POA_OP_reshape || op == POA_OP_transpose;
}

static void mark_active(sweep *s) {
  for (uint32_t i = 0; i <= s->scalar; i++) {
    const poa_node *node = node_at(s, i);
    s->active[i] = s->wanted[i];
    s->chained[i] = s->wanted[i] && node->op == POA_OP_parameter;
    if (s->wanted[i] || !differentiable(node))
      continue;
    for (int k = 0; k < node->operand_count; k++)
      s->active[i] |= s->active[operand_of(s, node, k)];
    s->chained[i] = passes_at_once(node->op) && s->chained[operand_of(s, node, 0)];
  }
  /* A wanted value may itself depend on wanted ones: it is swept through like others. */
}

/* Joining contributions */

static bool is_whole(const sweep *s, poa_value target, poa_value value) {
  const poa_type *a = &node_at(s, target)->type, *b = &s->b.graph->nodes[value].type;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i].value != b->dim[i].value)
      return false;
  return true;
}

static const poa_extent origin[POA_MAX_RANK];

static poa_value zeros(sweep *s, poa_value target) {
  return poa_b_constant(&s->b, 0, &node_at(s, target)->type);
}

static void extend_chain(sweep *s, poa_value parameter, poa_contribution c) {
  poa_value *head = &s->adjoints[parameter].sum;
  if (*head == POA_NO_VALUE && is_whole(s, parameter, c.value)) {
    *head = c.value;
    return;
  }
  if (*head == POA_NO_VALUE)
    *head = zeros(s, parameter);
  *head = poa_b_accumulate(&s->b, *head, c.value, c.start ? c.start : origin);
}

static void join(sweep *s, poa_value target, poa_contribution c) {
  adjoint *a = &s->adjoints[target];
  if (is_whole(s, target, c.value)) {
    a->sum = a->sum == POA_NO_VALUE ? c.value : poa_b_binary(&s->b, POA_OP_add, a->sum, c.value);
    return;
  }
  block *added = poa_arena_alloc(s->scratch, sizeof *added);
  *added = (block){c.value, c.start, NULL};
  if (!a->first)
    a->last = &a->first;
  *a->last = added;
  a->last = &added->next;
}

/* A contribution to a view of a parameter as one to the view's operand. */

static poa_contribution through_slice(sweep *s, const poa_node *view, poa_contribution c) {
  const poa_extent *outer = poa_node_attribute(view, "start")->extents;
  if (!c.start)
    return (poa_contribution){c.value, outer};
  poa_extent *start = poa_arena_alloc(s->b.graph->arena, POA_MAX_RANK * sizeof *start);
  for (int i = 0; i < view->type.rank; i++)
    start[i] = poa_known(outer[i].value + c.start[i].value);
  return (poa_contribution){c.value, start};
}

static poa_contribution through_reshape(sweep *s, poa_value view, poa_contribution c) {
  const poa_node *node = node_at(s, view);
  poa_value value = c.value;
  if (!is_whole(s, view, value))
    value = poa_b_accumulate(&s->b, zeros(s, view), value, c.start);
  const poa_type *type = &node_at(s, operand_of(s, node, 0))->type;
  return (poa_contribution){poa_b_reshape(&s->b, value, type), NULL};
}

static poa_contribution through_transpose(sweep *s, const poa_node *view, poa_contribution c) {
  const poa_attribute *perm = poa_node_attribute(view, "perm");
  int64_t inverse[POA_MAX_RANK];
  poa_extent *start = poa_arena_alloc(s->b.graph->arena, POA_MAX_RANK * sizeof *start);
  for (int i = 0; i < perm->count; i++) {
    inverse[perm->integers[i]] = i;
    start[perm->integers[i]] = c.start ? c.start[i] : poa_known(0);
  }
  return (poa_contribution){poa_b_transpose(&s->b, c.value, inverse), c.start ? start : NULL};
}

static void contribute(sweep *s, poa_value target, poa_contribution c) {
  while (s->chained[target] && !s->wanted[target]) {
    const poa_node *view = node_at(s, target);
    if (view->op == POA_OP_slice)
      c = through_slice(s, view, c);
    else if (view->op == POA_OP_reshape)
      c = through_reshape(s, target, c);
    else
      c = through_transpose(s, view, c);
    target = operand_of(s, view, 0);
  }
  if (s->chained[target])
    extend_chain(s, target, c);
  else
    join(s, target, c);
}

/* The axis along which the blocks lie side by side and fill the value, in any order of
 * arrival (sorted on return), or -1. */
static int tiled_axis(const sweep *s, poa_value target, block **blocks, int count) {
  const poa_type *whole = &node_at(s, target)->type;
  int axis = -1;
  for (int i = 0; i < whole->rank; i++)
    if (whole->dim[i].value != s->b.graph->nodes[blocks[0]->value].type.dim[i].value)
      axis = axis == -1 ? i : POA_MAX_RANK;
  if (axis < 0 || axis == POA_MAX_RANK)
    return -1;
  for (int i = 1; i < count; i++)
    for (int k = i; k > 0 && blocks[k]->start[axis].value < blocks[k - 1]->start[axis].value; k--) {
      block *swapped = blocks[k];
      blocks[k] = blocks[k - 1];
      blocks[k - 1] = swapped;
    }
  int64_t end = 0;
  for (int i = 0; i < count; i++) {
    const poa_type *type = &s->b.graph->nodes[blocks[i]->value].type;
    for (int k = 0; k < whole->rank; k++)
      if (blocks[i]->start[k].value != (k == axis ? end : 0) ||
          (k != axis && type->dim[k].value != whole->dim[k].value))
        return -1;
    end += type->dim[axis].value;
  }
  return end == whole->dim[axis].value ? axis : -1;
}

enum { MOST_TILES = 64 };

/* Blocks that tile a value with no other contribution: side by side, nothing added. */
static poa_value concat_tiles(sweep *s, poa_value target) {
  block *blocks[MOST_TILES];
  poa_value values[MOST_TILES];
  int count = 0;
  for (block *each = s->adjoints[target].first; each; each = each->next) {
    if (count == MOST_TILES)
      return POA_NO_VALUE;
    blocks[count++] = each;
  }
  int axis = count > 1 ? tiled_axis(s, target, blocks, count) : -1;
  if (axis < 0)
    return POA_NO_VALUE;
  for (int i = 0; i < count; i++)
    values[i] = blocks[i]->value;
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return poa_b_node(&s->b, POA_OP_concat, values, count, &attribute, 1, NULL);
}

/* The adjoint of a value, all its consumers done. POA_NO_VALUE: nothing came. */
static poa_value total(sweep *s, poa_value target) {
  adjoint *a = &s->adjoints[target];
  if (!a->first)
    return a->sum;
  if (a->sum == POA_NO_VALUE) {
    a->sum = concat_tiles(s, target);
    if (a->sum != POA_NO_VALUE)
      return a->sum;
    a->sum = zeros(s, target);
  }
  for (block *each = a->first; each; each = each->next)
    a->sum = poa_b_accumulate(&s->b, a->sum, each->value, each->start);
  return a->sum;
}

/* The sweep */

/* Subtrees of at most this many active nodes count as twigs. */
enum { TWIG = 16 };

/* The number of active nodes under each node as a tree, itself included, up to TWIG + 1. */
static void measure_twigs(const sweep *s, uint8_t *size) {
  for (uint32_t i = 0; i <= s->scalar; i++) {
    const poa_node *node = node_at(s, i);
    int sum = s->active[i];
    for (int k = 0; sum && k < node->operand_count && differentiable(node); k++)
      sum += size[operand_of(s, node, k)];
    size[i] = (uint8_t)(sum > TWIG ? TWIG + 1 : sum);
  }
}

/* One node of a depth-first walk: operands left to visit, last first, of which the first
 * visit of all takes those that are no twigs. */
typedef struct frame {
  poa_value value;
  int left;
  bool twigs;
} frame;

/* The next operand to visit, or POA_NO_VALUE. */
static poa_value next_operand(const sweep *s, const uint8_t *size, frame *f) {
  const poa_node *node = node_at(s, f->value);
  while (differentiable(node)) {
    if (f->left == 0 && f->twigs)
      break;
    if (f->left == 0) {
      f->twigs = true;
      f->left = node->operand_count;
      continue;
    }
    poa_value operand = operand_of(s, node, --f->left);
    if (s->active[operand] && (size[operand] <= TWIG) == f->twigs)
      return operand;
  }
  return POA_NO_VALUE;
}

/* Active nodes that the scalar depends on, each after all its consumers, from the place
 * that is returned up to the scalar's: the reverse of the order in which a depth-first walk leaves
 * them. Walking the last operand first puts what belongs to a sum's first terms in front, so that
 * in `intact + elastic` the whole contributions start the chains and blocks are added to them.
 * Twigs, such as a bias and its broadcast, are walked last and so follow their consumer at once,
 * which else would have its adjoint stored until the end. */
static uint32_t consumers_first(sweep *s, poa_value *order) {
  frame *stack = poa_arena_alloc(s->scratch, (s->scalar + 1) * sizeof *stack);
  bool *entered = poa_arena_alloc(s->scratch, (s->scalar + 1) * sizeof *entered);
  uint8_t *size = poa_arena_alloc(s->scratch, s->scalar + 1);
  uint32_t depth = 0, place = s->scalar + 1;
  measure_twigs(s, size);
  stack[depth++] = (frame){s->scalar, node_at(s, s->scalar)->operand_count, false};
  entered[s->scalar] = true;
  while (depth) {
    frame *top = &stack[depth - 1];
    poa_value next = next_operand(s, size, top);
    if (next == POA_NO_VALUE) {
      order[--place] = top->value;
      depth--;
    } else if (!entered[next]) {
      entered[next] = true;
      stack[depth++] = (frame){next, node_at(s, next)->operand_count, false};
    }
  }
  return place;
}

static poa_status refuse_call(sweep *s, const poa_node *node, int operand) {
  return poa_fail(s->error, POA_BAD_INPUT,
                  "%s:%d:%d: %s of '%s' has no gradient for operand %d, but a gradient that is "
                  "asked for passes through it; declare one, or detach that operand",
                  node->location.file ? node->location.file : s->b.graph->name, node->location.line,
                  node->location.column, poa_op_table(node->op)->name,
                  poa_node_string(node, "external"), operand);
}

/* Hands the adjoint `dy` of a node on to its active operands. */
static poa_status differentiate_node(sweep *s, poa_value value, poa_value dy) {
  const poa_node *node = node_at(s, value);
  size_t count = (size_t)node->operand_count;
  bool *wants = poa_arena_alloc(s->scratch, count * sizeof *wants);
  poa_value *x = poa_arena_alloc(s->scratch, count * sizeof *x);
  poa_contribution *dx = poa_arena_alloc(s->scratch, count * sizeof *dx);
  for (int i = 0; i < node->operand_count; i++) {
    poa_value operand = operand_of(s, node, i);
    wants[i] = s->active[operand] && carries(node_at(s, operand));
    x[i] = s->map[operand];
    dx[i].value = POA_NO_VALUE;
  }
  s->b.location = node->location;
  poa_gradient_site site = {&s->b, node, x, s->map[value], dy, wants};
  poa_gradient_rule_of(node->op)(&site, dx);
  for (int i = 0; i < node->operand_count; i++)
    if (wants[i] && dx[i].value != POA_NO_VALUE)
      contribute(s, operand_of(s, node, i), dx[i]);
    else if (wants[i] && node->op == POA_OP_call)
      return refuse_call(s, node, i);
  return POA_OK;
}

static poa_status sweep_back(sweep *s) {
  poa_value *order = poa_arena_alloc(s->scratch, (s->scalar + 1) * sizeof *order);
  mark_active(s);
  if (!s->active[s->scalar])
    return POA_OK;
  uint32_t first = consumers_first(s, order);
  s->b.location = node_at(s, s->scalar)->location;
  poa_value one = poa_b_constant(&s->b, 1, &node_at(s, s->scalar)->type);
  contribute(s, s->scalar, (poa_contribution){one, NULL});
  for (uint32_t i = first; i <= s->scalar; i++) {
    poa_value value = order[i];
    if (s->chained[value])
      continue;
    poa_value dy = total(s, value);
    if (differentiable(node_at(s, value)) && differentiate_node(s, value, dy))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

/* Rounds */

static bool is_gradient_of(const sweep *s, const poa_node *node) {
  return node->op == POA_OP_gradient && s->same[node->operands[0]] == s->scalar;
}

static void prepare(sweep *s, uint32_t first) {
  size_t count = s->count;
  s->same = poa_arena_alloc(s->scratch, count * sizeof *s->same);
  s->map = poa_arena_alloc(s->scratch, count * sizeof *s->map);
  s->wanted = poa_arena_alloc(s->scratch, count * sizeof *s->wanted);
  s->active = poa_arena_alloc(s->scratch, count * sizeof *s->active);
  s->chained = poa_arena_alloc(s->scratch, count * sizeof *s->chained);
  s->adjoints = poa_arena_alloc(s->scratch, count * sizeof *s->adjoints);
  find_same_parameters(s);
  s->scalar = first < s->count ? s->same[s->nodes[first].operands[0]] : POA_NO_VALUE;
  for (uint32_t i = 0; i < s->count; i++) {
    s->adjoints[i].sum = POA_NO_VALUE;
    if (is_gradient_of(s, &s->nodes[i]))
      s->wanted[s->same[s->nodes[i].operands[1]]] = true;
  }
}

static poa_value gradient_of(sweep *s, poa_value wanted) {
  poa_value sum = s->adjoints[wanted].sum;
  return sum == POA_NO_VALUE ? zeros(s, wanted) : sum;
}

/* Whether another round has to follow this one: it still needs detach. */
static bool more_follow(const sweep *s) {
  for (uint32_t i = 0; i < s->count; i++)
    if (s->nodes[i].op == POA_OP_gradient && !is_gradient_of(s, &s->nodes[i]))
      return true;
  return false;
}

/* In the last round detach has done its work. What reads an effect reads its value. */
static poa_value write_node(sweep *s, uint32_t i, bool last) {
  const poa_node *node = &s->nodes[i];
  s->b.location = node->location;
  if (s->same[i] != i)
    return s->map[s->same[i]];
  if (is_gradient_of(s, node))
    return gradient_of(s, s->same[node->operands[1]]);
  if (poa_op_is(node->op, POA_FLAG_ROOT) || (last && node->op == POA_OP_detach))
    return s->map[node->operands[node->operand_count - 1]];
  return poa_graph_copy(s->b.graph, node, s->map);
}

/* Rebuilds the graph with all gradients of the scalar of node `first` written out, the
 * backward sweep in the place of `first`, effects last. Without gradients `first` is the
 * number of nodes. */
static poa_status differentiate_scalar(sweep *s, uint32_t first) {
  prepare(s, first);
  bool last = !more_follow(s);
  for (uint32_t i = 0; i < s->count; i++) {
    if (i == first && sweep_back(s))
      return POA_BAD_INPUT;
    s->map[i] = write_node(s, i, last);
  }
  for (uint32_t i = 0; i < s->count; i++)
    if (poa_op_is(s->nodes[i].op, POA_FLAG_ROOT))
      poa_graph_copy(s->b.graph, &s->nodes[i], s->map);
  return POA_OK;
}

static uint32_t first_gradient(const poa_graph *graph) {
  uint32_t i = 0;
  while (i < graph->node_count && graph->nodes[i].op != POA_OP_gradient)
    i++;
  return i;
}

static poa_status differentiate_first(poa_graph *graph, uint32_t first, poa_error *error) {
  sweep s = {.b = {.graph = graph}, .scratch = poa_arena_borrow(graph->arena), .error = error};
  if (!s.scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to differentiate %s", graph->name);
  s.nodes = poa_graph_take_nodes(graph, &s.count);
  poa_status status = differentiate_scalar(&s, first);
  poa_arena_free(s.scratch);
  return status;
}

/* Writes every `gradient` node out as the nodes that compute it.
 *
 *   before:                                        after:
 *     %w = parameter {..}           : f32[3]         %w = parameter {..}       : f32[3]
 *     %e = exp %w                   : f32[3]         %e = exp %w               : f32[3]
 *     %s = reduce_sum %e {axes=[0]} : f32[]          %1 = constant {value=1}   : f32[]
 *     %g = gradient %s, %w          : f32[3]         %2 = broadcast %1 {..}    : f32[3]
 *     %o = output %g {..}           : f32[3]         %g = mul %2, %e           : f32[3]
 *                                                    %o = output %g {..}       : f32[3]
 *
 * Gradients of one scalar share one sweep; gradients of gradients work, for each scalar
 * is differentiated in turn. Parameter nodes of one name are one value.
 * Requires: known extents. Establishes: no gradient, no detach; effects last, in order.
 * Keeps: the order of all other nodes. Breaks: dead nodes may appear (simplify). */
poa_status poa_differentiate(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_require_early(graph, "differentiate", error))
    return POA_BAD_INPUT;
  poa_status status = differentiate_first(graph, first_gradient(graph), error);
  for (uint32_t i; !status && (i = first_gradient(graph)) < graph->node_count;)
    status = differentiate_first(graph, i, error);
  return status;
}
