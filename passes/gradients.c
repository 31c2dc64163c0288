/* gradients.c: the derivative of every op, one rule each, named by ops.def's gradient
 * column. A rule receives dy = d scalar / d y and writes nodes for dx = d scalar / d x:
 *
 *   %y = exp %x        with dy known        ->        %dx = mul %dy, %y
 *
 * Rules reuse the forward result where the algebra allows it, so that the backward
 * sweep repeats no transcendental. The algebra stands above each rule; * is the
 * element-wise product, @ the matrix product, ' the transpose of the last two axes.
 * Source: Griewank & Walther, Evaluating Derivatives (2008), chapter 3. */
#include <string.h>

#include "passes/gradients.h"

static poa_value sub(const poa_gradient_site *s, poa_value x, poa_value y) {
  return poa_b_binary(s->b, POA_OP_sub, x, y);
}

static poa_value mul(const poa_gradient_site *s, poa_value x, poa_value y) {
  return poa_b_binary(s->b, POA_OP_mul, x, y);
}

static poa_value divide(const poa_gradient_site *s, poa_value x, poa_value y) {
  return poa_b_binary(s->b, POA_OP_div, x, y);
}

static poa_value unary(const poa_gradient_site *s, poa_op op, poa_value x) {
  return poa_b_unary(s->b, op, x);
}

static const poa_type *type_of(const poa_gradient_site *s, poa_value x) {
  return &s->b->graph->nodes[x].type;
}

static poa_value constant_like(const poa_gradient_site *s, double value, poa_value x) {
  poa_type type = *type_of(s, x);
  return poa_b_constant(s->b, value, &type);
}

/* if condition then x else 0, and the reverse */
static poa_value where(const poa_gradient_site *s, poa_value condition, poa_value x) {
  return poa_b_select(s->b, condition, x, constant_like(s, 0, x));
}

static poa_value where_not(const poa_gradient_site *s, poa_value condition, poa_value x) {
  return poa_b_select(s->b, condition, constant_like(s, 0, x), x);
}

/* x of rank r-1 repeated along the last axis of `type`. */
static poa_value along_last(const poa_gradient_site *s, poa_value x, poa_type type) {
  return poa_b_unreduce(s->b, x, (int64_t[]){type.rank - 1}, 1, &type);
}

static poa_value sum_last(const poa_gradient_site *s, poa_value x) {
  return poa_b_reduce(s->b, POA_OP_reduce_sum, x, (int64_t[]){type_of(s, x)->rank - 1}, 1);
}

/* Element-wise, one operand. */

/* y = -x: dx = -dy */
static void gradient_neg(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = unary(s, POA_OP_neg, s->dy);
}

/* y = |x|: dx = dy where x > 0, -dy where x < 0, 0 at 0 */
static void gradient_abs(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value zero = constant_like(s, 0, s->x[0]);
  poa_value negative = poa_b_binary(s->b, POA_OP_lt, s->x[0], zero);
  poa_value positive = poa_b_binary(s->b, POA_OP_lt, zero, s->x[0]);
  poa_value below = where(s, negative, unary(s, POA_OP_neg, s->dy));
  dx[0].value = poa_b_select(s->b, positive, s->dy, below);
}

/* y = e^x: dx = dy * y */
static void gradient_exp(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = mul(s, s->dy, s->y);
}

/* y = log x: dx = dy / x */
static void gradient_log(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = divide(s, s->dy, s->x[0]);
}

/* y = sqrt x: dx = dy / (2 y) */
static void gradient_sqrt(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = divide(s, poa_b_scale(s->b, s->dy, 0.5), s->y);
}

/* y = x^(-1/2): dx = -1/2 dy y^3 */
static void gradient_rsqrt(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value cube = mul(s, mul(s, s->y, s->y), s->y);
  dx[0].value = mul(s, s->dy, poa_b_scale(s->b, cube, -0.5));
}

/* y = erf x: dx = dy * 2/sqrt(pi) e^(-x^2) */
static void gradient_erf(const poa_gradient_site *s, poa_contribution *dx) {
  const double two_over_sqrt_pi = 1.12837916709551257390;
  poa_value square = mul(s, s->x[0], s->x[0]);
  poa_value bell = unary(s, POA_OP_exp, unary(s, POA_OP_neg, square));
  dx[0].value = mul(s, s->dy, poa_b_scale(s->b, bell, two_over_sqrt_pi));
}

/* y = tanh x: dx = dy * (1 - y^2) */
static void gradient_tanh(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value one = constant_like(s, 1, s->y);
  dx[0].value = mul(s, s->dy, sub(s, one, mul(s, s->y, s->y)));
}

/* y = sin x: dx = dy * cos x */
static void gradient_sin(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = mul(s, s->dy, unary(s, POA_OP_cos, s->x[0]));
}

/* y = cos x: dx = -(dy * sin x) */
static void gradient_cos(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = unary(s, POA_OP_neg, mul(s, s->dy, unary(s, POA_OP_sin, s->x[0])));
}

/* y = x: dx = dy. Only floats carry gradients, so both sides are f32. */
static void gradient_convert(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = s->dy;
}

/* Element-wise, more operands. */

/* y = a + b: da = db = dy */
static void gradient_add(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = s->dy;
  dx[1].value = s->dy;
}

/* y = a - b: da = dy, db = -dy */
static void gradient_sub(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = s->dy;
  if (s->wants[1])
    dx[1].value = unary(s, POA_OP_neg, s->dy);
}

/* y = a * b: da = dy * b, db = dy * a; y = a * a: da = 2 dy * a */
static void gradient_mul(const poa_gradient_site *s, poa_contribution *dx) {
  if (s->x[0] == s->x[1] && s->wants[0] && s->wants[1]) {
    dx[0].value = mul(s, poa_b_scale(s->b, s->dy, 2), s->x[0]);
    return;
  }
  for (int i = 0; i < 2; i++)
    if (s->wants[i])
      dx[i].value = mul(s, s->dy, s->x[1 - i]);
}

/* y = a / b: da = dy / b, db = -da * y */
static void gradient_div(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = divide(s, s->dy, s->x[1]);
  if (s->wants[1])
    dx[1].value = unary(s, POA_OP_neg, mul(s, dx[0].value, s->y));
}

/* dy goes to the first operand where `first` holds, else to the second. */
static void choose(const poa_gradient_site *s, poa_value first, poa_contribution *dx) {
  if (s->wants[0])
    dx[0].value = where(s, first, s->dy);
  if (s->wants[1])
    dx[1].value = where_not(s, first, s->dy);
}

/* y = max(a, b): dy goes to a where a > b, else to b (so to b where they are equal) */
static void gradient_max(const poa_gradient_site *s, poa_contribution *dx) {
  choose(s, poa_b_binary(s->b, POA_OP_lt, s->x[1], s->x[0]), dx);
}

/* y = min(a, b): dy goes to a where a < b, else to b (so to b where they are equal) */
static void gradient_min(const poa_gradient_site *s, poa_contribution *dx) {
  choose(s, poa_b_binary(s->b, POA_OP_lt, s->x[0], s->x[1]), dx);
}

/* y = a^b: da = dy * b a^(b-1); db = dy * y log a where a > 0, else 0 */
static void gradient_pow(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value a = s->x[0], b = s->x[1];
  if (s->wants[0]) {
    poa_value less = sub(s, b, constant_like(s, 1, b));
    poa_value power = poa_b_binary(s->b, POA_OP_pow, a, less);
    dx[0].value = mul(s, s->dy, mul(s, b, power));
  }
  if (s->wants[1]) {
    poa_value positive = poa_b_binary(s->b, POA_OP_lt, constant_like(s, 0, a), a);
    poa_value slope = mul(s, s->y, unary(s, POA_OP_log, a));
    dx[1].value = mul(s, s->dy, where(s, positive, slope));
  }
}

/* y = c ? a : b: da = c ? dy : 0, db = c ? 0 : dy */
static void gradient_select(const poa_gradient_site *s, poa_contribution *dx) {
  if (s->wants[1])
    dx[1].value = where(s, s->x[0], s->dy);
  if (s->wants[2])
    dx[2].value = where_not(s, s->x[0], s->dy);
}

/* Reductions. */

/* `x`, of the result's type, repeated along the axes that the node drops. */
static poa_value repeat(const poa_gradient_site *s, poa_value x) {
  const poa_attribute *axes = poa_node_attribute(s->node, "axes");
  poa_type type = *type_of(s, s->x[0]);
  return poa_b_unreduce(s->b, x, axes->integers, axes->count, &type);
}

/* y = sum x: dx = dy, repeated */
static void gradient_reduce_sum(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = repeat(s, s->dy);
}

/* y = max x: dx = dy at every element equal to the largest, 0 elsewhere. Where the
 * largest occurs several times each of them receives all of dy. */
static void gradient_reduce_max(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value largest = poa_b_binary(s->b, POA_OP_eq, s->x[0], repeat(s, s->y));
  dx[0].value = where(s, largest, repeat(s, s->dy));
}

/* y = softmax x: dx = y * (dy - sum(dy * y)) */
static void gradient_softmax(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value mean = sum_last(s, mul(s, s->dy, s->y));
  dx[0].value = mul(s, s->y, sub(s, s->dy, along_last(s, mean, s->node->type)));
}

/* y = log softmax x: dx = dy - e^y * sum(dy) */
static void gradient_log_softmax(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value sum = along_last(s, sum_last(s, s->dy), s->node->type);
  dx[0].value = sub(s, s->dy, mul(s, unary(s, POA_OP_exp, s->y), sum));
}

/* Products. With A, B the stored operands, all forms without a transposed copy:
 *   Y = alpha A  B :   dA = alpha dY B'     dB = alpha A' dY
 *   Y = alpha A' B :   dA = alpha B  dY'    dB = alpha A  dY
 *   Y = alpha A  B':   dA = alpha dY B      dB = alpha dY' A
 *   Y = alpha A' B':   dA = alpha B' dY'    dB = alpha dY' A'
 * Where axes of A are joined, A itself stays the first operand, the only one that may be so. */
static void gradient_joined_dot(const poa_gradient_site *s, poa_dot_form form,
                                poa_contribution *dx) {
  poa_value a = s->x[0], b = s->x[1], dy = s->dy;
  if (s->wants[0]) {
    poa_type type = *type_of(s, a);
    poa_value da = form.ta ? poa_b_dot(s->b, b, dy, form.tb, true, form.alpha)
                           : poa_b_dot(s->b, dy, b, false, !form.tb, form.alpha);
    dx[0].value = poa_b_reshape(s->b, da, &type);
  }
  if (!s->wants[1])
    return;
  poa_dot_form turned = {!form.ta, false, form.alpha, form.inner, form.rows, form.bf16};
  poa_value db = poa_b_product(s->b, a, dy, turned);
  int rank = type_of(s, db)->rank;
  int64_t perm[POA_MAX_RANK];
  for (int i = 0; i < rank; i++)
    perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
  dx[1].value = form.tb ? poa_b_transpose(s->b, db, perm) : db;
}

static void gradient_dot(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value a = s->x[0], b = s->x[1], dy = s->dy;
  poa_dot_form form = poa_dot_form_of(s->node);
  if (form.rows != 1 || form.inner != 1) {
    gradient_joined_dot(s, form, dx);
    return;
  }
  bool ta = poa_node_int(s->node, "ta", 0), tb = poa_node_int(s->node, "tb", 0);
  double alpha = poa_node_float(s->node, "alpha", 1);
  if (s->wants[0])
    dx[0].value =
        ta ? poa_b_dot(s->b, b, dy, tb, true, alpha) : poa_b_dot(s->b, dy, b, false, !tb, alpha);
  if (s->wants[1])
    dx[1].value =
        tb ? poa_b_dot(s->b, dy, a, true, ta, alpha) : poa_b_dot(s->b, a, dy, !ta, false, alpha);
}

/* Movement. */

/* y = x in another shape: dx = dy in x's shape */
static void gradient_reshape(const poa_gradient_site *s, poa_contribution *dx) {
  poa_type type = *type_of(s, s->x[0]);
  dx[0].value = poa_b_reshape(s->b, s->dy, &type);
}

/* y's axis i is x's axis perm[i]: dx = dy by the inverse permutation */
static void gradient_transpose(const poa_gradient_site *s, poa_contribution *dx) {
  const poa_attribute *perm = poa_node_attribute(s->node, "perm");
  int64_t inverse[POA_MAX_RANK];
  for (int i = 0; i < perm->count; i++)
    inverse[perm->integers[i]] = i;
  dx[0].value = poa_b_transpose(s->b, s->dy, inverse);
}

/* y = x repeated along new axes: dx = sum of dy over them */
static void gradient_broadcast(const poa_gradient_site *s, poa_contribution *dx) {
  const poa_attribute *axes = poa_node_attribute(s->node, "axes");
  int64_t added[POA_MAX_RANK];
  int count = 0, next = 0;
  for (int i = 0; i < s->node->type.rank; i++)
    if (next < axes->count && axes->integers[next] == i)
      next++;
    else
      added[count++] = i;
  dx[0].value = count ? poa_b_reduce(s->b, POA_OP_reduce_sum, s->dy, added, count) : s->dy;
}

/* y = the block of x at start: dx = dy there, 0 elsewhere */
static void gradient_slice(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0] = (poa_contribution){s->dy, poa_node_attribute(s->node, "start")->extents};
}

/* The block of dy at `start` with the shape of operand i. */
static poa_value block(const poa_gradient_site *s, int i, const poa_extent *start) {
  const poa_type *type = type_of(s, s->x[i]);
  poa_extent limit[POA_MAX_RANK];
  for (int axis = 0; axis < type->rank; axis++)
    limit[axis] = poa_known(start[axis].value + type->dim[axis].value);
  return poa_b_slice(s->b, s->dy, start, limit);
}

/* y = x[0], x[1], .. side by side: dx[i] = the block of dy where x[i] lies */
static void gradient_concat(const poa_gradient_site *s, poa_contribution *dx) {
  int64_t axis = poa_node_int(s->node, "axis", 0);
  poa_extent start[POA_MAX_RANK] = {{0, NULL}};
  for (int i = 0; i < s->node->operand_count; i++) {
    if (s->wants[i])
      dx[i].value = block(s, i, start);
    start[axis].value += type_of(s, s->x[i])->dim[axis].value;
  }
}

/* Elements first .. end-1 along `axis`. */
static poa_value part(const poa_gradient_site *s, poa_value x, int axis, int64_t first,
                      int64_t end) {
  const poa_type *type = type_of(s, x);
  poa_extent start[POA_MAX_RANK] = {{0, NULL}}, limit[POA_MAX_RANK];
  memcpy(limit, type->dim, sizeof limit);
  start[axis] = poa_known(first);
  limit[axis] = poa_known(end);
  return poa_b_slice(s->b, x, start, limit);
}

/* y[i, j] = x[i*s + j]: with j = q*s + r, dx[(i+q)*s + r] is the sum of dy[i, q*s + r] over q, so
 * the taps of each q are added, q rows further down, into dx seen as rows of s. */
static void gradient_window(const poa_gradient_site *s, poa_contribution *dx) {
  int axis = (int)poa_node_int(s->node, "axis", 0);
  int64_t size = poa_node_int(s->node, "size", 1), stride = poa_node_int(s->node, "stride", 1);
  poa_type type = *type_of(s, s->x[0]), rows = *type_of(s, s->dy), flat = type;
  int64_t extent = type.dim[axis].value, shifts = (size + stride - 1) / stride;
  int64_t needed = (extent + stride - 1) / stride;
  int64_t reached = rows.dim[axis].value + shifts - 1;
  rows.dim[axis] = poa_known(reached > needed ? reached : needed);
  rows.dim[axis + 1] = poa_known(stride);
  poa_value sum = poa_b_constant(s->b, 0, &rows);
  for (int64_t q = 0; q < shifts; q++) {
    int64_t end = (q + 1) * stride < size ? (q + 1) * stride : size;
    poa_extent start[POA_MAX_RANK] = {{0, NULL}};
    start[axis] = poa_known(q);
    sum = poa_b_accumulate(s->b, sum, part(s, s->dy, axis + 1, q * stride, end), start);
  }
  flat.dim[axis] = poa_known(rows.dim[axis].value * stride);
  dx[0].value = part(s, poa_b_reshape(s->b, sum, &flat), axis, 0, extent);
}

/* y[.., i, ..] = x[.., rows[i], ..], each once or never: dx[.., j, ..] = dy[.., back[j], ..] */
static void gradient_rearrange(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value operands[] = {s->dy, s->x[2], s->x[1]};
  dx[0].value = poa_b_node(s->b, POA_OP_rearrange, operands, 3, s->node->attributes, 1, NULL);
}

/* y[i] = x[rows[i]]: dx = dy[i] added to row rows[i] of zeros */
static void gradient_gather(const poa_gradient_site *s, poa_contribution *dx) {
  poa_value zeros = constant_like(s, 0, s->x[0]);
  poa_value operands[] = {zeros, s->x[1], s->dy};
  dx[0].value = poa_b_node(s->b, POA_OP_scatter_add, operands, 3, NULL, 0, NULL);
}

/* y = base with z[i] added to row rows[i]: dbase = dy, dz[i] = dy[rows[i]] */
static void gradient_scatter_add(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = s->dy;
  if (s->wants[2])
    dx[2].value = poa_b_binary(s->b, POA_OP_gather, s->dy, s->x[1]);
}

/* y = base with z added to the block at start: dbase = dy, dz = that block of dy */
static void gradient_accumulate(const poa_gradient_site *s, poa_contribution *dx) {
  dx[0].value = s->dy;
  if (s->wants[1])
    dx[1].value = block(s, 1, poa_node_attribute(s->node, "start")->extents);
}

/* `op` of a convolution's gradients: the forward attributes, and the extents sought. */
static poa_value convolve_back(const poa_gradient_site *s, poa_op op, poa_value x, poa_value y,
                               const poa_extent *size) {
  int64_t extents[] = {size[0].value, size[1].value};
  poa_attribute attributes[5] = {poa_attribute_ints("size", extents, 2)};
  for (int i = 0; i < s->node->attribute_count; i++)
    attributes[i + 1] = s->node->attributes[i];
  poa_value operands[] = {x, y};
  return poa_b_node(s->b, op, operands, 2, attributes, s->node->attribute_count + 1, NULL);
}

/* y = conv2d(x, weight): both gradients are convolutions again (Dumoulin & Visin, "A guide to
 * convolution arithmetic for deep learning", 2016); passes/convolution.c writes them out. */
static void gradient_conv2d(const poa_gradient_site *s, poa_contribution *dx) {
  if (s->wants[0])
    dx[0].value =
        convolve_back(s, POA_OP_conv2d_input, s->dy, s->x[1], type_of(s, s->x[0])->dim + 1);
  if (s->wants[1])
    dx[1].value = convolve_back(s, POA_OP_conv2d_weight, s->x[0], s->dy, type_of(s, s->x[1])->dim);
}

static const poa_external *external_named(const poa_graph *graph, const char *name) {
  for (int i = 0; i < graph->external_count; i++)
    if (!strcmp(graph->externals[i].name, name))
      return &graph->externals[i];
  return NULL;
}

/* y = f(x..): dx[i] = g_i(x.., y, dy) with the function that the description names */
static void gradient_call(const poa_gradient_site *s, poa_contribution *dx) {
  const poa_external *f = external_named(s->b->graph, poa_node_string(s->node, "external"));
  int count = s->node->operand_count;
  poa_value *operands = poa_arena_alloc(s->b->graph->arena, (size_t)(count + 2) * sizeof *operands);
  for (int i = 0; i < count; i++)
    operands[i] = s->x[i];
  operands[count] = s->y;
  operands[count + 1] = s->dy;
  for (int i = 0; f && i < count && i < f->operand_count; i++)
    if (s->wants[i] && f->gradients && f->gradients[i]) {
      poa_type type = *type_of(s, s->x[i]);
      poa_attribute external = poa_attribute_string("external", f->gradients[i]);
      dx[i].value = poa_b_node(s->b, POA_OP_call, operands, count + 2, &external, 1, &type);
    }
}

poa_gradient_rule poa_gradient_rule_of(poa_op op) {
#define gradient_none NULL
  static const poa_gradient_rule rules[] = {
#define POA_OP(name, operands, attributes, shape, gradient, flags) gradient_##gradient,
#include "ir/ops.def"
#undef POA_OP
  };
#undef gradient_none
  return rules[op];
}
