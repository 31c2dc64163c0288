/* dataset.c: finds, reads and measures a set of images. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/dataset.h"
#include "runtime/idx.h"
#include "runtime/image.h"

enum { MAX_SIDE = 1 << 15 };

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

static void count_classes(poa_dataset *data) {
  for (int64_t i = 0; data->labels && i < data->count; i++)
    if (data->labels[i] >= data->classes)
      data->classes = data->labels[i] + 1;
}

poa_status poa_dataset_create(poa_dataset **dataset, int64_t count, int channels, int height,
                              int width, uint8_t *images, int32_t *labels, poa_error *error) {
  *dataset = NULL;
  poa_dataset *data = malloc(sizeof *data);
  if (!data) {
    free(images);
    free(labels);
    return poa_fail(error, POA_NO_MEMORY, "no memory for a data set");
  }
  *data = (poa_dataset){.count = count,
                        .channels = channels,
                        .height = height,
                        .width = width,
                        .images = images,
                        .labels = labels};
  measure_channels(data);
  measure_grey(data);
  count_classes(data);
  *dataset = data;
  return POA_OK;
}

void poa_dataset_free(poa_dataset *dataset) {
  if (!dataset)
    return;
  free(dataset->images);
  free(dataset->labels);
  free(dataset);
}

static int32_t *widen(const poa_idx *labels) {
  int32_t *wide = malloc((size_t)labels->bytes * sizeof *wide);
  for (int64_t i = 0; wide && i < labels->bytes; i++)
    wide[i] = labels->data[i];
  return wide;
}

static poa_status check_images(const poa_idx *images, const char *path, poa_error *error) {
  const int64_t *dim = images->dim;
  if (dim[0] > INT32_MAX)
    return poa_fail(error, POA_BAD_INPUT, "%s: expected at most %d images, found %lld", path,
                    INT32_MAX, (long long)dim[0]);
  if (dim[1] > MAX_SIDE || dim[2] > MAX_SIDE)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected images of at most %d pixels a side, found %lld x %lld", path,
                    MAX_SIDE, (long long)dim[1], (long long)dim[2]);
  return POA_OK;
}

/* Sets *labels, which the caller frees. */
static poa_status read_labels(int32_t **labels, const char *path, const poa_idx *images,
                              const char *images_path, poa_error *error) {
  poa_idx bytes;
  poa_status status = poa_idx_read(&bytes, path, 1, error);
  if (status != POA_OK)
    return status;
  if (bytes.dim[0] != images->dim[0])
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s: expected a label for each of the %lld images of %s, found %lld", path,
                      (long long)images->dim[0], images_path, (long long)bytes.dim[0]);
  else
    *labels = widen(&bytes);
  if (status == POA_OK && !*labels)
    status = poa_fail(error, POA_NO_MEMORY, "%s: no memory for its labels", path);
  poa_idx_free(&bytes);
  return status;
}

/* `labels_path` may be NULL. */
static poa_status read_idx(poa_dataset **dataset, const char *images_path, const char *labels_path,
                           poa_error *error) {
  poa_idx images;
  int32_t *labels = NULL;
  poa_status status = poa_idx_read(&images, images_path, 3, error);
  if (status == POA_OK)
    status = check_images(&images, images_path, error);
  if (status == POA_OK && labels_path)
    status = read_labels(&labels, labels_path, &images, images_path, error);
  if (status != POA_OK) {
    poa_idx_free(&images);
    return status;
  }
  return poa_dataset_create(dataset, images.dim[0], 1, (int)images.dim[1], (int)images.dim[2],
                            images.data, labels, error);
}

/* Sets `path` to FOLDER/NAME or FOLDER/NAME.gz, whichever is there. */
static bool find_file(char path[PATH_MAX], const char *folder, const char *name) {
  static const char *const endings[] = {"", ".gz"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    struct stat info;
    int length = snprintf(path, PATH_MAX, "%s/%s%s", folder, name, endings[i]);
    if (length < PATH_MAX && stat(path, &info) == 0)
      return true;
  }
  return false;
}

static poa_status open_folder(poa_dataset **dataset, const char *folder, bool train,
                              poa_error *error) {
  const char *images_name = train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
  const char *labels_name = train ? "train-labels-idx1-ubyte" : "t10k-labels-idx1-ubyte";
  char images[PATH_MAX], labels[PATH_MAX];
  bool has_images = find_file(images, folder, images_name);
  bool has_labels = find_file(labels, folder, labels_name);
  if (!has_images && !has_labels)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: no data of a known kind in this folder; understood are a folder with %s "
                    "and %s (MNIST, Fashion-MNIST; plain or with .gz), or the path of one IDX file "
                    "of images",
                    folder, images_name, labels_name);
  if (!has_images || !has_labels)
    return poa_fail(error, POA_BAD_INPUT, "%s: has %s but lacks %s (plain or with .gz)", folder,
                    has_images ? images_name : labels_name, has_images ? labels_name : images_name);
  return read_idx(dataset, images, labels, error);
}

poa_status poa_dataset_open(poa_dataset **dataset, const char *path, const char *split,
                            poa_error *error) {
  *dataset = NULL;
  if (!path)
    return poa_fail(error, POA_BAD_INPUT,
                    "this needs images: name them with --data PATH, a folder with MNIST's or "
                    "Fashion-MNIST's files or one IDX file; Debian's package "
                    "dataset-fashion-mnist installs /usr/share/datasets/fashion-mnist");
  bool train = strcmp(split, "train") == 0;
  if (!train && strcmp(split, "test") != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s' is no split of a data set; the splits are train and test", split);
  struct stat info;
  if (stat(path, &info) != 0)
    return poa_fail(error, POA_IO, "%s: cannot open: %s", path, strerror(errno));
  return S_ISDIR(info.st_mode) ? open_folder(dataset, path, train, error)
                               : read_idx(dataset, path, NULL, error);
}

poa_normalization poa_dataset_normalization(const poa_dataset *dataset, int channels) {
  poa_normalization n;
  bool coloured = dataset->channels == 3 && channels == 3;
  for (int i = 0; i < 3; i++) {
    n.mean[i] = coloured ? dataset->mean[i] : dataset->grey_mean;
    n.deviation[i] = coloured ? dataset->deviation[i] : dataset->grey_deviation;
  }
  return n;
}

poa_pixels poa_dataset_pixels(const poa_dataset *dataset, int64_t index) {
  int64_t bytes = (int64_t)dataset->channels * dataset->height * dataset->width;
  return (poa_pixels){dataset->images + index * bytes, dataset->channels, dataset->height,
                      dataset->width};
}

poa_status poa_dataset_batch(const poa_dataset *dataset, int64_t first, int64_t count, int channels,
                             int size, const poa_normalization *normalization, float *out,
                             poa_error *error) {
  poa_box middle = poa_middle_square(dataset->height, dataset->width);
  poa_resampler *resampler;
  poa_status status = poa_resampler_create(&resampler, middle.height, middle.width, size, error);
  if (status != POA_OK)
    return status;
  int64_t plane = (int64_t)size * size;
  for (int64_t i = 0; i < count; i++) {
    poa_image image = {out + i * channels * plane, channels, size};
    poa_resample(resampler, poa_dataset_pixels(dataset, first + i), middle, false, image);
    poa_image_normalize(image, normalization->mean, normalization->deviation);
  }
  poa_resampler_free(resampler);
  return POA_OK;
}
