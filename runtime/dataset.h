/* dataset.h: labelled images in memory.
 *
 * What is understood: a folder with the files of MNIST or Fashion-MNIST, or one IDX
 * file of images. Pixels stay bytes; what reads them makes floats in 0..1 and
 * normalizes per channel: (value - mean) / deviation. */
#ifndef POA_RUNTIME_DATASET_H
#define POA_RUNTIME_DATASET_H

#include "runtime/image.h"
#include "runtime/normalization.h"

typedef struct poa_dataset {
  int64_t count;      /* images, at least 1 */
  int channels;       /* 1 (grey) or 3 (red, green, blue) */
  int height, width;  /* pixels */
  int classes;        /* highest label + 1; 0 without labels */
  uint8_t *images;    /* [count, channels, height, width] */
  int32_t *labels;    /* [count], or NULL */
  float mean[3];      /* per channel over all images, of values in 0..1 */
  float deviation[3]; /* standard deviation; 1 for a channel that never varies */
  float grey_mean;    /* the same of the images turned grey */
  float grey_deviation;
} poa_dataset;

/* Reads the "train" or "test" split at `path`. A single file has no splits: it is
 * read whatever the split, and has no labels. `path` may be NULL: the error then says
 * how to name data. The caller frees *dataset with poa_dataset_free. */
poa_status poa_dataset_open(poa_dataset **dataset, const char *path, const char *split,
                            poa_error *error);

/* Takes over `images` [count, channels, height, width] and `labels` [count] (or NULL),
 * both from malloc, also on failure. */
poa_status poa_dataset_create(poa_dataset **dataset, int64_t count, int channels, int height,
                              int width, uint8_t *images, int32_t *labels, poa_error *error);
void poa_dataset_free(poa_dataset *dataset);

/* How to normalize the images read with `channels` (1 or 3) channels: grey images read
 * as 3 channels are three times the same, coloured ones read as 1 are turned grey. */
poa_normalization poa_dataset_normalization(const poa_dataset *dataset, int channels);

/* The bytes of one image; they belong to the data set. */
poa_pixels poa_dataset_pixels(const poa_dataset *dataset, int64_t index);

/* Writes images first..first+count-1 to `out` [count, channels, size, size]: their
 * middle square, resized (bicubic) and normalized; no augmentation. `channels` is 1 or 3;
 * the range must lie in the dataset. Fails only for lack of memory. */
poa_status poa_dataset_batch(const poa_dataset *dataset, int64_t first, int64_t count, int channels,
                             int size, const poa_normalization *normalization, float *out,
                             poa_error *error);

#endif
