/* blur.c: Gaussian blur as two passes of weighted sums along memory.
 *
 * w[k] = exp(-k^2 / (2 sigma^2)), k = -radius..radius, normalized; radius = 3 sigma
 * rounded up. Row -1 is row 1, row size is row size - 2 (mirrored, border not
 * repeated), as torchvision pads. */
#include <math.h>
#include <stdlib.h>

#include "runtime/image.h"

struct poa_blurrer {
  int size;
  float *weights; /* [2 * radius + 1] */
  float *row;     /* one row with its mirrored borders */
  float *plane;   /* [size, size] */
};

poa_status poa_blurrer_create(poa_blurrer **blurrer, int size, poa_error *error) {
  poa_blurrer *b = *blurrer = calloc(1, sizeof *b);
  if (!b)
    return poa_fail(error, POA_NO_MEMORY, "no memory to blur images");
  b->size = size;
  b->weights = malloc((size_t)size * 2 * sizeof(float));
  b->row = malloc((size_t)size * 3 * sizeof(float));
  b->plane = malloc((size_t)size * (size_t)size * sizeof(float));
  if (b->weights && b->row && b->plane)
    return POA_OK;
  poa_blurrer_free(b);
  *blurrer = NULL;
  return poa_fail(error, POA_NO_MEMORY, "no memory to blur images of %d x %d", size, size);
}

void poa_blurrer_free(poa_blurrer *blurrer) {
  if (!blurrer)
    return;
  free(blurrer->weights);
  free(blurrer->row);
  free(blurrer->plane);
  free(blurrer);
}

/* Returns the radius. */
static int weigh(poa_blurrer *b, double sigma) {
  double reach = ceil(3 * sigma), sum = 0;
  int radius = reach < b->size - 1 ? (int)reach : b->size - 1;
  for (int k = -radius; k <= radius; k++)
    sum += exp(-k * k / (2 * sigma * sigma));
  for (int k = -radius; k <= radius; k++)
    b->weights[k + radius] = (float)(exp(-k * k / (2 * sigma * sigma)) / sum);
  return radius;
}

static int mirrored(int i, int size) {
  i = i < 0 ? -i : i;
  return i < size ? i : 2 * (size - 1) - i;
}

/* The kernel is symmetric: the two rows at distance k share a weight. */
static void blur_columns(const poa_blurrer *b, int radius, const float *in, float *out) {
  int size = b->size;
  const float *w = b->weights + radius;
  for (int y = 0; y < size; y++) {
    float *restrict to = out + (int64_t)y * size;
    const float *restrict middle = in + (int64_t)y * size;
    for (int x = 0; x < size; x++)
      to[x] = w[0] * middle[x];
    for (int k = 1; k <= radius; k++) {
      const float *restrict above = in + (int64_t)mirrored(y - k, size) * size;
      const float *restrict below = in + (int64_t)mirrored(y + k, size) * size;
      float weight = w[k];
      for (int x = 0; x < size; x++)
        to[x] += weight * (above[x] + below[x]);
    }
  }
}

static void blur_rows(const poa_blurrer *b, int radius, const float *in, float *out) {
  int size = b->size;
  const float *w = b->weights + radius;
  for (int y = 0; y < size; y++) {
    const float *from = in + (int64_t)y * size;
    float *middle = b->row + radius, *restrict to = out + (int64_t)y * size;
    for (int x = 0; x < size; x++)
      middle[x] = from[x];
    for (int x = 1; x <= radius; x++) {
      middle[-x] = from[x];
      middle[size - 1 + x] = from[size - 1 - x];
    }
    for (int x = 0; x < size; x++)
      to[x] = w[0] * middle[x];
    for (int k = 1; k <= radius; k++) {
      const float *restrict left = middle - k, *restrict right = middle + k;
      float weight = w[k];
      for (int x = 0; x < size; x++)
        to[x] += weight * (left[x] + right[x]);
    }
  }
}

void poa_image_blur(poa_blurrer *blurrer, poa_image image, double sigma) {
  int radius = weigh(blurrer, sigma);
  for (int channel = 0; channel < image.channels; channel++) {
    float *plane = image.data + (int64_t)channel * image.size * image.size;
    blur_columns(blurrer, radius, plane, blurrer->plane);
    blur_rows(blurrer, radius, blurrer->plane, plane);
  }
}
