/* simplify.h: what the files of the simplify pass share. simplify.c walks the graph and
 * appends each node through poa_s_emit, which first tries the rules of its op:
 *
 *   fold.c      constants, and element-wise ops on repeated values
 *   algebra.c   element-wise identities
 *   movement.c  views, concat, gather, reductions
 *   units.c     axes of extent 1
 *   products.c  dot, accumulate, scatter_add
 *   cse.c       otherwise the node itself, once
 *
 * A rule sees a candidate, a node that is not in the graph yet, whose operands are; it
 * returns the value to use instead, written with the builders below, or POA_NO_VALUE. */
#ifndef POA_PASSES_SIMPLIFY_H
#define POA_PASSES_SIMPLIFY_H

#include "ir/build.h"

/* What is known of a value of the new graph. */
typedef struct poa_fact {
  uint32_t uses; /* reads by nodes of the graph before; 0: made by a rule, for one reader */
  bool pinned;   /* a gradient with regard to it is asked for: rules see no inside */
} poa_fact;

/* cse.c: open addressing over values of the new graph. */
typedef struct poa_cse_table {
  uint32_t *slots; /* value + 1, or 0 */
  uint32_t *hashes;
  uint32_t size, used;
} poa_cse_table;

typedef struct poa_simplifier {
  poa_build b;
  poa_arena *scratch;
  const poa_value *map; /* from the graph before */
  poa_fact *facts;      /* by value of the new graph */
  uint32_t fact_capacity;
  poa_cse_table table;
  int depth; /* of rules that write nodes that meet rules */
} poa_simplifier;

typedef poa_value (*poa_rule)(poa_simplifier *s, const poa_node *n);

/* simplify.c */

/* The value of `candidate`, simplified. `original`, if not NULL, is the node of the
 * graph before that the candidate stands for. */
poa_value poa_s_emit(poa_simplifier *s, const poa_node *candidate, const poa_node *original);
/* The node of a value; for a pinned one, a node with op POA_OP_COUNT. Valid until the
 * next node is written. */
const poa_node *poa_s_look(const poa_simplifier *s, poa_value value);
/* The type of a value, by value: writing nodes moves them. */
poa_type poa_s_type(const poa_simplifier *s, poa_value value);
/* At most one node reads it. */
bool poa_s_single(const poa_simplifier *s, poa_value value);
bool poa_s_constant(const poa_simplifier *s, poa_value value, double *constant);
bool poa_s_is(const poa_simplifier *s, poa_value value, double constant);
/* The operand if `value` is a unary `op`, else POA_NO_VALUE. */
poa_value poa_s_inside(const poa_simplifier *s, poa_op op, poa_value value);

/* Builders like those of ir/build.h. */
poa_value poa_s_splat(poa_simplifier *s, double value, poa_type type);
poa_value poa_s_unary(poa_simplifier *s, poa_op op, poa_value x);
poa_value poa_s_binary(poa_simplifier *s, poa_op op, poa_value x, poa_value y);
poa_value poa_s_ternary(poa_simplifier *s, poa_op op, poa_value x, poa_value y, poa_value z);
poa_value poa_s_scale(poa_simplifier *s, poa_value x, double factor);
poa_value poa_s_reshape(poa_simplifier *s, poa_value x, poa_type type);
poa_value poa_s_transpose(poa_simplifier *s, poa_value x, const int64_t *perm);
poa_value poa_s_broadcast(poa_simplifier *s, poa_value x, const int64_t *axes, poa_type type);
poa_value poa_s_slice(poa_simplifier *s, poa_value x, const int64_t *start, const int64_t *limit);
poa_value poa_s_reduce(poa_simplifier *s, poa_op op, poa_value x, const int64_t *axes, int count);
poa_value poa_s_dot(poa_simplifier *s, poa_value x, poa_value y, poa_dot_form form);
poa_value poa_s_accumulate(poa_simplifier *s, poa_value base, poa_value x, const int64_t *start);

enum { POA_MOST_RULES = 8 };

/* fold.c */
poa_value poa_fold_constants(poa_simplifier *s, const poa_node *n);
poa_value poa_compute_before_broadcast(poa_simplifier *s, const poa_node *n);

/* units.c */
poa_value poa_compute_before_units(poa_simplifier *s, const poa_node *n);

/* The rules of an op in these files, fewer than POA_MOST_RULES, ended by NULL. */
const poa_rule *poa_algebra_rules(poa_op op);
const poa_rule *poa_movement_rules(poa_op op);
const poa_rule *poa_unit_rules(poa_op op);
const poa_rule *poa_product_rules(poa_op op);

/* cse.c */

/* The value of the earlier node like `candidate`, else POA_NO_VALUE; *hash goes to
 * poa_cse_insert once the node is in the graph. */
poa_value poa_cse_find(const poa_simplifier *s, const poa_node *candidate, uint32_t *hash);
void poa_cse_insert(poa_simplifier *s, poa_value value, uint32_t hash);
void poa_cse_create(poa_simplifier *s, uint32_t expected);

#endif
