/* rows.c: kernels over rows: element-wise loops, and loops with reductions along the inner
 * axis. A tile is a block of rows, or a stretch of a row where nothing exists per row.
 *
 *   for row in tiles:                       scalars, pointers of the row
 *     for pass in passes:
 *       for i in 0, U*lanes, ..:            U accumulators per reduction
 *       for i in .., lanes, ..: and a masked rest
 *       reductions become scalars
 *     store row values
 *
 * Rows of a few vectors are straight code, with their values in registers through all passes.
 * Sums of a row longer than LONG_ROW are sums of blocks of BLOCK elements, so that the error
 * grows with the length of a block. All orders follow from the row's length. */
#include "codegen/body.h"
#include "codegen/row_passes.h"

#define TILE_ELEMENTS 4096
#define CUT_ROW 8192 /* rows longer than this are cut, where they may be */
#define LONG_ROW 16384
#define BLOCK 8192
#define RESIDENT_VECTORS 8 /* of a row */
#define RESIDENT_WORK 160  /* operations of the straight code, about */

typedef struct rows {
  poa_emitter *e;
  const poa_cluster *c;
  poa_body body;
  poa_row_passes passes;
  LLVMValueRef *scratch;  /* by number of scratch row */
  LLVMValueRef *resident; /* [vector of the row][value], where the passes are resident */
} rows;

/* One walk along the row. */
typedef struct walk {
  rows *r;
  int pass, unroll;
  int reduction_count;
  int *reductions; /* values */
} walk;

static int64_t row_count(const poa_cluster *c) {
  return poa_cluster_outer_count(c);
}

static bool cuts_rows(const poa_cluster *c) {
  return c->rank && !c->whole_rows && (c->outer == 0 || poa_cluster_inner(c) > CUT_ROW);
}

static int64_t stretches(const poa_cluster *c) {
  int64_t inner = poa_cluster_inner(c);
  return inner > TILE_ELEMENTS ? (inner + TILE_ELEMENTS - 1) / TILE_ELEMENTS : 1;
}

static int64_t rows_per_tile(const poa_cluster *c) {
  int64_t inner = poa_cluster_inner(c);
  return inner < TILE_ELEMENTS && inner > 0 ? TILE_ELEMENTS / inner : 1;
}

int64_t poa_rows_tiles(const poa_cluster *c) {
  if (cuts_rows(c))
    return row_count(c) > 0 ? row_count(c) * stretches(c) : 1;
  int64_t per_tile = rows_per_tile(c), tiles = (row_count(c) + per_tile - 1) / per_tile;
  return tiles > 0 ? tiles : 1;
}

/* Passes. */

static int64_t vectors_of_row(const poa_cluster *c, int lanes) {
  return (poa_cluster_inner(c) + lanes - 1) / lanes;
}

/* Rows with reductions whose code fits, without loops, a few hundred instructions. */
static bool is_resident(const poa_cluster *c, int lanes) {
  int64_t work = 0;
  bool reduces = false;
  for (int v = 0; v < c->value_count; v++) {
    reduces |= poa_op_is(c->values[v].op, POA_FLAG_REDUCTION);
    work += poa_op_is(c->values[v].op, POA_FLAG_COSTLY) ? 16 : c->values[v].vector;
  }
  int64_t vectors = vectors_of_row(c, lanes);
  return reduces && vectors <= RESIDENT_VECTORS && vectors * work <= RESIDENT_WORK;
}

/* Vector operations of a pass, a transcendental counting as many. */
static int work_of(const walk *w) {
  const poa_cluster *c = w->r->c;
  int work = 0;
  for (int v = 0; v < c->value_count; v++)
    if (poa_row_action_of(&w->r->passes, c, w->pass, v) == POA_ROW_COMPUTE)
      work += poa_op_is(c->values[v].op, POA_FLAG_COSTLY) ? 16 : 1;
  return work;
}

/* Several accumulators hide the latency of additions where little else is done. */
static int choose_unroll(const walk *w) {
  if (w->reduction_count == 0 || w->reduction_count > 3)
    return 1;
  int work = work_of(w);
  return work <= 8 ? 4 : work <= 16 ? 2 : 1;
}

static walk begin_walk(rows *r, int pass) {
  const poa_cluster *c = r->c;
  walk w = {.r = r, .pass = pass};
  w.reductions = poa_arena_alloc(r->body.arena, (size_t)c->value_count * sizeof *w.reductions);
  for (int v = 0; v < c->value_count; v++)
    if (poa_op_is(c->values[v].op, POA_FLAG_REDUCTION) && r->passes.when[v] == pass + 1)
      w.reductions[w.reduction_count++] = v;
  w.unroll = choose_unroll(&w);
  return w;
}

static poa_op op_of(const walk *w, int i) {
  return w->r->c->values[w->reductions[i]].op;
}

static int operand_of(const walk *w, int i) {
  return w->r->c->values[w->reductions[i]].operand[0];
}

static poa_accumulator start_of(const walk *w, int i) {
  return poa_accumulator_start(w->r->e, op_of(w, i), w->r->c->values[operand_of(w, i)].dtype,
                               w->r->body.lanes);
}

static poa_accumulator *accumulators(const walk *w, int count) {
  poa_accumulator *a =
      poa_arena_alloc(w->r->body.arena, (size_t)(count * w->reduction_count) * sizeof *a);
  for (int i = 0; i < count * w->reduction_count; i++)
    a[i] = start_of(w, i % w->reduction_count);
  return a;
}

/* What scalars the pass meets in its loops, ahead of them. */
static void hoist(walk *w) {
  const poa_cluster *c = w->r->c;
  for (int v = 0; v < c->value_count; v++)
    if (poa_row_action_of(&w->r->passes, c, w->pass, v) == POA_ROW_COMPUTE)
      poa_body_hoist(&w->r->body, v);
  for (int i = 0; i < w->reduction_count; i++)
    if (!c->values[operand_of(w, i)].vector)
      poa_body_lanes_of(&w->r->body, operand_of(w, i));
  for (int s = 0; s < c->store_count; s++)
    if (c->stores[s].full && w->r->passes.store_pass[s] == w->pass &&
        !c->values[c->stores[s].value].vector)
      poa_body_lanes_of(&w->r->body, c->stores[s].value);
}

static LLVMValueRef scratch_at(rows *r, int v, LLVMValueRef index) {
  return emit_at(r->e, r->e->f32, r->scratch[r->passes.scratch[v]], index);
}

/* Computes a value, or takes it from the registers of an earlier pass. */
static void emit_resident(rows *r, int v, LLVMValueRef index, int active) {
  int64_t vector = (int64_t)LLVMConstIntGetSExtValue(index) / r->body.lanes;
  LLVMValueRef *have = &r->resident[vector * r->c->value_count + v];
  if (*have) {
    r->body.vectors[v] = *have;
    return;
  }
  poa_body_vector(&r->body, v, index, active);
  *have = r->body.vectors[v];
}

static void emit_value(walk *w, int v, LLVMValueRef index, int active) {
  rows *r = w->r;
  LLVMTypeRef vector = emit_vector_type(r->e->f32, r->body.lanes);
  switch (poa_row_action_of(&r->passes, r->c, w->pass, v)) {
  case POA_ROW_NOTHING:
    break;
  case POA_ROW_COMPUTE:
    if (r->passes.resident) {
      emit_resident(r, v, index, active);
      break;
    }
    poa_body_vector(&r->body, v, index, active);
    if (r->passes.scratch[v] >= 0)
      emit_store(r->e, r->body.vectors[v], scratch_at(r, v, index), 4);
    break;
  case POA_ROW_RELOAD:
    r->body.vectors[v] = poa_body_reload(&r->body, r->passes.stored_at[v], index, active);
    break;
  case POA_ROW_FETCH:
    r->body.vectors[v] = emit_load(r->e, vector, scratch_at(r, v, index), 4);
    break;
  }
}

/* All that a pass does at one index: values, then accumulators, then stores. */
static void emit_place(walk *w, LLVMValueRef index, int active, poa_accumulator *a) {
  rows *r = w->r;
  for (int v = 0; v < r->c->value_count; v++)
    emit_value(w, v, index, active);
  for (int i = 0; i < w->reduction_count; i++)
    a[i] = poa_accumulator_add(r->e, op_of(w, i), a[i],
                               poa_body_lanes_of(&r->body, operand_of(w, i)), index, active);
  for (int s = 0; s < r->c->store_count; s++)
    if (r->c->stores[s].full && r->passes.store_pass[s] == w->pass)
      poa_body_store_vector(&r->body, &r->c->stores[s], index, active);
}

/* Loops. */

static void carry(walk *w, const poa_emit_loop *loop, poa_accumulator *a, int count) {
  for (int i = 0; i < count; i++) {
    a[i].value = poa_emit_loop_carry(w->r->e, loop, a[i].value);
    if (a[i].index)
      a[i].index = poa_emit_loop_carry(w->r->e, loop, a[i].index);
  }
}

static void set_next(walk *w, const poa_accumulator *carried, const poa_accumulator *next,
                     int count) {
  for (int i = 0; i < count; i++) {
    poa_emit_loop_set(w->r->e, carried[i].value, next[i].value);
    if (carried[i].index)
      poa_emit_loop_set(w->r->e, carried[i].index, next[i].index);
  }
}

static poa_accumulator *copy(walk *w, const poa_accumulator *a, int count) {
  poa_accumulator *b = poa_arena_alloc(w->r->body.arena, (size_t)count * sizeof *b);
  for (int i = 0; i < count; i++)
    b[i] = a[i];
  return b;
}

/* for (i = from; i < to; i += unroll * lanes); `a` holds `unroll` sets of accumulators. */
static void emit_loop(walk *w, LLVMValueRef from, LLVMValueRef to, int unroll, poa_accumulator *a) {
  poa_emitter *e = w->r->e;
  int lanes = w->r->body.lanes, count = unroll * w->reduction_count;
  poa_emit_loop loop = poa_emit_loop_begin(e, from, to, emit_index(e, unroll * lanes));
  carry(w, &loop, a, count);
  poa_accumulator *next = copy(w, a, count);
  for (int u = 0; u < unroll; u++) {
    LLVMValueRef index =
        u ? LLVMBuildNSWAdd(e->builder, loop.index, emit_index(e, u * lanes), "") : loop.index;
    emit_place(w, index, lanes, &next[u * w->reduction_count]);
  }
  set_next(w, a, next, count);
  poa_emit_loop_end(e, &loop);
}

/* Joins sets pairwise, (0 1) (2 3), and the result with `total`. */
static void join(walk *w, poa_accumulator *a, int sets, poa_accumulator *total) {
  int n = w->reduction_count;
  for (int step = 1; step < sets; step *= 2)
    for (int u = 0; u + step < sets; u += 2 * step)
      for (int i = 0; i < n; i++)
        a[u * n + i] =
            poa_accumulator_join(w->r->e, op_of(w, i), a[u * n + i], a[(u + step) * n + i]);
  for (int i = 0; i < n; i++)
    total[i] = poa_accumulator_join(w->r->e, op_of(w, i), total[i], a[i]);
}

/* Elements 0 .. main-1 of the row, a multiple of unroll * lanes, in blocks if there are many. */
static void emit_main(walk *w, int64_t main, poa_accumulator *total) {
  poa_emitter *e = w->r->e;
  if (main <= LONG_ROW) {
    poa_accumulator *a = accumulators(w, w->unroll);
    emit_loop(w, emit_index(e, 0), emit_index(e, main), w->unroll, a);
    join(w, a, w->unroll, total);
    return;
  }
  poa_emit_loop blocks =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, main), emit_index(e, BLOCK));
  carry(w, &blocks, total, w->reduction_count);
  poa_accumulator *next = copy(w, total, w->reduction_count);
  LLVMValueRef end = LLVMBuildNSWAdd(e->builder, blocks.index, emit_index(e, BLOCK), "");
  poa_accumulator *a = accumulators(w, w->unroll);
  emit_loop(w, blocks.index, emit_min(e, end, emit_index(e, main)), w->unroll, a);
  join(w, a, w->unroll, next);
  set_next(w, total, next, w->reduction_count);
  poa_emit_loop_end(e, &blocks);
}

/* A walk without loops. */
static void emit_straight(walk *w, poa_accumulator *a) {
  int64_t inner = poa_cluster_inner(w->r->c), lanes = w->r->body.lanes;
  for (int64_t at = 0; at < inner; at += lanes)
    emit_place(w, emit_index(w->r->e, at), (int)(inner - at < lanes ? inner - at : lanes), a);
}

static void emit_looping(walk *w, poa_accumulator *total) {
  rows *r = w->r;
  int64_t inner = poa_cluster_inner(r->c), lanes = r->body.lanes;
  int64_t main = inner - inner % (lanes * w->unroll), whole = inner - inner % lanes;
  if (main > 0)
    emit_main(w, main, total);
  if (whole > main + lanes)
    emit_loop(w, emit_index(r->e, main), emit_index(r->e, whole), 1, total);
  else if (whole > main)
    emit_place(w, emit_index(r->e, main), (int)lanes, total);
  if (inner > whole)
    emit_place(w, emit_index(r->e, whole), (int)(inner - whole), total);
}

/* A whole row with reductions. */
static void emit_reducing_walk(walk *w) {
  rows *r = w->r;
  poa_accumulator *total = accumulators(w, 1);
  if (r->passes.resident)
    emit_straight(w, total);
  else
    emit_looping(w, total);
  for (int i = 0; i < w->reduction_count; i++)
    r->body.scalars[w->reductions[i]] = poa_accumulator_finish(r->e, op_of(w, i), total[i]);
}

/* Elements from .. to-1 (i64, whole vectors) and, if `rest`, the last partial vector. */
static void emit_stretch(walk *w, LLVMValueRef from, LLVMValueRef to, LLVMValueRef rest) {
  rows *r = w->r;
  int64_t inner = poa_cluster_inner(r->c), lanes = r->body.lanes, whole = inner - inner % lanes;
  if (whole > 0)
    emit_loop(w, from, to, 1, NULL);
  if (inner == whole)
    return;
  poa_emit_branch branch = {0};
  if (rest)
    branch = poa_emit_if(r->e, rest);
  emit_place(w, emit_index(r->e, whole), (int)(inner - whole), NULL);
  if (rest)
    poa_emit_end_if(r->e, &branch);
}

/* Rows. */

/* Scalars that wait for `passes` passes, no more and no less. */
static void emit_scalars(rows *r, int passes) {
  for (int v = 0; v < r->c->value_count; v++)
    if (!r->c->values[v].vector && r->passes.when[v] == passes)
      poa_body_scalar(&r->body, v);
}

static void emit_row(rows *r) {
  int64_t inner = poa_cluster_inner(r->c), whole = inner - inner % r->body.lanes;
  for (int pass = 0; pass < r->passes.count; pass++) {
    emit_scalars(r, pass);
    walk w = begin_walk(r, pass);
    hoist(&w);
    if (w.reduction_count)
      emit_reducing_walk(&w);
    else if (r->passes.resident)
      emit_straight(&w, NULL);
    else
      emit_stretch(&w, emit_index(r->e, 0), emit_index(r->e, whole), NULL);
  }
  emit_scalars(r, r->passes.count);
  for (int s = 0; s < r->c->store_count; s++)
    if (!r->c->rank || !r->c->stores[s].full)
      poa_body_store_scalar(&r->body, &r->c->stores[s]);
}

static void begin_row(rows *r, LLVMValueRef number) {
  poa_body_set_indices(&r->body, number, 0, r->c->outer);
  poa_body_set_pointers(&r->body, r->body.buffers, 0, r->c->outer);
}

static void emit_blocks_of_rows(rows *r) {
  poa_emitter *e = r->e;
  LLVMValueRef per_tile = emit_index(e, rows_per_tile(r->c));
  LLVMValueRef from = LLVMBuildNSWMul(e->builder, emit_first(e), per_tile, "");
  LLVMValueRef to = LLVMBuildNSWMul(e->builder, emit_last(e), per_tile, "");
  to = emit_min(e, to, emit_index(e, row_count(r->c)));
  poa_emit_loop loop = poa_emit_loop_begin(e, from, to, emit_index(e, 1));
  begin_row(r, loop.index);
  emit_row(r);
  poa_emit_loop_end(e, &loop);
}

/* One pass without reductions: tile t is stretch t % n of row t / n. */
static void emit_stretches(rows *r) {
  poa_emitter *e = r->e;
  int64_t n = stretches(r->c), inner = poa_cluster_inner(r->c);
  if (row_count(r->c) == 0 || inner == 0)
    return;
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, 1));
  LLVMValueRef stretch = loop.index, row = emit_index(e, 0);
  if (r->c->outer) {
    row = LLVMBuildUDiv(e->builder, loop.index, emit_index(e, n), "");
    stretch = LLVMBuildURem(e->builder, loop.index, emit_index(e, n), "");
  }
  begin_row(r, row);
  emit_scalars(r, 0);
  walk w = begin_walk(r, 0);
  hoist(&w);
  LLVMValueRef size = emit_index(e, TILE_ELEMENTS);
  LLVMValueRef from = LLVMBuildNSWMul(e->builder, stretch, size, "");
  LLVMValueRef to = emit_min(e, LLVMBuildNSWAdd(e->builder, from, size, ""),
                             emit_index(e, inner - inner % r->body.lanes));
  LLVMValueRef last = emit_compare_int(e, LLVMIntEQ, stretch, emit_index(e, n - 1));
  emit_stretch(&w, from, to, n > 1 ? last : NULL);
  poa_emit_loop_end(e, &loop);
}

/* Scratch rows have room for the lanes of the last vector. */
static void make_scratch(rows *r) {
  poa_emitter *e = r->e;
  r->scratch = poa_arena_alloc(r->body.arena, (size_t)r->passes.scratch_count * sizeof *r->scratch);
  unsigned elements = (unsigned)(poa_cluster_inner(r->c) + r->body.lanes);
  for (int i = 0; i < r->passes.scratch_count; i++) {
    r->scratch[i] = LLVMBuildAlloca(e->builder, LLVMArrayType(e->f32, elements), "row");
    LLVMSetAlignment(r->scratch[i], 64);
  }
}

poa_status poa_rows_emit(poa_emitter *e, const void *cluster, const char *symbol,
                         poa_error *error) {
  const poa_cluster *c = cluster;
  poa_arena *arena = poa_arena_create();
  if (!arena)
    return poa_fail(error, POA_NO_MEMORY, "no memory to generate a kernel");
  int lanes = poa_body_lanes(e->target, poa_cluster_inner(c));
  rows r = {.e = e, .c = c, .passes = poa_plan_row_passes(c, is_resident(c, lanes), arena)};
  if (r.passes.resident)
    r.resident = poa_arena_alloc(arena, (size_t)vectors_of_row(c, lanes) * (size_t)c->value_count *
                                            sizeof *r.resident);
  poa_emit_kernel(e, symbol);
  poa_body_init(&r.body, e, c, arena, lanes);
  make_scratch(&r);
  if (cuts_rows(c))
    emit_stretches(&r);
  else
    emit_blocks_of_rows(&r);
  emit_return(e);
  poa_arena_free(arena);
  return POA_OK;
}
