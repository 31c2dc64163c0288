/* augment.h: one random view of an image, as DINOv2 draws it.
 *
 * Resized crop and flip; colour jitter in random order; grey; blur; solarize; then
 * normalized. Each of the last four happens with its probability. */
#ifndef POA_RUNTIME_AUGMENT_H
#define POA_RUNTIME_AUGMENT_H

#include "runtime/dataset.h"
#include "runtime/image.h"
#include "runtime/philox.h"

typedef struct poa_augmentation {
  double scale_min, scale_max; /* share of the image's area that a crop covers */
  double flip;                 /* probabilities */
  double jitter, grey, blur, solarize;
  double brightness, contrast, saturation; /* factors are drawn from [max(0, 1-x), 1+x] */
  double hue;                              /* turns are drawn from [-hue, hue]; at most 0.5 */
} poa_augmentation;

/* Scratch for views of one size. */
typedef struct poa_augmenter poa_augmenter;

poa_status poa_augmenter_create(poa_augmenter **augmenter, int size, poa_error *error);
/* Makes room for images of up to height x width; cheap where there is room already. */
poa_status poa_augmenter_reserve(poa_augmenter *augmenter, int height, int width, poa_error *error);
void poa_augmenter_free(poa_augmenter *augmenter);

/* Fills `view`, whose size is the augmenter's, with a view of `pixels`, whose extents have been
 * reserved. Grey pixels ask
 * for the same draws as coloured ones; jitter of saturation and hue leaves them alone. */
void poa_augment(poa_augmenter *augmenter, poa_pixels pixels, const poa_augmentation *how,
                 const poa_normalization *normalization, poa_random *random, poa_image view);

/* The box of a random resized crop: area drawn from scale_min..scale_max of the image's,
 * aspect log-uniform in 3/4..4/3, place uniform; after ten boxes that do not fit, the
 * largest middle box of an aspect within those bounds (torchvision). */
poa_box poa_random_box(int height, int width, double scale_min, double scale_max,
                       poa_random *random);

#endif
