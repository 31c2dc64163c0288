/* build.h: short builders for passes that write nodes. Shapes must fit: a violation
 * is our own bug and asserts. The location of new nodes is graph->nodes' of `at`. */
#ifndef POA_IR_BUILD_H
#define POA_IR_BUILD_H

#include "ir/ir.h"

typedef struct poa_build {
  poa_graph *graph;
  poa_location location;
} poa_build;

/* Any op; `type` as poa_graph_add takes it. */
poa_value poa_b_node(poa_build *b, poa_op op, const poa_value *operands, int operand_count,
                     const poa_attribute *attributes, int attribute_count, const poa_type *type);
poa_value poa_b_constant(poa_build *b, double value, const poa_type *type);
poa_value poa_b_unary(poa_build *b, poa_op op, poa_value x);
poa_value poa_b_binary(poa_build *b, poa_op op, poa_value x, poa_value y);
poa_value poa_b_select(poa_build *b, poa_value condition, poa_value x, poa_value y);
poa_value poa_b_convert(poa_build *b, poa_value x, poa_dtype dtype);
poa_value poa_b_reduce(poa_build *b, poa_op op, poa_value x, const int64_t *axes, int count);
poa_value poa_b_broadcast(poa_build *b, poa_value x, const int64_t *axes, const poa_type *type);
poa_value poa_b_reshape(poa_build *b, poa_value x, const poa_type *type);
poa_value poa_b_transpose(poa_build *b, poa_value x, const int64_t *perm);
poa_value poa_b_slice(poa_build *b, poa_value x, const poa_extent *start, const poa_extent *limit);
poa_value poa_b_window(poa_build *b, poa_value x, int axis, int64_t size, int64_t stride);
enum { POA_DOT_ATTRIBUTES = 6 };
/* How a dot reads its operands; ops.def says what the attributes mean. */
typedef struct poa_dot_form {
  bool ta, tb;
  double alpha;
  int64_t rows, inner;
  bool bf16;
} poa_dot_form;
poa_dot_form poa_dot_form_of(const poa_node *dot);
/* Writes the attributes of a dot, up to POA_DOT_ATTRIBUTES, leaving out those at their
 * default; returns how many. */
int poa_b_dot_attributes(poa_attribute *attributes, poa_dot_form form);
poa_value poa_b_product(poa_build *b, poa_value x, poa_value y, poa_dot_form form);
/* One axis of rows, one summed over. */
poa_value poa_b_dot(poa_build *b, poa_value x, poa_value y, bool ta, bool tb, double alpha);
poa_value poa_b_accumulate(poa_build *b, poa_value base, poa_value x, const poa_extent *start);
/* x (op) constant, of x's shape. */
poa_value poa_b_scale(poa_build *b, poa_value x, double factor);
/* Broadcasts `x` back over the `count` axes that a reduction of a `type` dropped. */
poa_value poa_b_unreduce(poa_build *b, poa_value x, const int64_t *axes, int count,
                         const poa_type *type);

#endif
