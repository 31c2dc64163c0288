/* dataset_reader.h: images of a data set in order, as evaluation sees them. */
#ifndef POA_RUNTIME_DATASET_READER_H
#define POA_RUNTIME_DATASET_READER_H

#include "runtime/dataset.h"

typedef struct poa_dataset_reader {
  const poa_dataset *data;
  int64_t next, end; /* still to be read: images next .. end - 1 */
  int channels, size;
  poa_normalization normalization;
  poa_resampler *resampler;
} poa_dataset_reader;

/* Begins at the first of the first `end` images, to be read as [channels, size, size], `channels` 1
 * or
 * 3. `data` must outlive the reader; close it, also after failure. */
poa_status poa_dataset_reader_open(poa_dataset_reader *reader, const poa_dataset *data, int64_t end,
                                   int channels, int size, const poa_normalization *normalization,
                                   poa_error *error);
void poa_dataset_reader_close(poa_dataset_reader *reader);

/* Writes the next `count` images that can be read to `out` [count, channels, size, size]: their
 * middle square, resized (bicubic) and normalized; no augmentation. Their labels, where there are
 * any, go to `labels`, which may be NULL. *have gets how many, fewer than `count` at the end alone.
 * Fails only for lack of memory. */
poa_status poa_dataset_read(poa_dataset_reader *reader, int64_t count, float *out, int32_t *labels,
                            int64_t *have, poa_error *error);

#endif
