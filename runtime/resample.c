/* resample.c: antialiased bicubic resampling, after PIL's Image.resize.
 *
 * Output x looks at the source around c = (x + 1/2) * scale, scale = source / target,
 * through Keys' cubic (a = -0.5) stretched by max(scale, 1); the weights within the
 * source are normalized to sum to 1. Rows first, then columns, each as a weighted sum of
 * whole rows so that the inner loop runs along memory; a transposition lies between:
 *
 *   bytes [h, w] -> floats [h, w] -> rows [S, w] -> [w, S] -> columns [S, S] -> image */
#include <math.h>
#include <stdlib.h>

#include "runtime/image.h"

enum { GROUP = 4, LANES = 8 }; /* taps summed at once; floats that rows are padded to */

/* How one axis is resampled: row i of the result is the sum of taps[i] source rows
 * from first[i] on. Weights are padded with zeros to a multiple of GROUP. */
typedef struct axis {
  int *first, *taps;
  float *weights; /* [size, stride] */
  int stride;
} axis;

struct poa_resampler {
  int size, max_height, max_width;
  axis axis;
  double *cubic;  /* weights of one output before they are normalized */
  float *source;  /* [max_height, padded max_width] */
  float *rows;    /* [size, padded max_width] */
  float *turned;  /* [max_width, padded size] */
  float *columns; /* [size, padded size] */
  float *plane;   /* [size, size], a channel to be turned grey */
};

static int padded(int n, int to) {
  return (n + to - 1) / to * to;
}

static float *zeros(int64_t rows, int64_t columns) {
  return calloc((size_t)(rows * columns), sizeof(float));
}

poa_status poa_resampler_create(poa_resampler **resampler, int size, poa_error *error) {
  poa_resampler *r = *resampler = calloc(1, sizeof *r);
  if (!r)
    return poa_fail(error, POA_NO_MEMORY, "no memory to resample images");
  r->size = size;
  r->axis.first = calloc((size_t)size, sizeof *r->axis.first);
  r->axis.taps = calloc((size_t)size, sizeof *r->axis.taps);
  r->columns = zeros(size, padded(size, LANES));
  r->plane = zeros(size, size);
  if (r->axis.first && r->axis.taps && r->columns && r->plane)
    return POA_OK;
  poa_resampler_free(r);
  *resampler = NULL;
  return poa_fail(error, POA_NO_MEMORY, "no memory to resample images to %d x %d", size, size);
}

static void free_reserved(poa_resampler *r) {
  free(r->axis.weights);
  free(r->cubic);
  free(r->source);
  free(r->rows);
  free(r->turned);
}

poa_status poa_resampler_reserve(poa_resampler *resampler, int height, int width,
                                 poa_error *error) {
  poa_resampler *r = resampler;
  if (height <= r->max_height && width <= r->max_width)
    return POA_OK;
  r->max_height = height > r->max_height ? height : r->max_height;
  r->max_width = width > r->max_width ? width : r->max_width;
  int longest = r->max_height > r->max_width ? r->max_height : r->max_width;
  int scale = longest > r->size ? (longest + r->size - 1) / r->size : 1;
  free_reserved(r);
  r->axis.stride = padded(4 * scale + 3, GROUP);
  r->axis.weights = zeros(r->size, r->axis.stride);
  r->cubic = calloc((size_t)r->axis.stride, sizeof *r->cubic);
  r->source = zeros(r->max_height, padded(r->max_width, LANES));
  r->rows = zeros(r->size, padded(r->max_width, LANES));
  r->turned = zeros(r->max_width, padded(r->size, LANES));
  if (r->axis.weights && r->cubic && r->source && r->rows && r->turned)
    return POA_OK;
  r->max_height = r->max_width = 0;
  return poa_fail(error, POA_NO_MEMORY, "no memory to resample %d x %d pixels to %d x %d", width,
                  height, r->size, r->size);
}

void poa_resampler_free(poa_resampler *resampler) {
  if (!resampler)
    return;
  free_reserved(resampler);
  free(resampler->axis.first);
  free(resampler->axis.taps);
  free(resampler->columns);
  free(resampler->plane);
  free(resampler);
}

/* Keys, "Cubic convolution interpolation for digital image processing" (1981). */
static double keys(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static void weigh(poa_resampler *r, int source) {
  axis *a = &r->axis;
  double scale = (double)source / r->size, stretch = scale > 1 ? scale : 1;
  for (int i = 0; i < r->size; i++) {
    double center = (i + 0.5) * scale, sum = 0;
    int first = (int)(center - 2 * stretch + 0.5), end = (int)(center + 2 * stretch + 0.5);
    first = first < 0 ? 0 : first;
    end = end > source ? source : end;
    for (int k = first; k < end; k++)
      sum += r->cubic[k - first] = keys((k - center + 0.5) / stretch);
    float *weights = a->weights + (int64_t)i * a->stride;
    int taps = padded(end - first, GROUP);
    for (int k = 0; k < taps; k++)
      weights[k] = k < end - first ? (float)(r->cubic[k] / sum) : 0;
    a->first[i] = first;
    a->taps[i] = taps;
  }
}

static void load(const poa_resampler *r, const uint8_t *from, int stride, poa_box box) {
  int pitch = padded(box.width, LANES);
  for (int y = 0; y < box.height; y++) {
    const uint8_t *in = from + (int64_t)(box.top + y) * stride + box.left;
    float *restrict out = r->source + (int64_t)y * pitch;
    for (int x = 0; x < box.width; x++)
      out[x] = in[x];
    for (int x = box.width; x < pitch; x++)
      out[x] = 0;
  }
}

/* out [size, pitch] = weights [size, rows] times in [rows, pitch] */
static void sum_rows(const poa_resampler *r, const float *in, int rows, int pitch, float *out) {
  for (int i = 0; i < r->size; i++) {
    const float *w = r->axis.weights + (int64_t)i * r->axis.stride;
    float *restrict to = out + (int64_t)i * pitch;
    for (int k = 0; k < r->axis.taps[i]; k += GROUP) {
      const float *from[GROUP];
      for (int g = 0; g < GROUP; g++) { /* a tap beyond the end weighs 0 */
        int row = r->axis.first[i] + k + g;
        from[g] = in + (int64_t)(row < rows ? row : rows - 1) * pitch;
      }
      const float *restrict s0 = from[0], *restrict s1 = from[1], *restrict s2 = from[2],
                            *restrict s3 = from[3];
      float w0 = w[k], w1 = w[k + 1], w2 = w[k + 2], w3 = w[k + 3];
      if (k == 0)
        for (int x = 0; x < pitch; x++)
          to[x] = w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x];
      else
        for (int x = 0; x < pitch; x++)
          to[x] += w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x];
    }
  }
}

/* out [columns, out_pitch] = in [rows, in_pitch] transposed */
static void transpose(const float *in, int rows, int columns, int in_pitch, float *out,
                      int out_pitch) {
  for (int y = 0; y < rows; y += LANES)
    for (int x = 0; x < columns; x++)
      for (int i = y; i < y + LANES && i < rows; i++)
        out[(int64_t)x * out_pitch + i] = in[(int64_t)i * in_pitch + x];
}

/* Cubic interpolation overshoots at edges: back to what bytes can hold, as PIL does. */
static float from_byte(float value) {
  value *= 1.0f / 255;
  value = value < 0 ? 0 : value;
  return value > 1 ? 1 : value;
}

static void store(const poa_resampler *r, bool flip, float *out) {
  int size = r->size, pitch = padded(size, LANES);
  for (int x = 0; x < size; x++) {
    const float *in = r->columns + (int64_t)(flip ? size - 1 - x : x) * pitch;
    for (int y = 0; y < size; y++)
      out[(int64_t)y * size + x] = from_byte(in[y]);
  }
}

/* The weights of both axes lie in the same place: rows are done before columns begin. */
static void resample_plane(poa_resampler *r, const uint8_t *from, int stride, poa_box box,
                           bool flip, float *out) {
  int pitch = padded(box.width, LANES), size_pitch = padded(r->size, LANES);
  load(r, from, stride, box);
  weigh(r, box.height);
  sum_rows(r, r->source, box.height, pitch, r->rows);
  transpose(r->rows, r->size, box.width, pitch, r->turned, size_pitch);
  if (box.width != box.height)
    weigh(r, box.width);
  sum_rows(r, r->turned, box.width, size_pitch, r->columns);
  store(r, flip, out);
}

static void resample_grey(poa_resampler *r, poa_pixels pixels, poa_box box, bool flip, float *out) {
  static const float luma[3] = {POA_LUMA_RED, POA_LUMA_GREEN, POA_LUMA_BLUE};
  int64_t plane = (int64_t)r->size * r->size;
  for (int channel = 0; channel < 3; channel++) {
    const uint8_t *from = pixels.data + (int64_t)channel * pixels.height * pixels.width;
    resample_plane(r, from, pixels.width, box, flip, r->plane);
    for (int64_t i = 0; i < plane; i++)
      out[i] = (channel ? out[i] : 0) + luma[channel] * r->plane[i];
  }
}

poa_box poa_middle_square(int height, int width) {
  int side = height < width ? height : width;
  return (poa_box){(height - side) / 2, (width - side) / 2, side, side};
}

void poa_resample(poa_resampler *resampler, poa_pixels pixels, poa_box box, bool flip,
                  poa_image image) {
  int64_t plane = (int64_t)image.size * image.size;
  if (pixels.channels == 3 && image.channels == 1) {
    resample_grey(resampler, pixels, box, flip, image.data);
    return;
  }
  for (int channel = 0; channel < pixels.channels; channel++)
    resample_plane(resampler, pixels.data + (int64_t)channel * pixels.height * pixels.width,
                   pixels.width, box, flip, image.data + channel * plane);
  for (int64_t i = 0; pixels.channels < image.channels && i < plane; i++)
    image.data[plane + i] = image.data[2 * plane + i] = image.data[i];
}
