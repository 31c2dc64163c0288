/* crew.h: work in many pieces, done by threads of their own beside the caller's.
 *
 * OpenMP's team waits by spinning and is there for the steps. A crew is for what is done once,
 * before the first of them, while the caller has something else to do.
 *
 *   start(3 threads)   caller: other work .......... | finish: takes pieces too, waits
 *                      thread 1: 0 2 3 5 8 ..        |
 *                      thread 2: 1 4 6 7 9 ..        |  */
#ifndef POA_RUNTIME_CREW_H
#define POA_RUNTIME_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { POA_CREW_MOST = 64 };

typedef struct poa_crew {
  void (*work)(void *context, int64_t piece);
  void *context;
  int64_t pieces;
  _Atomic int64_t next;
  int running; /* of `threads` */
  pthread_t threads[POA_CREW_MOST];
} poa_crew;

/* Starts work(context, piece) for every piece < `pieces`, in any order, on up to `threads` - 1
 * threads; the caller is the last one, once it calls poa_crew_finish, which it must. Where the
 * system gives no thread, the caller does the work. Crew and context stay where they are until
 * then. */
void poa_crew_start(poa_crew *crew, int threads, int64_t pieces,
                    void (*work)(void *context, int64_t piece), void *context);
/* Returns when all pieces are done. A crew of zeros has none; once more is no harm. */
void poa_crew_finish(poa_crew *crew);

#endif
