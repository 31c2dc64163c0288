/* element.c: one short emitter per element-wise op, named poa_element_NAME after its row of
 * ops.def. The table takes them from there: a missing one does not link. What each means
 * is said by ir/interpret_element.c. */
#include "codegen/element.h"

#define ELEMENTWISE 1
#define COMMUTATIVE 0
#define COSTLY 0
#define VIEW 0
#define REDUCTION 0
#define COMPOSITE 0
#define ROOT 0
#define LEAF 0
#define EARLY 0

#define POA_OP(name, ...)                                                                          \
  LLVMValueRef poa_element_##name(poa_emitter *e, const LLVMValueRef *x, poa_dtype result);
#include "ir/ops.def"
#undef POA_OP

static const poa_element_fn emitters[] = {
#define POA_OP(name, operands, attributes, shape, gradient, flags)                                 \
  (flags) ? poa_element_##name : NULL,
#include "ir/ops.def"
#undef POA_OP
};

poa_element_fn poa_element_emitter(poa_op op) {
  return emitters[op];
}

/* Defines the emitter of one op; `x` are its operands. */
#define ELEMENT(name, expression)                                                                  \
  LLVMValueRef poa_element_##name(poa_emitter *e, const LLVMValueRef *x, poa_dtype result) {       \
    (void)result;                                                                                  \
    return expression;                                                                             \
  }

static LLVMValueRef absolute(poa_emitter *e, LLVMValueRef x) {
  if (emit_is_float(x))
    return emit_abs(e, x);
  return emit_max(e, x, emit_neg(e, x));
}

ELEMENT(neg, emit_neg(e, x[0]))
ELEMENT(abs, absolute(e, x[0]))
ELEMENT(exp, poa_emit_exp(e, x[0]))
ELEMENT(log, poa_emit_log(e, x[0]))
ELEMENT(sqrt, emit_sqrt(e, x[0]))
ELEMENT(rsqrt, emit_div(e, emit_float(e, 1), emit_sqrt(e, x[0])))
ELEMENT(erf, poa_emit_erf(e, x[0]))
ELEMENT(tanh, poa_emit_tanh(e, x[0]))
ELEMENT(sin, poa_emit_sin(e, x[0]))
ELEMENT(cos, poa_emit_cos(e, x[0]))
ELEMENT(floor, poa_emit_floor(e, x[0]))
/* x - x is 0, but NaN for an infinity or NaN. */
ELEMENT(is_finite, emit_compare(e, LLVMRealORD, emit_sub(e, x[0], x[0]), emit_float(e, 0)))
ELEMENT(not, emit_not(e, x[0]))

/* Truncates; what does not fit becomes the nearest i32, NaN becomes 0. */
static LLVMValueRef truncate_to_i32(poa_emitter *e, LLVMValueRef x) {
  LLVMTypeRef overload[] = {emit_type_like(x, e->i32), LLVMTypeOf(x)};
  unsigned id = LLVMLookupIntrinsicID("llvm.fptosi.sat", sizeof "llvm.fptosi.sat" - 1);
  return emit_call(e, LLVMGetIntrinsicDeclaration(e->module, id, overload, 2), &x, 1);
}

static bool is_bool(const poa_emitter *e, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return (emit_lanes(x) > 1 ? LLVMGetElementType(type) : type) == e->i1;
}

static LLVMValueRef convert(poa_emitter *e, LLVMValueRef x, poa_dtype to) {
  poa_dtype from = emit_is_float(x) ? POA_F32 : is_bool(e, x) ? POA_BOOL : POA_I32;
  if (from == to)
    return x;
  if (to == POA_BOOL)
    return from == POA_F32 ? emit_compare(e, LLVMRealUNE, x, emit_float(e, 0)) : emit_to_mask(e, x);
  if (from == POA_BOOL)
    x = emit_from_mask(e, x, e->i32);
  if (to == POA_F32)
    return emit_to_float(e, x);
  return from == POA_F32 ? truncate_to_i32(e, x) : x;
}

ELEMENT(convert, convert(e, x[0], result))

/* Through double, which holds the quotient of any two i32 exactly enough to truncate, and
 * does not trap on zero. */
static LLVMValueRef divide(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  if (emit_is_float(a))
    return emit_div(e, a, b);
  LLVMTypeRef wide = emit_type_like(a, LLVMDoubleTypeInContext(e->context));
  LLVMValueRef quotient = LLVMBuildFDiv(e->builder, LLVMBuildSIToFP(e->builder, a, wide, ""),
                                        LLVMBuildSIToFP(e->builder, b, wide, ""), "");
  return truncate_to_i32(e, quotient);
}

ELEMENT(add, emit_add(e, x[0], x[1]))
ELEMENT(sub, emit_sub(e, x[0], x[1]))
ELEMENT(mul, emit_mul(e, x[0], x[1]))
ELEMENT(div, divide(e, x[0], x[1]))
ELEMENT(max, emit_max(e, x[0], x[1]))
ELEMENT(min, emit_min(e, x[0], x[1]))
ELEMENT(pow, poa_emit_pow(e, x[0], x[1]))

static LLVMValueRef compare(poa_emitter *e, LLVMRealPredicate floats, LLVMIntPredicate integers,
                            const LLVMValueRef *x) {
  return emit_is_float(x[0]) ? emit_compare(e, floats, x[0], x[1])
                             : emit_compare_int(e, integers, x[0], x[1]);
}

ELEMENT(lt, compare(e, LLVMRealOLT, LLVMIntSLT, x))
ELEMENT(le, compare(e, LLVMRealOLE, LLVMIntSLE, x))
ELEMENT(eq, compare(e, LLVMRealOEQ, LLVMIntEQ, x))
ELEMENT(ne, compare(e, LLVMRealUNE, LLVMIntNE, x))
ELEMENT(and, emit_and(e, x[0], x[1]))
ELEMENT(or, emit_or(e, x[0], x[1]))
ELEMENT(select, LLVMBuildSelect(e->builder, x[0], x[1], x[2], ""))
