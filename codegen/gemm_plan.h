/* gemm_plan.h: how one matrix product is cut into tiles, blocks and micro-kernels;
 * shared by the files of the gemm family (gemm*.c) and by nobody else.
 *
 *   for tile                                  (the runtime, on all threads)
 *     for item of the tile                    (one batch, tile_m x tile_n of C)
 *       for block of k                        (k_block; joined axes of A are gathered first)
 *         for panel of B                      (k_block x vectors*lanes, packed or in place)
 *           for rows of A                     (micro-kernel: rows x vectors registers)
 *
 * after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
 * (2008), with A read in place by broadcast, so that f32 is never packed.
 *
 * A step is one turn of the inner loop: one of k, or in bf16 a pair of them, which lies in four
 * bytes as a float does. So both operands of a bf16 product are packed, blocks of A once for all
 * panels of a tile, and the micro-kernels read pairs where they read floats otherwise. */
#ifndef POA_CODEGEN_GEMM_PLAN_H
#define POA_CODEGEN_GEMM_PLAN_H

#include "codegen/gemm.h"

/* How a micro-kernel comes by vectors of B. */
typedef enum poa_gemm_panel {
  POA_PANEL_IN_PLACE,  /* column stride 1: loads */
  POA_PANEL_COPY,      /* the same, but rows that share cache sets are gathered first */
  POA_PANEL_TRANSPOSE, /* row stride 1: transposed in registers into a panel */
  POA_PANEL_GATHER,    /* any strides: gathered into a panel */
} poa_gemm_panel;

typedef struct poa_gemm_plan {
  poa_gemm gemm;    /* canonical, and transposed if `swapped` */
  bool swapped;     /* C^T = B^T A^T: A is buffer 1 and B buffer 0 */
  bool gather;      /* A has joined axes: blocks of it are gathered, and a.row, a.column theirs */
  bool run_of_rows; /* gather: rows lie next to one another; else columns do */
  bool dot;         /* few columns, both operands unit-stride along k: sums across lanes */
  poa_gemm_panel panel;
  int lanes;
  int rows, vectors; /* micro-kernel; dot: rows and columns (vectors = n) */
  int chains;        /* dot: independent sums per element */
  int64_t k_block, k_blocks;
  bool sum_apart;        /* the running sum of a tile lies on the stack between k blocks */
  int64_t a_row, a_step; /* of A as micro-kernels read it, in units of 4 bytes */
  int64_t tile_m, tile_n, tiles_m, tiles_n;
  int64_t batches;
  int64_t items, grain, tiles; /* a tile is `grain` items */
} poa_gemm_plan;

/* gemm_plan.c */

/* A plan depends on shapes, strides and target only. */
poa_gemm_plan poa_gemm_make_plan(const poa_gemm *gemm, const poa_target *target);
/* The same product with unit extents and mergeable batches gone; two products with
 * the same canonical form have the same code. */
poa_gemm poa_gemm_canonical(const poa_gemm *gemm);

/* Steps that k elements along the sum take. */
static inline int64_t poa_gemm_steps(const poa_gemm_plan *plan, int64_t k) {
  return plan->gemm.bf16 ? (k + 1) / 2 : k;
}

/* Columns of a whole panel. */
static inline int64_t poa_gemm_panel_columns(const poa_gemm_plan *plan) {
  return plan->dot ? plan->vectors : (int64_t)plan->vectors * plan->lanes;
}

/* Columns of the last, partial panel; 0 if there is none. */
static inline int64_t poa_gemm_columns_left(const poa_gemm_plan *plan) {
  return plan->gemm.n % poa_gemm_panel_columns(plan);
}

/* Rows of the last, partial micro-tile; 0 if there is none. */
static inline int poa_gemm_rows_left(const poa_gemm_plan *plan) {
  return (int)(plan->gemm.m % plan->rows);
}

/* Elements between the rows of B as a micro-kernel of `columns` columns sees it. */
static inline int64_t poa_gemm_panel_stride(const poa_gemm_plan *plan, int64_t columns) {
  if (plan->panel == POA_PANEL_IN_PLACE)
    return plan->gemm.b.row;
  return (columns + plan->lanes - 1) / plan->lanes * plan->lanes;
}

/* The following emit internal helpers of the module, named after `symbol`, and leave
 * the builder anywhere. They return the helper. */

/* gemm_micro_kernel.c: void (ptr a, ptr b, ptr c, ptr sum, i64 count, i64 steps, i1 resume,
 * i1 finish): `count` micro-tiles one below the other. `b` is a panel of `columns`
 * columns. `resume`: an earlier block of k has left its sum; `finish`: this is the last
 * block. `sum` is the tile's running sum, dense of row stride tile_n, if sum_apart. */
LLVMValueRef poa_gemm_micro_kernel(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                                   int rows, int64_t columns);
/* gemm_pack.c: void (ptr b, ptr panel, i64 k): k rows of `columns` columns of B to a
 * panel whose rows, one a step, are whole vectors; lanes beyond `columns` are any numbers. */
LLVMValueRef poa_gemm_pack(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                           int64_t columns);
/* gemm_gather.c: void (ptr a, ptr block, i64 row, i64 rows, i64 k, i64 depth): rows and columns
 * of A from `row` and `k` on to a block that is dense along runs. */
LLVMValueRef poa_gemm_gather(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol);
/* gemm_pack_rows.c: void (ptr a, ptr block, i64 rows, i64 k): rows x k of A to pairs of bf16. */
LLVMValueRef poa_gemm_pack_rows(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol);
/* Elements of such a block, of 4 bytes. */
int64_t poa_gemm_packed_rows(const poa_gemm_plan *plan);
/* gemm_dot.c: void (ptr a, ptr b, ptr c, i64 count): `count` times `rows` rows of C. */
LLVMValueRef poa_gemm_dot_kernel(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol,
                                 int rows);

/* gemm_bf16.c: the instructions. Vectors of 16 floats (or pairs) and of 32 bf16. */

/* low, then high, rounded to bf16; as 16 floats' worth of bits. */
LLVMValueRef poa_emit_bf16(poa_emitter *e, LLVMValueRef low, LLVMValueRef high);
/* Lane i: the pair of first[i] and second[i], rounded. */
LLVMValueRef poa_emit_bf16_pairs(poa_emitter *e, LLVMValueRef first, LLVMValueRef second);
/* sum + the products of the pairs in each lane. */
LLVMValueRef poa_emit_bf16_dot(poa_emitter *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef sum);

#endif
