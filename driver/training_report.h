/* training_report.h: the end of a run: its sub-networks judged, its page written. */
#ifndef POA_DRIVER_TRAINING_REPORT_H
#define POA_DRIVER_TRAINING_REPORT_H

#include "driver/run_folder.h"
#include "driver/session.h"

/* Evaluates a selection of sub-networks, where `data` has labels and the model an entry
 * `features`, prints the table, and writes report.html from it and metrics.jsonl. */
poa_status poa_report_training(poa_session *session, const poa_run_folder *folder, const char *data,
                               int64_t steps, poa_error *error);

#endif
