/* gradients.h: what differentiate.c and gradients.c share. */
#ifndef POA_PASSES_GRADIENTS_H
#define POA_PASSES_GRADIENTS_H

#include "ir/build.h"

/* One use of an op to be differentiated: y = op(x[0], ..), dy = d scalar / d y. */
typedef struct poa_gradient_site {
  poa_build *b;
  const poa_node *node; /* before the pass: its type and attributes count, not its operands */
  const poa_value *x;   /* operands and result in the graph being built */
  poa_value y, dy;
  const bool *wants; /* per operand: whether its contribution is asked for */
} poa_gradient_site;

/* What an operand receives: `value` of the operand's type or, with `start`, of the block
 * of it that begins there. */
typedef struct poa_contribution {
  poa_value value; /* POA_NO_VALUE: nothing */
  const poa_extent *start;
} poa_contribution;

/* Writes the nodes that compute d scalar / d x[i] from dy for each operand it can,
 * at least the wanted ones; dx[] holds nothing at first. Where an operand stands twice,
 * one of the two may receive all. */
typedef void (*poa_gradient_rule)(const poa_gradient_site *s, poa_contribution *dx);

/* NULL for an op that passes no gradient on. */
poa_gradient_rule poa_gradient_rule_of(poa_op op);

#endif
