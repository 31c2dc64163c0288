/* scatter.c: base[rows[i], ..] += y[i, ..], for i in order. Tiles are blocks of the last axis
 * of a row (or of its outer axes), so two tiles never meet in an element and every
 * element takes its additions in the order of i.
 *
 *   base[197, 384], lanes 16   ->   tile t: for i: base[rows[i], 64t .. 64t+63] += y[i, ..] */
#include "codegen/body.h"

#define BLOCK 64 /* elements */

typedef struct scatter {
  poa_emitter *e;
  const poa_scatter *s;
  int lanes;
  LLVMValueRef base, rows, y; /* at the tile's outer indices */
} scatter;

static int64_t inner_extent(const poa_scatter *s) {
  return s->rank ? s->extent[s->rank - 1] : 1;
}

static int64_t outer_count(const poa_scatter *s) {
  int64_t count = 1;
  for (int a = 0; a + 1 < s->rank; a++)
    count *= s->extent[a];
  return count;
}

static int64_t blocks(const poa_scatter *s) {
  return (inner_extent(s) + BLOCK - 1) / BLOCK;
}

int64_t poa_scatter_tiles(const poa_scatter *s) {
  int64_t tiles = outer_count(s) * blocks(s);
  return tiles > 0 ? tiles : 1;
}

static LLVMValueRef advance(const scatter *k, LLVMValueRef pointer, LLVMValueRef index,
                            int64_t stride) {
  LLVMValueRef offset = emit_mul(k->e, index, emit_index(k->e, stride));
  return emit_at(k->e, poa_memory_type(k->e, k->s->dtype), pointer, offset);
}

/* Rows beyond the last go to the last: no stray access. */
static LLVMValueRef row_number(const scatter *k, LLVMValueRef i) {
  poa_emitter *e = k->e;
  LLVMValueRef offset = emit_mul(e, i, emit_index(e, k->s->rows_stride));
  LLVMValueRef row = emit_load(e, e->i32, emit_at(e, e->i32, k->rows, offset), 4);
  LLVMValueRef last = emit_int32(e, (int32_t)(k->s->base_count - 1));
  row = poa_emit_intrinsic(e, "llvm.umin", e->i32, (LLVMValueRef[]){row, last}, 2);
  return emit_to_index(e, row);
}

static void emit_strip(const scatter *k, LLVMValueRef base, LLVMValueRef y, LLVMValueRef column,
                       int active) {
  poa_emitter *e = k->e;
  const poa_scatter *s = k->s;
  int last = s->rank - 1;
  poa_strip to = {s->dtype, s->rank ? s->base[last] : 1, k->lanes, active}, from = to;
  from.stride = s->rank ? s->y[last] : 1;
  base = advance(k, base, column, to.stride);
  LLVMValueRef added = s->constant_y
                           ? poa_emit_constant(e, s->dtype, s->constant)
                           : poa_emit_strip_load(e, from, advance(k, y, column, from.stride));
  LLVMValueRef sum = emit_add(e, poa_emit_strip_load(e, to, base), added);
  poa_emit_strip_store(e, to, sum, base);
}

/* Columns from .. to-1 of every row, whole vectors; then the row's rest in the last block. */
static void emit_rows(const scatter *k, LLVMValueRef from, LLVMValueRef to, LLVMValueRef rest) {
  poa_emitter *e = k->e;
  int64_t inner = inner_extent(k->s), whole = inner - inner % k->lanes;
  poa_emit_loop i =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, k->s->count), emit_index(e, 1));
  LLVMValueRef base = advance(k, k->base, row_number(k, i.index), k->s->base_row);
  LLVMValueRef y = k->s->constant_y ? NULL : advance(k, k->y, i.index, k->s->y_row);
  poa_emit_loop column = poa_emit_loop_begin(e, from, to, emit_index(e, k->lanes));
  emit_strip(k, base, y, column.index, k->lanes);
  poa_emit_loop_end(e, &column);
  if (inner > whole) {
    poa_emit_branch branch = poa_emit_if(e, rest);
    emit_strip(k, base, y, emit_index(e, whole), (int)(inner - whole));
    poa_emit_end_if(e, &branch);
  }
  poa_emit_loop_end(e, &i);
}

/* Moves base and y to the outer indices of a tile, counted by `outer`. */
static void set_outer(scatter *k, LLVMValueRef outer) {
  poa_emitter *e = k->e;
  for (int a = k->s->rank - 2; a >= 0; a--) {
    LLVMValueRef extent = emit_index(e, k->s->extent[a]);
    LLVMValueRef index = LLVMBuildURem(e->builder, outer, extent, "");
    outer = LLVMBuildUDiv(e->builder, outer, extent, "");
    k->base = advance(k, k->base, index, k->s->base[a]);
    if (!k->s->constant_y)
      k->y = advance(k, k->y, index, k->s->y[a]);
  }
}

poa_status poa_scatter_emit(poa_emitter *e, const void *description, const char *symbol,
                            poa_error *error) {
  (void)error;
  const poa_scatter *s = description;
  int64_t inner = inner_extent(s);
  poa_emit_kernel(e, symbol);
  scatter k = {.e = e, .s = s, .lanes = poa_body_lanes(e->target, inner)};
  LLVMValueRef base = emit_buffer(e, 0), y = s->constant_y ? NULL : emit_buffer(e, 2);
  k.rows = emit_buffer(e, 1);
  if (s->base_count > 0 && inner > 0 && outer_count(s) > 0) {
    poa_emit_loop tile = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, 1));
    LLVMValueRef count = emit_index(e, blocks(s));
    LLVMValueRef block = LLVMBuildURem(e->builder, tile.index, count, "");
    k.base = base, k.y = y;
    set_outer(&k, LLVMBuildUDiv(e->builder, tile.index, count, ""));
    LLVMValueRef from = emit_mul(e, block, emit_index(e, BLOCK));
    LLVMValueRef to = emit_min(e, emit_add(e, from, emit_index(e, BLOCK)),
                               emit_index(e, inner - inner % k.lanes));
    LLVMValueRef last = emit_compare_int(e, LLVMIntEQ, block, emit_index(e, blocks(s) - 1));
    emit_rows(&k, from, to, last);
    poa_emit_loop_end(e, &tile);
  }
  emit_return(e);
  return POA_OK;
}
