/* emit.h: short helpers over the LLVM builder, so that an emitter reads like the
 * code it emits.
 *
 * An `emit_` helper is one instruction or so; a `poa_emit_` function emits several
 * (a loop, a reduction, a polynomial). Arithmetic works on float, on integers and on
 * vectors of them; a scalar operand next to a vector is splat to its lanes, so
 * constants need no care. A "vector" of one lane is the scalar itself. Example,
 * y[i] = 2 * x[i] for i in first..last-1, one float at a time:
 *
 *   poa_emit_kernel(e, symbol);
 *   LLVMValueRef x = emit_buffer(e, 0), y = emit_buffer(e, 1);
 *   poa_emit_loop i = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, 1));
 *   LLVMValueRef value = emit_load(e, e->f32, emit_at(e, e->f32, x, i.index), 4);
 *   emit_store(e, emit_mul(e, value, emit_float(e, 2)), emit_at(e, e->f32, y, i.index), 4);
 *   poa_emit_loop_end(e, &i);
 *   emit_return(e); */
#ifndef POA_CODEGEN_EMIT_H
#define POA_CODEGEN_EMIT_H

#include "codegen/codegen.h"

#define POA_EMIT_MAX_LANES 64

/* emit.c */

/* A context and an empty module for `machine`, whose target `target` describes. The
 * emitter keeps `target` by reference and owns the rest. */
void poa_emitter_init(poa_emitter *e, const poa_target *target, LLVMTargetMachineRef machine);
void poa_emitter_free(poa_emitter *e);

/* Starts a function of the type of poa_kernel_fn: sets e->function and places the
 * builder in its entry block. It lacks noalias: buffers of a launch may overlap. */
LLVMValueRef poa_emit_kernel(poa_emitter *e, const char *symbol);
/* The same for an internal helper of type `type`, to be called with emit_call. Saving
 * e->function and the builder's place is the caller's job. */
LLVMValueRef poa_emit_helper(poa_emitter *e, const char *symbol, LLVMTypeRef type);
LLVMBasicBlockRef poa_emit_block(poa_emitter *e, const char *name); /* appended, not entered */

/* A call of an LLVM intrinsic that is overloaded on `overload` alone. */
LLVMValueRef poa_emit_intrinsic(poa_emitter *e, const char *name, LLVMTypeRef overload,
                                LLVMValueRef *arguments, unsigned count);

/* for (index = from; index < to; index += step), tested before the first turn. The three
 * are i64. The builder is left in the body. */
typedef struct poa_emit_loop {
  LLVMValueRef index;
  LLVMValueRef step;
  LLVMBasicBlockRef before, head, after;
} poa_emit_loop;
poa_emit_loop poa_emit_loop_begin(poa_emitter *e, LLVMValueRef from, LLVMValueRef to,
                                  LLVMValueRef step);
/* A variable of the loop: its value at the start of a turn, and after the loop. Every
 * one needs a poa_emit_loop_set in the body: its value for the next turn. */
LLVMValueRef poa_emit_loop_carry(poa_emitter *e, const poa_emit_loop *loop, LLVMValueRef initial);
/* Call where the builder is in the block that will end the turn: just before the end. */
void poa_emit_loop_set(poa_emitter *e, LLVMValueRef variable, LLVMValueRef next);
void poa_emit_loop_end(poa_emitter *e, poa_emit_loop *loop);

/* if (condition) { ... } [else { ... }]. Values leave through memory or a phi of yours. */
typedef struct poa_emit_branch {
  LLVMBasicBlockRef otherwise, after;
} poa_emit_branch;
poa_emit_branch poa_emit_if(poa_emitter *e, LLVMValueRef condition);
void poa_emit_else(poa_emitter *e, poa_emit_branch *branch);
void poa_emit_end_if(poa_emitter *e, poa_emit_branch *branch);

/* The lanes of a vector (a power of two of them) folded by halves, [0,n/2) with [n/2,n),
 * down to a scalar: always the same order. A NaN reaches the result of each. */
LLVMValueRef poa_emit_reduce_add(poa_emitter *e, LLVMValueRef vector);
LLVMValueRef poa_emit_reduce_max(poa_emitter *e, LLVMValueRef vector);
LLVMValueRef poa_emit_reduce_min(poa_emitter *e, LLVMValueRef vector);

/* Lanes whose `mask` is false touch no memory; a load gives zero there. `type` is a vector
 * type, `alignment` in bytes. */
LLVMValueRef poa_emit_masked_load(poa_emitter *e, LLVMTypeRef type, LLVMValueRef pointer,
                                  LLVMValueRef mask, unsigned alignment);
void poa_emit_masked_store(poa_emitter *e, LLVMValueRef value, LLVMValueRef pointer,
                           LLVMValueRef mask, unsigned alignment);
/* Reads or writes base[index[lane]], elements of the vector's element type; `index` is a
 * vector of i32 or i64. Of lanes that write the same element the highest wins. */
LLVMValueRef poa_emit_gather(poa_emitter *e, LLVMTypeRef type, LLVMValueRef base,
                             LLVMValueRef index, LLVMValueRef mask);
void poa_emit_scatter(poa_emitter *e, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index,
                      LLVMValueRef mask);

/* The same scalar in every lane; a constant stays one. */
LLVMValueRef poa_emit_splat(poa_emitter *e, LLVMValueRef scalar, int lanes);
/* <0, 1, ..., lanes-1> (at most POA_EMIT_MAX_LANES) of the integer type `element`. */
LLVMValueRef poa_emit_lane_numbers(LLVMTypeRef element, int lanes);

/* Types. */

static inline LLVMTypeRef emit_vector_type(LLVMTypeRef element, int lanes) {
  return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

static inline int emit_lanes(LLVMValueRef value) {
  LLVMTypeRef type = LLVMTypeOf(value);
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 1;
}

/* `element` in as many lanes as `value` has. */
static inline LLVMTypeRef emit_type_like(LLVMValueRef value, LLVMTypeRef element) {
  return emit_vector_type(element, emit_lanes(value));
}

static inline bool emit_is_float(LLVMValueRef value) {
  LLVMTypeRef type = LLVMTypeOf(value);
  if (LLVMGetTypeKind(type) == LLVMVectorTypeKind)
    type = LLVMGetElementType(type);
  LLVMTypeKind kind = LLVMGetTypeKind(type);
  return kind == LLVMFloatTypeKind || kind == LLVMDoubleTypeKind;
}

/* Constants. */

static inline LLVMValueRef emit_index(const poa_emitter *e, int64_t value) {
  return LLVMConstInt(e->i64, (unsigned long long)value, true);
}

static inline LLVMValueRef emit_int32(const poa_emitter *e, int32_t value) {
  return LLVMConstInt(e->i32, (unsigned long long)value, true);
}

/* The double is rounded to the nearest float. */
static inline LLVMValueRef emit_float(const poa_emitter *e, double value) {
  return LLVMConstReal(e->f32, (float)value);
}

static inline LLVMValueRef emit_zero(LLVMTypeRef type) {
  return LLVMConstNull(type);
}

/* Gives the scalar one of the two the lanes of the other. */
static inline void emit_match(poa_emitter *e, LLVMValueRef *a, LLVMValueRef *b) {
  int lanes_a = emit_lanes(*a), lanes_b = emit_lanes(*b);
  if (lanes_a < lanes_b)
    *a = poa_emit_splat(e, *a, lanes_b);
  else if (lanes_b < lanes_a)
    *b = poa_emit_splat(e, *b, lanes_a);
}

/* Arithmetic: floats round to nearest, integers wrap. */

static inline LLVMValueRef emit_add(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return emit_is_float(a) ? LLVMBuildFAdd(e->builder, a, b, "")
                          : LLVMBuildAdd(e->builder, a, b, "");
}

static inline LLVMValueRef emit_sub(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return emit_is_float(a) ? LLVMBuildFSub(e->builder, a, b, "")
                          : LLVMBuildSub(e->builder, a, b, "");
}

static inline LLVMValueRef emit_mul(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return emit_is_float(a) ? LLVMBuildFMul(e->builder, a, b, "")
                          : LLVMBuildMul(e->builder, a, b, "");
}

/* Integers: signed, towards zero. */
static inline LLVMValueRef emit_div(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return emit_is_float(a) ? LLVMBuildFDiv(e->builder, a, b, "")
                          : LLVMBuildSDiv(e->builder, a, b, "");
}

/* Integers only; the sign of the dividend. */
static inline LLVMValueRef emit_rem(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildSRem(e->builder, a, b, "");
}

static inline LLVMValueRef emit_neg(poa_emitter *e, LLVMValueRef a) {
  return emit_is_float(a) ? LLVMBuildFNeg(e->builder, a, "") : LLVMBuildNeg(e->builder, a, "");
}

/* a * b + c, rounded once where the target has FMA, else twice (the library call that
 * LLVM would make instead is some fifty times slower). */
static inline LLVMValueRef emit_fma(poa_emitter *e, LLVMValueRef a, LLVMValueRef b,
                                    LLVMValueRef c) {
  emit_match(e, &a, &b);
  emit_match(e, &a, &c);
  emit_match(e, &a, &b);
  if (!e->target->has_fma)
    return emit_add(e, emit_mul(e, a, b), c);
  return poa_emit_intrinsic(e, "llvm.fma", LLVMTypeOf(a), (LLVMValueRef[]){a, b, c}, 3);
}

static inline LLVMValueRef emit_abs(poa_emitter *e, LLVMValueRef x) {
  return poa_emit_intrinsic(e, "llvm.fabs", LLVMTypeOf(x), &x, 1);
}

static inline LLVMValueRef emit_sqrt(poa_emitter *e, LLVMValueRef x) {
  return poa_emit_intrinsic(e, "llvm.sqrt", LLVMTypeOf(x), &x, 1);
}

/* The magnitude of `x` with the sign of `sign`. */
static inline LLVMValueRef emit_copysign(poa_emitter *e, LLVMValueRef x, LLVMValueRef sign) {
  emit_match(e, &x, &sign);
  return poa_emit_intrinsic(e, "llvm.copysign", LLVMTypeOf(x), (LLVMValueRef[]){x, sign}, 2);
}

/* Comparison and choice. Floats compare "ordered" with LLVMRealO..., true on NaN with
 * LLVMRealU...; the result is i1, or a vector of it. */

static inline LLVMValueRef emit_compare(poa_emitter *e, LLVMRealPredicate predicate, LLVMValueRef a,
                                        LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildFCmp(e->builder, predicate, a, b, "");
}

static inline LLVMValueRef emit_compare_int(poa_emitter *e, LLVMIntPredicate predicate,
                                            LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildICmp(e->builder, predicate, a, b, "");
}

/* condition ? a : b. A scalar condition chooses between whole vectors. */
static inline LLVMValueRef emit_select(poa_emitter *e, LLVMValueRef condition, LLVMValueRef a,
                                       LLVMValueRef b) {
  emit_match(e, &a, &b);
  if (emit_lanes(condition) > 1)
    emit_match(e, &condition, &a), emit_match(e, &condition, &b);
  return LLVMBuildSelect(e->builder, condition, a, b, "");
}

/* One instruction each. With a NaN on either side the result is `b`: put a constant
 * first and the NaN of the other is kept. */
static inline LLVMValueRef emit_min(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef less =
      emit_is_float(a) ? emit_compare(e, LLVMRealOLT, a, b) : emit_compare_int(e, LLVMIntSLT, a, b);
  return emit_select(e, less, a, b);
}

static inline LLVMValueRef emit_max(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef greater =
      emit_is_float(a) ? emit_compare(e, LLVMRealOGT, a, b) : emit_compare_int(e, LLVMIntSGT, a, b);
  return emit_select(e, greater, a, b);
}

/* Integers and masks. */

static inline LLVMValueRef emit_and(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildAnd(e->builder, a, b, "");
}

static inline LLVMValueRef emit_or(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildOr(e->builder, a, b, "");
}

static inline LLVMValueRef emit_xor(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  emit_match(e, &a, &b);
  return LLVMBuildXor(e->builder, a, b, "");
}

static inline LLVMValueRef emit_not(poa_emitter *e, LLVMValueRef a) {
  return LLVMBuildNot(e->builder, a, "");
}

static inline LLVMValueRef emit_shift_left(poa_emitter *e, LLVMValueRef a, LLVMValueRef bits) {
  emit_match(e, &a, &bits);
  return LLVMBuildShl(e->builder, a, bits, "");
}

/* Zeros come in from above. */
static inline LLVMValueRef emit_shift_right(poa_emitter *e, LLVMValueRef a, LLVMValueRef bits) {
  emit_match(e, &a, &bits);
  return LLVMBuildLShr(e->builder, a, bits, "");
}

/* True in the lanes below `count` (i64): the mask of a last, partial vector. */
static inline LLVMValueRef emit_tail_mask(poa_emitter *e, LLVMValueRef count, int lanes) {
  LLVMValueRef narrow = LLVMBuildTrunc(e->builder, count, e->i32, "");
  return emit_compare_int(e, LLVMIntSLT, poa_emit_lane_numbers(e->i32, lanes), narrow);
}

/* Conversions keep the lanes and change the element. */

static inline LLVMValueRef emit_bits(poa_emitter *e, LLVMValueRef f32) {
  return LLVMBuildBitCast(e->builder, f32, emit_type_like(f32, e->i32), "");
}

static inline LLVMValueRef emit_from_bits(poa_emitter *e, LLVMValueRef i32) {
  return LLVMBuildBitCast(e->builder, i32, emit_type_like(i32, e->f32), "");
}

/* Signed integers of any width to f32. */
static inline LLVMValueRef emit_to_float(poa_emitter *e, LLVMValueRef integer) {
  return LLVMBuildSIToFP(e->builder, integer, emit_type_like(integer, e->f32), "");
}

/* f32 to i32, towards zero; the value must fit. */
static inline LLVMValueRef emit_to_int32(poa_emitter *e, LLVMValueRef f32) {
  return LLVMBuildFPToSI(e->builder, f32, emit_type_like(f32, e->i32), "");
}

/* Signed integers to i64, as indices are. */
static inline LLVMValueRef emit_to_index(poa_emitter *e, LLVMValueRef integer) {
  return LLVMBuildSExt(e->builder, integer, emit_type_like(integer, e->i64), "");
}

/* A stored bool (i8, 0 or 1) to a mask of i1 and back. */
static inline LLVMValueRef emit_to_mask(poa_emitter *e, LLVMValueRef i8) {
  return emit_compare_int(e, LLVMIntNE, i8, emit_zero(LLVMTypeOf(i8)));
}

static inline LLVMValueRef emit_from_mask(poa_emitter *e, LLVMValueRef mask, LLVMTypeRef element) {
  return LLVMBuildZExt(e->builder, mask, emit_type_like(mask, element), "");
}

/* Memory. `alignment` is in bytes: that of the address, not of the type. */

/* &base[index], of elements of type `element`; `index` is i64. */
static inline LLVMValueRef emit_at(poa_emitter *e, LLVMTypeRef element, LLVMValueRef base,
                                   LLVMValueRef index) {
  return LLVMBuildGEP2(e->builder, element, base, &index, 1, "");
}

static inline LLVMValueRef emit_load(poa_emitter *e, LLVMTypeRef type, LLVMValueRef pointer,
                                     unsigned alignment) {
  LLVMValueRef load = LLVMBuildLoad2(e->builder, type, pointer, "");
  LLVMSetAlignment(load, alignment);
  return load;
}

static inline void emit_store(poa_emitter *e, LLVMValueRef value, LLVMValueRef pointer,
                              unsigned alignment) {
  LLVMSetAlignment(LLVMBuildStore(e->builder, value, pointer), alignment);
}

static inline LLVMValueRef emit_lane(poa_emitter *e, LLVMValueRef vector, int lane) {
  if (emit_lanes(vector) == 1)
    return vector;
  return LLVMBuildExtractElement(e->builder, vector, emit_int32(e, lane), "");
}

/* The kernel being built: (buffers, first, last). */

static inline LLVMValueRef emit_buffer(poa_emitter *e, int number) {
  LLVMValueRef buffers = LLVMGetParam(e->function, 0);
  return emit_load(e, e->pointer, emit_at(e, e->pointer, buffers, emit_index(e, number)), 8);
}

static inline LLVMValueRef emit_first(const poa_emitter *e) {
  return LLVMGetParam(e->function, 1);
}

static inline LLVMValueRef emit_last(const poa_emitter *e) {
  return LLVMGetParam(e->function, 2);
}

static inline LLVMValueRef emit_call(poa_emitter *e, LLVMValueRef function, LLVMValueRef *arguments,
                                     unsigned count) {
  LLVMTypeRef type = LLVMGlobalGetValueType(function);
  return LLVMBuildCall2(e->builder, type, function, arguments, count, "");
}

static inline void emit_return(poa_emitter *e) {
  LLVMBuildRetVoid(e->builder);
}

#endif
