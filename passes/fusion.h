/* fusion.h: what the steps of fuse share.
 *
 * Kernels stand in a list; the number of a kernel is its position, and positions are a
 * topological order at all times: whatever a kernel reads from memory, an earlier one wrote.
 * So a node may enter any kernel that stands at or behind the kernels of its operands, two
 * kernels may become one where everything between them allows it, and no step ever has to
 * search for a cycle. A kernel that was emptied keeps its number until fuse.c closes the gaps.
 *
 *   fusion.c         nodes and kernels themselves
 *   prepare_fusion.c from a graph to the nodes that fuse works on
 *   form_kernels.c   a first kernel for every node, walking forwards
 *   merge_kernels.c  kernels that stand side by side or one behind the other become one
 *   repeat_cheap.c   values computed again by each kernel that wants them
 *   store_again.c    values stored once more, near products that read them late
 *   drop_doubles.c   of equal values in a kernel one stays
 *   place_assigns.c  where parameters are written
 *   hoist_kernels.c  kernels that free memory run as soon as they can
 *   fuse.c           the pass: runs the steps, writes the graph */
#ifndef POA_PASSES_FUSION_H
#define POA_PASSES_FUSION_H

#include "ir/ir.h"

/* As docs/kernels.md has them. */
typedef enum poa_fused_kind {
  POA_FUSED_ROWS, /* rank 0: scalars */
  POA_FUSED_COLUMNS,
  POA_FUSED_ALONE, /* gemm, scatter, external: nothing else enters */
} poa_fused_kind;

enum { POA_FUSED_NONE = -1, POA_FUSED_MOST_NODES = 500 };
#define POA_FUSED_END UINT32_MAX

/* A node of the graph, or a twin of one: the same value computed by another kernel. */
typedef struct poa_fused_node {
  const poa_node *node; /* op, type and attributes; not its operands */
  poa_value *operands;  /* indices of fused nodes */
  uint32_t order;       /* sorting by it gives operands before uses */
  int kernel;           /* or POA_FUSED_NONE */
  bool live;            /* an effect depends on it */
  uint32_t next;        /* of the same kernel, or POA_FUSED_END */
  uint32_t twin;        /* next node that computes the same, or POA_FUSED_END */
  uint32_t *users;      /* live nodes that read it, each once */
  int user_count;
} poa_fused_node;

typedef struct poa_fused_kernel {
  poa_fused_kind kind;
  poa_type domain;
  unsigned reduced; /* columns: set of axes */
  bool simple;      /* rows: all values are full, element-wise, gather or iota */
  uint32_t first, last;
  int node_count;   /* 0: emptied */
  int next_scalars; /* next kernel of scalars, or -1 */
} poa_fused_kernel;

typedef struct poa_fusion {
  poa_graph *graph;
  poa_arena *scratch;
  poa_fused_node *nodes;
  uint32_t count, capacity;
  poa_fused_kernel *kernels;
  int kernel_count, kernel_capacity;
  int first_scalars, last_scalars; /* kernels of scalars, in order; -1: none */
} poa_fusion;

static inline poa_fused_node *poa_fused(const poa_fusion *f, poa_value value) {
  return &f->nodes[value];
}
static inline const poa_node *poa_fused_op(const poa_fusion *f, poa_value value) {
  return f->nodes[value].node;
}

/* Whether the node reads that operand only from memory, at other indices than its own. */
static inline bool poa_fused_in_memory(const poa_node *node, int operand) {
  return node->op == POA_OP_gather || (node->op == POA_OP_accumulate && operand == 0);
}

/* fusion.c */

/* A new kernel at the end of the list. */
int poa_fusion_open(poa_fusion *f, poa_fused_kind kind, const poa_type *domain);
/* Puts a node into a kernel. */
void poa_fusion_enter(poa_fusion *f, poa_value value, int kernel);
/* A new node in no kernel, with a copy of `operands`, to stand at `order`. */
poa_value poa_fusion_append(poa_fusion *f, const poa_node *node, const poa_value *operands,
                            uint32_t order);
/* A new node that computes what `value` does, from the same operands, in no kernel yet. */
poa_value poa_fusion_twin(poa_fusion *f, poa_value value);

/* Sorts kernels by group, 0 .. groups - 1, those of one group in the order they had. */
void poa_fusion_reorder(poa_fusion *f, const int *group, int groups);
/* Drops nodes that are not live and kernels without nodes, sorts both and finds the users. */
void poa_fusion_settle(poa_fusion *f);

/* prepare_fusion.c */

/* Fills the fusion with the nodes of a graph. */
void poa_prepare_fusion(poa_fusion *f, const poa_node *nodes, uint32_t count);

/* form_kernels.c */

void poa_form_kernels(poa_fusion *f);
/* Whether kernels pass the value on in registers, element by element; otherwise readers
 * find it in memory and stand behind its kernel. */
bool poa_fused_direct(const poa_fusion *f, poa_value value);
/* The last kernel that must be over before `value` can be read from memory; -1: none. */
int poa_fused_ready(const poa_fusion *f, poa_value value);
/* Whether `node` repeats rows along the last axis of its type. */
bool poa_fused_repeats_rows(const poa_fusion *f, poa_value value);

/* merge_kernels.c */

/* Moves kernels into the first kernel that reads them. */
void poa_sink_kernels(poa_fusion *f);
/* Moves kernels into an earlier one that reads the same full value. */
void poa_join_siblings(poa_fusion *f);

/* hoist_kernels.c */

void poa_hoist_kernels(poa_fusion *f);
/* Whether the kernel writes little for what it reads and no kernel from `first` on does. */
bool poa_frees_memory(const poa_fusion *f, int kernel, int first);

/* repeat_cheap.c */

void poa_repeat_cheap(poa_fusion *f);

/* store_again.c */

void poa_store_again(poa_fusion *f);

/* drop_doubles.c: of values that a kernel computes twice, and views that are equal, one
 * stays live. */

void poa_drop_doubles(poa_fusion *f);

/* place_assigns.c */

void poa_place_assigns(poa_fusion *f);

#endif
