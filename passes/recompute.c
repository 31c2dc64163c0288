/* recompute.c: attention weights are computed a second time rather than held.
 *
 * What a product with a short sum gives is large for what it costs: the weights of one head are
 * n x n numbers from n x 64 twice. The backward sweep reads them again, when all other blocks have
 * run in between; held, they are a tensor [heads, n, n] for every block. Their operands are held
 * anyway, for their own gradients. So the product, and the element-wise ops that follow it, run
 * again just before the late readers:
 *
 *   %s = dot %q, %k {tb=1}                    %s = dot %q, %k {tb=1}
 *   %e = exp (sub %s, (broadcast %max))       %e = exp (sub %s, (broadcast %max))
 *   ..                                   ->   ..
 *   %dv = dot %e, %do {ta=1}                  %s' = dot %q, %k {tb=1}
 *                                             %e' = exp (sub %s', (broadcast %max))
 *                                             %dv = dot %e', %do {ta=1}
 *
 * What remains of softmax between the sweeps is a number per row. (Chen et al., "Training Deep Nets
 * with Sublinear Memory Cost", 2016; Dao et al., "FlashAttention", 2022, section 3.1.) */
#include "ir/build.h"
#include "passes/internal.h"
#include "passes/strides.h"
#include "passes/users.h"

enum {
  LONGEST_SUM = 128,     /* of a product worth running again */
  LEAST_BYTES = 1 << 16, /* of its result */
  SMALLER = 8,           /* times, that other operands of what follows are smaller */
  FAR = 12,              /* products: nearer readers read what was computed first */
  MOST_FOLLOWERS = 32,
};

/* A product and what follows from it element by element, in order. */
typedef struct family {
  int count;
  poa_value members[MOST_FOLLOWERS];
} family;

typedef struct recomputation {
  poa_graph *graph; /* written */
  const poa_node *nodes;
  uint32_t count;
  poa_users users;
  poa_arena *scratch;
  int *products;  /* node -> how many products stand before it */
  poa_value *map; /* old node -> new */
  int *family_of; /* node -> family, or -1 */
  int *place;     /* of a member in its family */
  family *families;
  int family_count;
  /* Of each family: the copies that late readers use, and where they were written. */
  poa_value (*again)[MOST_FOLLOWERS];
  poa_value *written;
} recomputation;

static bool has_short_sum(const recomputation *r, const poa_node *n) {
  poa_dot_form form = poa_dot_form_of(n);
  const poa_type *a = &r->nodes[n->operands[0]].type;
  int last = form.ta ? a->rank - 2 : a->rank - 1;
  return form.rows == 1 && form.inner == 1 && a->dim[last].value <= LONGEST_SUM &&
         poa_type_bytes(&n->type) >= LEAST_BYTES && n->type.rank > 2;
}

static bool is_far(const recomputation *r, poa_value from, poa_value to) {
  return r->products[to] > r->products[from] + FAR;
}

/* Whether anybody but the product reads the value that far away, through views too. */
static bool is_read_far(const recomputation *r, poa_value value, poa_value product) {
  for (uint32_t u = r->users.first[value]; u < r->users.first[value + 1]; u++) {
    poa_value user = r->users.list[u];
    if (poa_is_view(r->nodes[user].op) ? is_read_far(r, user, product) : is_far(r, product, user))
      return true;
  }
  return false;
}

/* Whether the operand of the product lies in memory until then anyway. */
static bool is_held(const recomputation *r, poa_value operand, poa_value product) {
  while (poa_is_view(r->nodes[operand].op))
    operand = r->nodes[operand].operands[0];
  if (r->family_of[operand] >= 0)
    return false;
  return r->nodes[operand].op == POA_OP_parameter || is_read_far(r, operand, product);
}

/* Whether the node is element-wise in members of the family, and in what is much smaller. */
static bool follows(const recomputation *r, const poa_node *n, int number) {
  if (!poa_op_is(n->op, POA_FLAG_ELEMENTWISE))
    return false;
  bool member = false;
  for (int i = 0; i < n->operand_count; i++) {
    const poa_node *operand = &r->nodes[n->operands[i]];
    if (r->family_of[n->operands[i]] == number) {
      member = true;
      continue;
    }
    bool small = operand->op == POA_OP_constant ||
                 (operand->op == POA_OP_broadcast &&
                  SMALLER * poa_type_bytes(&r->nodes[operand->operands[0]].type) <=
                      poa_type_bytes(&n->type));
    if (!small)
      return false;
  }
  return member;
}

static void add_member(recomputation *r, int number, poa_value v) {
  family *f = &r->families[number];
  r->family_of[v] = number;
  r->place[v] = f->count;
  f->members[f->count++] = v;
}

static void collect_followers(recomputation *r, int number) {
  family *f = &r->families[number];
  poa_value product = f->members[0];
  for (poa_value v = product + 1; v < r->count && !is_far(r, product, v); v++)
    if (f->count < MOST_FOLLOWERS && r->family_of[v] < 0 && follows(r, &r->nodes[v], number))
      add_member(r, number, v);
}

static bool has_late_reader(const recomputation *r, const family *f) {
  for (int i = 0; i < f->count; i++) {
    poa_value v = f->members[i];
    for (uint32_t u = r->users.first[v]; u < r->users.first[v + 1]; u++)
      if (is_far(r, f->members[0], r->users.list[u]))
        return true;
  }
  return false;
}

static void find_families(recomputation *r) {
  for (poa_value v = 0; v < r->count; v++) {
    const poa_node *n = &r->nodes[v];
    if (n->op != POA_OP_dot || !has_short_sum(r, n) || !is_held(r, n->operands[0], v) ||
        !is_held(r, n->operands[1], v))
      continue;
    int number = r->family_count++;
    r->families[number].count = 0;
    add_member(r, number, v);
    collect_followers(r, number);
    r->written[number] = POA_NO_VALUE;
    if (!has_late_reader(r, &r->families[number]))
      for (int i = 0; i < r->families[number].count; i++)
        r->family_of[r->families[number].members[i]] = -1;
  }
}

/* The copy of a member for a reader at `at`; copies serve readers that stand together. */
static poa_value member_again(recomputation *r, poa_value v, poa_value at) {
  int number = r->family_of[v];
  family *f = &r->families[number];
  if (r->written[number] == POA_NO_VALUE || is_far(r, r->written[number], at)) {
    r->written[number] = at;
    for (int i = 0; i < f->count; i++)
      r->again[number][i] = POA_NO_VALUE;
  }
  poa_value *copy = &r->again[number][r->place[v]];
  if (*copy != POA_NO_VALUE)
    return *copy;
  const poa_node *n = &r->nodes[v];
  poa_value operands[3];
  for (int i = 0; i < n->operand_count; i++) {
    poa_value operand = n->operands[i];
    bool member = i < 3 && r->family_of[operand] == number;
    operands[i] = member ? member_again(r, operand, at) : r->map[operand];
  }
  poa_build b = {.graph = r->graph, .location = n->location};
  *copy = poa_b_node(&b, n->op, operands, n->operand_count, n->attributes, n->attribute_count,
                     &n->type);
  return *copy;
}

/* Whether node `reader` reads a member from far away. */
static bool is_late(const recomputation *r, poa_value operand, poa_value reader) {
  int number = r->family_of[operand];
  return number >= 0 && is_far(r, r->families[number].members[0], reader);
}

static void write_node(recomputation *r, poa_value v) {
  const poa_node *n = &r->nodes[v];
  for (int i = 0; i < n->operand_count; i++)
    if (is_late(r, n->operands[i], v))
      member_again(r, n->operands[i], v);
  r->map[v] = poa_graph_copy(r->graph, n, r->map);
  for (int i = 0; i < n->operand_count; i++)
    if (is_late(r, n->operands[i], v))
      r->graph->nodes[r->map[v]].operands[i] = member_again(r, n->operands[i], v);
}

static void prepare(recomputation *r) {
  size_t count = r->graph->node_count;
  r->users = poa_find_users(r->graph, r->scratch);
  r->products = poa_arena_alloc(r->scratch, (count + 1) * sizeof *r->products);
  for (poa_value v = 0; v < count; v++)
    r->products[v + 1] = r->products[v] + (r->graph->nodes[v].op == POA_OP_dot);
  size_t products = (size_t)r->products[count];
  r->map = poa_arena_alloc(r->scratch, (count + 1) * sizeof *r->map);
  r->family_of = poa_arena_alloc(r->scratch, (count + 1) * sizeof *r->family_of);
  r->place = poa_arena_alloc(r->scratch, (count + 1) * sizeof *r->place);
  r->families = poa_arena_alloc(r->scratch, (products + 1) * sizeof *r->families);
  r->again = poa_arena_alloc(r->scratch, (products + 1) * sizeof *r->again);
  r->written = poa_arena_alloc(r->scratch, (products + 1) * sizeof *r->written);
  for (size_t v = 0; v < count; v++)
    r->family_of[v] = -1;
}

/* Writes products with short sums, and what follows from them, a second time for readers far away.
 *
 * Requires: known extents, no kernels; after simplify, whose merging of equal nodes would undo it.
 * Keeps: all values, order, effects. */
poa_status poa_recompute(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_require_early(graph, "recompute", error))
    return POA_BAD_INPUT;
  recomputation r = {.graph = graph, .scratch = poa_arena_borrow(graph->arena)};
  if (!r.scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory for what %s computes again", graph->name);
  prepare(&r);
  r.nodes = graph->nodes;
  r.count = graph->node_count;
  find_families(&r);
  if (r.family_count > 0)
    r.nodes = poa_graph_take_nodes(graph, &r.count);
  for (poa_value v = 0; r.family_count > 0 && v < r.count; v++)
    write_node(&r, v);
  poa_arena_free(r.scratch);
  return POA_OK;
}
