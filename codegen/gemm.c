/* gemm.c: the loops around the micro-kernels, as one kernel over tiles; see gemm_plan.h
 * for their order. A kernel that is not a dot, in C:
 *
 *   for (item = first * grain; item < min(last * grain, items); ++item) {
 *     a, b, c = corners of the item's batch and tile, rows x columns of C;
 *     for (at = 0; at < k; at += k_block) {
 *       depth = min(k_block, k - at);
 *       [gather(a + ..., block, depth)]                       A of joined axes
 *       [pack_rows(a + ..., packed, rows, depth)]             bf16
 *       for (j = 0; j < columns; j += panel columns) {
 *         pack(b + ..., panel, depth);
 *         micro_kernel(a + ..., panel, c + ..., rows / micro rows, depth, at > 0, at is last);
 *         if (rows % micro rows)
 *           micro_kernel_for_the_rows_left(...);
 *       }
 *     }
 *   } */
#include "codegen/gemm.h"
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>

/* The helpers of one width of panel: whole, or what is left of n. */
typedef struct panel_kernels {
  int64_t columns;        /* 0: no such panel */
  LLVMValueRef pack;      /* NULL: in place */
  LLVMValueRef whole;     /* plan->rows rows */
  LLVMValueRef rows_left; /* the rest of m; NULL if there is none */
} panel_kernels;

typedef struct macro_kernel {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  panel_kernels whole, left;
  LLVMValueRef gather, block;     /* A has joined axes: the helper, and where blocks of A go */
  LLVMValueRef pack_rows, packed; /* the same for A in bf16 */
  LLVMValueRef buffer_a, buffer_b, buffer_c;
  LLVMValueRef panel, sum; /* stack */
  /* Of the current item: corners, extents, first row and column in the batch. */
  LLVMValueRef a, b, c, rows, columns, row, column;
  /* Of the current block of k. */
  LLVMValueRef depth, steps, resume, finish;
} macro_kernel;

static LLVMValueRef moved(macro_kernel *m, LLVMValueRef base, LLVMValueRef by, int64_t stride) {
  poa_emitter *e = m->e;
  return emit_at(e, e->f32, base, emit_mul(e, by, emit_index(e, stride)));
}

static LLVMValueRef smaller(macro_kernel *m, LLVMValueRef a, int64_t b) {
  return emit_min(m->e, a, emit_index(m->e, b));
}

static LLVMValueRef emit_rows_kernel(poa_emitter *e, const poa_gemm_plan *p, const char *symbol,
                                     int rows, int64_t columns) {
  return p->dot ? poa_gemm_dot_kernel(e, p, symbol, rows)
                : poa_gemm_micro_kernel(e, p, symbol, rows, columns);
}

static panel_kernels emit_panel_kernels(poa_emitter *e, const poa_gemm_plan *p, const char *symbol,
                                        int64_t columns) {
  panel_kernels kernels = {.columns = columns};
  if (columns == 0)
    return kernels;
  int rows_left = poa_gemm_rows_left(p);
  if (p->panel != POA_PANEL_IN_PLACE)
    kernels.pack = poa_gemm_pack(e, p, symbol, columns);
  if (p->gemm.m >= p->rows)
    kernels.whole = emit_rows_kernel(e, p, symbol, p->rows, columns);
  if (rows_left)
    kernels.rows_left = emit_rows_kernel(e, p, symbol, rows_left, columns);
  return kernels;
}

/* Floats on the stack, on a boundary of a vector. */
static LLVMValueRef scratch(poa_emitter *e, int64_t elements) {
  LLVMValueRef memory = LLVMBuildArrayAlloca(e->builder, e->f32, emit_index(e, elements), "");
  LLVMSetAlignment(memory, POA_ALIGNMENT);
  return memory;
}

/* Splits off the last digit of a number whose last digit counts to `extent`. */
static LLVMValueRef digit(poa_emitter *e, LLVMValueRef *number, int64_t extent) {
  LLVMValueRef base = emit_index(e, extent);
  LLVMValueRef last = LLVMBuildURem(e->builder, *number, base, "");
  *number = LLVMBuildUDiv(e->builder, *number, base, "");
  return last;
}

/* Item number -> corners and extents; rows of tiles vary fastest, batches slowest. */
static void place_item(macro_kernel *m, LLVMValueRef item) {
  poa_emitter *e = m->e;
  const poa_gemm_plan *p = m->plan;
  const poa_gemm *g = &p->gemm;
  m->row = emit_mul(e, digit(e, &item, p->tiles_m), emit_index(e, p->tile_m));
  m->column = emit_mul(e, digit(e, &item, p->tiles_n), emit_index(e, p->tile_n));
  m->rows = smaller(m, emit_sub(e, emit_index(e, g->m), m->row), p->tile_m);
  m->columns = smaller(m, emit_sub(e, emit_index(e, g->n), m->column), p->tile_n);
  m->a = p->gather ? m->buffer_a : moved(m, m->buffer_a, m->row, g->a.row);
  m->b = moved(m, m->buffer_b, m->column, g->b.column);
  m->c = moved(m, moved(m, m->buffer_c, m->row, g->c.row), m->column, g->c.column);
  for (int d = g->batch_rank - 1; d >= 0; --d) {
    LLVMValueRef index = digit(e, &item, g->batch[d]);
    m->a = moved(m, m->a, index, g->a.batch[d]);
    m->b = moved(m, m->b, index, g->b.batch[d]);
    m->c = moved(m, m->c, index, g->c.batch[d]);
  }
}

static void call_kernel(macro_kernel *m, LLVMValueRef kernel, LLVMValueRef b, LLVMValueRef from,
                        LLVMValueRef column, LLVMValueRef count) {
  const poa_gemm_plan *p = m->plan;
  LLVMValueRef a = moved(m, m->a, from, p->a_row);
  LLVMValueRef c = moved(m, moved(m, m->c, from, p->gemm.c.row), column, p->gemm.c.column);
  if (p->dot) {
    emit_call(m->e, kernel, (LLVMValueRef[]){a, b, c, count}, 4);
    return;
  }
  LLVMValueRef sum = m->sum;
  if (p->sum_apart)
    sum = moved(m, moved(m, sum, from, p->tile_n), column, 1);
  emit_call(m->e, kernel, (LLVMValueRef[]){a, b, c, sum, count, m->steps, m->resume, m->finish}, 8);
}

/* One panel, `column` columns into the tile: all rows of the tile. */
static void multiply_panel(macro_kernel *m, const panel_kernels *kernels, LLVMValueRef column) {
  poa_emitter *e = m->e;
  const poa_gemm_plan *p = m->plan;
  LLVMValueRef b = moved(m, m->b, column, p->gemm.b.column);
  if (kernels->pack) {
    emit_call(e, kernels->pack, (LLVMValueRef[]){b, m->panel, m->depth}, 3);
    b = m->panel;
  }
  LLVMValueRef micro_rows = emit_index(e, p->rows);
  LLVMValueRef count = emit_div(e, m->rows, micro_rows);
  if (kernels->whole)
    call_kernel(m, kernels->whole, b, emit_index(e, 0), column, count);
  if (!kernels->rows_left)
    return;
  LLVMValueRef done = emit_mul(e, count, micro_rows);
  poa_emit_branch left = poa_emit_if(e, emit_compare_int(e, LLVMIntSLT, done, m->rows));
  call_kernel(m, kernels->rows_left, b, done, column, emit_index(e, 1));
  poa_emit_end_if(e, &left);
}

/* All panels of the tile, for one block of k. */
static void multiply_panels(macro_kernel *m) {
  poa_emitter *e = m->e;
  int64_t width = poa_gemm_panel_columns(m->plan);
  LLVMValueRef step = emit_index(e, width);
  LLVMValueRef whole = emit_mul(e, emit_div(e, m->columns, step), step);
  if (m->whole.columns) {
    poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), whole, step);
    multiply_panel(m, &m->whole, loop.index);
    poa_emit_loop_end(e, &loop);
  }
  if (m->left.columns == 0)
    return;
  poa_emit_branch left = poa_emit_if(e, emit_compare_int(e, LLVMIntSLT, whole, m->columns));
  multiply_panel(m, &m->left, whole);
  poa_emit_end_if(e, &left);
}

/* Where the item's rows of A begin, from step `from` of k on, for m->depth of them. */
static LLVMValueRef block_of_a(macro_kernel *m, LLVMValueRef a, LLVMValueRef from) {
  poa_emitter *e = m->e;
  if (m->plan->gather) {
    emit_call(e, m->gather, (LLVMValueRef[]){a, m->block, m->row, m->rows, from, m->depth}, 6);
    a = m->block;
  } else {
    a = moved(m, a, from, m->plan->gemm.a.column);
  }
  if (!m->plan->gemm.bf16)
    return a;
  emit_call(e, m->pack_rows, (LLVMValueRef[]){a, m->packed, m->rows, m->depth}, 4);
  return m->packed;
}

/* Steps that m->depth elements along k take. */
static LLVMValueRef steps_of(macro_kernel *m) {
  poa_emitter *e = m->e;
  if (!m->plan->gemm.bf16)
    return m->depth;
  LLVMValueRef one = emit_index(e, 1);
  return LLVMBuildLShr(e->builder, emit_add(e, m->depth, one), one, "");
}

/* One item: its blocks of k in order. */
static void multiply_item(macro_kernel *m) {
  poa_emitter *e = m->e;
  const poa_gemm_plan *p = m->plan;
  int64_t k = p->gemm.k;
  m->depth = emit_index(e, k);
  m->steps = steps_of(m);
  m->resume = LLVMConstInt(e->i1, 0, false);
  m->finish = LLVMConstInt(e->i1, 1, false);
  LLVMValueRef a = m->a, b = m->b, zero = emit_index(e, 0), step = emit_index(e, p->k_block);
  if (p->k_blocks == 1) {
    m->a = block_of_a(m, a, zero);
    multiply_panels(m);
    return;
  }
  poa_emit_loop block = poa_emit_loop_begin(e, zero, emit_index(e, k), step);
  LLVMValueRef left = emit_sub(e, emit_index(e, k), block.index);
  m->depth = smaller(m, left, p->k_block);
  m->steps = steps_of(m);
  m->a = block_of_a(m, a, block.index);
  m->b = moved(m, b, block.index, p->gemm.b.row);
  m->resume = emit_compare_int(e, LLVMIntNE, block.index, zero);
  m->finish = emit_compare_int(e, LLVMIntSLE, left, step);
  multiply_panels(m);
  poa_emit_loop_end(e, &block);
}

static void emit_items(macro_kernel *m) {
  poa_emitter *e = m->e;
  const poa_gemm_plan *p = m->plan;
  LLVMValueRef grain = emit_index(e, p->grain);
  LLVMValueRef from = emit_mul(e, emit_first(e), grain);
  LLVMValueRef to = smaller(m, emit_mul(e, emit_last(e), grain), p->items);
  poa_emit_loop item = poa_emit_loop_begin(e, from, to, emit_index(e, 1));
  place_item(m, item.index);
  multiply_item(m);
  poa_emit_loop_end(e, &item);
}

static int64_t elements(const poa_gemm_axes *axes) {
  int64_t product = 1;
  for (int d = 0; d < axes->rank; ++d)
    product *= axes->extent[d];
  return product;
}

static poa_status check_axes(const poa_gemm *g, poa_error *error) {
  if (g->rows.rank == 0 && g->inner.rank == 0)
    return POA_OK;
  bool fits = g->rows.rank >= 1 && g->rows.rank <= POA_GEMM_MAX_AXES && g->inner.rank >= 1 &&
              g->inner.rank <= POA_GEMM_MAX_AXES;
  if (!fits || elements(&g->rows) != g->m || elements(&g->inner) != g->k)
    return poa_fail(error, POA_UNSUPPORTED,
                    "a matrix product joins %d and %d axes, which are not its m %lld and k %lld, "
                    "or more than %d",
                    g->rows.rank, g->inner.rank, (long long)g->m, (long long)g->k,
                    POA_GEMM_MAX_AXES);
  return POA_OK;
}

static poa_status check(const poa_gemm *g, poa_error *error) {
  if (g->batch_rank < 0 || g->batch_rank > POA_GEMM_MAX_BATCH)
    return poa_fail(error, POA_UNSUPPORTED,
                    "a matrix product has %d batch extents; at most %d are possible: merge some",
                    g->batch_rank, POA_GEMM_MAX_BATCH);
  if (g->m < 0 || g->n < 0 || g->k < 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "a matrix product has a negative extent: m %lld, n %lld, k %lld",
                    (long long)g->m, (long long)g->n, (long long)g->k);
  for (int d = 0; d < g->batch_rank; ++d)
    if (g->batch[d] > 1 && g->c.batch[d] == 0)
      return poa_fail(error, POA_BAD_INPUT,
                      "batch extent %d of a matrix product has %lld results in the same place; "
                      "the result needs a stride there",
                      d, (long long)g->batch[d]);
  return check_axes(g, error);
}

poa_status poa_gemm_emit(poa_emitter *e, const void *gemm, const char *symbol, poa_error *error) {
  poa_status status = check(gemm, error);
  if (status != POA_OK)
    return status;
  if (((const poa_gemm *)gemm)->bf16 && !poa_target_has_bf16(e->target))
    return poa_fail(error, POA_UNSUPPORTED,
                    "a matrix product in bf16 needs AVX512_BF16, which '%s' lacks", e->target->cpu);
  poa_gemm_plan plan = poa_gemm_make_plan(gemm, e->target);
  macro_kernel m = {.e = e, .plan = &plan};
  if (plan.tiles > 0) {
    int64_t width = poa_gemm_panel_columns(&plan);
    int64_t columns = plan.gemm.n >= width ? width : 0;
    m.whole = emit_panel_kernels(e, &plan, symbol, columns);
    m.left = emit_panel_kernels(e, &plan, symbol, poa_gemm_columns_left(&plan));
    if (plan.gather)
      m.gather = poa_gemm_gather(e, &plan, symbol);
    if (plan.gemm.bf16)
      m.pack_rows = poa_gemm_pack_rows(e, &plan, symbol);
  }
  poa_emit_kernel(e, symbol);
  if (plan.tiles > 0) {
    m.buffer_a = emit_buffer(e, plan.swapped ? 1 : 0);
    m.buffer_b = emit_buffer(e, plan.swapped ? 0 : 1);
    m.buffer_c = emit_buffer(e, 2);
    if (plan.panel != POA_PANEL_IN_PLACE)
      m.panel = scratch(e, poa_gemm_steps(&plan, plan.k_block) * poa_gemm_panel_columns(&plan));
    if (plan.gather)
      m.block = scratch(e, plan.k_block * plan.tile_m);
    if (plan.gemm.bf16)
      m.packed = scratch(e, poa_gemm_packed_rows(&plan));
    m.sum = plan.sum_apart ? scratch(e, plan.tile_m * plan.tile_n) : LLVMGetPoison(e->pointer);
    emit_items(&m);
  }
  emit_return(e);
  return POA_OK;
}

int64_t poa_gemm_tiles(const poa_gemm *gemm, const poa_target *target) {
  return poa_gemm_make_plan(gemm, target).tiles;
}

/* Appends an operand to a key of length `length`; returns the new length. */
static int append_operand(char *key, size_t size, int length, const poa_gemm_operand *operand,
                          int batch_rank) {
  for (int i = -2; i < batch_rank; ++i) {
    int64_t stride = i == -2 ? operand->row : i == -1 ? operand->column : operand->batch[i];
    size_t at = (size_t)length < size ? (size_t)length : size;
    length += snprintf(key + at, size - at, "%c%lld", i == -2 ? ' ' : ',', (long long)stride);
  }
  return length;
}

static int append_axes(char *key, size_t size, int length, const poa_gemm_axes *axes) {
  for (int d = 0; d < axes->rank; ++d) {
    size_t at = (size_t)length < size ? (size_t)length : size;
    length += snprintf(key + at, size - at, "%s%lld*%lld", d ? "," : " | ",
                       (long long)axes->extent[d], (long long)axes->stride[d]);
  }
  return length;
}

int poa_gemm_key(const poa_gemm *gemm, char *key, size_t size) {
  poa_gemm g = poa_gemm_canonical(gemm);
  int length = snprintf(key, size, "gemm %lldx%lldx%lld alpha %a%s%s batch %d", (long long)g.m,
                        (long long)g.n, (long long)g.k, (double)g.alpha,
                        g.accumulate ? " accumulate" : "", g.bf16 ? " bf16" : "", g.batch_rank);
  for (int d = 0; d < g.batch_rank; ++d) {
    size_t at = (size_t)length < size ? (size_t)length : size;
    length += snprintf(key + at, size - at, "%c%lld", d ? ',' : ' ', (long long)g.batch[d]);
  }
  length = append_operand(key, size, length, &g.a, g.batch_rank);
  length = append_operand(key, size, length, &g.b, g.batch_rank);
  length = append_operand(key, size, length, &g.c, g.batch_rank);
  length = append_axes(key, size, length, &g.rows);
  return append_axes(key, size, length, &g.inner);
}
