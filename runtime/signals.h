/* signals.h: an orderly stop on SIGINT and SIGTERM.
 *
 * The first signal asks the running step to be the last: the loop sees it, saves and
 * returns POA_INTERRUPTED. A second one terminates at once. A signal that was ignored when
 * the program started (nohup, a background job) stays ignored.
 *
 *   poa_signals_watch(&signals, error);
 *   while (step < steps && !poa_signals_stop_asked(&signals)) ...
 *   poa_signals_restore(&signals);
 *
 * A signal handler belongs to the whole process, so the flag behind it does too: the one
 * piece of global state in poa. */
#ifndef POA_RUNTIME_SIGNALS_H
#define POA_RUNTIME_SIGNALS_H

#include <signal.h>

#include "poa.h"

enum { POA_SIGNAL_COUNT = 2 };

typedef struct poa_signals {
  struct sigaction before[POA_SIGNAL_COUNT]; /* of SIGINT and SIGTERM */
} poa_signals;

/* Starts watching, from a cleared flag. One watch at a time in a process. */
poa_status poa_signals_watch(poa_signals *signals, poa_error *error);

/* True once a signal has come since the watch began. */
bool poa_signals_stop_asked(const poa_signals *signals);

/* Gives the signals back to whoever had them. */
void poa_signals_restore(poa_signals *signals);

#endif
