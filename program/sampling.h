/* sampling.h: which point of a lattice each training step takes. */
#ifndef POA_PROGRAM_SAMPLING_H
#define POA_PROGRAM_SAMPLING_H

#include "runtime/deck.h"
#include "runtime/lattice.h"

/* The deck of a lattice: its names are the axes. *deck is the caller's. */
poa_status poa_sampling_deck(const poa_lattice *lattice, poa_deck **deck, poa_error *error);
/* The point that `step` trains. */
poa_point poa_sampling_point(poa_deck *deck, uint64_t seed, int64_t step);

#endif
