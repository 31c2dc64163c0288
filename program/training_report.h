/* training_report.h: the end of a run: its sub-networks judged, its page written. */
#ifndef POA_PROGRAM_TRAINING_REPORT_H
#define POA_PROGRAM_TRAINING_REPORT_H

#include "program/run_folder.h"
#include "program/supernet.h"

/* The points that are evaluated: at most POA_REPORTED_POINTS. */
enum { POA_REPORTED_POINTS = 64 };
int64_t poa_reported_points(const poa_lattice *lattice, poa_point points[POA_REPORTED_POINTS]);

/* Evaluates that selection of sub-networks, where `data` has labels and the model an entry
 * `features`, prints the table, and writes report.html from it and metrics.jsonl. */
poa_status poa_report_training(poa_supernet *net, const poa_run_folder *folder, const char *data,
                               int64_t steps, poa_error *error);

#endif
