/* gemm_dot.c: products with few columns, such as matrix times vector: the lanes run
 * along k, and each element of C is summed across lanes at the end.
 *
 *   s[r][j][lane] = sum over i of A[r, i*lanes + lane] * B[i*lanes + lane, j]
 *   C[r][j] = alpha * ((s0 + s8) + (s4 + s12) + ...)  [+ C[r][j]]
 *
 * The order of additions is fixed by k, lanes and the number of chains, which follow
 * from shape and target; it is the same for every split into tiles. */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>
#include <string.h>

#define MAX_SUMS 64

typedef struct dot_kernel {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  int rows, columns, lanes, chains;
  LLVMTypeRef vector;
  LLVMValueRef sums[MAX_SUMS]; /* of (r, j), chain i: sums[(r * columns + j) * chains + i] */
} dot_kernel;

static LLVMValueRef at(poa_emitter *e, LLVMValueRef base, int64_t index) {
  return emit_at(e, e->f32, base, emit_index(e, index));
}

static LLVMValueRef load(dot_kernel *d, LLVMValueRef from, int64_t valid) {
  if (valid >= d->lanes)
    return emit_load(d->e, d->vector, from, 4);
  LLVMValueRef mask = emit_tail_mask(d->e, emit_index(d->e, valid), d->lanes);
  return poa_emit_masked_load(d->e, d->vector, from, mask, 4);
}

/* One vector of k, of which `valid` lanes exist, into one of the chains. */
static void multiply_step(dot_kernel *d, LLVMValueRef a, LLVMValueRef b, int64_t valid, int chain) {
  const poa_gemm *g = &d->plan->gemm;
  LLVMValueRef column[POA_EMIT_MAX_LANES];
  for (int j = 0; j < d->columns; ++j)
    column[j] = load(d, at(d->e, b, j * g->b.column), valid);
  for (int r = 0; r < d->rows; ++r) {
    LLVMValueRef row = load(d, at(d->e, a, r * g->a.row), valid);
    for (int j = 0; j < d->columns; ++j) {
      LLVMValueRef *sum = &d->sums[(r * d->columns + j) * d->chains + chain];
      *sum = emit_fma(d->e, row, column[j], *sum);
    }
  }
}

static void multiply(dot_kernel *d, LLVMValueRef a, LLVMValueRef b) {
  poa_emitter *e = d->e;
  int count = d->rows * d->columns * d->chains;
  int64_t k = d->plan->gemm.k, step = (int64_t)d->lanes * d->chains, whole = k / step * step;
  LLVMValueRef carried[MAX_SUMS];
  poa_emit_loop loop =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, whole), emit_index(e, step));
  for (int i = 0; i < count; ++i)
    carried[i] = d->sums[i] = poa_emit_loop_carry(e, &loop, emit_zero(d->vector));
  LLVMValueRef a_here = emit_at(e, e->f32, a, loop.index);
  LLVMValueRef b_here = emit_at(e, e->f32, b, loop.index);
  for (int i = 0; i < d->chains; ++i)
    multiply_step(d, at(e, a_here, i * d->lanes), at(e, b_here, i * d->lanes), d->lanes, i);
  for (int i = 0; i < count; ++i)
    poa_emit_loop_set(e, carried[i], d->sums[i]);
  poa_emit_loop_end(e, &loop);
  memcpy(d->sums, carried, sizeof carried);
  for (int i = 0; whole < k; ++i, whole += d->lanes)
    multiply_step(d, at(e, a, whole), at(e, b, whole), k - whole, i);
}

/* Adds the chains pairwise, then the lanes. */
static LLVMValueRef total(dot_kernel *d, LLVMValueRef *chains) {
  for (int width = d->chains / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i)
      chains[i] = emit_add(d->e, chains[i], chains[i + width]);
  return poa_emit_reduce_add(d->e, chains[0]);
}

static void store(dot_kernel *d, LLVMValueRef c) {
  poa_emitter *e = d->e;
  const poa_gemm *g = &d->plan->gemm;
  LLVMValueRef alpha = emit_float(e, g->alpha);
  for (int r = 0; r < d->rows; ++r)
    for (int j = 0; j < d->columns; ++j) {
      LLVMValueRef to = at(e, c, r * g->c.row + j * g->c.column);
      LLVMValueRef sum = total(d, &d->sums[(r * d->columns + j) * d->chains]);
      sum = g->accumulate ? emit_fma(e, sum, alpha, emit_load(e, e->f32, to, 4))
                          : emit_mul(e, sum, alpha);
      emit_store(e, sum, to, 4);
    }
}

LLVMValueRef poa_gemm_dot_kernel(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                                 int rows) {
  char name[256];
  snprintf(name, sizeof name, "%s.dot.%d", symbol, rows);
  LLVMTypeRef parameters[] = {e->pointer, e->pointer, e->pointer, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 4, false);
  LLVMValueRef function = poa_emit_helper(e, name, type);
  dot_kernel d = {.e = e, .plan = plan, .rows = rows, .columns = plan->vectors};
  d.lanes = plan->lanes, d.chains = plan->chains;
  d.vector = emit_vector_type(e->f32, plan->lanes);
  LLVMValueRef a = LLVMGetParam(function, 0), c = LLVMGetParam(function, 2);
  LLVMValueRef height = emit_mul(e, LLVMGetParam(function, 3), emit_index(e, rows));
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), height, emit_index(e, rows));
  LLVMValueRef down_a = emit_mul(e, loop.index, emit_index(e, plan->gemm.a.row));
  LLVMValueRef down_c = emit_mul(e, loop.index, emit_index(e, plan->gemm.c.row));
  multiply(&d, emit_at(e, e->f32, a, down_a), LLVMGetParam(function, 1));
  store(&d, emit_at(e, e->f32, c, down_c));
  poa_emit_loop_end(e, &loop);
  emit_return(e);
  return function;
}
