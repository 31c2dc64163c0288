/* numbers.c: arithmetic at compile time.
 *
 * A quotient stays exact: width / head_dim is an extent where it divides at every
 * point of the lattice, and max(width) / width is a factor that specialize folds. */
#include <math.h>
#include <string.h>

#include "frontend/value.h"

const char *poa_worth_kind_name(poa_value_kind kind) {
  static const char *const names[] = {"error",           "none",        "a truth value", "a number",
                                      "a string",        "a list",      "a tensor",      "a module",
                                      "a parameter set", "a parameter", "keep(..)"};
  return names[kind];
}

poa_worth poa_worth_error(void) {
  return (poa_worth){.kind = VALUE_ERROR};
}

poa_worth poa_worth_none(void) {
  return (poa_worth){.kind = VALUE_NONE};
}

poa_worth poa_worth_bool(bool value) {
  return (poa_worth){.kind = VALUE_BOOL, .boolean = value};
}

poa_worth poa_worth_extent(poa_extent extent) {
  return (poa_worth){.kind = VALUE_NUMBER,
                     .number = {.numerator = extent, .denominator = poa_known(1)}};
}

poa_worth poa_worth_integer(int64_t value) {
  return poa_worth_extent(poa_known(value));
}

poa_worth poa_worth_real(double value) {
  return (poa_worth){.kind = VALUE_NUMBER, .number = {.is_real = true, .real = value}};
}

poa_worth poa_worth_text(const char *text) {
  return (poa_worth){.kind = VALUE_STRING, .text = text};
}

poa_worth poa_worth_tensor(poa_value tensor) {
  return (poa_worth){.kind = VALUE_TENSOR, .tensor = tensor};
}

bool poa_number_is_known(const poa_number *number) {
  return number->is_real || (!number->numerator.expr && !number->denominator.expr);
}

bool poa_number_is_integer(const poa_number *number) {
  return !number->is_real && !number->numerator.expr && !number->denominator.expr &&
         number->denominator.value == 1;
}

double poa_number_value(const poa_number *number) {
  if (number->is_real)
    return number->real;
  return (double)number->numerator.value / (double)number->denominator.value;
}

static bool set_real(poa_number *result, double value) {
  *result = (poa_number){.is_real = true, .real = value};
  return true;
}

static bool set_integer(poa_number *result, int64_t value) {
  *result = (poa_number){.numerator = poa_known(value), .denominator = poa_known(1)};
  return true;
}

static bool real_arithmetic(const char *op, double a, double b, poa_number *result,
                            const char **problem) {
  if (strchr("/%", *op) && b == 0) {
    *problem = "division by zero";
    return false;
  }
  if (strcmp(op, "//") == 0)
    return set_real(result, floor(a / b));
  switch (*op) {
  case '+':
    return set_real(result, a + b);
  case '-':
    return set_real(result, a - b);
  case '*':
    return set_real(result, a * b);
  case '/':
    return set_real(result, a / b);
  case '%':
    return set_real(result, a - b * floor(a / b));
  default:
    return set_real(result, pow(a, b));
  }
}

/* Integers stay integers where the result is one, up to 2^53. */
static bool known_arithmetic(const char *op, const poa_number *left, const poa_number *right,
                             poa_number *result, const char **problem) {
  double a = poa_number_value(left), b = poa_number_value(right);
  if (!real_arithmetic(op, a, b, result, problem))
    return false;
  bool integers = poa_number_is_integer(left) && poa_number_is_integer(right);
  double value = result->real;
  if (integers && value == floor(value) && fabs(value) <= 9007199254740992.0)
    return set_integer(result, (int64_t)value);
  return true;
}

static poa_extent times(poa_arena *arena, poa_extent a, poa_extent b) {
  return poa_extent_combine(arena, POA_EXPR_MUL, a, b);
}

static bool is_one(poa_extent extent) {
  return !extent.expr && extent.value == 1;
}

/* Counts up to `limit`: an expression may share parts, and be far larger written out. */
static int weight(const poa_expr *expr, int limit) {
  if (!expr || limit <= 0)
    return 0;
  int left = weight(expr->left, limit - 1);
  return 1 + left + weight(expr->right, limit - 1 - left);
}

bool poa_extent_is_small(poa_extent extent) {
  return weight(extent.expr, POA_MAX_EXTENT + 1) <= POA_MAX_EXTENT;
}

/* a/b (op) c/d over a common denominator. */
static bool quotient_arithmetic(poa_arena *arena, const char *op, const poa_number *left,
                                const poa_number *right, poa_number *result) {
  poa_extent a = left->numerator, b = left->denominator;
  poa_extent c = right->numerator, d = right->denominator;
  if (strcmp(op, "//") == 0 || *op == '%') {
    if (!is_one(b) || !is_one(d))
      return false;
    poa_expr_kind kind = *op == '%' ? POA_EXPR_MOD : POA_EXPR_DIV;
    *result = (poa_number){.numerator = poa_extent_combine(arena, kind, a, c),
                           .denominator = poa_known(1)};
    return true;
  }
  switch (*op) {
  case '+':
  case '-': {
    poa_expr_kind kind = *op == '+' ? POA_EXPR_ADD : POA_EXPR_SUB;
    result->numerator = poa_extent_combine(arena, kind, times(arena, a, d), times(arena, c, b));
    result->denominator = times(arena, b, d);
    break;
  }
  case '*':
    result->numerator = times(arena, a, c);
    result->denominator = times(arena, b, d);
    break;
  case '/':
    result->numerator = times(arena, a, d);
    result->denominator = times(arena, b, c);
    break;
  default:
    return false;
  }
  result->is_real = false;
  return true;
}

/* Small positive powers of a symbolic number. */
static bool power(poa_arena *arena, const poa_number *base, const poa_number *exponent,
                  poa_number *result) {
  if (!poa_number_is_integer(exponent) || exponent->numerator.value < 0 ||
      exponent->numerator.value > 8)
    return false;
  poa_number product;
  set_integer(&product, 1);
  for (int64_t i = 0; i < exponent->numerator.value; i++)
    if (!quotient_arithmetic(arena, "*", &product, base, &product))
      return false;
  *result = product;
  return true;
}

bool poa_number_arithmetic(poa_arena *arena, const char *op, const poa_number *left,
                           const poa_number *right, poa_number *result, const char **problem) {
  *problem = NULL;
  if (poa_number_is_known(left) && poa_number_is_known(right))
    return known_arithmetic(op, left, right, result, problem);
  if (left->is_real || right->is_real)
    return false;
  bool zero = strchr("/%", *op) && !right->numerator.expr && right->numerator.value == 0;
  if (zero)
    *problem = "division by zero";
  bool exact = !zero && (*op == '^' ? power(arena, left, right, result)
                                    : quotient_arithmetic(arena, op, left, right, result));
  if (!exact)
    return false;
  if (poa_extent_is_small(result->numerator) && poa_extent_is_small(result->denominator))
    return true;
  *problem = "this extent is too long an expression of elastic names";
  return false;
}

bool poa_number_extent(poa_arena *arena, const poa_lattice *lattice, const poa_number *number,
                       poa_extent *extent) {
  if (number->is_real) {
    *extent = poa_known((int64_t)number->real);
    return number->real == floor(number->real) && fabs(number->real) < 1e15;
  }
  if (is_one(number->denominator)) {
    *extent = number->numerator;
    return true;
  }
  poa_extent quotient =
      poa_extent_combine(arena, POA_EXPR_DIV, number->numerator, number->denominator);
  *extent = quotient;
  return poa_extent_equal(lattice, times(arena, quotient, number->denominator), number->numerator);
}
