/* algebra.c: element-wise identities, one rule each with its algebra. c, d are constants.
 * Rules with a constant expect it second; commutative ops bring it there first (but max
 * and min, where the side of a NaN decides).
 *
 * What is exact in the reals but rounds differently is used only to merge constants or
 * where it saves a division for each element. x * 0 stays: x may be infinite. */
#include <math.h>

#include "passes/simplify.h"

static bool is_f32(const poa_simplifier *s, poa_value x) {
  return poa_s_type(s, x).dtype == POA_F32;
}

/* The value is op(x, constant). */
static bool with_constant(const poa_simplifier *s, poa_op op, poa_value value, poa_value *x,
                          double *constant) {
  const poa_node *node = poa_s_look(s, value);
  if (node->op != op || !poa_s_constant(s, node->operands[1], constant))
    return false;
  *x = node->operands[0];
  return true;
}

static poa_value splat_like(poa_simplifier *s, double value, poa_value x) {
  return poa_s_splat(s, value, poa_s_type(s, x));
}

/* c op x -> x op c */
static poa_value constant_second(poa_simplifier *s, const poa_node *n) {
  double c;
  if (!poa_s_constant(s, n->operands[0], &c) || poa_s_constant(s, n->operands[1], &c))
    return POA_NO_VALUE;
  return poa_s_binary(s, n->op, n->operands[1], n->operands[0]);
}

/* x op x -> x, for max, min, and, or */
static poa_value same_operands(poa_simplifier *s, const poa_node *n) {
  (void)s;
  return n->operands[0] == n->operands[1] ? n->operands[0] : POA_NO_VALUE;
}

/* Signs */

/* -(-x) -> x, -(x - y) -> y - x, -(c x) -> (-c) x, -(c / x) -> (-c) / x */
static poa_value neg_inside(poa_simplifier *s, const poa_node *n) {
  const poa_node *x = poa_s_look(s, n->operands[0]);
  poa_value y;
  double c;
  if (x->op == POA_OP_neg)
    return x->operands[0];
  if (x->op == POA_OP_sub && poa_s_single(s, n->operands[0]))
    return poa_s_binary(s, POA_OP_sub, x->operands[1], x->operands[0]);
  if (with_constant(s, POA_OP_mul, n->operands[0], &y, &c))
    return poa_s_scale(s, y, -c);
  if (x->op == POA_OP_div && poa_s_constant(s, x->operands[0], &c)) {
    y = x->operands[1];
    return poa_s_binary(s, POA_OP_div, splat_like(s, -c, y), y);
  }
  return POA_NO_VALUE;
}

/* |-x| -> |x|, | |x| | -> |x| */
static poa_value abs_inside(poa_simplifier *s, const poa_node *n) {
  poa_value x = poa_s_inside(s, POA_OP_neg, n->operands[0]);
  if (x != POA_NO_VALUE)
    return poa_s_unary(s, POA_OP_abs, x);
  return poa_s_look(s, n->operands[0])->op == POA_OP_abs ? n->operands[0] : POA_NO_VALUE;
}

/* Sums */

/* x + 0 -> x */
static poa_value add_zero(poa_simplifier *s, const poa_node *n) {
  return poa_s_is(s, n->operands[1], 0) ? n->operands[0] : POA_NO_VALUE;
}

/* x + -y -> x - y, -x + y -> y - x */
static poa_value add_negation(poa_simplifier *s, const poa_node *n) {
  for (int i = 0; i < 2; i++) {
    poa_value y = poa_s_inside(s, POA_OP_neg, n->operands[i]);
    if (y != POA_NO_VALUE)
      return poa_s_binary(s, POA_OP_sub, n->operands[1 - i], y);
  }
  return POA_NO_VALUE;
}

/* x + x -> 2 x */
static poa_value add_twice(poa_simplifier *s, const poa_node *n) {
  return n->operands[0] == n->operands[1] ? poa_s_scale(s, n->operands[0], 2) : POA_NO_VALUE;
}

/* x - 0 -> x, 0 - x -> -x, x - -y -> x + y */
static poa_value sub_plain(poa_simplifier *s, const poa_node *n) {
  if (poa_s_is(s, n->operands[1], 0))
    return n->operands[0];
  if (poa_s_is(s, n->operands[0], 0))
    return poa_s_unary(s, POA_OP_neg, n->operands[1]);
  poa_value y = poa_s_inside(s, POA_OP_neg, n->operands[1]);
  return y == POA_NO_VALUE ? y : poa_s_binary(s, POA_OP_add, n->operands[0], y);
}

/* Products */

/* x * 1 -> x, x * -1 -> -x */
static poa_value mul_one(poa_simplifier *s, const poa_node *n) {
  if (poa_s_is(s, n->operands[1], 1))
    return n->operands[0];
  return poa_s_is(s, n->operands[1], -1) ? poa_s_unary(s, POA_OP_neg, n->operands[0])
                                         : POA_NO_VALUE;
}

/* -x * -y -> x y, -x * c -> x * -c */
static poa_value mul_negations(poa_simplifier *s, const poa_node *n) {
  poa_value x = poa_s_inside(s, POA_OP_neg, n->operands[0]);
  poa_value y = poa_s_inside(s, POA_OP_neg, n->operands[1]);
  double c;
  if (x != POA_NO_VALUE && y != POA_NO_VALUE)
    return poa_s_binary(s, POA_OP_mul, x, y);
  if (x != POA_NO_VALUE && poa_s_constant(s, n->operands[1], &c))
    return poa_s_scale(s, x, -c);
  return POA_NO_VALUE;
}

/* (x c) d -> x (c d), (x / c) d -> x (d / c), (c / x) d -> (c d) / x */
static poa_value mul_constants(poa_simplifier *s, const poa_node *n) {
  double c, d;
  poa_value x;
  if (!poa_s_constant(s, n->operands[1], &d) || !is_f32(s, n->operands[0]))
    return POA_NO_VALUE;
  if (with_constant(s, POA_OP_mul, n->operands[0], &x, &c))
    return poa_s_scale(s, x, c * d);
  if (with_constant(s, POA_OP_div, n->operands[0], &x, &c))
    return poa_s_scale(s, x, d / c);
  const poa_node *quotient = poa_s_look(s, n->operands[0]);
  if (quotient->op == POA_OP_div && poa_s_constant(s, quotient->operands[0], &c)) {
    x = quotient->operands[1];
    return poa_s_binary(s, POA_OP_div, splat_like(s, c * d, x), x);
  }
  return POA_NO_VALUE;
}

/* (x c) (y d) -> (x y) (c d), (x c) y -> (x y) c where x c is read here only: constants
 * move out, to meet others. */
static poa_value mul_scaled(poa_simplifier *s, const poa_node *n) {
  double c;
  poa_value x;
  if (!is_f32(s, n->operands[0]))
    return POA_NO_VALUE;
  for (int i = 0; i < 2; i++)
    if (poa_s_single(s, n->operands[i]) && !poa_s_constant(s, n->operands[1 - i], &c) &&
        with_constant(s, POA_OP_mul, n->operands[i], &x, &c))
      return poa_s_scale(s, poa_s_binary(s, POA_OP_mul, x, n->operands[1 - i]), c);
  return POA_NO_VALUE;
}

static bool is_power_of_two(double value) {
  int exponent;
  return isnormal(value) && fabs(frexp(value, &exponent)) == 0.5 && exponent > -100 &&
         exponent < 100;
}

/* x / 1 -> x, x / 2^k -> x * 2^-k: exact */
static poa_value div_power_of_two(poa_simplifier *s, const poa_node *n) {
  double c;
  if (!poa_s_constant(s, n->operands[1], &c))
    return POA_NO_VALUE;
  if (c == 1)
    return n->operands[0];
  return is_f32(s, n->operands[0]) && is_power_of_two(c) ? poa_s_scale(s, n->operands[0], 1 / c)
                                                         : POA_NO_VALUE;
}

/* (x c) / d -> x (c / d), (x / c) / d -> x / (c d) */
static poa_value div_constants(poa_simplifier *s, const poa_node *n) {
  double c, d;
  poa_value x;
  if (!poa_s_constant(s, n->operands[1], &d) || !is_f32(s, n->operands[0]))
    return POA_NO_VALUE;
  if (with_constant(s, POA_OP_mul, n->operands[0], &x, &c))
    return poa_s_scale(s, x, c / d);
  if (with_constant(s, POA_OP_div, n->operands[0], &x, &c))
    return poa_s_binary(s, POA_OP_div, x, splat_like(s, c * d, x));
  return POA_NO_VALUE;
}

/* c / sqrt x -> c rsqrt x */
static poa_value div_by_root(poa_simplifier *s, const poa_node *n) {
  double c;
  poa_value x = poa_s_inside(s, POA_OP_sqrt, n->operands[1]);
  if (x == POA_NO_VALUE || !poa_s_constant(s, n->operands[0], &c))
    return POA_NO_VALUE;
  return poa_s_scale(s, poa_s_unary(s, POA_OP_rsqrt, x), c);
}

/* x / broadcast y -> x * broadcast (1 / y): one division for all that y is repeated to,
 * for half a unit in the last place. */
static poa_value div_by_repeated(poa_simplifier *s, const poa_node *n) {
  poa_value y = poa_s_inside(s, POA_OP_broadcast, n->operands[1]);
  if (y == POA_NO_VALUE || !is_f32(s, y))
    return POA_NO_VALUE;
  poa_node broadcast = *poa_s_look(s, n->operands[1]);
  poa_value one = splat_like(s, 1, y);
  poa_value reciprocal = poa_s_binary(s, POA_OP_div, one, y);
  reciprocal = poa_s_broadcast(s, reciprocal, broadcast.attributes[0].integers, broadcast.type);
  return poa_s_binary(s, POA_OP_mul, n->operands[0], reciprocal);
}

/* Powers, logic, choices, conversions */

/* x^0 -> 1, x^1 -> x, x^2 -> x x, x^3 -> x x x, x^-1 -> 1/x, x^(1/2) -> sqrt x,
 * x^(-1/2) -> rsqrt x */
static poa_value pow_simple(poa_simplifier *s, const poa_node *n) {
  poa_value x = n->operands[0];
  double c;
  if (!poa_s_constant(s, n->operands[1], &c))
    return POA_NO_VALUE;
  if (c == 0)
    return splat_like(s, 1, x);
  if (c == 1)
    return x;
  if (c == 2)
    return poa_s_binary(s, POA_OP_mul, x, x);
  if (c == 3)
    return poa_s_binary(s, POA_OP_mul, poa_s_binary(s, POA_OP_mul, x, x), x);
  if (c == -1)
    return poa_s_binary(s, POA_OP_div, splat_like(s, 1, x), x);
  if (c == 0.5)
    return poa_s_unary(s, POA_OP_sqrt, x);
  return c == -0.5 ? poa_s_unary(s, POA_OP_rsqrt, x) : POA_NO_VALUE;
}

/* not not x -> x */
static poa_value not_not(poa_simplifier *s, const poa_node *n) {
  return poa_s_inside(s, POA_OP_not, n->operands[0]);
}

/* x and true -> x, x and false -> false */
static poa_value and_constant(poa_simplifier *s, const poa_node *n) {
  double c;
  if (!poa_s_constant(s, n->operands[1], &c))
    return POA_NO_VALUE;
  return n->operands[c != 0 ? 0 : 1];
}

/* x or false -> x, x or true -> true */
static poa_value or_constant(poa_simplifier *s, const poa_node *n) {
  double c;
  if (!poa_s_constant(s, n->operands[1], &c))
    return POA_NO_VALUE;
  return n->operands[c != 0 ? 1 : 0];
}

/* select(c, x, y) -> x or y, select(b, x, x) -> x, select(not b, x, y) -> select(b, y, x),
 * select(b, select(b, x, _), y) -> select(b, x, y) and the same on the other side */
static poa_value select_plain(poa_simplifier *s, const poa_node *n) {
  poa_value b = n->operands[0], x = n->operands[1], y = n->operands[2];
  double c;
  if (poa_s_constant(s, b, &c))
    return c != 0 ? x : y;
  if (x == y)
    return x;
  poa_value inverse = poa_s_inside(s, POA_OP_not, b);
  if (inverse != POA_NO_VALUE)
    return poa_s_ternary(s, POA_OP_select, inverse, y, x);
  const poa_node *inner = poa_s_look(s, x);
  if (inner->op == POA_OP_select && inner->operands[0] == b)
    return poa_s_ternary(s, POA_OP_select, b, inner->operands[1], y);
  inner = poa_s_look(s, y);
  if (inner->op == POA_OP_select && inner->operands[0] == b)
    return poa_s_ternary(s, POA_OP_select, b, x, inner->operands[2]);
  return POA_NO_VALUE;
}

/* convert to the dtype that x has -> x */
static poa_value convert_same(poa_simplifier *s, const poa_node *n) {
  return poa_s_type(s, n->operands[0]).dtype == n->type.dtype ? n->operands[0] : POA_NO_VALUE;
}

/* detach(detach x) -> detach x, detach c -> c */
static poa_value detach_plain(poa_simplifier *s, const poa_node *n) {
  poa_op op = poa_s_look(s, n->operands[0])->op;
  return op == POA_OP_detach || op == POA_OP_constant ? n->operands[0] : POA_NO_VALUE;
}

const poa_rule *poa_algebra_rules(poa_op op) {
  static const poa_rule rules[POA_OP_COUNT][POA_MOST_RULES] = {
      [POA_OP_neg] = {neg_inside},
      [POA_OP_abs] = {abs_inside},
      [POA_OP_add] = {constant_second, add_zero, add_negation, add_twice},
      [POA_OP_sub] = {sub_plain},
      [POA_OP_mul] = {constant_second, mul_one, mul_negations, mul_constants, mul_scaled},
      [POA_OP_div] = {div_power_of_two, div_constants, div_by_root, div_by_repeated},
      [POA_OP_max] = {same_operands},
      [POA_OP_min] = {same_operands},
      [POA_OP_eq] = {constant_second},
      [POA_OP_ne] = {constant_second},
      [POA_OP_pow] = {pow_simple},
      [POA_OP_not] = {not_not},
      [POA_OP_and] = {constant_second, and_constant, same_operands},
      [POA_OP_or] = {constant_second, or_constant, same_operands},
      [POA_OP_select] = {select_plain},
      [POA_OP_convert] = {convert_same},
      [POA_OP_detach] = {detach_plain},
  };
  return rules[op];
}
