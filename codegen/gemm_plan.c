/* gemm_plan.c: chooses how a product is computed, from shapes, strides and target.
 *
 * Everything here is a small cost model in cycles of a core with two vector FMAs and
 * two loads per cycle: which operand plays A, which micro-kernel wastes least on the
 * remainders, which tiles divide well among 1, 2, 4 and 8 threads. The bits of C do
 * not depend on these choices but for `dot`, `chains` and `lanes`, which follow
 * from the shape and the target alone. */
#include "codegen/gemm_plan.h"

#include <float.h>

#define K_BLOCK 384         /* rows of a panel; a panel is then 48 to 96 KiB, of bf16 half of it */
#define A_BLOCK 98304       /* elements of A that a tile reads again from L2 */
#define PACKED_BLOCK 131072 /* the same in bf16, on the stack: 256 KiB */
#define CACHE_LINE 16       /* elements */
#define GATHER_BLOCK 49152  /* of A gathered on the stack: 192 KiB */
#define COPY_ROWS 8         /* micro-tiles a copied panel must serve */
#define COPY_ELEMENTS 16384 /* operands below that are cached as they are */
#define SUM_ELEMENTS 16384  /* of the running sum on the stack: 64 KiB */
#define MAX_TILE_PANELS 32
#define DOT_MAX_COLUMNS 4
#define ITEM_CYCLES 300.0   /* start of an item */
#define TILE_CYCLES 20000.0 /* below that, a tile takes several items */
#define TILES_TO_BALANCE 64

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/* A batch extent by which only A and C move, and move as one more row of tiles would,
 * is more rows: x[b, t, d] @ w[d, o] is x[b*t, d] @ w. */
static bool merge_batch(poa_gemm *g, int d) {
  int64_t a = g->a.batch[d], b = g->b.batch[d], c = g->c.batch[d];
  if (b == 0 && (g->m == 1 || (a == g->m * g->a.row && c == g->m * g->c.row))) {
    if (g->m == 1)
      g->a.row = a, g->c.row = c;
    g->m *= g->batch[d];
    return true;
  }
  if (a == 0 && (g->n == 1 || (b == g->n * g->b.column && c == g->n * g->c.column))) {
    if (g->n == 1)
      g->b.column = b, g->c.column = c;
    g->n *= g->batch[d];
    return true;
  }
  return false;
}

static bool is_joined(const poa_gemm *g) {
  return g->rows.rank > 0;
}

static void remove_batch(poa_gemm *g, int d) {
  for (int i = d; i + 1 < g->batch_rank; ++i) {
    g->batch[i] = g->batch[i + 1];
    g->a.batch[i] = g->a.batch[i + 1];
    g->b.batch[i] = g->b.batch[i + 1];
    g->c.batch[i] = g->c.batch[i + 1];
  }
  --g->batch_rank;
}

static void clear_unused_batches(poa_gemm *g) {
  for (int i = g->batch_rank; i < POA_GEMM_MAX_BATCH; ++i) {
    g->batch[i] = 1;
    g->a.batch[i] = g->b.batch[i] = g->c.batch[i] = 0;
  }
}

poa_gemm poa_gemm_canonical(const poa_gemm *gemm) {
  poa_gemm g = *gemm;
  for (int d = g.batch_rank - 1; d >= 0; --d)
    if (g.batch[d] == 1)
      remove_batch(&g, d);
  for (int d = g.batch_rank - 1; d >= 0 && !is_joined(&g);) {
    bool merged = merge_batch(&g, d);
    if (merged)
      remove_batch(&g, d);
    d = merged ? g.batch_rank - 1 : d - 1;
  }
  clear_unused_batches(&g);
  if (g.m == 1)
    g.a.row = g.c.row = 1;
  if (g.n == 1)
    g.b.column = g.c.column = 1;
  if (g.k == 1)
    g.a.column = g.b.row = 1;
  return g;
}

static void swap_strides(poa_gemm_operand *operand) {
  int64_t row = operand->row;
  operand->row = operand->column;
  operand->column = row;
}

/* C^T = B^T A^T. */
static poa_gemm transposed(const poa_gemm *gemm) {
  poa_gemm g = *gemm;
  g.m = gemm->n, g.n = gemm->m;
  g.a = gemm->b, g.b = gemm->a;
  swap_strides(&g.a);
  swap_strides(&g.b);
  swap_strides(&g.c);
  return g;
}

/* Cycles per vector of B that is packed; a vector of bf16 pairs is made of two of floats. */
static double pack_cycles(const poa_gemm_plan *p) {
  double rows = p->gemm.bf16 ? 2 : 1;
  switch (p->panel) {
  case POA_PANEL_IN_PLACE:
    return 0;
  case POA_PANEL_COPY:
    return rows;
  case POA_PANEL_TRANSPOSE:
    return rows + 2;
  case POA_PANEL_GATHER:
    break;
  }
  return rows * 2 * p->lanes;
}

/* Cycles per row and step of A: packed for bf16, else read in place. */
static double pack_row_cycles(const poa_gemm_plan *p) {
  const poa_gemm *g = &p->gemm;
  if (!g->bf16)
    return 0;
  bool dense = g->rows.rank || g->a.row == 1 || g->a.column == 1;
  return dense ? 2.0 / p->lanes : 4;
}

/* Cycles of one step of k of a micro-kernel: arithmetic, loads, or the latency of the
 * chain, whichever is longest. */
static double step_cycles(int64_t rows, int64_t vectors) {
  double arithmetic = (double)(rows * vectors) / 2;
  double loads = (double)(rows + vectors) / 2;
  double longest = arithmetic > loads ? arithmetic : loads;
  return longest > 4 ? longest : 4;
}

/* Cycles of one step of k over m x n of C. */
static double area_cycles(int64_t m, int64_t n, int rows, int vectors, int lanes) {
  int64_t columns = (int64_t)vectors * lanes;
  int64_t down = m / rows, rows_left = m % rows;
  int64_t across = n / columns, vectors_left = divide_up(n % columns, lanes);
  double whole = (double)down * step_cycles(rows, vectors);
  double partial = vectors_left ? (double)down * step_cycles(rows, vectors_left) : 0;
  if (rows_left) {
    whole += step_cycles(rows_left, vectors);
    partial += vectors_left ? step_cycles(rows_left, vectors_left) : 0;
  }
  return (double)across * whole + partial;
}

typedef struct shape {
  int rows, vectors;
} shape;

/* rows * vectors sums, vectors of B and a broadcast must fit the registers; without
 * FMA a product as well. The first is the best where there are no remainders. */
static const shape shapes_32[] = {{8, 3}, {6, 4}, {12, 2}, {4, 6}, {24, 1}, {0, 0}};
static const shape shapes_16[] = {{6, 2}, {4, 3}, {12, 1}, {0, 0}};
static const shape shapes_16_without_fma[] = {{4, 2}, {6, 2}, {8, 1}, {0, 0}};

static const shape *shapes_of(const poa_target *target) {
  if (target->vector_count >= 32)
    return shapes_32;
  return target->has_fma ? shapes_16 : shapes_16_without_fma;
}

static void choose_shape(poa_gemm_plan *p, const poa_target *target) {
  double best = DBL_MAX;
  for (const shape *s = shapes_of(target); s->rows; ++s) {
    double cycles = area_cycles(p->gemm.m, p->gemm.n, s->rows, s->vectors, p->lanes);
    if (cycles >= best * 0.97)
      continue;
    best = cycles;
    p->rows = s->rows;
    p->vectors = s->vectors;
  }
}

/* A narrow panel whose rows lie far apart is a cache line per row, each on its own page;
 * rows a multiple of 4 KiB apart fall into one set of the first-level cache. */
static bool copy_pays(const poa_gemm_plan *p) {
  const poa_gemm *g = &p->gemm;
  if (g->m < COPY_ROWS * p->rows)
    return false;
  if (p->vectors * p->lanes <= CACHE_LINE)
    return g->k * g->b.row > COPY_ELEMENTS;
  return g->b.row % 1024 == 0 && g->k > 64;
}

static poa_gemm_panel choose_panel(const poa_gemm_plan *p) {
  if (p->gemm.b.column == 1)
    return p->gemm.bf16 || copy_pays(p) ? POA_PANEL_COPY : POA_PANEL_IN_PLACE;
  return p->gemm.b.row == 1 ? POA_PANEL_TRANSPOSE : POA_PANEL_GATHER;
}

/* Few columns leave most lanes of an outer product idle: then the lanes run along k. */
static bool can_dot(const poa_gemm *g) {
  return !g->bf16 && !is_joined(g) && g->n <= DOT_MAX_COLUMNS && g->a.column == 1 &&
         g->b.row == 1 && g->k > 1;
}

static double dot_cycles(const poa_gemm *g, int lanes) {
  double steps = (double)divide_up(g->k, lanes) * 0.75;
  return (double)(g->m * g->n) * (steps + 10);
}

static double outer_cycles(const poa_gemm_plan *p) {
  const poa_gemm *g = &p->gemm;
  double steps = (double)poa_gemm_steps(p, g->k), vectors = (double)divide_up(g->n, p->lanes);
  double cycles = steps * area_cycles(g->m, g->n, p->rows, p->vectors, p->lanes);
  cycles += steps * (vectors * pack_cycles(p) + (double)g->m * pack_row_cycles(p));
  return cycles + (g->c.column == 1 ? 1 : 2.0 * p->lanes) * (double)g->m * vectors;
}

/* A plan's roles and micro-kernel; the tiles are still open. Returns its cycles. */
static double choose_kernel(poa_gemm_plan *p, const poa_target *target) {
  const poa_gemm *g = &p->gemm;
  p->lanes = target->vector_lanes;
  choose_shape(p, target);
  p->panel = choose_panel(p);
  double outer = outer_cycles(p), dot = can_dot(g) ? dot_cycles(g, p->lanes) : DBL_MAX;
  if (dot >= outer)
    return outer;
  p->dot = true;
  p->panel = POA_PANEL_IN_PLACE;
  p->chains = g->m * g->n < 8 ? 4 : 1;
  p->vectors = (int)g->n;
  int sums = target->vector_count / 2 / (p->vectors * p->chains);
  p->rows = sums < 1 ? 1 : (int)smaller(sums, 8);
  return dot;
}

/* Blocks of equal size, of whole turns of a transposition: four steps. When sums cannot rest in C
 * (they are still to be scaled and added to it) they rest on the stack, see gemm_micro_kernel.c. */
static void choose_k_block(poa_gemm_plan *p) {
  int64_t k = p->gemm.k;
  p->k_blocks = p->dot || k == 0 ? 1 : divide_up(k, K_BLOCK);
  int64_t turn = p->gemm.bf16 ? 8 : 4;
  p->k_block = k == 0 ? turn : divide_up(divide_up(k, p->k_blocks), turn) * turn;
  p->sum_apart = p->k_blocks > 1 && p->gemm.accumulate && p->gemm.alpha != 1;
}

static double tile_cycles(const poa_gemm_plan *p, int64_t m, int64_t n) {
  double k = (double)p->gemm.k, steps = (double)poa_gemm_steps(p, p->gemm.k);
  double vectors = (double)divide_up(n, p->lanes);
  double from_l3 = 0.25 * k * (double)(m + n);
  if (p->dot)
    return ITEM_CYCLES + (double)(m * n) * (k / p->lanes + 10) + from_l3;
  double compute = steps * area_cycles(m, n, p->rows, p->vectors, p->lanes);
  double pack = steps * (vectors * pack_cycles(p) + (double)m * pack_row_cycles(p));
  return ITEM_CYCLES + compute + pack + from_l3;
}

/* Time of the slowest thread, over that of a perfect division, summed over teams. */
static double team_cycles(double cycles, int64_t items) {
  double sum = 0;
  for (int threads = 1; threads <= 12; ++threads)
    sum += (double)(divide_up(items, threads) * threads) * cycles;
  return sum;
}

static void try_tile(poa_gemm_plan *p, int64_t panels, int64_t micro_rows, double *best) {
  const poa_gemm *g = &p->gemm;
  int64_t columns = poa_gemm_panel_columns(p);
  int64_t all_panels = divide_up(g->n, columns), all_rows = divide_up(g->m, p->rows);
  int64_t tiles_n = divide_up(all_panels, panels), tiles_m = divide_up(all_rows, micro_rows);
  int64_t tile_n = divide_up(all_panels, tiles_n) * columns;
  int64_t tile_m = divide_up(all_rows, tiles_m) * p->rows;
  if (p->sum_apart && tile_m * tile_n > SUM_ELEMENTS)
    return;
  double cycles = tile_cycles(p, smaller(tile_m, g->m), smaller(tile_n, g->n));
  double score = team_cycles(cycles, p->batches * tiles_m * tiles_n);
  if (score >= *best)
    return;
  *best = score;
  p->tile_m = tile_m, p->tiles_m = divide_up(g->m, tile_m);
  p->tile_n = tile_n, p->tiles_n = divide_up(g->n, tile_n);
}

static void choose_tiles(poa_gemm_plan *p) {
  int64_t panels = divide_up(p->gemm.n, poa_gemm_panel_columns(p));
  int64_t rows = divide_up(p->gemm.m, p->rows);
  int64_t block = p->gather ? GATHER_BLOCK : p->gemm.bf16 ? PACKED_BLOCK : A_BLOCK;
  int64_t most = block / p->k_block / p->rows;
  double best = DBL_MAX;
  for (int64_t i = 1; i <= smaller(panels, MAX_TILE_PANELS); ++i)
    for (int64_t j = 1; j <= smaller(rows, most < 1 ? 1 : most); ++j)
      try_tile(p, i, j, &best);
  p->items = p->batches * p->tiles_m * p->tiles_n;
}

/* Very small items go several to a tile, as long as there are tiles for all threads. */
static void choose_grain(poa_gemm_plan *p) {
  double cycles = tile_cycles(p, smaller(p->tile_m, p->gemm.m), smaller(p->tile_n, p->gemm.n));
  int64_t wanted = (int64_t)(TILE_CYCLES / cycles) + 1;
  int64_t most = p->items / TILES_TO_BALANCE;
  p->grain = smaller(wanted, most < 1 ? 1 : most);
  p->tiles = divide_up(p->items, p->grain);
}

/* Lines of so many vectors lie an odd number of cache lines apart, so that a column of them is in
 * as many cache sets as there are. */
static int64_t pitch_of(int64_t elements) {
  return (divide_up(elements, CACHE_LINE) | 1) * CACHE_LINE;
}

/* Where micro-kernels find A: in place, or packed by rows or by columns, as it lies. */
static void lay_out_a(poa_gemm_plan *p) {
  const poa_gemm *g = &p->gemm;
  p->a_row = g->a.row, p->a_step = g->a.column;
  if (g->bf16) {
    bool along = g->a.column == 1;
    p->a_row = along ? pitch_of(p->k_block / 2) : 1;
    p->a_step = along ? 1 : pitch_of(p->tile_m);
  }
}

/* The gathered block, whose runs are dense. */
static void lay_out_block(poa_gemm_plan *p) {
  const poa_gemm_axes *rows = &p->gemm.rows, *inner = &p->gemm.inner;
  p->run_of_rows = rows->stride[rows->rank - 1] == 1 && inner->stride[inner->rank - 1] != 1;
  p->gemm.a.row = p->run_of_rows ? 1 : p->k_block;
  p->gemm.a.column = p->run_of_rows ? p->tile_m : 1;
}

poa_gemm_plan poa_gemm_make_plan(const poa_gemm *gemm, const poa_target *target) {
  poa_gemm canonical = poa_gemm_canonical(gemm);
  poa_gemm_plan plan = {.gemm = canonical, .batches = 1};
  poa_gemm_plan other = {.gemm = transposed(&canonical), .swapped = true, .batches = 1};
  plan.gather = is_joined(&canonical);
  double cycles = choose_kernel(&plan, target);
  if (!plan.gather && choose_kernel(&other, target) < cycles * 0.97)
    plan = other;
  for (int d = 0; d < canonical.batch_rank; ++d)
    plan.batches *= canonical.batch[d];
  if (plan.batches == 0 || canonical.m == 0 || canonical.n == 0)
    return plan;
  choose_k_block(&plan);
  choose_tiles(&plan);
  choose_grain(&plan);
  if (plan.gather)
    lay_out_block(&plan);
  lay_out_a(&plan);
  return plan;
}
