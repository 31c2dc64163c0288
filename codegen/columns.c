/* columns.c: reductions over axes that do not contain the inner one. A tile is a block of a
 * few vectors of kept elements; the reduced axes are looped over in order.
 *
 *   x[1576, 384] -> [384], lanes 16, a block of 4 vectors:   tile t = columns 64t .. 64t+63
 *     for j in 0, UNROLL, ..:  sum[u][w] += x[j + u, 64t + 16w ..]
 *
 * The innermost reduced axis has sums of its own, in stretches of at most STRETCH rows, that
 * are added to the total one after the other: the error of a long sum grows with the
 * number of stretches, not of rows. With few vectors several rows are summed at once to
 * hide the latency of additions. All of this follows from the shape alone.
 *
 * Measured: sums of 6400 x 768 floats from memory, one core, 24 GB/s without and 40 GB/s with
 * prefetching; reading such strips is the price of sums that no tile shares. */
#include "codegen/body.h"

#define BLOCK 64 /* elements, in at most MOST_VECTORS vectors */
#define MOST_VECTORS 8
#define STRETCH 512
#define ENOUGH_TILES 8
#define PREFETCH_ROWS 12
#define PREFETCH_STRIDE 256 /* elements from row to row, at least */

typedef struct columns {
  poa_emitter *e;
  const poa_cluster *c;
  poa_body body;
  int reduction_count;
  int *reductions;
  int vectors, unroll; /* of the block being emitted */
  int active;          /* lanes of its last vector */
  LLVMValueRef column; /* inner index of its first lane */
  LLVMValueRef **kept; /* [vector][value]: the results, and what comes after */
} columns;

static int first_reduced(const poa_cluster *c) {
  return c->outer;
}

static int inner_axis(const poa_cluster *c) {
  return c->rank - 1;
}

static int64_t vectors_of_row(const poa_cluster *c, int lanes) {
  return (poa_cluster_inner(c) + lanes - 1) / lanes;
}

static int count_reductions(const poa_cluster *c) {
  int count = 0;
  for (int v = 0; v < c->value_count; v++)
    count += poa_op_is(c->values[v].op, POA_FLAG_REDUCTION);
  return count;
}

/* Vectors of a block: such that blocks divide the row well, sums fit the registers, and
 * there are tiles for several cores. */
static int block_vectors(const poa_cluster *c, int lanes) {
  int64_t all = vectors_of_row(c, lanes), rows = poa_cluster_outer_count(c);
  if (count_reductions(c) > 3)
    return 1;
  int most = BLOCK / lanes < MOST_VECTORS ? BLOCK / lanes : MOST_VECTORS, block = most;
  while (block > 1 && all % block && 2 * block > most)
    block--;
  if (all % block)
    block = most;
  while (block > 1 && rows * ((all + block - 1) / block) < ENOUGH_TILES)
    block /= 2;
  return block;
}

static int64_t blocks_of_row(const poa_cluster *c, int lanes) {
  int block = block_vectors(c, lanes);
  return (vectors_of_row(c, lanes) + block - 1) / block;
}

int64_t poa_columns_tiles(const poa_cluster *c, const poa_target *target) {
  int lanes = poa_body_lanes(target, poa_cluster_inner(c));
  int64_t tiles = poa_cluster_outer_count(c) * blocks_of_row(c, lanes);
  return tiles > 0 ? tiles : 1;
}

/* Sums. A set has an accumulator per reduction and vector. */

static int set_size(const columns *k) {
  return k->reduction_count * k->vectors;
}

static const poa_cluster_value *reduction(const columns *k, int i) {
  return &k->c->values[k->reductions[i / k->vectors]];
}

static poa_accumulator *start_sets(const columns *k, int sets) {
  int count = sets * set_size(k);
  poa_accumulator *a = poa_arena_alloc(k->body.arena, (size_t)count * sizeof *a);
  for (int i = 0; i < count; i++) {
    const poa_cluster_value *r = reduction(k, i % set_size(k));
    a[i] = poa_accumulator_start(k->e, r->op, k->c->values[r->operand[0]].dtype, k->body.lanes);
  }
  return a;
}

static void join_sets(const columns *k, poa_accumulator *to, const poa_accumulator *from) {
  for (int i = 0; i < set_size(k); i++)
    to[i] = poa_accumulator_join(k->e, reduction(k, i)->op, to[i], from[i]);
}

static poa_accumulator *carry(const columns *k, const poa_emit_loop *loop, poa_accumulator *a,
                              int sets) {
  int count = sets * set_size(k);
  poa_accumulator *next = poa_arena_alloc(k->body.arena, (size_t)count * sizeof *next);
  for (int i = 0; i < count; i++) {
    a[i].value = poa_emit_loop_carry(k->e, loop, a[i].value);
    next[i] = a[i];
  }
  return next;
}

static void end_loop(const columns *k, poa_emit_loop *loop, const poa_accumulator *a,
                     const poa_accumulator *next, int sets) {
  for (int i = 0; i < sets * set_size(k); i++)
    poa_emit_loop_set(k->e, a[i].value, next[i].value);
  poa_emit_loop_end(k->e, loop);
}

/* One place of the domain's rows. */

static LLVMValueRef inner_index(const columns *k, int vector) {
  return LLVMBuildNSWAdd(k->e->builder, k->column, emit_index(k->e, vector * k->body.lanes), "");
}

static int active_lanes(const columns *k, int vector) {
  return vector == k->vectors - 1 ? k->active : k->body.lanes;
}

static bool before(const poa_cluster_value *value) {
  return !value->after && !poa_op_is(value->op, POA_FLAG_REDUCTION);
}

/* Asks for what the row PREFETCH_ROWS further along `axis` will load. Rows that lie far apart
 * are more than the processor foresees by itself. */
static void prefetch(columns *k, const poa_access *access, LLVMValueRef row, int axis) {
  poa_emitter *e = k->e;
  LLVMTypeRef element = poa_memory_type(e, access->dtype);
  LLVMValueRef distance = emit_index(e, PREFETCH_ROWS * access->stride[axis]);
  row = emit_at(e, element, row, LLVMBuildNSWAdd(e->builder, k->column, distance, ""));
  for (int w = 0; w < k->vectors; w++) {
    LLVMValueRef pointer = emit_at(e, element, row, emit_index(e, w * k->body.lanes));
    LLVMValueRef arguments[] = {pointer, emit_int32(e, 0), emit_int32(e, 3), emit_int32(e, 1)};
    poa_emit_intrinsic(e, "llvm.prefetch", e->pointer, arguments, 4);
  }
}

static void prefetch_row(columns *k, int axis) {
  for (int v = 0; v < k->c->value_count; v++) {
    const poa_cluster_value *value = &k->c->values[v];
    if (value->op != POA_OP_input || value->after)
      continue;
    const poa_access *access = &k->c->accesses[value->access];
    if (access->stride[inner_axis(k->c)] == 1 && access->stride[axis] >= PREFETCH_STRIDE)
      prefetch(k, access, k->body.pointers[value->access], axis);
  }
}

/* Adds one row of the domain to a set of sums and stores what is stored of it. */
static void emit_row(columns *k, poa_accumulator *a) {
  const poa_cluster *c = k->c;
  for (int v = 0; v < c->value_count; v++)
    if (before(&c->values[v]) && !c->values[v].vector)
      poa_body_scalar(&k->body, v);
  for (int w = 0; w < k->vectors; w++) {
    LLVMValueRef index = inner_index(k, w);
    for (int v = 0; v < c->value_count; v++)
      if (before(&c->values[v]) && c->values[v].vector)
        poa_body_vector(&k->body, v, index, active_lanes(k, w));
    for (int r = 0; r < k->reduction_count; r++) {
      const poa_cluster_value *value = &c->values[k->reductions[r]];
      poa_accumulator *sum = &a[r * k->vectors + w];
      *sum =
          poa_accumulator_add(k->e, value->op, *sum, poa_body_lanes_of(&k->body, value->operand[0]),
                              index, k->body.lanes);
    }
    for (int s = 0; s < c->store_count; s++)
      if (c->stores[s].full)
        poa_body_store_vector(&k->body, &c->stores[s], index, active_lanes(k, w));
  }
}

/* Loops over the reduced axes. */

/* for (j = from; j < to; j += sets) of the innermost reduced axis. */
static void emit_row_loop(columns *k, int axis, LLVMValueRef from, LLVMValueRef to,
                          const LLVMValueRef *starts, poa_accumulator *a, int sets) {
  poa_emitter *e = k->e;
  poa_emit_loop loop = poa_emit_loop_begin(e, from, to, emit_index(e, sets));
  poa_accumulator *next = carry(k, &loop, a, sets);
  for (int u = 0; u < sets; u++) {
    k->body.indices[axis] =
        u ? LLVMBuildNSWAdd(e->builder, loop.index, emit_index(e, u), "") : loop.index;
    poa_body_set_pointers(&k->body, starts, axis, axis + 1);
    prefetch_row(k, axis);
    emit_row(k, &next[u * set_size(k)]);
  }
  end_loop(k, &loop, a, next, sets);
}

/* Rows from .. to-1 of the innermost reduced axis, `count` at most (exactly, if constant),
 * summed from zero and added to `total`. */
static void emit_stretch(columns *k, int axis, LLVMValueRef from, LLVMValueRef to, int64_t count,
                         const LLVMValueRef *starts, poa_accumulator *total) {
  poa_emitter *e = k->e;
  int sets = count >= k->unroll ? k->unroll : 1;
  poa_accumulator *a = start_sets(k, sets);
  LLVMValueRef rows = LLVMBuildNSWSub(e->builder, to, from, "");
  LLVMValueRef rest = LLVMBuildURem(e->builder, rows, emit_index(e, sets), "");
  LLVMValueRef main = LLVMBuildNSWSub(e->builder, to, rest, "");
  emit_row_loop(k, axis, from, main, starts, a, sets);
  if (main != to)
    emit_row_loop(k, axis, main, to, starts, a, 1);
  for (int u = 1; u < sets; u++)
    join_sets(k, a, &a[u * set_size(k)]);
  join_sets(k, total, a);
}

static void emit_innermost(columns *k, int axis, const LLVMValueRef *starts,
                           poa_accumulator *total) {
  poa_emitter *e = k->e;
  int64_t extent = k->c->extent[axis];
  if (extent <= 2 * STRETCH) {
    emit_stretch(k, axis, emit_index(e, 0), emit_index(e, extent), extent, starts, total);
    return;
  }
  poa_emit_loop loop =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, extent), emit_index(e, STRETCH));
  poa_accumulator *next = carry(k, &loop, total, 1);
  LLVMValueRef end = LLVMBuildNSWAdd(e->builder, loop.index, emit_index(e, STRETCH), "");
  emit_stretch(k, axis, loop.index, emit_min(e, end, emit_index(e, extent)), STRETCH, starts, next);
  end_loop(k, &loop, total, next, 1);
}

/* Loops over reduced axes from `axis` on, the pointers standing at `starts`. */
static void emit_reduced(columns *k, int axis, const LLVMValueRef *starts, poa_accumulator *total) {
  if (axis >= inner_axis(k->c)) { /* every reduced extent is 1 */
    poa_body_set_pointers(&k->body, starts, axis, axis);
    emit_row(k, total);
    return;
  }
  if (axis == inner_axis(k->c) - 1) {
    emit_innermost(k, axis, starts, total);
    return;
  }
  poa_emitter *e = k->e;
  poa_emit_loop loop =
      poa_emit_loop_begin(e, emit_index(e, 0), emit_index(e, k->c->extent[axis]), emit_index(e, 1));
  poa_accumulator *next = carry(k, &loop, total, 1);
  k->body.indices[axis] = loop.index;
  poa_body_set_pointers(&k->body, starts, axis, axis + 1);
  size_t bytes = (size_t)k->c->access_count * sizeof(LLVMValueRef);
  LLVMValueRef *inner = poa_arena_alloc(k->body.arena, bytes);
  for (int i = 0; i < k->c->access_count; i++)
    inner[i] = k->body.pointers[i];
  emit_reduced(k, axis + 1, inner, next);
  end_loop(k, &loop, total, next, 1);
}

/* After the reduction. */

static void emit_after(columns *k, const LLVMValueRef *starts, const poa_accumulator *total) {
  const poa_cluster *c = k->c;
  poa_body_set_pointers(&k->body, starts, 0, 0);
  for (int v = 0; v < c->value_count; v++)
    if (!c->values[v].vector && (c->values[v].after || c->values[v].op == POA_OP_constant))
      poa_body_scalar(&k->body, v);
  for (int w = 0; w < k->vectors; w++) {
    for (int r = 0; r < k->reduction_count; r++)
      k->body.vectors[k->reductions[r]] = total[r * k->vectors + w].value;
    for (int v = 0; v < c->value_count; v++)
      if (c->values[v].after && c->values[v].vector)
        poa_body_vector(&k->body, v, inner_index(k, w), active_lanes(k, w));
    for (int s = 0; s < c->store_count; s++)
      if (!c->stores[s].full)
        poa_body_store_vector(&k->body, &c->stores[s], inner_index(k, w), active_lanes(k, w));
  }
}

/* Blocks and tiles. */

static void emit_block(columns *k, LLVMValueRef block, int vectors, int active) {
  poa_emitter *e = k->e;
  k->vectors = vectors;
  k->active = active;
  k->unroll = vectors * k->reduction_count >= 4 ? 1 : vectors * k->reduction_count >= 2 ? 2 : 4;
  int64_t width = (int64_t)block_vectors(k->c, k->body.lanes) * k->body.lanes;
  k->column = LLVMBuildNSWMul(e->builder, block, emit_index(e, width), "");
  LLVMValueRef *starts =
      poa_arena_alloc(k->body.arena, (size_t)k->c->access_count * sizeof *starts);
  poa_body_set_pointers(&k->body, k->body.buffers, 0, k->c->outer);
  for (int i = 0; i < k->c->access_count; i++)
    starts[i] = k->body.pointers[i];
  poa_accumulator *total = start_sets(k, 1);
  emit_reduced(k, first_reduced(k->c), starts, total);
  emit_after(k, starts, total);
}

/* The last block of a row may have fewer vectors, and lanes beyond the row's end. */
static void emit_tile(columns *k, LLVMValueRef block) {
  poa_emitter *e = k->e;
  int lanes = k->body.lanes, most = block_vectors(k->c, lanes);
  int64_t inner = poa_cluster_inner(k->c), blocks = blocks_of_row(k->c, lanes);
  int vectors = (int)(vectors_of_row(k->c, lanes) - (blocks - 1) * most);
  int active = inner % lanes ? (int)(inner % lanes) : lanes;
  bool alike = vectors == most && active == lanes;
  if (alike || blocks == 1) {
    emit_block(k, block, vectors, active);
    return;
  }
  LLVMValueRef whole = emit_compare_int(e, LLVMIntSLT, block, emit_index(e, blocks - 1));
  poa_emit_branch branch = poa_emit_if(e, whole);
  emit_block(k, block, most, lanes);
  poa_emit_else(e, &branch);
  emit_block(k, block, vectors, active);
  poa_emit_end_if(e, &branch);
}

static void emit_tiles(columns *k) {
  poa_emitter *e = k->e;
  int64_t blocks = blocks_of_row(k->c, k->body.lanes);
  if (poa_cluster_outer_count(k->c) == 0 || blocks == 0)
    return;
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, 1));
  LLVMValueRef block = loop.index, row = emit_index(e, 0);
  if (k->c->outer) {
    row = LLVMBuildUDiv(e->builder, loop.index, emit_index(e, blocks), "");
    block = LLVMBuildURem(e->builder, loop.index, emit_index(e, blocks), "");
  }
  poa_body_set_indices(&k->body, row, 0, k->c->outer);
  emit_tile(k, block);
  poa_emit_loop_end(e, &loop);
}

poa_status poa_columns_emit(poa_emitter *e, const void *cluster, const char *symbol,
                            poa_error *error) {
  const poa_cluster *c = cluster;
  poa_arena *arena = poa_arena_create();
  if (!arena)
    return poa_fail(error, POA_NO_MEMORY, "no memory to generate a kernel");
  columns k = {.e = e, .c = c};
  k.reductions = poa_arena_alloc(arena, (size_t)c->value_count * sizeof *k.reductions);
  for (int v = 0; v < c->value_count; v++)
    if (poa_op_is(c->values[v].op, POA_FLAG_REDUCTION))
      k.reductions[k.reduction_count++] = v;
  poa_emit_kernel(e, symbol);
  poa_body_init(&k.body, e, c, arena, poa_body_lanes(e->target, poa_cluster_inner(c)));
  emit_tiles(&k);
  emit_return(e);
  poa_arena_free(arena);
  return POA_OK;
}
