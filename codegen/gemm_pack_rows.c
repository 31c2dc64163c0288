/* gemm_pack_rows.c: a block of A, rounded to bf16, with pairs along k in four bytes each.
 *
 * Where columns of A lie next to one another, rows stay rows: pair p of row r at r * a_row + p.
 * Else rows lie side by side, as they do in memory if A is transposed there: pair p of row r at
 * p * a_step + r. An odd last element is paired with 0. */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>

typedef struct packing {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  LLVMTypeRef vector;
  LLVMValueRef a, block, rows, k;
} packing;

static LLVMValueRef at(packing *p, LLVMValueRef base, LLVMValueRef index) {
  return emit_at(p->e, p->e->f32, base, index);
}

static LLVMValueRef times(packing *p, LLVMValueRef index, int64_t stride) {
  return emit_mul(p->e, index, emit_index(p->e, stride));
}

/* A vector of elements `stride` apart, of which `valid` exist (NULL: all); the others are 0. */
static LLVMValueRef load(packing *p, LLVMValueRef from, int64_t stride, LLVMValueRef valid) {
  poa_emitter *e = p->e;
  int lanes = p->plan->lanes;
  if (stride == 1 && !valid)
    return emit_load(e, p->vector, from, 4);
  LLVMValueRef mask = emit_tail_mask(e, valid ? valid : emit_index(e, lanes), lanes);
  if (stride == 1)
    return poa_emit_masked_load(e, p->vector, from, mask, 4);
  LLVMValueRef steps = poa_emit_lane_numbers(e->i64, lanes);
  return poa_emit_gather(e, p->vector, from, emit_mul(e, steps, emit_index(e, stride)), mask);
}

/* [0, count) in strides of `step`, with what is left at the end: calls `body` with the index and
 * how many of the last turn's elements exist, NULL for all. */
static void each(packing *p, LLVMValueRef count, int64_t step,
                 void (*body)(packing *p, LLVMValueRef index, LLVMValueRef valid, void *context),
                 void *context) {
  poa_emitter *e = p->e;
  LLVMValueRef by = emit_index(e, step), whole = emit_and(e, count, emit_index(e, -step));
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), whole, by);
  body(p, loop.index, NULL, context);
  poa_emit_loop_end(e, &loop);
  poa_emit_branch left = poa_emit_if(e, emit_compare_int(e, LLVMIntSLT, whole, count));
  body(p, whole, emit_sub(e, count, whole), context);
  poa_emit_end_if(e, &left);
}

/* Along k: two vectors of floats become one of bf16. */
static void pack_along(packing *p, LLVMValueRef k, LLVMValueRef valid, void *row) {
  poa_emitter *e = p->e;
  LLVMValueRef down = *(LLVMValueRef *)row, lanes = emit_index(e, p->plan->lanes);
  LLVMValueRef from = at(p, p->a, emit_add(e, times(p, down, p->plan->gemm.a.row), k));
  LLVMValueRef pair = LLVMBuildLShr(e->builder, k, emit_index(e, 1), "");
  LLVMValueRef to = at(p, p->block, emit_add(e, times(p, down, p->plan->a_row), pair));
  LLVMValueRef low = load(p, from, 1, valid);
  LLVMValueRef beyond = valid ? emit_sub(e, valid, lanes) : NULL;
  emit_store(e, poa_emit_bf16(e, low, load(p, at(p, from, lanes), 1, beyond)), to, 64);
}

static void pack_row(packing *p, LLVMValueRef row) {
  each(p, p->k, 2 * (int64_t)p->plan->lanes, pack_along, &row);
}

/* Two columns of A side by side; the second is NULL where k ends with the first. */
typedef struct columns {
  LLVMValueRef first, second, to;
} columns;

static void pack_across(packing *p, LLVMValueRef row, LLVMValueRef valid, void *context) {
  poa_emitter *e = p->e;
  const columns *c = context;
  int64_t stride = p->plan->gemm.a.row;
  LLVMValueRef from = times(p, row, stride);
  LLVMValueRef first = load(p, at(p, c->first, from), stride, valid);
  LLVMValueRef second =
      c->second ? load(p, at(p, c->second, from), stride, valid) : emit_zero(p->vector);
  emit_store(e, poa_emit_bf16_pairs(e, first, second), at(p, c->to, row), 64);
}

static void pack_columns(packing *p, LLVMValueRef pair, bool both) {
  poa_emitter *e = p->e;
  int64_t column = p->plan->gemm.a.column;
  columns c = {.first = at(p, p->a, times(p, pair, 2 * column)),
               .to = at(p, p->block, times(p, pair, p->plan->a_step))};
  if (both)
    c.second = at(p, c.first, emit_index(e, column));
  each(p, p->rows, p->plan->lanes, pack_across, &c);
}

static void pack_all_columns(packing *p) {
  poa_emitter *e = p->e;
  LLVMValueRef one = emit_index(e, 1), pairs = LLVMBuildLShr(e->builder, p->k, one, "");
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), pairs, one);
  pack_columns(p, loop.index, true);
  poa_emit_loop_end(e, &loop);
  if (p->plan->gemm.k % 2 == 0)
    return;
  LLVMValueRef odd = emit_compare_int(e, LLVMIntNE, emit_and(e, p->k, one), emit_index(e, 0));
  poa_emit_branch left = poa_emit_if(e, odd);
  pack_columns(p, pairs, false);
  poa_emit_end_if(e, &left);
}

int64_t poa_gemm_packed_rows(const poa_gemm_plan *plan) {
  int64_t pairs = plan->k_block / 2;
  return plan->a_step == 1 ? plan->a_row * plan->tile_m : plan->a_step * pairs;
}

LLVMValueRef poa_gemm_pack_rows(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol) {
  char name[256];
  snprintf(name, sizeof name, "%s.rows", symbol);
  LLVMTypeRef parameters[] = {e->pointer, e->pointer, e->i64, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 4, false);
  LLVMValueRef function = poa_emit_helper(e, name, type);
  packing p = {.e = e, .plan = plan, .vector = emit_vector_type(e->f32, plan->lanes)};
  p.a = LLVMGetParam(function, 0), p.block = LLVMGetParam(function, 1);
  p.rows = LLVMGetParam(function, 2), p.k = LLVMGetParam(function, 3);
  if (plan->a_step == 1) {
    poa_emit_loop row = poa_emit_loop_begin(e, emit_index(e, 0), p.rows, emit_index(e, 1));
    pack_row(&p, row.index);
    poa_emit_loop_end(e, &row);
  } else {
    pack_all_columns(&p);
  }
  emit_return(e);
  return function;
}
