/* cluster.h: what a fused kernel computes, apart from where it stands.
 *
 * fuse gives nodes a kernel number; classify.c turns the nodes of one number into a
 * description that the emitters read without the graph. Nodes, buffers and parameters
 * have no names here, only local numbers, so the same computation in another layer has
 * the same description, the same key and the same machine code. A layer norm's row sums:
 *
 *   rows [64 | 384]                 outer axes | inner axis
 *   v0 = input @0                   @0: f32, strides (384, 1)
 *   v1 = reduce_sum v0
 *   store v1 -> @1                  @1: f32, strides (1, 0)
 *
 * Axes are put in order, those of extent 1 dropped and those that every access crosses in
 * one stride merged (normalize.c). Access i is buffer i of the launch. */
#ifndef POA_CODEGEN_CLUSTER_H
#define POA_CODEGEN_CLUSTER_H

#include "codegen/codegen.h"
#include "codegen/gemm.h"
#include "ir/ir.h"

#define POA_CLUSTER_OPERANDS 3

/* How one buffer is walked; the pointer that the kernel gets is that of element 0. */
typedef struct poa_access {
  poa_dtype dtype;
  int64_t stride[POA_MAX_RANK]; /* elements, per axis of the domain */
} poa_access;

/* One value. `op` is an element-wise op, a reduction, iota, gather, constant, or input: a
 * load through `access`. */
typedef struct poa_cluster_value {
  poa_op op;
  poa_dtype dtype;
  bool vector; /* differs along the inner axis; else computed once */
  bool after;  /* columns: computed from the reductions' results */
  int operand_count;
  int operand[POA_CLUSTER_OPERANDS]; /* earlier values; gather: the row index */
  int access;                        /* input, gather */
  int64_t row_stride, row_count;     /* gather: of what it reads; stride in elements */
  int axis;                          /* iota */
  double constant;
} poa_cluster_value;

typedef struct poa_cluster_store {
  int value, access;
  bool full;       /* an element per element of the domain; else per row or kept element */
  bool accumulate; /* += */
  bool last;       /* the kernel reads this buffer too: write in the last pass */
} poa_cluster_store;

/* A rows or columns kernel. The axes are: `outer` ones that tiles divide, then (columns
 * only) the reduced ones, then the inner one, along which vectors lie. Rank 0: scalars. */
typedef struct poa_cluster {
  bool columns;
  bool whole_rows; /* something exists once per row: the inner axis is not cut */
  int rank, outer;
  int64_t extent[POA_MAX_RANK];
  int value_count, access_count, store_count;
  poa_cluster_value *values;
  poa_access *accesses;
  poa_cluster_store *stores;
} poa_cluster;

static inline int64_t poa_cluster_inner(const poa_cluster *c) {
  return c->rank ? c->extent[c->rank - 1] : 1;
}

static inline int64_t poa_cluster_outer_count(const poa_cluster *c) {
  int64_t count = 1;
  for (int a = 0; a < c->outer; a++)
    count *= c->extent[a];
  return count;
}

/* base[rows[i], ..] += y[i, ..] for i in order. Buffers: base, rows, y; y may be the same
 * constant everywhere and has no buffer then. Axes after the first are merged. */
typedef struct poa_scatter {
  poa_dtype dtype;
  int64_t count, base_count; /* rows of y, rows of base */
  int rank;                  /* of a row */
  int64_t extent[POA_MAX_RANK];
  int64_t base_row, y_row, rows_stride; /* elements */
  int64_t base[POA_MAX_RANK], y[POA_MAX_RANK];
  bool constant_y;
  double constant;
} poa_scatter;

typedef enum poa_kernel_kind {
  POA_KERNEL_GEMM,
  POA_KERNEL_ROWS,
  POA_KERNEL_COLUMNS,
  POA_KERNEL_SCATTER,
  POA_KERNEL_EXTERNAL,
} poa_kernel_kind;

/* One buffer of one launch: of elements offset .. offset + span - 1 of the root's buffer
 * those at offset + i*stride[0] + j*stride[1] + .. */
typedef struct poa_use {
  poa_value root;
  poa_dtype dtype;
  int64_t offset, span;
  int rank;
  int64_t extent[POA_MAX_RANK], stride[POA_MAX_RANK];
  bool read, written;
} poa_use;

/* One kernel number of a graph. */
typedef struct poa_kernel {
  poa_kernel_kind kind;
  union {
    poa_cluster *cluster; /* rows, columns */
    poa_gemm *gemm;
    poa_scatter *scatter;
    const poa_node *call;
  };
  int use_count;
  poa_use *uses;
  double flops; /* of matrix products */
} poa_kernel;

/* classify.c: describes kernel number `number`, whose nodes lie in [first, end). `local` has
 * an entry for each node of the graph, all -1, and is left so. Everything is allocated in
 * `arena`. Fails where the nodes keep no promise of docs/kernels.md, naming the node. */
poa_status poa_classify(const poa_graph *graph, uint32_t first, uint32_t end, int number,
                        int *local, poa_arena *arena, poa_kernel *kernel, poa_error *error);

/* use.c: buffers that a kernel reads and writes. */

/* The part of its root's buffer where `node`, of type `type`, lies, from element `offset`
 * of its storage on. */
poa_use poa_use_of(const poa_node *node, const poa_type *type, int64_t offset);
/* Fails where `value` is stored nowhere. */
poa_status poa_check_stored(const poa_graph *graph, poa_value value, poa_error *error);
/* Elements of the accumulate node's storage before its block. */
int64_t poa_block_offset(const poa_node *accumulate);

/* classify_product.c: a dot and perhaps its accumulate; uses are A, B and C. */
poa_status poa_classify_product(const poa_graph *graph, poa_value dot, poa_value accumulate,
                                poa_arena *arena, poa_kernel *kernel, poa_error *error);

/* classify_scatter.c: a scatter_add; uses are its base, the rows, and y unless constant. */
poa_status poa_classify_scatter(const poa_graph *graph, poa_value scatter, poa_arena *arena,
                                poa_kernel *kernel, poa_error *error);

/* normalize.c: orders, drops and merges axes. `pinned` axes (an index runs along them) are
 * neither dropped nor merged; `reduced` ones are looped over in the order given. */
void poa_cluster_normalize(poa_cluster *cluster, const bool *pinned, const bool *reduced);

/* cluster_key.c: the text of all that the code depends on; of a cluster and of a scatter. */
char *poa_cluster_key(const poa_cluster *cluster, poa_arena *arena);
char *poa_scatter_key(const poa_scatter *scatter, poa_arena *arena);

/* rows.c, columns.c, scatter.c: poa_emit_fns; the descriptions are a poa_cluster, a
 * poa_cluster and a poa_scatter. Tiles depend on shapes and on the target's lanes only. */
poa_status poa_rows_emit(poa_emitter *e, const void *cluster, const char *symbol, poa_error *error);
int64_t poa_rows_tiles(const poa_cluster *cluster);
poa_status poa_columns_emit(poa_emitter *e, const void *cluster, const char *symbol,
                            poa_error *error);
int64_t poa_columns_tiles(const poa_cluster *cluster, const poa_target *target);
poa_status poa_scatter_emit(poa_emitter *e, const void *scatter, const char *symbol,
                            poa_error *error);
int64_t poa_scatter_tiles(const poa_scatter *scatter);

#endif
