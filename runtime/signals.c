/* signals.c: a flag that SIGINT and SIGTERM set. */
#include "runtime/signals.h"

#include <errno.h>
#include <string.h>

static const int watched[POA_SIGNAL_COUNT] = {SIGINT, SIGTERM};

/* The exception to "no global mutable state": a handler gets nothing but a number. */
static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number) {
  if (stop_asked) { /* asked before: take the signal's own way out when this returns */
    signal(number, SIG_DFL);
    raise(number);
  }
  stop_asked = 1;
}

poa_status poa_signals_watch(poa_signals *signals, poa_error *error) {
  struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  stop_asked = 0;
  for (int i = 0; i < POA_SIGNAL_COUNT; i++) {
    if (sigaction(watched[i], NULL, &signals->before[i]) != 0 ||
        (signals->before[i].sa_handler != SIG_IGN && sigaction(watched[i], &action, NULL) != 0))
      return poa_fail(error, POA_IO, "cannot watch for signal %d: %s", watched[i], strerror(errno));
  }
  return POA_OK;
}

bool poa_signals_stop_asked(const poa_signals *signals) {
  (void)signals; /* there is one flag; the watch says that it means something */
  return stop_asked;
}

void poa_signals_restore(poa_signals *signals) {
  for (int i = 0; i < POA_SIGNAL_COUNT; i++)
    sigaction(watched[i], &signals->before[i], NULL);
}
