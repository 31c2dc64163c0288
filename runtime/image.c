/* image.c: colour, after torchvision's functions on float tensors.
 *
 * blend(a, b, f) = f * a + (1 - f) * b, cut to 0..1, is all there is to brightness
 * (b = 0), contrast (b = mean grey) and saturation (b = grey). */
#include <float.h>

#include "runtime/image.h"

/* Lets gcc turn choices into vector selections (clang does anyway); no value changes. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("no-trapping-math")
#endif

enum { SUMS = 16 }; /* partial sums: a fixed order that still runs in vectors */

static int64_t plane_of(poa_image image) {
  return (int64_t)image.size * image.size;
}

static float cut(float value) {
  value = value < 0 ? 0 : value;
  return value > 1 ? 1 : value;
}

static float luma(float red, float green, float blue) {
  return POA_LUMA_RED * red + POA_LUMA_GREEN * green + POA_LUMA_BLUE * blue;
}

static float mean_grey(poa_image image) {
  int64_t plane = plane_of(image), i = 0;
  const float *r = image.data, *g = r, *b = r;
  if (image.channels == 3) {
    g = r + plane;
    b = g + plane;
  }
  float sums[SUMS] = {0};
  for (; i + SUMS <= plane; i += SUMS)
    for (int s = 0; s < SUMS; s++)
      sums[s] += luma(r[i + s], g[i + s], b[i + s]);
  double sum = 0;
  for (; i < plane; i++)
    sum += luma(r[i], g[i], b[i]);
  for (int s = 0; s < SUMS; s++)
    sum += sums[s];
  return (float)(sum / (double)plane);
}

/* value = factor * value + offset, cut */
static void scale_and_shift(poa_image image, float factor, float offset) {
  int64_t values = plane_of(image) * image.channels;
  for (int64_t i = 0; i < values; i++)
    image.data[i] = cut(factor * image.data[i] + offset);
}

void poa_image_brightness(poa_image image, float factor) {
  scale_and_shift(image, factor, 0);
}

void poa_image_contrast(poa_image image, float factor) {
  scale_and_shift(image, factor, (1 - factor) * mean_grey(image));
}

void poa_image_saturation(poa_image image, float factor) {
  if (image.channels == 1)
    return;
  int64_t plane = plane_of(image);
  float *restrict r = image.data, *restrict g = r + plane, *restrict b = g + plane;
  for (int64_t i = 0; i < plane; i++) {
    float grey = (1 - factor) * luma(r[i], g[i], b[i]);
    r[i] = cut(factor * r[i] + grey);
    g[i] = cut(factor * g[i] + grey);
    b[i] = cut(factor * b[i] + grey);
  }
}

void poa_image_grey(poa_image image) {
  poa_image_saturation(image, 0);
}

/* The circle of hues in six parts: red at 0, green at 2, blue at 4. */
static float hue_of(float r, float g, float b, float highest, float range) {
  float scale = 1 / (range > FLT_MIN ? range : FLT_MIN); /* grey pixels have hue 0 */
  float red = (g - b) * scale, green = 2 + (b - r) * scale, blue = 4 + (r - g) * scale;
  return highest == r ? red : highest == g ? green : blue;
}

static float wrap(float hue) {
  hue = hue < 0 ? hue + 6 : hue;
  return hue < 6 ? hue : hue - 6;
}

/* The channel whose peak lies `from_peak` parts away: highest up to distance 1, lowest
 * from 2 on, linear between. */
static float channel_of(float from_peak, float highest, float range) {
  from_peak = wrap(from_peak);
  float distance = from_peak < 6 - from_peak ? from_peak : 6 - from_peak;
  return highest - range * cut(distance - 1);
}

void poa_image_hue(poa_image image, float turn) {
  if (image.channels == 1)
    return;
  int64_t plane = plane_of(image);
  float *restrict red = image.data, *restrict green = red + plane, *restrict blue = green + plane;
  for (int64_t i = 0; i < plane; i++) {
    float r = red[i], g = green[i], b = blue[i];
    float highest = r > g ? r : g, lowest = r > g ? g : r;
    highest = highest > b ? highest : b;
    lowest = lowest < b ? lowest : b;
    float range = highest - lowest, hue = wrap(hue_of(r, g, b, highest, range) + 6 * turn);
    red[i] = channel_of(hue, highest, range);
    green[i] = channel_of(hue - 2, highest, range);
    blue[i] = channel_of(hue - 4, highest, range);
  }
}

void poa_image_solarize(poa_image image, float threshold) {
  int64_t values = plane_of(image) * image.channels;
  for (int64_t i = 0; i < values; i++)
    image.data[i] = image.data[i] < threshold ? image.data[i] : 1 - image.data[i];
}

void poa_image_normalize(poa_image image, const float *mean, const float *deviation) {
  int64_t plane = plane_of(image);
  for (int channel = 0; channel < image.channels; channel++) {
    float *values = image.data + channel * plane, scale = 1 / deviation[channel];
    for (int64_t i = 0; i < plane; i++)
      values[i] = (values[i] - mean[channel]) * scale;
  }
}
