/* names.c: see names.h. */
#include "codegen/names.h"

#include <stdbool.h>
#include <string.h>

#include "codegen/content_hash.h"

void poa_names_open(poa_names *names, poa_arena *arena, int most) {
  uint64_t count = 16;
  while (count < 2 * (uint64_t)most)
    count *= 2;
  *names = (poa_names){poa_arena_alloc(arena, count * sizeof *names->slots), count - 1};
}

static bool same(const char *a, const char *b) {
  return a == b || (a && b && !strcmp(a, b));
}

int *poa_names_find(poa_names *names, const char *name, const char *of) {
  uint64_t hash = poa_hash_text(poa_hash_text((poa_hash){{0, 0}}, name), of ? of : "").word[0];
  for (uint64_t i = hash & names->mask;; i = (i + 1) & names->mask) {
    poa_name *slot = &names->slots[i];
    if (!slot->name)
      *slot = (poa_name){name, of, hash, -1};
    if (slot->hash == hash && same(slot->name, name) && same(slot->of, of))
      return &slot->number;
  }
}
