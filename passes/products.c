/* products.c: rules of dot, accumulate and scatter_add: transposes become flags,
 * constant factors become alpha, and sums become products that add in place.
 *
 *   dot(x * 2, transpose w)        ->  dot x, w {tb=1, alpha=2}
 *   add(dot1, dot2)                ->  accumulate(dot1, dot2)       C = A B, C += D E
 *
 * A rule that would compute a product twice asks that nobody else reads it. */
#include "passes/simplify.h"

static const int64_t origin[POA_MAX_RANK];

typedef struct dot {
  poa_value a, b;
  poa_dot_form form;
} dot;

static dot dot_of(const poa_node *n) {
  return (dot){n->operands[0], n->operands[1], poa_dot_form_of(n)};
}

static poa_value write_dot(poa_simplifier *s, dot d) {
  return poa_s_dot(s, d.a, d.b, d.form);
}

/* Whether A has one axis of rows and one that is summed over. */
static bool is_plain(const dot *d) {
  return d->form.rows == 1 && d->form.inner == 1;
}

/* Swaps the last two axes and no others. */
static bool swaps_last_two(const poa_attribute *perm) {
  int rank = perm->count;
  for (int i = 0; i < rank - 2; i++)
    if (perm->integers[i] != i)
      return false;
  return rank >= 2 && perm->integers[rank - 1] == rank - 2 && perm->integers[rank - 2] == rank - 1;
}

/* `value` without the exchange of its last two axes, if it is a transpose that brings an
 * inner axis behind an outer one there; then *flag flips. */
static poa_value without_exchange(poa_simplifier *s, poa_value value, bool *flag) {
  const poa_node *node = poa_s_look(s, value);
  int rank = node->type.rank;
  if (node->op != POA_OP_transpose || rank < 2)
    return value;
  const int64_t *old = node->attributes[0].integers;
  if (old[rank - 1] > old[rank - 2])
    return value;
  int64_t perm[POA_MAX_RANK];
  for (int i = 0; i < rank - 2; i++)
    perm[i] = old[i];
  perm[rank - 1] = old[rank - 2];
  perm[rank - 2] = old[rank - 1];
  *flag = !*flag;
  return poa_s_transpose(s, node->operands[0], perm);
}

/* dot(x', y) -> dot(x, y) {ta}, dot(x, y') -> dot(x, y) {tb}; batch axes may move too */
static poa_value dot_transposed(poa_simplifier *s, const poa_node *n) {
  dot d = dot_of(n);
  if (is_plain(&d))
    d.a = without_exchange(s, d.a, &d.form.ta);
  d.b = without_exchange(s, d.b, &d.form.tb);
  return d.a == n->operands[0] && d.b == n->operands[1] ? POA_NO_VALUE : write_dot(s, d);
}

/* Constant factors */

/* The constant by which a node multiplies its first operand. */
static bool is_scale(const poa_simplifier *s, const poa_node *node, double *factor) {
  double c;
  if (node->op == POA_OP_neg) {
    *factor = -1;
    return true;
  }
  if (node->op == POA_OP_mul && poa_s_constant(s, node->operands[1], &c)) {
    *factor = c;
    return true;
  }
  if (node->op == POA_OP_div && poa_s_constant(s, node->operands[1], &c)) {
    *factor = 1 / c;
    return true;
  }
  return false;
}

/* The view `node` of another operand of the same type. */
static poa_value view_of(poa_simplifier *s, const poa_node *node, poa_value x) {
  poa_node view = *node;
  view.operands = &x;
  return poa_s_emit(s, &view, NULL);
}

enum { MOST_VIEWS = 4 };

static bool is_view(poa_op op) {
  return op == POA_OP_reshape || op == POA_OP_transpose || op == POA_OP_slice;
}

/* `value` seen through up to MOST_VIEWS views: a scale there is taken out of it into
 * *alpha, and the views are written again on what it scales. */
static poa_value without_scale(poa_simplifier *s, poa_value value, double *alpha) {
  poa_node views[MOST_VIEWS];
  poa_value x = value;
  double factor;
  int count = 0;
  while (count < MOST_VIEWS && is_view(poa_s_look(s, x)->op)) {
    views[count] = *poa_s_look(s, x);
    x = views[count++].operands[0];
  }
  const poa_node *node = poa_s_look(s, x);
  if (node->op == POA_OP_COUNT || !is_scale(s, node, &factor))
    return value;
  *alpha *= factor;
  x = node->operands[0];
  while (count-- > 0)
    x = view_of(s, &views[count], x);
  return x;
}

/* dot(x * c, y) -> dot(x, y) {alpha=c}, also through views of x * c, and the same for y */
static poa_value dot_scaled(poa_simplifier *s, const poa_node *n) {
  dot d = dot_of(n);
  d.a = without_scale(s, d.a, &d.form.alpha);
  d.b = without_scale(s, d.b, &d.form.alpha);
  return d.a == n->operands[0] && d.b == n->operands[1] ? POA_NO_VALUE : write_dot(s, d);
}

/* dot(..) * c -> dot(..) {alpha=c}, also through views, where only this reads the dot */
static poa_value scale_dot(poa_simplifier *s, const poa_node *n) {
  poa_node views[MOST_VIEWS];
  poa_value x = n->operands[0];
  double factor;
  int count = 0;
  if (!is_scale(s, n, &factor))
    return POA_NO_VALUE;
  while (count < MOST_VIEWS && poa_s_single(s, x) && is_view(poa_s_look(s, x)->op)) {
    views[count] = *poa_s_look(s, x);
    x = views[count++].operands[0];
  }
  const poa_node *node = poa_s_look(s, x);
  if (node->op != POA_OP_dot || !poa_s_single(s, x))
    return POA_NO_VALUE;
  dot d = dot_of(node);
  d.form.alpha *= factor;
  x = write_dot(s, d);
  while (count-- > 0)
    x = view_of(s, &views[count], x);
  return x;
}

/* transpose(A B) -> B' A', where only this reads the dot */
static poa_value transpose_dot(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = poa_s_look(s, n->operands[0]);
  if (x->op != POA_OP_dot || !poa_s_single(s, n->operands[0]) || !swaps_last_two(&n->attributes[0]))
    return POA_NO_VALUE;
  dot d = dot_of(x);
  if (!is_plain(&d))
    return POA_NO_VALUE;
  return poa_s_dot(s, d.b, d.a,
                   (poa_dot_form){!d.form.tb, !d.form.ta, d.form.alpha, 1, 1, d.form.bf16});
}

/* accumulate */

static bool is_whole(const poa_simplifier *s, const poa_node *n) {
  poa_type base = poa_s_type(s, n->operands[0]), x = poa_s_type(s, n->operands[1]);
  return poa_same_shape(&base, &x);
}

/* accumulate(0, x) -> x where x is as large; accumulate(x, 0) -> x */
static poa_value accumulate_zero(poa_simplifier *s, const poa_node *n) {
  if (poa_s_is(s, n->operands[1], 0))
    return n->operands[0];
  return poa_s_is(s, n->operands[0], 0) && is_whole(s, n) ? n->operands[1] : POA_NO_VALUE;
}

static poa_value scatter(poa_simplifier *s, poa_value base, poa_value rows, poa_value y) {
  return poa_s_ternary(s, POA_OP_scatter_add, base, rows, y);
}

/* accumulate(x, scatter_add(0, rows, y)) -> scatter_add(x, rows, y) for the whole of x,
 * accumulate(x, accumulate(0, y, start), at) -> accumulate(x, y, at + start) */
static poa_value accumulate_nested(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = poa_s_look(s, n->operands[1]);
  poa_value base = n->operands[0];
  if ((x->op != POA_OP_scatter_add && x->op != POA_OP_accumulate) ||
      !poa_s_single(s, n->operands[1]) || !poa_s_is(s, x->operands[0], 0))
    return POA_NO_VALUE;
  if (x->op == POA_OP_scatter_add)
    return is_whole(s, n) ? scatter(s, base, x->operands[1], x->operands[2]) : POA_NO_VALUE;
  int64_t start[POA_MAX_RANK];
  for (int i = 0; i < x->type.rank; i++)
    start[i] = n->attributes[0].extents[i].value + x->attributes[0].extents[i].value;
  return poa_s_accumulate(s, base, x->operands[1], start);
}

static poa_value with_unit_batch(poa_simplifier *s, poa_value x, int added) {
  poa_type type = poa_s_type(s, x), result = {.rank = type.rank + added, .dtype = type.dtype};
  for (int i = 0; i < result.rank; i++)
    result.dim[i] = i < added ? poa_known(1) : type.dim[i - added];
  return poa_s_reshape(s, x, result);
}

/* accumulate(base, reshape(A B) to [1,m,n]) -> accumulate(base, A B with a batch axis of
 * 1), so that nothing stands between the product and the block that it adds to */
static poa_value accumulate_reshaped_dot(poa_simplifier *s, const poa_node *n) {
  poa_value inner = poa_s_inside(s, POA_OP_reshape, n->operands[1]);
  if (inner == POA_NO_VALUE || poa_s_look(s, inner)->op != POA_OP_dot || !poa_s_single(s, inner) ||
      !poa_s_single(s, n->operands[1]))
    return POA_NO_VALUE;
  poa_type large = poa_s_type(s, n->operands[1]), small = poa_s_type(s, inner);
  int added = large.rank - small.rank;
  if (added <= 0)
    return POA_NO_VALUE;
  for (int i = 0; i < large.rank; i++)
    if (large.dim[i].value != (i < added ? 1 : small.dim[i - added].value))
      return POA_NO_VALUE;
  dot d = dot_of(poa_s_look(s, inner));
  if (!is_plain(&d))
    return POA_NO_VALUE;
  d.a = with_unit_batch(s, d.a, added);
  d.b = with_unit_batch(s, d.b, added);
  int64_t start[POA_MAX_RANK];
  for (int i = 0; i < large.rank; i++)
    start[i] = n->attributes[0].extents[i].value;
  return poa_s_accumulate(s, n->operands[0], write_dot(s, d), start);
}

/* scatter_add(x, rows, 0) -> x */
static poa_value scatter_zero(poa_simplifier *s, const poa_node *n) {
  return poa_s_is(s, n->operands[2], 0) ? n->operands[0] : POA_NO_VALUE;
}

/* Sums in place */

/* A value that is stored whatever happens, and that only the sum at hand reads. */
static bool can_take_sum(const poa_simplifier *s, poa_value value) {
  poa_op op = poa_s_look(s, value)->op;
  return poa_s_single(s, value) &&
         (op == POA_OP_dot || op == POA_OP_accumulate || op == POA_OP_scatter_add);
}

/* x + A B -> accumulate(x, A B), where both are stored and read only here */
static poa_value add_dot(poa_simplifier *s, const poa_node *n) {
  for (int i = 1; i >= 0; i--) {
    poa_value base = n->operands[1 - i], x = n->operands[i];
    if (poa_s_look(s, x)->op == POA_OP_dot && poa_s_single(s, x) && can_take_sum(s, base))
      return poa_s_accumulate(s, base, x, origin);
  }
  return POA_NO_VALUE;
}

/* reshape(x) + reshape(y) -> reshape(x + y), where that sum is one in place */
static poa_value add_reshaped_dots(poa_simplifier *s, const poa_node *n) {
  poa_value x = poa_s_inside(s, POA_OP_reshape, n->operands[0]);
  poa_value y = poa_s_inside(s, POA_OP_reshape, n->operands[1]);
  if (x == POA_NO_VALUE || y == POA_NO_VALUE || !poa_s_single(s, n->operands[0]) ||
      !poa_s_single(s, n->operands[1]))
    return POA_NO_VALUE;
  poa_type type = poa_s_type(s, x), other = poa_s_type(s, y), outer = poa_s_type(s, n->operands[0]);
  bool any_dot = poa_s_look(s, x)->op == POA_OP_dot || poa_s_look(s, y)->op == POA_OP_dot;
  if (!poa_same_shape(&type, &other) || !any_dot || !can_take_sum(s, x) || !can_take_sum(s, y))
    return POA_NO_VALUE;
  return poa_s_reshape(s, poa_s_binary(s, POA_OP_add, x, y), outer);
}

/* Whether the value is a chain of sums into zeros that only the sum at hand reads. */
static bool sums_into_zeros(const poa_simplifier *s, poa_value value) {
  const poa_node *n = poa_s_look(s, value);
  if ((n->op != POA_OP_scatter_add && n->op != POA_OP_accumulate) || !poa_s_single(s, value))
    return false;
  return poa_s_is(s, n->operands[0], 0) || sums_into_zeros(s, n->operands[0]);
}

/* The chain with x in place of the zeros. */
static poa_value sums_into(poa_simplifier *s, poa_value chain, poa_value x) {
  poa_node n = *poa_s_look(s, chain);
  if (!poa_s_is(s, n.operands[0], 0))
    x = sums_into(s, n.operands[0], x);
  if (n.op == POA_OP_scatter_add)
    return scatter(s, x, n.operands[1], n.operands[2]);
  int64_t start[POA_MAX_RANK];
  for (int i = 0; i < n.type.rank; i++)
    start[i] = n.attributes[0].extents[i].value;
  return poa_s_accumulate(s, x, n.operands[1], start);
}

/* x + scatter_add(0, rows, y) -> scatter_add(x, rows, y),
 * x + accumulate(0, y, start) -> accumulate(x, y, start), and so for chains of them: x is stored
 * rather than zeros. Of two chains the later one goes on where the earlier ended. */
static poa_value add_to_zeros(poa_simplifier *s, const poa_node *n) {
  int later = n->operands[1] > n->operands[0];
  for (int i = 0; i < 2; i++) {
    poa_value sum = n->operands[i ? 1 - later : later], x = n->operands[i ? later : 1 - later];
    if (poa_s_single(s, x) && sums_into_zeros(s, sum))
      return sums_into(s, sum, x);
  }
  return POA_NO_VALUE;
}

const poa_rule *poa_product_rules(poa_op op) {
  static const poa_rule rules[POA_OP_COUNT][POA_MOST_RULES] = {
      [POA_OP_dot] = {dot_transposed, dot_scaled},
      [POA_OP_mul] = {scale_dot},
      [POA_OP_div] = {scale_dot},
      [POA_OP_neg] = {scale_dot},
      [POA_OP_transpose] = {transpose_dot},
      [POA_OP_accumulate] = {accumulate_zero, accumulate_nested, accumulate_reshaped_dot},
      [POA_OP_scatter_add] = {scatter_zero},
      [POA_OP_add] = {add_dot, add_reshaped_dots, add_to_zeros},
  };
  return rules[op];
}
