/* evaluation.h: how good sub-networks are: features of the entry `features`, judged by
 * their nearest neighbours. */
#ifndef POA_PROGRAM_EVALUATION_H
#define POA_PROGRAM_EVALUATION_H

#include "program/supernet.h"
#include "runtime/dataset.h"

typedef struct poa_evaluation {
  poa_subnetwork network;
  double accuracy; /* 0..1 */
  double seconds;
} poa_evaluation;

/* Evaluates the sub-network at `point`: features of the first `limit` images of `train` (all
 * if 0) answer for those of `test`. Both have labels. Images that cannot be read are left out. */
poa_status poa_evaluate_point(poa_supernet *net, const poa_point *point, const poa_dataset *train,
                              const poa_dataset *test, int64_t limit, poa_evaluation *result,
                              poa_error *error);

/* A selection of the lattice: for each name at most `per_name` values, evenly spread, the
 * smallest and the largest among them. Writes at most `capacity` points; returns how many. */
int64_t poa_select_points(const poa_lattice *lattice, int per_name, poa_point *points,
                          int64_t capacity);

void poa_print_evaluations(const poa_lattice *lattice, const poa_evaluation *evaluations,
                           int64_t count, bool json);

#endif
