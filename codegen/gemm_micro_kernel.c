/* gemm_micro_kernel.c: the inner loop, a rows x vectors rectangle of C in registers.
 *
 *   for each step: b[v] = B[k, v*lanes ..]                   vectors loads
 *                 C[r][v] = fma(A[r, k], b[v], C[r][v])      one broadcast per row
 *
 * with pairs for A[r, k] and B[k, ..] in bf16, and a dot product for the fma;
 * so each element of C is one chain of sums in the order of k. Where k is blocked, the
 * chain rests in memory between blocks: in C itself, or, when the sum is still to be
 * scaled and added to what C holds, in `sum`. With s the chain:
 *
 *   alpha  accumulate   starts from   C =
 *   1      no           0             s
 *   1      yes          C             s
 *   a      no           0             a * s
 *   a      yes          0             C + a * s
 *
 * Rows and columns are exact: an edge of m has its own, smaller kernel, and an edge of
 * n masks the last vector. C of any column stride is gathered and scattered. */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>
#include <string.h>

#define MAX_SUMS 32
#define PREFETCH_FMAS 384  /* ahead: some 200 to 400 cycles, the latency of a third-level cache */
#define PREFETCH_STRIDE 64 /* elements; closer columns are a stream */
#define MAX_VECTORS 8
#define NEXT_ROWS 8 /* a turn of the loop asks for 16 elements of one of so many rows of A */
#define NEXT_LEAST_K 32

typedef struct micro_kernel {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  int rows, vectors, lanes;
  int64_t columns;      /* valid ones */
  int64_t panel_stride; /* between rows of B */
  LLVMTypeRef vector;
  LLVMValueRef a, b, c, sum, steps, resume, finish;
  LLVMValueRef next;           /* the rows of A below those of this micro-tile */
  LLVMValueRef sums[MAX_SUMS]; /* of row r, vector v: sums[r * vectors + v] */
} micro_kernel;

/* A rectangle in memory that the sums are loaded from or stored to. */
typedef struct rectangle {
  LLVMValueRef base;
  int64_t row, column;
} rectangle;

static int valid_lanes(const micro_kernel *m, int v) {
  int64_t left = m->columns - (int64_t)v * m->lanes;
  return left < m->lanes ? (int)left : m->lanes;
}

static LLVMValueRef lane_mask(const micro_kernel *m, int valid) {
  return emit_tail_mask(m->e, emit_index(m->e, valid), m->lanes);
}

static LLVMValueRef at(poa_emitter *e, LLVMValueRef base, int64_t index) {
  return emit_at(e, e->f32, base, emit_index(e, index));
}

/* The elements column, 2*column, ... of `base`, as a vector of addresses. */
static LLVMValueRef lane_addresses(const micro_kernel *m, LLVMValueRef base, int64_t column) {
  poa_emitter *e = m->e;
  LLVMValueRef steps = poa_emit_lane_numbers(e->i64, m->lanes);
  return emit_at(e, e->f32, base, emit_mul(e, steps, emit_index(e, column)));
}

static LLVMValueRef load_lanes(const micro_kernel *m, LLVMValueRef base, int64_t column,
                               int valid) {
  poa_emitter *e = m->e;
  if (column == 1 && valid == m->lanes)
    return emit_load(e, m->vector, base, 4);
  if (column == 1)
    return poa_emit_masked_load(e, m->vector, base, lane_mask(m, valid), 4);
  LLVMValueRef steps = poa_emit_lane_numbers(e->i64, m->lanes);
  LLVMValueRef index = emit_mul(e, steps, emit_index(e, column));
  return poa_emit_gather(e, m->vector, base, index, lane_mask(m, valid));
}

static void scatter_lanes(const micro_kernel *m, LLVMValueRef value, LLVMValueRef addresses,
                          int valid) {
  poa_emitter *e = m->e;
  LLVMTypeRef overload[] = {m->vector, LLVMTypeOf(addresses)};
  unsigned id = LLVMLookupIntrinsicID("llvm.masked.scatter", strlen("llvm.masked.scatter"));
  LLVMValueRef scatter = LLVMGetIntrinsicDeclaration(e->module, id, overload, 2);
  emit_call(e, scatter, (LLVMValueRef[]){value, addresses, emit_int32(e, 4), lane_mask(m, valid)},
            4);
}

static void store_lanes(const micro_kernel *m, LLVMValueRef value, LLVMValueRef base,
                        int64_t column, int valid) {
  if (column == 1 && valid == m->lanes)
    emit_store(m->e, value, base, 4);
  else if (column == 1)
    poa_emit_masked_store(m->e, value, base, lane_mask(m, valid), 4);
  else
    scatter_lanes(m, value, lane_addresses(m, base, column), valid);
}

static LLVMValueRef address_of(const micro_kernel *m, const rectangle *from, int r, int v) {
  return at(m->e, from->base, r * from->row + (int64_t)v * m->lanes * from->column);
}

static void load_sums(micro_kernel *m, const rectangle *from) {
  for (int r = 0; r < m->rows; ++r)
    for (int v = 0; v < m->vectors; ++v)
      m->sums[r * m->vectors + v] =
          load_lanes(m, address_of(m, from, r, v), from->column, valid_lanes(m, v));
}

static void store_sums(micro_kernel *m, const rectangle *to) {
  for (int r = 0; r < m->rows; ++r)
    for (int v = 0; v < m->vectors; ++v)
      store_lanes(m, m->sums[r * m->vectors + v], address_of(m, to, r, v), to->column,
                  valid_lanes(m, v));
}

/* C = alpha * s, or C + alpha * s. */
static void store_scaled(micro_kernel *m, const rectangle *c) {
  poa_emitter *e = m->e;
  LLVMValueRef alpha = poa_emit_splat(e, emit_float(e, m->plan->gemm.alpha), m->lanes);
  LLVMValueRef sums[MAX_SUMS];
  int count = m->rows * m->vectors;
  memcpy(sums, m->sums, sizeof sums);
  if (m->plan->gemm.accumulate)
    load_sums(m, c);
  for (int i = 0; i < count; ++i)
    m->sums[i] = m->plan->gemm.accumulate ? emit_fma(e, sums[i], alpha, m->sums[i])
                                          : emit_mul(e, sums[i], alpha);
  store_sums(m, c);
}

static void clear_sums(micro_kernel *m) {
  for (int i = 0; i < m->rows * m->vectors; ++i)
    m->sums[i] = emit_zero(m->vector);
}

/* The sums at the start of a block: zero, or what rests in memory. */
static void start_sums(micro_kernel *m, const rectangle *rest) {
  poa_emitter *e = m->e;
  const poa_gemm *g = &m->plan->gemm;
  if (g->accumulate && g->alpha == 1) {
    load_sums(m, rest);
    return;
  }
  if (m->plan->k_blocks == 1) {
    clear_sums(m);
    return;
  }
  poa_emit_branch branch = poa_emit_if(e, m->resume);
  load_sums(m, rest);
  LLVMValueRef loaded[MAX_SUMS];
  memcpy(loaded, m->sums, sizeof loaded);
  LLVMBasicBlockRef blocks[] = {LLVMGetInsertBlock(e->builder), branch.otherwise};
  poa_emit_else(e, &branch);
  poa_emit_end_if(e, &branch);
  for (int i = 0; i < m->rows * m->vectors; ++i) {
    LLVMValueRef values[] = {loaded[i], emit_zero(m->vector)};
    m->sums[i] = LLVMBuildPhi(e->builder, m->vector, "");
    LLVMAddIncoming(m->sums[i], values, blocks, 2);
  }
}

/* The sums at the end of a block: to rest, or finished. */
static void finish_sums(micro_kernel *m, const rectangle *rest, const rectangle *c) {
  if (m->plan->gemm.alpha == 1) {
    store_sums(m, c);
    return;
  }
  if (m->plan->k_blocks == 1) {
    store_scaled(m, c);
    return;
  }
  LLVMValueRef sums[MAX_SUMS];
  memcpy(sums, m->sums, sizeof sums);
  poa_emit_branch branch = poa_emit_if(m->e, m->finish);
  store_scaled(m, c);
  poa_emit_else(m->e, &branch);
  memcpy(m->sums, sums, sizeof sums);
  store_sums(m, rest);
  poa_emit_end_if(m->e, &branch);
}

static void prefetch(poa_emitter *e, LLVMValueRef address, bool write) {
  LLVMValueRef arguments[] = {address, emit_int32(e, write), emit_int32(e, 3), emit_int32(e, 1)};
  poa_emit_intrinsic(e, "llvm.prefetch", e->pointer, arguments, 4);
}

static bool far_columns(const poa_gemm_plan *p) {
  return !p->gemm.bf16 && p->a_row == 1 && p->a_step >= PREFETCH_STRIDE;
}

/* Asks for the column of A some steps ahead. Rows of A that lie side by side make each
 * column a cache line of its own, often on a page of its own, which no hardware prefetches. */
static void prefetch_column(micro_kernel *m, LLVMValueRef a) {
  poa_emitter *e = m->e;
  int64_t steps = PREFETCH_FMAS / (m->plan->rows * m->plan->vectors);
  prefetch(e, at(e, a, steps * m->plan->a_step), false);
}

/* The last rows of a tile have none below them. */
static bool long_rows(const micro_kernel *m) {
  const poa_gemm_plan *p = m->plan;
  return !p->gemm.bf16 && p->a_step == 1 && p->k_block >= NEXT_LEAST_K && m->rows == p->rows;
}

/* Asks, two steps of k at a time, for the rows of A that the next micro-tile reads: the line
 * of row step/2 % 8 that holds column step. Each of these rows is a short stream of its own
 * that begins on another page, and hardware that prefetches streams comes too late for it. */
static void prefetch_next_rows(micro_kernel *m, LLVMValueRef step) {
  poa_emitter *e = m->e;
  LLVMValueRef turn = LLVMBuildLShr(e->builder, step, emit_index(e, 1), "");
  LLVMValueRef row = emit_and(e, turn, emit_index(e, NEXT_ROWS - 1));
  LLVMValueRef column = emit_and(e, step, emit_index(e, -2 * NEXT_ROWS));
  int64_t stride = m->plan->a_row;
  LLVMValueRef offset = emit_add(e, emit_mul(e, row, emit_index(e, stride)), column);
  LLVMValueRef line = emit_at(e, e->f32, m->next, offset);
  for (int r = 0; r < m->rows; r += NEXT_ROWS)
    prefetch(e, at(e, line, r * stride), false);
}

/* Asks for the C that is only stored at the end: such stores wait for their lines in order. */
static void prefetch_result(micro_kernel *m, const rectangle *c) {
  if (c->column != 1 || m->plan->gemm.accumulate)
    return;
  for (int r = 0; r < m->rows; ++r)
    for (int v = 0; v < m->vectors; ++v)
      prefetch(m->e, address_of(m, c, r, v), true);
}

static LLVMValueRef multiply_add(micro_kernel *m, LLVMValueRef x, LLVMValueRef y,
                                 LLVMValueRef sum) {
  return m->plan->gemm.bf16 ? poa_emit_bf16_dot(m->e, x, y, sum) : emit_fma(m->e, x, y, sum);
}

/* One step: a column of A at `a` times a row of B at `b`. */
static void multiply_step(micro_kernel *m, LLVMValueRef a, LLVMValueRef b) {
  poa_emitter *e = m->e;
  LLVMValueRef row[MAX_VECTORS];
  for (int v = 0; v < m->vectors; ++v) {
    LLVMValueRef from = at(e, b, (int64_t)v * m->lanes);
    row[v] = m->plan->panel == POA_PANEL_IN_PLACE
                 ? load_lanes(m, from, 1, valid_lanes(m, v))
                 : emit_load(e, m->vector, from, (unsigned)m->lanes * 4);
  }
  if (far_columns(m->plan))
    prefetch_column(m, a);
  for (int r = 0; r < m->rows; ++r) {
    LLVMValueRef scalar = emit_load(e, e->f32, at(e, a, r * m->plan->a_row), 4);
    LLVMValueRef factor = poa_emit_splat(e, scalar, m->lanes);
    for (int v = 0; v < m->vectors; ++v) {
      LLVMValueRef *sum = &m->sums[r * m->vectors + v];
      *sum = multiply_add(m, factor, row[v], *sum);
    }
  }
}

/* Steps [0, to), `unroll` at a time. `a` and `b` move along and are left at `to`. */
static void multiply_loop(micro_kernel *m, LLVMValueRef to, int unroll, LLVMValueRef *a,
                          LLVMValueRef *b) {
  poa_emitter *e = m->e;
  int count = m->rows * m->vectors;
  int64_t step_a = m->plan->a_step, step_b = m->panel_stride;
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), to, emit_index(e, unroll));
  LLVMValueRef carried[MAX_SUMS];
  LLVMValueRef pointer_a = poa_emit_loop_carry(e, &loop, *a);
  LLVMValueRef pointer_b = poa_emit_loop_carry(e, &loop, *b);
  for (int i = 0; i < count; ++i)
    carried[i] = m->sums[i] = poa_emit_loop_carry(e, &loop, m->sums[i]);
  if (unroll == 2 && long_rows(m))
    prefetch_next_rows(m, loop.index);
  for (int u = 0; u < unroll; ++u)
    multiply_step(m, at(e, pointer_a, u * step_a), at(e, pointer_b, u * step_b));
  poa_emit_loop_set(e, pointer_a, at(e, pointer_a, unroll * step_a));
  poa_emit_loop_set(e, pointer_b, at(e, pointer_b, unroll * step_b));
  for (int i = 0; i < count; ++i)
    poa_emit_loop_set(e, carried[i], m->sums[i]);
  poa_emit_loop_end(e, &loop);
  memcpy(m->sums, carried, sizeof carried);
  *a = pointer_a;
  *b = pointer_b;
}

/* All of k, or a block of it. Two steps a turn gain 2 %, a loop for the odd step costs as
 * much to compile as the first: blocks of an odd number of steps, which are long, do without. */
static void multiply(micro_kernel *m, LLVMValueRef a) {
  poa_emitter *e = m->e;
  LLVMValueRef b = m->b;
  int64_t steps = poa_gemm_steps(m->plan, m->plan->gemm.k);
  if (m->plan->k_blocks > 1) {
    multiply_loop(m, m->steps, steps % 2 ? 1 : 2, &a, &b);
    return;
  }
  if (steps > 1)
    multiply_loop(m, emit_index(e, steps / 2 * 2), 2, &a, &b);
  if (steps % 2)
    multiply_step(m, a, b);
}

static LLVMTypeRef micro_kernel_type(poa_emitter *e) {
  LLVMTypeRef p = e->pointer;
  LLVMTypeRef parameters[] = {p, p, p, p, e->i64, e->i64, e->i1, e->i1};
  return LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 8, false);
}

/* One micro-tile, `down` rows below the first. */
static void micro_tile(micro_kernel *m, LLVMValueRef down) {
  poa_emitter *e = m->e;
  const poa_gemm_plan *p = m->plan;
  LLVMValueRef a = emit_at(e, e->f32, m->a, emit_mul(e, down, emit_index(e, p->a_row)));
  rectangle c = {.row = p->gemm.c.row, .column = p->gemm.c.column};
  c.base = emit_at(e, e->f32, m->c, emit_mul(e, down, emit_index(e, c.row)));
  rectangle rest = c;
  if (p->sum_apart) {
    rest = (rectangle){.row = p->tile_n, .column = 1};
    rest.base = emit_at(e, e->f32, m->sum, emit_mul(e, down, emit_index(e, rest.row)));
  }
  m->next = at(e, a, m->rows * p->a_row);
  start_sums(m, &rest);
  prefetch_result(m, &c);
  multiply(m, a);
  finish_sums(m, &rest, &c);
}

LLVMValueRef poa_gemm_micro_kernel(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                                   int rows, int64_t columns) {
  char name[256];
  snprintf(name, sizeof name, "%s.micro.%dx%d", symbol, rows, (int)columns);
  LLVMValueRef function = poa_emit_helper(e, name, micro_kernel_type(e));
  int lanes = plan->lanes;
  micro_kernel m = {.e = e, .plan = plan, .rows = rows, .lanes = lanes, .columns = columns};
  m.vectors = (int)((columns + lanes - 1) / lanes);
  m.panel_stride = poa_gemm_panel_stride(plan, columns);
  m.vector = emit_vector_type(e->f32, lanes);
  LLVMValueRef *parameters[] = {&m.a, &m.b, &m.c, &m.sum, NULL, &m.steps, &m.resume, &m.finish};
  for (unsigned i = 0; i < 8; ++i)
    if (parameters[i])
      *parameters[i] = LLVMGetParam(function, i);
  LLVMValueRef count = LLVMGetParam(function, 4);
  LLVMValueRef height = emit_mul(e, count, emit_index(e, rows));
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), height, emit_index(e, rows));
  micro_tile(&m, loop.index);
  poa_emit_loop_end(e, &loop);
  emit_return(e);
  return function;
}
