/* dataset_measure.h: mean and deviation of a data set's channels, and of its images turned grey. */
#ifndef POA_RUNTIME_DATASET_MEASURE_H
#define POA_RUNTIME_DATASET_MEASURE_H

#include "runtime/dataset.h"

/* Over all pixels of a set in memory. */
void poa_dataset_measure_all(poa_dataset *data);

/* Of a set of files, over a sample of at most 512, evenly spread over the list, at the size that
 * images are usually trained at: each image counts alike. Sets `channels` too. Without `measure`
 * only a few are looked at and mean and deviation are 0 and 1. Fails if none can be read. */
poa_status poa_dataset_measure_some(poa_dataset *data, bool measure, const char *path,
                                    poa_error *error);

#endif
