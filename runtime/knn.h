/* knn.h: how good features are, by their nearest neighbours.
 *
 * Each test row is compared with every training row by cosine; its k nearest vote for their
 * class with weight exp(cosine / temperature), and the class with most votes is the
 * answer (Wu et al., "Unsupervised feature learning via non-parametric instance
 * discrimination", CVPR 2018). No training, so it tells how far a run has come at any time. */
#ifndef POA_RUNTIME_KNN_H
#define POA_RUNTIME_KNN_H

#include "poa.h"

typedef struct poa_knn_rows {
  const float *features; /* [count, dim]; need not be normalized */
  const int32_t *labels; /* [count], each in 0..classes-1 */
  int64_t count;
} poa_knn_rows;

typedef struct poa_knn_settings {
  int neighbours;     /* k; at most the number of training rows are used */
  double temperature; /* above 0 */
  int threads;        /* 0: as many as OpenMP would take */
} poa_knn_settings;

/* The method's own settings. */
#define POA_KNN_DEFAULTS ((poa_knn_settings){.neighbours = 20, .temperature = 0.07})

/* Writes the share of `test` rows whose class `train` tells right into *accuracy, 0..1. The same
 * for any number of threads; of equally near rows the earlier counts, of classes with equal votes
 * the lower. Fails with POA_BAD_INPUT on a label out of range, a value that is not finite, or
 * nothing to compare. */
poa_status poa_knn_accuracy(const poa_knn_rows *train, const poa_knn_rows *test, int64_t dim,
                            int classes, poa_knn_settings settings, double *accuracy,
                            poa_error *error);

#endif
