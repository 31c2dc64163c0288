/* crew.c: see crew.h. */
#include "runtime/crew.h"

#include <signal.h>

static void *take_pieces(void *argument) {
  poa_crew *crew = argument;
  for (;;) {
    int64_t piece = atomic_fetch_add(&crew->next, 1);
    if (piece >= crew->pieces)
      return NULL;
    crew->work(crew->context, piece);
  }
}

void poa_crew_start(poa_crew *crew, int threads, int64_t pieces,
                    void (*work)(void *context, int64_t piece), void *context) {
  crew->work = work;
  crew->context = context;
  crew->pieces = pieces;
  atomic_init(&crew->next, 0);
  crew->running = 0;
  sigset_t all, before; /* signals are for the thread that trains */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (crew->running < threads - 1 && crew->running < POA_CREW_MOST &&
         crew->running < pieces - 1 &&
         pthread_create(&crew->threads[crew->running], NULL, take_pieces, crew) == 0)
    crew->running++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void poa_crew_finish(poa_crew *crew) {
  if (crew->work)
    take_pieces(crew);
  for (int i = 0; i < crew->running; i++)
    pthread_join(crew->threads[i], NULL);
  crew->running = 0;
}
