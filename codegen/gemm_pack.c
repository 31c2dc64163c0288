/* gemm_pack.c: a block of B, whose columns are not unit-stride or whose rows share
 * cache sets, to a dense panel of whole vectors, a row for each step. In bf16 a step is two rows of
 * B, rounded and interleaved; what is said here of elements then is of pairs.
 *
 * A transposition takes 4 steps at a time. Column j holds them side by side, so
 * vector r gathers columns r, 4 + r, 8 + r, ... as quarters; the 4x4 blocks that
 * stand in the quarters are then transposed by two rounds of in-lane shuffles:
 *
 *   v0 = a0 a1 a2 a3 | e0 ..    a0 b0 a1 b1    a0 b0 c0 d0 | e0 ..   row k
 *   v1 = b0 b1 b2 b3 | f0 ..    a2 b2 a3 b3    a1 b1 c1 d1 | e1 ..   row k + 1
 *   v2 = c0 c1 c2 c3 | g0 ..    c0 d0 c1 d1    a2 b2 c2 d2 | e2 ..   row k + 2
 *   v3 = d0 d1 d2 d3 | h0 ..    c2 d2 c3 d3    a3 b3 c3 d3 | e3 ..   row k + 3 */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>

#define STEP 4

typedef struct packing {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  int lanes;
  int64_t columns, stride; /* valid columns; elements of a row of the panel */
  LLVMTypeRef vector;
} packing;

static LLVMValueRef at(poa_emitter *e, LLVMValueRef base, int64_t index) {
  return emit_at(e, e->f32, base, emit_index(e, index));
}

/* Columns beyond the `valid` ones read the last of them: no load leaves B. */
static int64_t column_offset(const packing *p, int64_t column, int64_t valid) {
  return (column < valid ? column : valid - 1) * p->plan->gemm.b.column;
}

static LLVMValueRef shuffle(poa_emitter *e, LLVMValueRef a, LLVMValueRef b, const int *lanes,
                            int count) {
  LLVMValueRef mask[POA_EMIT_MAX_LANES];
  for (int i = 0; i < count; ++i)
    mask[i] = emit_int32(e, lanes[i]);
  return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(mask, (unsigned)count), "");
}

/* Within each quarter, lanes `pick` of the eight that a and b have there. */
static LLVMValueRef shuffle_quarters(packing *p, LLVMValueRef a, LLVMValueRef b,
                                     const int pick[4]) {
  int lanes[POA_EMIT_MAX_LANES];
  for (int i = 0; i < p->lanes; ++i) {
    int from = pick[i % 4];
    lanes[i] = i / 4 * 4 + from % 4 + (from >= 4 ? p->lanes : 0);
  }
  return shuffle(p->e, a, b, lanes, p->lanes);
}

/* Four pairs of each of four columns, as four vectors of eight floats become them. */
static LLVMValueRef load_quarters_bf16(packing *p, LLVMValueRef b, int64_t first, int64_t valid) {
  poa_emitter *e = p->e;
  LLVMTypeRef eight = emit_vector_type(e->f32, 8);
  LLVMValueRef column[4];
  int lanes[16];
  for (int q = 0; q < 4; ++q)
    column[q] = emit_load(e, eight, at(e, b, column_offset(p, first + 4 * q, valid)), 4);
  for (int i = 0; i < 16; ++i)
    lanes[i] = i;
  return poa_emit_bf16(e, shuffle(e, column[0], column[1], lanes, 16),
                       shuffle(e, column[2], column[3], lanes, 16));
}

/* Steps k..k+3 of columns first, first + 4, ..., one to a quarter. */
static LLVMValueRef load_quarters(packing *p, LLVMValueRef b, int64_t first, int64_t valid) {
  poa_emitter *e = p->e;
  if (p->plan->gemm.bf16)
    return load_quarters_bf16(p, b, first, valid);
  LLVMTypeRef quarter = emit_vector_type(e->f32, 4);
  LLVMValueRef vectors[POA_EMIT_MAX_LANES / 4];
  int count = p->lanes / 4;
  for (int q = 0; q < count; ++q)
    vectors[q] = emit_load(e, quarter, at(e, b, column_offset(p, first + 4 * q, valid)), 4);
  int lanes[POA_EMIT_MAX_LANES];
  for (int i = 0; i < p->lanes; ++i)
    lanes[i] = i;
  for (int width = 4; count > 1; count /= 2, width *= 2)
    for (int q = 0; q < count / 2; ++q)
      vectors[q] = shuffle(e, vectors[2 * q], vectors[2 * q + 1], lanes, 2 * width);
  return vectors[0];
}

/* Four rows of the panel, one vector wide. */
static void transpose_block(packing *p, LLVMValueRef b, LLVMValueRef panel, int64_t valid) {
  static const int low[] = {0, 4, 1, 5}, high[] = {2, 6, 3, 7};
  static const int even[] = {0, 1, 4, 5}, odd[] = {2, 3, 6, 7};
  LLVMValueRef v[STEP];
  for (int r = 0; r < STEP; ++r)
    v[r] = load_quarters(p, b, r, valid);
  LLVMValueRef ab0 = shuffle_quarters(p, v[0], v[1], low);
  LLVMValueRef ab2 = shuffle_quarters(p, v[0], v[1], high);
  LLVMValueRef cd0 = shuffle_quarters(p, v[2], v[3], low);
  LLVMValueRef cd2 = shuffle_quarters(p, v[2], v[3], high);
  LLVMValueRef rows[] = {shuffle_quarters(p, ab0, cd0, even), shuffle_quarters(p, ab0, cd0, odd),
                         shuffle_quarters(p, ab2, cd2, even), shuffle_quarters(p, ab2, cd2, odd)};
  for (int r = 0; r < STEP; ++r)
    emit_store(p->e, rows[r], at(p->e, panel, r * p->stride), (unsigned)p->lanes * 4);
}

/* One vector of one row of B, of any column stride. */
static LLVMValueRef load_columns(packing *p, LLVMValueRef b, int64_t column) {
  poa_emitter *e = p->e;
  int64_t left = p->columns - column;
  if (p->plan->gemm.b.column == 1 && left >= p->lanes)
    return emit_load(e, p->vector, at(e, b, column), 4);
  if (p->plan->gemm.b.column == 1)
    return poa_emit_masked_load(e, p->vector, at(e, b, column),
                                emit_tail_mask(e, emit_index(e, left), p->lanes), 4);
  LLVMValueRef vector = LLVMGetPoison(p->vector);
  for (int i = 0; i < p->lanes; ++i) {
    LLVMValueRef element =
        emit_load(e, e->f32, at(e, b, column_offset(p, column + i, p->columns)), 4);
    vector = LLVMBuildInsertElement(e->builder, vector, element, emit_int32(e, i), "");
  }
  return vector;
}

/* One row of the panel; in bf16 `next` is the row of B after `b`, NULL where there is none. */
static void copy_row(packing *p, LLVMValueRef b, LLVMValueRef next, LLVMValueRef panel) {
  for (int64_t column = 0; column < p->stride; column += p->lanes) {
    LLVMValueRef row = load_columns(p, b, column);
    if (p->plan->gemm.bf16)
      row = poa_emit_bf16_pairs(p->e, row,
                                next ? load_columns(p, next, column) : emit_zero(p->vector));
    emit_store(p->e, row, at(p->e, panel, column), (unsigned)p->lanes * 4);
  }
}

/* Steps [from, to) of B, one after the other. */
static void copy_rows(packing *p, LLVMValueRef b, LLVMValueRef panel, LLVMValueRef from,
                      LLVMValueRef to) {
  poa_emitter *e = p->e;
  poa_emit_loop k = poa_emit_loop_begin(e, from, to, emit_index(e, 1));
  int64_t row = p->plan->gemm.b.row, step = p->plan->gemm.bf16 ? 2 * row : row;
  LLVMValueRef to_row = emit_mul(e, k.index, emit_index(e, p->stride));
  LLVMValueRef here = emit_at(e, e->f32, b, emit_mul(e, k.index, emit_index(e, step)));
  copy_row(p, here, at(e, here, row), emit_at(e, e->f32, panel, to_row));
  poa_emit_loop_end(e, &k);
}

/* Steps [0, to) of `valid` columns, a vector wide. */
static void transpose_strip(packing *p, LLVMValueRef b, LLVMValueRef panel, LLVMValueRef to,
                            int64_t valid) {
  poa_emitter *e = p->e;
  poa_emit_loop k = poa_emit_loop_begin(e, emit_index(e, 0), to, emit_index(e, STEP));
  LLVMValueRef to_row = emit_mul(e, k.index, emit_index(e, p->stride));
  int64_t step = p->plan->gemm.bf16 ? 2 : 1;
  LLVMValueRef here = emit_at(e, e->f32, b, emit_mul(e, k.index, emit_index(e, step)));
  transpose_block(p, here, emit_at(e, e->f32, panel, to_row), valid);
  poa_emit_loop_end(e, &k);
}

/* Steps [0, to), strip by strip: only `lanes` columns at a time, which may all share few
 * cache sets, are in use until they have been read whole. */
static void transpose(packing *p, LLVMValueRef b, LLVMValueRef panel, LLVMValueRef to) {
  poa_emitter *e = p->e;
  int64_t step = p->plan->gemm.b.column, left = p->columns % p->lanes;
  int64_t whole = p->columns - left;
  if (whole) {
    poa_emit_loop strip =
        poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, whole), emit_index(e, p->lanes));
    LLVMValueRef column = emit_mul(e, strip.index, emit_index(e, step));
    transpose_strip(p, emit_at(e, e->f32, b, column), emit_at(e, e->f32, panel, strip.index), to,
                    p->lanes);
    poa_emit_loop_end(e, &strip);
  }
  if (left)
    transpose_strip(p, at(e, b, whole * step), at(e, panel, whole), to, left);
}

/* An odd last row of B, paired with zeros. */
static void copy_odd_row(packing *p, LLVMValueRef b, LLVMValueRef panel, LLVMValueRef k,
                         LLVMValueRef step) {
  poa_emitter *e = p->e;
  LLVMValueRef one = emit_index(e, 1);
  LLVMValueRef odd = emit_compare_int(e, LLVMIntNE, emit_and(e, k, one), emit_index(e, 0));
  poa_emit_branch last = poa_emit_if(e, odd);
  LLVMValueRef row = emit_mul(e, step, emit_index(e, 2 * p->plan->gemm.b.row));
  LLVMValueRef to_row = emit_mul(e, step, emit_index(e, p->stride));
  copy_row(p, emit_at(e, e->f32, b, row), NULL, emit_at(e, e->f32, panel, to_row));
  poa_emit_end_if(e, &last);
}

LLVMValueRef poa_gemm_pack(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                           int64_t columns) {
  char name[256];
  snprintf(name, sizeof name, "%s.pack.%d", symbol, (int)columns);
  LLVMTypeRef parameters[] = {e->pointer, e->pointer, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 3, false);
  LLVMValueRef function = poa_emit_helper(e, name, type);
  packing p = {.e = e, .plan = plan, .lanes = plan->lanes, .columns = columns};
  p.stride = poa_gemm_panel_stride(plan, columns);
  p.vector = emit_vector_type(e->f32, plan->lanes);
  LLVMValueRef b = LLVMGetParam(function, 0), panel = LLVMGetParam(function, 1);
  LLVMValueRef k = LLVMGetParam(function, 2), from = emit_index(e, 0), to = k;
  int64_t rows = plan->gemm.bf16 ? 2 : 1; /* of B, a step */
  if (plan->gemm.bf16)
    to = LLVMBuildLShr(e->builder, k, emit_index(e, 1), "");
  if (plan->panel == POA_PANEL_TRANSPOSE) {
    from = emit_and(e, to, emit_index(e, -STEP));
    transpose(&p, b, panel, from);
  }
  if (plan->panel != POA_PANEL_TRANSPOSE || plan->gemm.k % (STEP * rows))
    copy_rows(&p, b, panel, from, to);
  if (plan->gemm.k % rows)
    copy_odd_row(&p, b, panel, k, to);
  emit_return(e);
  return function;
}
