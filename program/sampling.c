/* sampling.c: a lattice's elastic names are the axes of its deck. */
#include "program/sampling.h"

poa_status poa_sampling_deck(const poa_lattice *lattice, poa_deck **deck, poa_error *error) {
  poa_deck_axis axes[POA_MAX_ELASTIC];
  for (int i = 0; i < lattice->count; i++) {
    const poa_elastic *name = &lattice->name[i];
    axes[i] = (poa_deck_axis){.min = name->min,
                              .max = name->max,
                              .step = name->step,
                              .group = name->group,
                              .uniform = name->uniform};
  }
  *deck = NULL;
  return poa_deck_create(deck, lattice->count, axes, lattice->select_scale, error);
}

poa_point poa_sampling_point(poa_deck *deck, uint64_t seed, int64_t step) {
  poa_point point = {0};
  poa_deck_point(deck, poa_deck_deal(deck, seed, step), point.value);
  return point;
}
