/* power.c: x^y = 2^(y log2 x) in double precision, rounded to f32 once.
 *
 *   |x| = 2^k m with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1)
 *   log2 m = 2/ln 2 * (s + s^3/3 + s^5/5 + ...)            |s| < 0.172, error < 2^-40
 *   2^t = 2^n e^(f ln 2), n = round(t), |f| <= 1/2         Taylor, error < 2^-40
 *
 * A few ulp of f32 are saved against f32 logarithms where y log2 x is large: 0.999^10000.
 * Bases below zero have a result where y is an integer; -x^odd is negative. */
#include "codegen/element.h"

#define LOG_TERMS 9
#define EXP_TERMS 10

typedef struct wide {
  poa_emitter *e;
  LLVMTypeRef f64, i64; /* with the lanes of the operands */
} wide;

static LLVMValueRef number(const wide *w, double value) {
  LLVMTypeRef scalar = LLVMDoubleTypeInContext(w->e->context);
  LLVMValueRef constant = LLVMConstReal(scalar, value);
  return w->f64 == scalar ? constant
                          : poa_emit_splat(w->e, constant, (int)LLVMGetVectorSize(w->f64));
}

static LLVMValueRef integer(const wide *w, int64_t value) {
  LLVMValueRef constant = emit_index(w->e, value);
  return w->i64 == w->e->i64 ? constant
                             : poa_emit_splat(w->e, constant, (int)LLVMGetVectorSize(w->i64));
}

static LLVMValueRef bits(const wide *w, LLVMValueRef x) {
  return LLVMBuildBitCast(w->e->builder, x, w->i64, "");
}

static LLVMValueRef from_bits(const wide *w, LLVMValueRef x) {
  return LLVMBuildBitCast(w->e->builder, x, w->f64, "");
}

/* Finite, normal x > 0; an f32 widened to double is one. */
static LLVMValueRef log2_of(const wide *w, LLVMValueRef x) {
  poa_emitter *e = w->e;
  int64_t half = 0x3fe6a09e667f3bcd; /* sqrt(1/2) */
  LLVMValueRef from_half = emit_sub(e, bits(w, x), integer(w, half));
  LLVMValueRef exponent = LLVMBuildAShr(e->builder, from_half, integer(w, 52), "");
  LLVMValueRef cleared = emit_shift_left(e, exponent, integer(w, 52));
  LLVMValueRef m = from_bits(w, emit_sub(e, bits(w, x), cleared));
  LLVMValueRef s = emit_div(e, emit_sub(e, m, number(w, 1)), emit_add(e, m, number(w, 1)));
  LLVMValueRef square = emit_mul(e, s, s), sum = number(w, 1.0 / (2 * LOG_TERMS + 1));
  for (int k = LOG_TERMS - 1; k >= 0; k--)
    sum = emit_add(e, emit_mul(e, sum, square), number(w, 1.0 / (2 * k + 1)));
  LLVMValueRef log = emit_mul(e, emit_mul(e, s, sum), number(w, 2 / 0.69314718055994530942));
  LLVMValueRef narrow =
      LLVMBuildTrunc(e->builder, exponent, emit_vector_type(e->i32, emit_lanes(exponent)), "");
  return emit_add(e, LLVMBuildSIToFP(e->builder, narrow, w->f64, ""), log);
}

/* t is cut to +-1000, where f32 has long overflowed. */
static LLVMValueRef exp2_of(const wide *w, LLVMValueRef t) {
  poa_emitter *e = w->e;
  t = emit_max(e, number(w, -1000), emit_min(e, number(w, 1000), t));
  /* Adding 1.5 * 2^52 leaves the rounded integer in the low bits. */
  LLVMValueRef shift = number(w, 6755399441055744.0), shifted = emit_add(e, t, shift);
  LLVMValueRef f =
      emit_mul(e, emit_sub(e, t, emit_sub(e, shifted, shift)), number(w, 0.69314718055994530942));
  double factorial = 1;
  for (int k = 2; k <= EXP_TERMS; k++)
    factorial *= k;
  LLVMValueRef sum = number(w, 1 / factorial);
  for (int k = EXP_TERMS; k > 0; k--) {
    factorial /= k;
    sum = emit_add(e, emit_mul(e, sum, f), number(w, 1 / factorial));
  }
  LLVMValueRef exponent = emit_shift_left(e, bits(w, shifted), integer(w, 52));
  return from_bits(w, emit_add(e, bits(w, sum), exponent));
}

/* What the sign of x makes of |x|^y. */
static LLVMValueRef with_sign(poa_emitter *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef power) {
  LLVMValueRef half = emit_mul(e, y, emit_float(e, 0.5));
  LLVMValueRef is_whole = emit_compare(e, LLVMRealOEQ, poa_emit_floor(e, y), y);
  LLVMValueRef is_odd =
      emit_and(e, is_whole, emit_compare(e, LLVMRealONE, poa_emit_floor(e, half), half));
  LLVMValueRef negative = emit_compare_int(e, LLVMIntSLT, emit_bits(e, x), emit_int32(e, 0));
  power = emit_select(e, emit_and(e, negative, is_odd), emit_neg(e, power), power);
  LLVMValueRef none =
      emit_and(e, emit_compare(e, LLVMRealOLT, x, emit_float(e, 0)), emit_not(e, is_whole));
  return emit_select(e, none, emit_div(e, emit_float(e, 0), emit_float(e, 0)), power);
}

LLVMValueRef poa_emit_pow(poa_emitter *e, LLVMValueRef x, LLVMValueRef y) {
  emit_match(e, &x, &y);
  wide w = {e, emit_type_like(x, LLVMDoubleTypeInContext(e->context)), emit_type_like(x, e->i64)};
  LLVMValueRef magnitude = LLVMBuildFPExt(e->builder, emit_abs(e, x), w.f64, "");
  LLVMValueRef exponent = LLVMBuildFPExt(e->builder, y, w.f64, "");
  LLVMValueRef log = log2_of(&w, magnitude);
  LLVMValueRef zero = emit_compare(e, LLVMRealOEQ, magnitude, number(&w, 0));
  log = emit_select(e, zero, number(&w, -1e30), log);
  /* An infinity keeps its exponent of 1024, which is large enough. */
  LLVMValueRef t = emit_mul(e, exponent, log);
  LLVMValueRef power = LLVMBuildFPTrunc(e->builder, exp2_of(&w, t), LLVMTypeOf(x), "");
  LLVMValueRef result = with_sign(e, x, y, power);
  LLVMValueRef undefined = emit_compare(e, LLVMRealUNO, x, y);
  result = emit_select(e, undefined, emit_add(e, x, y), result);
  LLVMValueRef one = emit_or(e, emit_compare(e, LLVMRealOEQ, y, emit_float(e, 0)),
                             emit_compare(e, LLVMRealOEQ, x, emit_float(e, 1)));
  return emit_select(e, one, emit_float(e, 1), result);
}
