/* dataset.h: images to train on or to judge by, perhaps with labels.
 *
 * Small sets are bytes in memory, images of one size. Sets of image files stay in their files:
 * names and labels are in memory, pixels are decoded when they are asked for. What reads pixels
 * makes floats in 0..1 and normalizes per channel: (value - mean) / deviation. */
#ifndef POA_RUNTIME_DATASET_H
#define POA_RUNTIME_DATASET_H

#include <stdio.h>

#include "runtime/file_images.h"
#include "runtime/image.h"
#include "runtime/normalization.h"

typedef struct poa_dataset {
  int64_t count;     /* images, at least 1 */
  int channels;      /* 1 (grey) or 3 (red, green, blue); of files, 3 if some are coloured */
  int height, width; /* pixels; 0 of files, which may differ */
  int classes;       /* highest label + 1; 0 without labels */
  uint8_t *images;   /* [count, channels, height, width], or NULL */
  poa_file_images *files;
  int32_t *labels;    /* [count], or NULL */
  float mean[3];      /* per channel over the images, of values in 0..1 */
  float deviation[3]; /* standard deviation; 1 for a channel that never varies */
  float grey_mean;    /* the same of the images turned grey */
  float grey_deviation;
  char kind[64]; /* as what it was recognized, "CIFAR-10"; "" if made in memory */
} poa_dataset;

/* Reads the "train" or "test" split at `path`; dataset_open.c lists what is understood, and so does
 * the message where nothing is. Of files, mean and deviation are those of a sample that depends on
 * the list alone, of the training split alone. `path` may be NULL: the error then says how to name
 * data. The caller frees *dataset with poa_dataset_free. */
poa_status poa_dataset_open(poa_dataset **dataset, const char *path, const char *split,
                            poa_error *error);

/* Takes over `images` [count, channels, height, width] and `labels` [count] (or NULL),
 * both from malloc, also on failure. */
poa_status poa_dataset_create(poa_dataset **dataset, int64_t count, int channels, int height,
                              int width, uint8_t *images, int32_t *labels, poa_error *error);
/* Takes over the list, also on failure. Without `measure`, mean and deviation are 0 and 1. Fails if
 * none of the files that are looked at can be read; messages then speak of `path`. */
poa_status poa_dataset_create_of_files(poa_dataset **dataset, poa_image_list *list, bool measure,
                                       const char *path, poa_error *error);
void poa_dataset_free(poa_dataset *dataset);

/* "CIFAR-10, 50000 images of 32 x 32, 10 classes" */
void poa_dataset_describe(const poa_dataset *dataset, char *out, size_t size);

/* How to normalize the images read with `channels` (1 or 3) channels: grey images read
 * as 3 channels are three times the same, coloured ones read as 1 are turned grey. */
poa_normalization poa_dataset_normalization(const poa_dataset *dataset, int channels);

/* Images of files that are asked for with `least` may be kept decoded, within the bounds that
 * file_images.h states. */
void poa_dataset_keep(const poa_dataset *dataset, int least);

/* The pixels of one image. A file's may be smaller than stored, but its shorter side at least
 * `least` (0: nothing smaller will do). False if the file cannot be read. Release the image, after
 * success, before the data set is freed. One thread at a time. */
bool poa_dataset_get(const poa_dataset *dataset, int64_t index, int least, poa_held_image *image);
/* The same, or in its place the next image of the set that can be read; fails if none can. */
poa_status poa_dataset_get_some(const poa_dataset *dataset, int64_t index, int least,
                                poa_held_image *image, poa_error *error);

/* How many files could not be read up to now, and the message of the next of them that has not been
 * told yet; of the first few alone there is one. Any thread may ask. */
int64_t poa_dataset_unreadable(const poa_dataset *dataset);
bool poa_dataset_complaint(const poa_dataset *dataset, char *message, size_t size);
/* Prints what is left to tell of files that cannot be read, and how many there are. */
void poa_dataset_complain(const poa_dataset *dataset, FILE *out);

#endif
