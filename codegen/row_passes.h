/* row_passes.h: how often a rows kernel walks along its row, and what it does each time.
 *
 *   softmax, p = exp(x - max x) / sum:
 *     pass 0   load x                            max
 *     pass 1   load x, e = exp(x - max), keep e  sum of e
 *     pass 2   fetch e, p = e / sum              store p
 *
 * A reduction belongs to the first pass whose row values its operand can have. What a later
 * pass wants again is loaded if this kernel has stored it, fetched from a scratch row if
 * it is costly and the row is short, and computed again otherwise. A resident row, of a few
 * vectors, stays in registers from its first pass on: all of it is code without loops. */
#ifndef POA_CODEGEN_ROW_PASSES_H
#define POA_CODEGEN_ROW_PASSES_H

#include "codegen/cluster.h"

typedef enum poa_row_action {
  POA_ROW_NOTHING, /* not wanted in this pass */
  POA_ROW_COMPUTE,
  POA_ROW_RELOAD, /* from where the kernel has stored it */
  POA_ROW_FETCH,  /* from its scratch row */
} poa_row_action;

typedef struct poa_row_passes {
  int count;
  bool resident;
  int *when;    /* by value. Scalars: passes to complete before; vectors: first pass able */
  int *scratch; /* by value: number of its scratch row, or -1 */
  int scratch_count;
  int *store_pass; /* by store: of full ones */
  int *stored_at;  /* by value: access to reload it from, or -1 */
  uint8_t *action; /* [pass * value_count + value]: a poa_row_action */
} poa_row_passes;

/* Plans the passes of a rows cluster, in `arena`. With `resident`, values are marked to be
 * computed in each pass that wants them: the emitter has them still. */
poa_row_passes poa_plan_row_passes(const poa_cluster *cluster, bool resident, poa_arena *arena);

static inline poa_row_action poa_row_action_of(const poa_row_passes *p, const poa_cluster *c,
                                               int pass, int value) {
  return (poa_row_action)p->action[pass * c->value_count + value];
}

#endif
