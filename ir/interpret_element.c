/* interpret_element.c: what an element-wise op makes of its operands' elements. Results
 * are brought to the node's dtype afterwards: so i32 division truncates, as in C. */
#include <math.h>

#include "ir/interpret.h"

double poa_evaluate_neg(const double *x) {
  return -x[0];
}

double poa_evaluate_abs(const double *x) {
  return fabs(x[0]);
}

double poa_evaluate_exp(const double *x) {
  return exp(x[0]);
}

double poa_evaluate_log(const double *x) {
  return log(x[0]);
}

double poa_evaluate_sqrt(const double *x) {
  return sqrt(x[0]);
}

double poa_evaluate_rsqrt(const double *x) {
  return 1 / sqrt(x[0]);
}

double poa_evaluate_erf(const double *x) {
  return erf(x[0]);
}

double poa_evaluate_tanh(const double *x) {
  return tanh(x[0]);
}

double poa_evaluate_sin(const double *x) {
  return sin(x[0]);
}

double poa_evaluate_cos(const double *x) {
  return cos(x[0]);
}

double poa_evaluate_floor(const double *x) {
  return floor(x[0]);
}

double poa_evaluate_is_finite(const double *x) {
  return isfinite(x[0]) != 0;
}

double poa_evaluate_not(const double *x) {
  return x[0] == 0;
}

double poa_evaluate_convert(const double *x) {
  return x[0];
}

double poa_evaluate_add(const double *x) {
  return x[0] + x[1];
}

double poa_evaluate_sub(const double *x) {
  return x[0] - x[1];
}

double poa_evaluate_mul(const double *x) {
  return x[0] * x[1];
}

double poa_evaluate_div(const double *x) {
  return x[0] / x[1];
}

/* One compare and one select in machine code; with a NaN the second operand wins. */
double poa_evaluate_max(const double *x) {
  return x[0] > x[1] ? x[0] : x[1];
}

double poa_evaluate_min(const double *x) {
  return x[0] < x[1] ? x[0] : x[1];
}

double poa_evaluate_pow(const double *x) {
  return pow(x[0], x[1]);
}

double poa_evaluate_lt(const double *x) {
  return x[0] < x[1];
}

double poa_evaluate_le(const double *x) {
  return x[0] <= x[1];
}

double poa_evaluate_eq(const double *x) {
  return x[0] == x[1];
}

double poa_evaluate_ne(const double *x) {
  return x[0] != x[1];
}

double poa_evaluate_and(const double *x) {
  return x[0] != 0 && x[1] != 0;
}

double poa_evaluate_or(const double *x) {
  return x[0] != 0 || x[1] != 0;
}

double poa_evaluate_select(const double *x) {
  return x[0] != 0 ? x[1] : x[2];
}
