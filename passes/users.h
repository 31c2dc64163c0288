/* users.h: who reads each value of a graph. */
#ifndef POA_PASSES_USERS_H
#define POA_PASSES_USERS_H

#include "ir/ir.h"

/* The readers of value v are list[first[v]] .. list[first[v + 1] - 1], in node order; one
 * that reads it twice stands there twice. */
typedef struct poa_users {
  uint32_t *first;
  poa_value *list;
} poa_users;

/* Allocates in `arena`. */
poa_users poa_find_users(const poa_graph *graph, poa_arena *arena);

#endif
