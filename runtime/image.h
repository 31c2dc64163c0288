/* image.h: what can be done to an image, without chance.
 *
 * Images are float, planar [channels, size, size], values 0..1; channels are 1 (grey)
 * or 3 (red, green, blue). Nothing here allocates but what says create or reserve. */
#ifndef POA_RUNTIME_IMAGE_H
#define POA_RUNTIME_IMAGE_H

#include "poa.h"

/* Grey = the luma of ITU-R BT.601, with the digits that PIL and torchvision use. */
#define POA_LUMA_RED 0.299f
#define POA_LUMA_GREEN 0.587f
#define POA_LUMA_BLUE 0.114f

typedef struct poa_image {
  float *data; /* [channels, size, size]; belongs to the caller */
  int channels, size;
} poa_image;

/* Bytes as a data set stores them: [channels, height, width]. */
typedef struct poa_pixels {
  const uint8_t *data;
  int channels, height, width;
} poa_pixels;

typedef struct poa_box {
  int top, left, height, width;
} poa_box;

/* resample.c */

typedef struct poa_resampler poa_resampler;

/* Scratch to resample boxes of pixels to size x size. */
poa_status poa_resampler_create(poa_resampler **resampler, int size, poa_error *error);
/* Makes room for boxes of up to height x width pixels; cheap where there is room already. */
poa_status poa_resampler_reserve(poa_resampler *resampler, int height, int width, poa_error *error);
void poa_resampler_free(poa_resampler *resampler);

/* The largest square in the middle of an image. */
poa_box poa_middle_square(int height, int width);

/* Fills `image`, whose size is the resampler's, with the box of `pixels`, mirrored left
 * to right if `flip`: bicubic (a = -0.5), the kernel widened when shrinking, as PIL does.
 * Nothing outside the box is read. Grey pixels fill every channel of `image`; coloured ones
 * are turned grey if it has a single channel. The box must lie within the pixels and have been
 * reserved. */
void poa_resample(poa_resampler *resampler, poa_pixels pixels, poa_box box, bool flip,
                  poa_image image);

/* blur.c */

typedef struct poa_blurrer poa_blurrer;

/* Scratch to blur images of one size. */
poa_status poa_blurrer_create(poa_blurrer **blurrer, int size, poa_error *error);
void poa_blurrer_free(poa_blurrer *blurrer);

/* Gaussian blur with standard deviation `sigma` > 0 in pixels; the image continues
 * mirrored at its borders. The kernel reaches 3 sigma, at most size - 1. */
void poa_image_blur(poa_blurrer *blurrer, poa_image image, double sigma);

/* image.c: colour. Results stay in 0..1. */

/* value * factor */
void poa_image_brightness(poa_image image, float factor);
/* Away from (factor > 1) or towards the image's mean grey. */
void poa_image_contrast(poa_image image, float factor);
/* Away from or towards each pixel's grey; grey images stay. */
void poa_image_saturation(poa_image image, float factor);
/* Turns the hue by `turn` in -0.5..0.5 of the circle; grey images stay. */
void poa_image_hue(poa_image image, float turn);
void poa_image_grey(poa_image image);
/* Values of at least `threshold` become 1 - value. */
void poa_image_solarize(poa_image image, float threshold);
/* (value - mean[channel]) / deviation[channel] */
void poa_image_normalize(poa_image image, const float *mean, const float *deviation);

#endif
