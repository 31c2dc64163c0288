/* layout.h: what the steps of layout share.
 *
 *   layout.c          decides, from the last node to the first, where each value lies
 *   choose_strides.c  the order of axes of a value that may lie as it likes
 *   write_layout.c    writes storage into the graph, with the copies that are needed */
#ifndef POA_PASSES_LAYOUT_H
#define POA_PASSES_LAYOUT_H

#include "ir/ir.h"
#include "passes/users.h"

/* Where one value shall lie. */
typedef struct poa_spot {
  bool placed;    /* `storage` is decided. Its root is the number of a buffer: that of the
                     node that asked for it, not yet of the one that will own it */
  bool copy_base; /* accumulate, scatter_add: the base must be copied into place */
  bool in_place;  /* assign: the value is computed in the parameter's buffer */
  int until;      /* a kernel that overwrites the value: all readers stand before it */
  poa_storage storage;
} poa_spot;

typedef struct poa_layout_state {
  poa_graph *graph;
  poa_arena *scratch;
  poa_users users;
  poa_spot *spots;
} poa_layout_state;

/* layout.c */

/* Whether all that computes is in a kernel, and whether something has storage. */
bool poa_graph_is_fused(const poa_graph *graph);
bool poa_graph_has_storage(const poa_graph *graph);

/* choose_strides.c: dense strides in an order of axes that spares copies. */
void poa_choose_strides(const poa_layout_state *s, poa_value value, int64_t *stride);

/* write_layout.c: rebuilds the graph. */
void poa_write_layout(poa_layout_state *s);

#endif
