/* failure.c: how a command that failed ends. */
#include <stdio.h>

#include "driver/driver.h"

int poa_report_failure(const poa_error *error) {
  fflush(stdout);
  fprintf(stderr, "poa: %s\n", *error->message ? error->message : "failed");
  return error->status == POA_INTERRUPTED ? 130 : 1;
}

poa_status poa_check_signals(const poa_signals *signals, poa_error *error) {
  return poa_signals_stop_asked(signals) ? poa_fail(error, POA_INTERRUPTED, "stopped by a signal")
                                         : POA_OK;
}
