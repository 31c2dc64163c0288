/* dataset_measure.c: see dataset_measure.h. */
#include "runtime/dataset_measure.h"

#include <math.h>

/* Sets in memory */

/* Statistics of integers 0..255: exact sums, so their order does not matter. */
static void deviation_of(uint64_t sum, uint64_t squares, int64_t pixels, float *mean,
                         float *deviation) {
  double average = (double)sum / (double)pixels;
  double variance = (double)squares / (double)pixels - average * average;
  *mean = (float)(average / 255);
  *deviation = variance > 1e-9 ? (float)(sqrt(variance) / 255) : 1;
}

static void measure_channels(poa_dataset *data) {
  int64_t plane = (int64_t)data->height * data->width;
  for (int channel = 0; channel < data->channels; channel++) {
    uint64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < data->count; i++) {
      const uint8_t *p = data->images + (i * data->channels + channel) * plane;
      for (int64_t j = 0; j < plane; j++) {
        sum += p[j];
        squares += (uint64_t)(p[j] * p[j]);
      }
    }
    deviation_of(sum, squares, data->count * plane, &data->mean[channel],
                 &data->deviation[channel]);
  }
}

static void measure_grey(poa_dataset *data) {
  data->grey_mean = data->mean[0];
  data->grey_deviation = data->deviation[0];
  if (data->channels == 1)
    return;
  int64_t plane = (int64_t)data->height * data->width;
  double sum = 0, squares = 0, pixels = (double)(data->count * plane);
  for (int64_t i = 0; i < data->count; i++) {
    const uint8_t *r = data->images + i * 3 * plane, *g = r + plane, *b = g + plane;
    for (int64_t j = 0; j < plane; j++) {
      double grey = (POA_LUMA_RED * r[j] + POA_LUMA_GREEN * g[j] + POA_LUMA_BLUE * b[j]) / 255;
      sum += grey;
      squares += grey * grey;
    }
  }
  double variance = squares / pixels - sum / pixels * (sum / pixels);
  data->grey_mean = (float)(sum / pixels);
  data->grey_deviation = variance > 1e-14 ? (float)sqrt(variance) : 1;
}

void poa_dataset_measure_all(poa_dataset *data) {
  measure_channels(data);
  measure_grey(data);
}

/* Sets of files */

enum { GREY = 3, PLANES = 4, SAMPLE = 512, GLANCE = 16, LEAST = 256 };

/* Over images: of the mean, and of the mean square, of red, green, blue and grey. */
typedef struct sums {
  int64_t images;
  double value[PLANES], square[PLANES];
} sums;

static void add_image(sums *s, poa_pixels p) {
  int64_t plane = (int64_t)p.height * p.width;
  double value[PLANES] = {0}, square[PLANES] = {0};
  const uint8_t *red = p.data, *green = red, *blue = red;
  if (p.channels == 3) {
    green = red + plane;
    blue = green + plane;
  }
  for (int64_t i = 0; i < plane; i++) {
    double v[PLANES] = {red[i] / 255.0, green[i] / 255.0, blue[i] / 255.0};
    v[GREY] = POA_LUMA_RED * v[0] + POA_LUMA_GREEN * v[1] + POA_LUMA_BLUE * v[2];
    for (int c = 0; c < PLANES; c++) {
      value[c] += v[c];
      square[c] += v[c] * v[c];
    }
  }
  for (int c = 0; c < PLANES; c++) {
    s->value[c] += value[c] / (double)plane;
    s->square[c] += square[c] / (double)plane;
  }
  s->images++;
}

static void conclude(const sums *s, int plane, float *mean, float *deviation) {
  double average = s->value[plane] / (double)s->images;
  double variance = s->square[plane] / (double)s->images - average * average;
  *mean = (float)average;
  *deviation = variance > 1e-12 ? (float)sqrt(variance) : 1;
}

static poa_status nothing_readable(const poa_dataset *data, int64_t tried, const char *path,
                                   poa_error *error) {
  char first[sizeof error->message - 200] = "";
  poa_dataset_complaint(data, first, sizeof first);
  return poa_fail(error, POA_BAD_INPUT,
                  "%s: none of the %lld images that were tried can be read; the first: %s", path,
                  (long long)tried, first);
}

poa_status poa_dataset_measure_some(poa_dataset *data, bool measure, const char *path,
                                    poa_error *error) {
  sums s = {0};
  int64_t tried = measure ? SAMPLE : GLANCE;
  tried = data->count < tried ? data->count : tried;
  data->channels = 1;
  for (int64_t i = 0; i < tried; i++) {
    poa_held_image image;
    if (!poa_dataset_get(data, i * data->count / tried, LEAST, &image))
      continue;
    data->channels = image.pixels.channels > data->channels ? 3 : data->channels;
    if (measure || !s.images)
      add_image(&s, image.pixels);
    poa_held_image_release(&image);
  }
  if (!s.images)
    return nothing_readable(data, tried, path, error);
  for (int c = 0; c < 3; c++) {
    data->deviation[c] = 1;
    if (measure)
      conclude(&s, c, &data->mean[c], &data->deviation[c]);
  }
  data->grey_deviation = 1;
  if (measure)
    conclude(&s, GREY, &data->grey_mean, &data->grey_deviation);
  return POA_OK;
}
