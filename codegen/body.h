/* body.h: the values of a cluster at one place of its domain: scalars of the row, and
 * vectors along the inner axis. Rows and columns build their loops around it.
 *
 *   row:     scalars and splats of them; pointers to the row's first elements
 *   vector:  element-wise code over lanes index .. index + lanes - 1 of the row */
#ifndef POA_CODEGEN_BODY_H
#define POA_CODEGEN_BODY_H

#include "codegen/cluster.h"
#include "codegen/element.h"

typedef struct poa_body {
  poa_emitter *e;
  const poa_cluster *cluster;
  poa_arena *arena;
  int lanes;
  LLVMValueRef *buffers;              /* by access: what the launch gives */
  LLVMValueRef *pointers;             /* by access: element 0 of the current row */
  LLVMValueRef *gathered;             /* by value: element 0 of the row that a gather reads */
  LLVMValueRef *scalars;              /* by value, NULL before its turn */
  LLVMValueRef *splats;               /* by value: the scalar in every lane, or NULL */
  LLVMValueRef *vectors;              /* by value: at the current index */
  LLVMValueRef indices[POA_MAX_RANK]; /* of the row, by axis */
} poa_body;

/* Loads the buffers' pointers; call where the builder is in the entry block. */
void poa_body_init(poa_body *body, poa_emitter *e, const poa_cluster *cluster, poa_arena *arena,
                   int lanes);
/* Lanes for an inner axis of this extent: the target's, or fewer if they would idle. */
int poa_body_lanes(const poa_target *target, int64_t inner);

/* Sets indices[from..to-1] from a count in row-major order over those axes. */
void poa_body_set_indices(poa_body *body, LLVMValueRef count, int from, int to);
/* pointers[] = starts[] + indices of axes from..to-1; forgets scalars and splats. `starts` may
 * be body->buffers. */
void poa_body_set_pointers(poa_body *body, const LLVMValueRef *starts, int from, int to);

/* The scalar of a value: operands are scalars already. */
void poa_body_scalar(poa_body *body, int value);
/* Emits splats ahead of a loop for the scalar operands of `value`. */
void poa_body_hoist(poa_body *body, int value);
/* The vector of a value at inner index `index` (i64), of which `active` lanes exist. */
void poa_body_vector(poa_body *body, int value, LLVMValueRef index, int active);
/* A value as a vector: its vector, or its scalar in every lane. */
LLVMValueRef poa_body_lanes_of(poa_body *body, int value);

/* Stores (or adds) the vector of a store's value at `index`; the scalar. */
void poa_body_store_vector(poa_body *body, const poa_cluster_store *store, LLVMValueRef index,
                           int active);
void poa_body_store_scalar(poa_body *body, const poa_cluster_store *store);
/* The elements of an access at `index`: a value stored by an earlier pass. */
LLVMValueRef poa_body_reload(poa_body *body, int access, LLVMValueRef index, int active);

/* reduction.c: an accumulator of vector lanes for reduce_sum, reduce_max and argmax. */

typedef struct poa_accumulator {
  LLVMValueRef value; /* vector */
  LLVMValueRef index; /* argmax: i32 vector, else NULL */
} poa_accumulator;

/* The neutral element. `dtype` is the operand's. */
poa_accumulator poa_accumulator_start(poa_emitter *e, poa_op op, poa_dtype dtype, int lanes);
/* Takes in a vector that lies at inner index `at` (i64); of its lanes only `active` count. */
poa_accumulator poa_accumulator_add(poa_emitter *e, poa_op op, poa_accumulator a, LLVMValueRef x,
                                    LLVMValueRef at, int active);
/* Two accumulators in one; `b` has the later elements. */
poa_accumulator poa_accumulator_join(poa_emitter *e, poa_op op, poa_accumulator a,
                                     poa_accumulator b);
/* All lanes in one scalar. */
LLVMValueRef poa_accumulator_finish(poa_emitter *e, poa_op op, poa_accumulator a);

#endif
