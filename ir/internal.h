/* internal.h: what the files of ir/ share with each other and with nobody else. */
#ifndef POA_IR_INTERNAL_H
#define POA_IR_INTERNAL_H

#include "ir/ir.h"

/* The most attributes that one row of ops.def has. */
#define POA_MAX_SLOTS 6

/* One attribute of an op's row, as "key:kind?" says. */
typedef struct poa_slot {
  const char *key; /* not terminated: `length` characters of the row */
  int length;
  poa_attribute_kind kind;
  bool optional;
} poa_slot;

/* ops.c */

/* Fills `slots` (POA_MAX_SLOTS of them) in the row's order; returns how many. */
int poa_op_slots(poa_op op, poa_slot *slots);
const char *poa_attribute_kind_name(poa_attribute_kind kind);

/* extent.c */

/* a <= b at every point of the lattice. */
bool poa_extent_at_most(const poa_lattice *lattice, poa_extent a, poa_extent b);

/* (extent - size) / stride + 1: how many windows there are. */
poa_extent poa_windows(poa_arena *arena, poa_extent extent, int64_t size, int64_t stride);

/* infer.c */

/* Applies the shape rule of `node->op`. `declared` may be NULL where the rule needs no
 * type from outside; otherwise the result must agree with it. Reads operands, attributes
 * and the graph before the node; node->type is not read. */
poa_status poa_infer(const poa_graph *graph, const poa_node *node, const poa_type *declared,
                     poa_type *result, poa_error *error);

/* No extent is below zero at any point, and at the top there are at most 2^48 elements. */
poa_status poa_type_check(const poa_lattice *lattice, const poa_type *type, poa_error *error);

/* print.c */

/* Writes "%12 = add %3, %7 : f32[64,192]", without the newline. */
void poa_node_print(const poa_graph *graph, poa_value value, FILE *out);

/* A type as text, to be used in a message at once. */
typedef struct poa_type_text {
  char text[300];
} poa_type_text;
poa_type_text poa_type_words(const poa_graph *graph, const poa_type *type);

#endif
