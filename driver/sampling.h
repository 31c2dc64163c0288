/* sampling.h: which sub-network of a lattice is trained at which step. */
#ifndef POA_DRIVER_SAMPLING_H
#define POA_DRIVER_SAMPLING_H

#include "ir/ir.h"
#include "runtime/deck.h"

/* The deck of the lattice's points; *deck is the caller's, NULL on failure. */
poa_status poa_sampling_deck(const poa_lattice *lattice, poa_deck **deck, poa_error *error);

/* The point that the deck deals at `step`. */
poa_point poa_sampling_point(poa_deck *deck, uint64_t seed, int64_t step);

#endif
