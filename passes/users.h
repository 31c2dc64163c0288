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

#define POA_FOR_EACH_USER(users, value, u)                                                         \
  for (const poa_value *u = (users)->list + (users)->first[value],                                 \
                       *u##_end = (users)->list + (users)->first[(value) + 1];                     \
       u < u##_end; u++)

#endif
