/* tile_shares.h: who computes which tiles of a launch.
 *
 * Every thread has a share, the same in each run, so that what it wrote last is still in its
 * cache; one that is done takes tiles from the end of another's. A thread that lost its core to
 * another process holds up no more than the tile that it is at. Which thread computes a tile
 * changes no bits.
 *
 *   thread 0:  [0 ......... 50)            takes 0.. from the front
 *   thread 1:            [50 ....... 100)  done: takes ..49 from the back
 */
#ifndef POA_RUNTIME_TILE_SHARES_H
#define POA_RUNTIME_TILE_SHARES_H

#include <stdatomic.h>
#include <stdint.h>

#include "runtime/plan.h"

/* What is left of a thread's share, on a cache line of its own: the number of the launch in the
 * upper bits, then the first tile left, then the end. */
typedef struct poa_tile_share {
  _Alignas(64) _Atomic uint64_t left;
} poa_tile_share;

/* This thread's view of the team. `odd`: the thread that takes the next odd tile; alike on all
 * threads, and 0 after each barrier. */
typedef struct poa_team_place {
  int thread, threads, odd;
  poa_tile_share *shares; /* of the team */
} poa_team_place;

/* Makes the shares of a new run: no launch has begun. */
void poa_tile_shares_reset(poa_tile_share *shares, int threads);

/* Computes tiles of launch `number` (from 0, rising during a run) until none are left to take.
 * Others may still be at theirs when it returns. */
void poa_run_tiles(const poa_plan_launch *launch, int number, void *const *buffers,
                   poa_team_place *place);

#endif
