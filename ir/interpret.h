/* interpret.h: what the files of the interpreter share. Each op has one rule,
 * poa_interpret_NAME; an element-wise op instead has poa_evaluate_NAME, the value of one
 * element. The table in interpret.c takes both from ops.def: a missing one does not link. */
#ifndef POA_IR_INTERPRET_H
#define POA_IR_INTERPRET_H

#include "ir/ir.h"

/* One run. */
typedef struct poa_interpreter {
  const poa_graph *graph;
  const poa_bindings *bindings;
  bool round_to_f32;
  poa_tensor *values; /* by node; data is NULL before the node and after its last use */
  poa_error *error;
} poa_interpreter;

/* Fills y->data, which is allocated, zeroed and of the node's type, from operands `x`. */
typedef poa_status (*poa_interpret_rule)(const poa_interpreter *in, const poa_node *node,
                                         const poa_tensor *const *x, poa_tensor *y);
/* One element from the operands' elements. Comparisons and logic give 0 or 1. */
typedef double (*poa_evaluate_rule)(const double *x);

#define POA_OP(name, ...)                                                                          \
  poa_status poa_interpret_##name(const poa_interpreter *in, const poa_node *node,                 \
                                  const poa_tensor *const *x, poa_tensor *y);                      \
  double poa_evaluate_##name(const double *x);
#include "ir/ops.def"
#undef POA_OP

/* Row-major strides of a dense tensor. */
static inline void poa_dense_strides(const poa_type *type, int64_t *stride) {
  int64_t elements = 1;
  for (int i = type->rank - 1; i >= 0; i--) {
    stride[i] = elements;
    elements *= type->dim[i].value;
  }
}

/* Steps `index` to the next element of `type` in row-major order, round to the first. */
static inline void poa_next_index(const poa_type *type, int64_t *index) {
  for (int i = type->rank - 1; i >= 0; i--) {
    if (++index[i] < type->dim[i].value)
      return;
    index[i] = 0;
  }
}

static inline int64_t poa_offset_of(int rank, const int64_t *index, const int64_t *stride) {
  int64_t offset = 0;
  for (int i = 0; i < rank; i++)
    offset += index[i] * stride[i];
  return offset;
}

#endif
