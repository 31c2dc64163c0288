/* value_names.c: a hash table from the names of values to their nodes. */
#include <stdlib.h>
#include <string.h>

#include "ir/parse.h"

static uint32_t hash(const char *name) {
  uint32_t h = 2166136261u; /* FNV-1a */
  for (; *name; name++)
    h = (h ^ (unsigned char)*name) * 16777619u;
  return h;
}

/* The place of `name`, or the free one where it belongs. */
static poa_named_value *place_of(const poa_value_names *names, const char *name) {
  uint32_t mask = names->capacity - 1, at = hash(name) & mask;
  while (names->places[at].name && strcmp(names->places[at].name, name))
    at = (at + 1) & mask;
  return &names->places[at];
}

static void grow(poa_value_names *names, poa_arena *arena) {
  poa_value_names larger = {.capacity = names->capacity ? names->capacity * 2 : 256};
  larger.places = poa_arena_alloc(arena, larger.capacity * sizeof *larger.places);
  larger.count = names->count;
  for (uint32_t i = 0; i < names->capacity; i++)
    if (names->places[i].name)
      *place_of(&larger, names->places[i].name) = names->places[i];
  *names = larger;
}

bool poa_value_names_add(poa_value_names *names, poa_arena *arena, const char *name,
                         poa_value value) {
  if (names->count * 2 >= names->capacity)
    grow(names, arena);
  poa_named_value *place = place_of(names, name);
  if (place->name)
    return false;
  *place = (poa_named_value){name, value};
  names->count++;
  return true;
}

poa_value poa_value_names_find(const poa_value_names *names, const char *name) {
  if (!names->capacity)
    return POA_NO_VALUE;
  const poa_named_value *place = place_of(names, name);
  return place->name ? place->value : POA_NO_VALUE;
}

const char *poa_value_names_nearest(const poa_value_names *names, const char *name) {
  const char *nearest = NULL;
  for (uint32_t i = 0; i < names->capacity; i++) {
    const char *candidates[] = {nearest, names->places[i].name};
    if (candidates[1])
      nearest = nearest ? poa_nearest(name, candidates, 2) : poa_nearest(name, candidates + 1, 1);
  }
  return nearest;
}
