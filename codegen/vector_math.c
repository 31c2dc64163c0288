/* vector_math.c: elementary functions as polynomials over a float or a vector of floats.
 *
 * LLVM's own llvm.exp and the like fall apart into one library call per lane. Here a
 * function is some twenty instructions without a branch or a table: reduce the
 * argument, evaluate a minimax polynomial by Horner's rule, put the result together,
 * select for the special cases (Muller, "Elementary Functions", 3rd ed., chapters 3
 * and 11). E.g. exp(x) = 2^n e^r with n = round(x / ln 2) and |r| <= ln(2)/2.
 *
 * Polynomials were fitted by Remez's exchange to the relative error of the whole
 * function, coefficients rounded to float one after the other. Largest errors in ulp
 * against the exact value, over all floats, with FMA / without:
 *
 *   exp   0.91 / 1.19     erf   1.03 / 1.19     sin   1.49 / 1.49
 *   log   0.86 / 0.86     tanh  1.41 / 1.41     cos   1.50 / 1.50 */
#include "codegen/emit.h"

#include <math.h>

/* Adding it to a number below 2^22 leaves the nearest integer in the low bits of the sum. */
#define ROUND_F32 0x1.8p23
#define ROUND_F64 0x1.8p52

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* c[0] + c[1] x + c[2] x^2 + ... */
static LLVMValueRef polynomial(poa_emitter *e, LLVMValueRef x, const double *c, int count) {
  LLVMValueRef sum = poa_emit_splat(e, emit_float(e, c[count - 1]), emit_lanes(x));
  for (int i = count - 2; i >= 0; --i)
    sum = emit_fma(e, sum, x, emit_float(e, c[i]));
  return sum;
}

/* exp where neither it nor its reciprocal overflows: |x| < 87. Elsewhere any number.
 *   n = round(x / ln 2),  r = x - n ln 2,  2^n (1 + r + r^2 q(r))
 * ln 2 is split in two: n times its head, of 15 bits, is exact. */
static LLVMValueRef exp_in_range(poa_emitter *e, LLVMValueRef x) {
  static const double c[] = {1, 1, 0.5, 0.166665226, 0.0416667722, 0.0083683962, 0.0013902213};
  LLVMValueRef rounder = emit_float(e, ROUND_F32);
  LLVMValueRef shifted = emit_fma(e, x, emit_float(e, 1.44269504088896340736), rounder);
  LLVMValueRef n = emit_sub(e, shifted, rounder);
  LLVMValueRef r = emit_fma(e, n, emit_float(e, -0x1.62e4p-1), x);
  r = emit_fma(e, n, emit_float(e, -1.428606765330187045e-06), r);
  LLVMValueRef p = polynomial(e, r, c, COUNT(c));
  LLVMValueRef exponent = emit_shift_left(e, emit_bits(e, shifted), emit_int32(e, 23));
  return emit_from_bits(e, emit_add(e, emit_bits(e, p), exponent));
}

/* Results below 2^-126 are 0. x + inf is inf, and NaN where x is. */
LLVMValueRef poa_emit_exp(poa_emitter *e, LLVMValueRef x) {
  LLVMValueRef result = exp_in_range(e, x);
  LLVMValueRef tiny = emit_compare(e, LLVMRealOLT, x, emit_float(e, -0x1.5d589ep+6));
  result = emit_select(e, tiny, emit_float(e, 0), result);
  LLVMValueRef finite = emit_compare(e, LLVMRealOLE, x, emit_float(e, 0x1.62e42ep+6));
  return emit_select(e, finite, result, emit_add(e, x, emit_float(e, INFINITY)));
}

/* Subtracting the bits of sqrt(1/2) puts the mantissa's range over [sqrt(1/2), sqrt(2)):
 *   x = 2^k (1 + f),  log x = k ln 2 + f - f^2/2 + f^3 p(f)
 * Denormals are scaled up first. */
static LLVMValueRef log_of_positive(poa_emitter *e, LLVMValueRef x) {
  static const double c[] = {0.333333313, -0.250008225, 0.200012609, -0.166233256,
                             0.142009318, -0.131596267, 0.127671853, -0.0764304101};
  LLVMValueRef denormal = emit_compare(e, LLVMRealOLT, x, emit_float(e, 0x1p-126));
  x = emit_select(e, denormal, emit_mul(e, x, emit_float(e, 0x1p23)), x);
  LLVMValueRef bias = emit_select(e, denormal, emit_float(e, -127 - 23), emit_float(e, -127));
  LLVMValueRef half_root = emit_int32(e, 0x3f3504f3), one = emit_int32(e, 0x3f800000);
  LLVMValueRef bits = emit_add(e, emit_bits(e, x), emit_sub(e, one, half_root));
  LLVMValueRef exponent = emit_shift_right(e, bits, emit_int32(e, 23));
  LLVMValueRef k = emit_add(e, emit_to_float(e, exponent), bias);
  LLVMValueRef mantissa = emit_and(e, bits, emit_int32(e, 0x007fffff));
  LLVMValueRef m = emit_from_bits(e, emit_add(e, mantissa, half_root));
  LLVMValueRef f = emit_sub(e, m, emit_float(e, 1)), f2 = emit_mul(e, f, f);
  LLVMValueRef y = emit_mul(e, emit_mul(e, f2, f), polynomial(e, f, c, COUNT(c)));
  y = emit_fma(e, k, emit_float(e, 1.428606765330187045e-06), y);
  y = emit_fma(e, f2, emit_float(e, -0.5), y);
  return emit_fma(e, k, emit_float(e, 0x1.62e4p-1), emit_add(e, f, y));
}

/* log 0 = -inf, NaN below; inf and NaN are themselves. */
LLVMValueRef poa_emit_log(poa_emitter *e, LLVMValueRef x) {
  LLVMValueRef zero = emit_float(e, 0), infinity = emit_float(e, INFINITY);
  LLVMValueRef negative = emit_compare(e, LLVMRealOLT, x, zero);
  LLVMValueRef special = emit_select(e, negative, emit_float(e, NAN), x);
  LLVMValueRef is_zero = emit_compare(e, LLVMRealOEQ, x, zero);
  special = emit_select(e, is_zero, emit_float(e, -INFINITY), special);
  LLVMValueRef ordinary =
      emit_and(e, emit_compare(e, LLVMRealOGT, x, zero), emit_compare(e, LLVMRealOLT, x, infinity));
  return emit_select(e, ordinary, log_of_positive(e, x), special);
}

/* Below 0.84 x + x p(x^2), above it 1 - exp(-|x| + |x| q(|x|)), with the sign of x. From 4
 * on the result is 1; a NaN takes the first way. */
LLVMValueRef poa_emit_erf(poa_emitter *e, LLVMValueRef x) {
  static const double p[] = {0.128379166,   -0.376125932,  0.112829186,
                             -0.0268100258, 0.00506298803, -0.000638283323};
  static const double q[] = {-0.128512725,   -0.635810077,    -0.104896165,   0.0222797766,
                             -0.00268172589, -4.20028955e-05, 6.38727142e-05, -6.46451235e-06};
  LLVMValueRef size = emit_abs(e, x);
  LLVMValueRef near_zero = emit_fma(e, polynomial(e, emit_mul(e, x, x), p, COUNT(p)), x, x);
  LLVMValueRef t = emit_min(e, emit_float(e, 4), size);
  LLVMValueRef exponent = emit_fma(e, polynomial(e, t, q, COUNT(q)), t, emit_neg(e, t));
  LLVMValueRef tail = emit_sub(e, emit_float(e, 1), exp_in_range(e, exponent));
  LLVMValueRef far = emit_compare(e, LLVMRealOGT, size, emit_float(e, 0.84));
  return emit_select(e, far, emit_copysign(e, tail, x), near_zero);
}

/* Below 0.6 x + x^3 p(x^2), above it 1 - 2 / (exp(2|x|) + 1), with the sign of x. From 9.1
 * on the result is 1; a NaN takes the first way. */
LLVMValueRef poa_emit_tanh(poa_emitter *e, LLVMValueRef x) {
  static const double p[] = {-0.333333045, 0.133319989, -0.0537828915, 0.020775415, -0.00585702853};
  LLVMValueRef size = emit_abs(e, x), x2 = emit_mul(e, x, x);
  LLVMValueRef slope = emit_mul(e, polynomial(e, x2, p, COUNT(p)), x2);
  LLVMValueRef near_zero = emit_fma(e, slope, x, x);
  LLVMValueRef t = emit_min(e, emit_float(e, 9.1), size), one = emit_float(e, 1);
  LLVMValueRef power = exp_in_range(e, emit_add(e, t, t));
  LLVMValueRef rest = emit_div(e, emit_float(e, 2), emit_add(e, power, one));
  LLVMValueRef tail = emit_copysign(e, emit_sub(e, one, rest), x);
  LLVMValueRef far = emit_compare(e, LLVMRealOGT, size, emit_float(e, 0.6));
  return emit_select(e, far, tail, near_zero);
}

/* x = n pi/2 + r with |r| <= pi/4. In double, with pi/2 as 25 + 53 bits, r is good to float
 * for |x| <= 2^28, on every target. Returns r; *n holds the low bits of n. */
static LLVMValueRef reduce_quadrant(poa_emitter *e, LLVMValueRef x, LLVMValueRef *n) {
  LLVMTypeRef f64 = LLVMDoubleTypeInContext(e->context);
  LLVMValueRef wide = LLVMBuildFPExt(e->builder, x, emit_type_like(x, f64), "");
  LLVMValueRef rounder = LLVMConstReal(f64, ROUND_F64);
  LLVMValueRef shifted = emit_fma(e, wide, LLVMConstReal(f64, 0.63661977236758134308), rounder);
  LLVMValueRef bits = LLVMBuildBitCast(e->builder, shifted, emit_type_like(x, e->i64), "");
  *n = LLVMBuildTrunc(e->builder, bits, emit_type_like(x, e->i32), "");
  LLVMValueRef turns = emit_sub(e, shifted, rounder);
  LLVMValueRef r = emit_fma(e, turns, LLVMConstReal(f64, -0x1.921fb5p+0), wide);
  r = emit_fma(e, turns, LLVMConstReal(f64, -0x1.110b4611a6263p-26), r);
  return LLVMBuildFPTrunc(e->builder, r, emit_type_like(x, e->f32), "");
}

/* sin(x + quadrant pi/2): for odd quadrants the cosine of r, for the upper two its negative.
 * Beyond 2^28, where a float's neighbours are many turns apart, NaN. */
static LLVMValueRef sin_from_quadrant(poa_emitter *e, LLVMValueRef x, int quadrant) {
  static const double s[] = {-0.166666672, 0.00833338313, -0.000198540642, 2.83778741e-06};
  static const double c[] = {1, -0.5, 0.041666653, -0.00138877041, 2.44762123e-05};
  LLVMValueRef n, r = reduce_quadrant(e, x, &n), r2 = emit_mul(e, r, r);
  n = emit_add(e, n, emit_int32(e, quadrant));
  LLVMValueRef sine = emit_fma(e, emit_mul(e, polynomial(e, r2, s, COUNT(s)), r2), r, r);
  LLVMValueRef cosine = polynomial(e, r2, c, COUNT(c));
  LLVMValueRef odd = emit_and(e, n, emit_int32(e, 1)), upper = emit_and(e, n, emit_int32(e, 2));
  LLVMValueRef even = emit_compare_int(e, LLVMIntEQ, odd, emit_int32(e, 0));
  LLVMValueRef value = emit_bits(e, emit_select(e, even, sine, cosine));
  value = emit_from_bits(e, emit_xor(e, value, emit_shift_left(e, upper, emit_int32(e, 30))));
  LLVMValueRef known = emit_compare(e, LLVMRealOLE, emit_abs(e, x), emit_float(e, 0x1p28));
  return emit_select(e, known, value, emit_float(e, NAN));
}

LLVMValueRef poa_emit_sin(poa_emitter *e, LLVMValueRef x) {
  return sin_from_quadrant(e, x, 0);
}

LLVMValueRef poa_emit_cos(poa_emitter *e, LLVMValueRef x) {
  return sin_from_quadrant(e, x, 1);
}
