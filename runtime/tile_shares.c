/* tile_shares.c: taking tiles by compare-and-swap on a word that holds a share.
 *
 * A share is set for a launch by whoever comes first, its owner or a thief: by then all earlier
 * launches have no tiles left to take, or a barrier has been passed. */
#include "runtime/tile_shares.h"

enum { TILE_BITS = 22, LAUNCH_BITS = 20 };

#define MOST_TILES (INT64_C(1) << TILE_BITS)
#define MOST_LAUNCHES (1 << LAUNCH_BITS)

typedef struct share {
  int64_t launch; /* its number + 1; 0: none yet */
  int64_t first, end;
} share;

static uint64_t pack(share s) {
  return (uint64_t)s.launch << 2 * TILE_BITS | (uint64_t)s.first << TILE_BITS | (uint64_t)s.end;
}

static share unpack(uint64_t word) {
  const uint64_t mask = MOST_TILES - 1;
  return (share){(int64_t)(word >> 2 * TILE_BITS), (int64_t)(word >> TILE_BITS & mask),
                 (int64_t)(word & mask)};
}

void poa_tile_shares_reset(poa_tile_share *shares, int threads) {
  for (int i = 0; i < threads; i++)
    atomic_store_explicit(&shares[i].left, 0, memory_order_relaxed);
}

/* Tiles left over after an equal split go to the threads in turn, continued from launch to
 * launch, so that many launches of one tile load all threads. */
static share whole_share(const poa_plan_launch *launch, int number, const poa_team_place *place,
                         int thread) {
  int64_t each = launch->tiles / place->threads, left = launch->tiles % place->threads;
  int64_t rank = (thread - place->odd + place->threads) % place->threads;
  int64_t first = rank * each + (rank < left ? rank : left);
  return (share){number + 1, first, first + each + (rank < left ? 1 : 0)};
}

/* The owner takes a quarter of what is left, from the front; a thief half of it, from the back. */
static int64_t portion(int64_t tiles, bool owner) {
  int64_t taken = tiles / (owner ? 4 : 2);
  return taken > 0 ? taken : 1;
}

/* Takes some tiles of `thread`'s share. False: none are left. */
static bool take(const poa_plan_launch *launch, int number, const poa_team_place *place, int thread,
                 int64_t *first, int64_t *end) {
  _Atomic uint64_t *left = &place->shares[thread].left;
  uint64_t word = atomic_load_explicit(left, memory_order_relaxed);
  bool owner = thread == place->thread;
  for (;;) {
    share s = unpack(word);
    if (s.launch > number + 1)
      return false; /* everyone is further on */
    if (s.launch < number + 1)
      s = whole_share(launch, number, place, thread);
    if (s.first == s.end)
      return false;
    int64_t taken = portion(s.end - s.first, owner);
    *first = owner ? s.first : s.end - taken;
    *end = *first + taken;
    if (owner)
      s.first = *end;
    else
      s.end = *first;
    if (atomic_compare_exchange_weak_explicit(left, &word, pack(s), memory_order_relaxed,
                                              memory_order_relaxed))
      return true;
  }
}

static void run_fixed_share(const poa_plan_launch *launch, int number, void *const *buffers,
                            const poa_team_place *place) {
  share s = whole_share(launch, number, place, place->thread);
  if (s.first < s.end)
    launch->kernel(buffers, s.first, s.end);
}

void poa_run_tiles(const poa_plan_launch *launch, int number, void *const *buffers,
                   poa_team_place *place) {
  int64_t first, end;
  if (place->threads == 1 || launch->tiles >= MOST_TILES || number >= MOST_LAUNCHES - 1)
    run_fixed_share(launch, number, buffers, place);
  else
    for (int i = 0; i < place->threads; i++)
      while (take(launch, number, place, (place->thread + i) % place->threads, &first, &end))
        launch->kernel(buffers, first, end);
  place->odd = (int)((place->odd + launch->tiles % place->threads) % place->threads);
}
