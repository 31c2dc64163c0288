/* signals.c: an orderly stop on the first signal, an end on the second. */
#include <criterion/criterion.h>
#include <signal.h>

#include "runtime/signals.h"

/* Protects: one signal of either kind sets the flag and nothing else; restoring gives the old
 * handler back and a new watch starts afresh. */
Test(signals, first_asks) {
  const int numbers[] = {SIGINT, SIGTERM};
  for (int i = 0; i < 2; i++) {
    poa_signals signals;
    cr_assert_eq(poa_signals_watch(&signals, NULL), POA_OK);
    cr_assert_not(poa_signals_stop_asked(&signals));
    raise(numbers[i]);
    cr_assert(poa_signals_stop_asked(&signals));
    poa_signals_restore(&signals);
    struct sigaction now;
    sigaction(numbers[i], NULL, &now);
    cr_assert_eq(now.sa_handler, SIG_DFL);
  }
}

/* Protects: a second signal ends the program, also if it is the other one. */
Test(signals, second_terminates, .signal = SIGTERM) {
  poa_signals signals;
  cr_assert_eq(poa_signals_watch(&signals, NULL), POA_OK);
  raise(SIGINT);
  raise(SIGTERM);
  cr_assert_fail("still running");
}

/* Protects: a program started with SIGINT ignored (nohup, a background job) keeps ignoring it. */
Test(signals, ignored_stays_ignored) {
  poa_signals signals;
  signal(SIGINT, SIG_IGN);
  cr_assert_eq(poa_signals_watch(&signals, NULL), POA_OK);
  raise(SIGINT);
  cr_assert_not(poa_signals_stop_asked(&signals));
}
