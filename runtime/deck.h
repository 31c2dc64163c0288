/* deck.h: which sub-network is trained at which step.
 *
 * The lattice of an elastic model is the product of its names' ranges; a point is one
 * sub-network. Small ones come more often: along each axis the scale falls evenly from
 * `select_scale` at the smallest value to 1 at the largest, and a point lies in the
 * deck round(product of its scales) times. The maximal point, trained at every step
 * anyway, is left out. The deck is shuffled, dealt one a step, and shuffled anew when all are
 * dealt (Zhang et al., "POA", ECCV 2024, section 3.3).
 *
 *   width 1..3, depth 1..2, select_scale 2:
 *   scales 2, 1.5, 1 and 2, 1 -> (1,1) x4, (1,2) x2, (2,1) x3, (2,2) x2, (3,1) x2
 *
 * What is dealt depends on seed and step alone, so a resumed run needs only those. */
#ifndef POA_RUNTIME_DECK_H
#define POA_RUNTIME_DECK_H

#include "poa.h"

typedef struct poa_deck poa_deck;

/* An elastic name: the values min, min + step, ... up to max. */
typedef struct poa_deck_axis {
  int64_t min, max, step; /* min <= max; step >= 1 divides max - min */
  /* 0: an axis of its own. Names that follow one another with the same number other than 0
   * make up one axis: its points are all combinations of their values, ordered by
   * their sum (ties as listed), and share one scale. */
  int group;
  bool uniform; /* its values come equally often: the scale is 1 all along the axis */
} poa_deck_axis;

/* Makes the deck of `axis_count` names, the first outermost. *deck is the caller's.
 * Fails with POA_BAD_INPUT where a range is empty or uneven, select_scale is not in
 * 1..1000, or the deck would exceed ten million entries. */
poa_status poa_deck_create(poa_deck **deck, int axis_count, const poa_deck_axis *axes,
                           double select_scale, poa_error *error);
void poa_deck_free(poa_deck *deck);

/* The number of points of the lattice, with the maximal one, which is the last. */
int64_t poa_deck_point_count(const poa_deck *deck);

/* The values of point `point` (0..count-1), one per name, into `values`. */
void poa_deck_point(const poa_deck *deck, int64_t point, int64_t *values);

/* The number of entries: how many steps use up the deck. */
int64_t poa_deck_size(const poa_deck *deck);

/* The point of entry `entry` (0..size-1), before shuffling: in the order of points. */
int64_t poa_deck_entry(const poa_deck *deck, int64_t entry);

/* The point for `step` (from 0). A lattice of one point deals that. Keeps the last order, so
 * steps of one seed in order cost one shuffle per deck; one thread at a time. */
int64_t poa_deck_deal(poa_deck *deck, uint64_t seed, int64_t step);

#endif
