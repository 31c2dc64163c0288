/* names.h: numbers of texts, by open addressing. */
#ifndef POA_CODEGEN_NAMES_H
#define POA_CODEGEN_NAMES_H

#include <stdint.h>

#include "runtime/arena.h"

typedef struct poa_name {
  const char *name, *of;
  uint64_t hash;
  int number;
} poa_name;

typedef struct poa_names {
  poa_name *slots;
  uint64_t mask;
} poa_names;

/* A table for at most `most` names, in `arena`. */
void poa_names_open(poa_names *names, poa_arena *arena, int most);
/* The number of `name`, of the one of that name that belongs to `of` (may be NULL): -1 where it is
 * new, for the caller to set. Texts are referred to, not copied. */
int *poa_names_find(poa_names *names, const char *name, const char *of);

#endif
