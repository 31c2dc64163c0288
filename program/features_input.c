/* features_input.c: from files to what the network takes: pixels are cut to their middle square,
 * resized (bicubic) and normalized as in training; values are taken as they are. */
#include <stdlib.h>
#include <string.h>

#include "program/features.h"
#include "runtime/image.h"
#include "runtime/image_files.h"

static poa_status add_values(poa_features *f, const poa_loaded_images *images, int64_t index,
                             const char *path, poa_error *error) {
  if (images->channels != f->channels || images->height != f->side || images->width != f->side)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: values have to be [n, %d, %d, %d] as the network takes them, and are "
                    "[n, %d, %d, %d]; pixels (uint8) of any size are resized",
                    path, f->channels, f->side, f->side, images->channels, images->height,
                    images->width);
  return poa_features_add(f, images->values + index * poa_features_image_floats(f), error);
}

static poa_status add_pixels(poa_features *f, const poa_loaded_images *images, int64_t index,
                             poa_resampler *resampler, float *scratch, poa_error *error) {
  int64_t bytes = (int64_t)images->channels * images->height * images->width;
  poa_pixels pixels = {images->pixels + index * bytes, images->channels, images->height,
                       images->width};
  poa_image image = {scratch, f->channels, f->side};
  poa_resample(resampler, pixels, poa_middle_square(images->height, images->width), false, image);
  if (f->normalized)
    poa_image_normalize(image, f->normalization.mean, f->normalization.deviation);
  else if (!f->told)
    fprintf(stderr, "how images were normalized in training is unknown: pixels are 0 to 1\n");
  f->told = true;
  return poa_features_add(f, scratch, error);
}

/* A line for a name, in which a line's end or a tab would pass for ours. */
static void print_name(FILE *names, const char *path, int64_t index) {
  for (const char *at = path; *at; at++)
    fputc(*at == '\n' || *at == '\t' ? '?' : *at, names);
  if (index >= 0)
    fprintf(names, "[%lld]", (long long)index);
  fputc('\n', names);
}

static poa_status add_images(poa_features *f, const poa_loaded_images *images, const char *path,
                             FILE *names, poa_error *error) {
  poa_box square = poa_middle_square(images->height, images->width);
  poa_resampler *resampler = NULL;
  float *scratch = malloc((size_t)poa_features_image_floats(f) * sizeof *scratch);
  poa_status status = scratch ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
  if (status == POA_OK && images->pixels)
    status = poa_resampler_create(&resampler, f->side, error);
  if (status == POA_OK && resampler)
    status = poa_resampler_reserve(resampler, square.height, square.width, error);
  for (int64_t i = 0; i < images->count && status == POA_OK; i++) {
    status = images->values ? add_values(f, images, i, path, error)
                            : add_pixels(f, images, i, resampler, scratch, error);
    if (names && status == POA_OK)
      print_name(names, path, images->count > 1 ? i : -1);
  }
  poa_resampler_free(resampler);
  free(scratch);
  return status;
}

/* Raw float32, image after image, until the end. */
static poa_status read_standard_input(poa_features *f, FILE *names, poa_error *error) {
  size_t bytes = (size_t)poa_features_image_floats(f) * sizeof(float), got = 0;
  float *image = malloc(bytes);
  poa_status status = image ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
  for (int64_t i = 0; status == POA_OK && (got = fread(image, 1, bytes, stdin)) == bytes; i++) {
    status = poa_features_add(f, image, error);
    if (names)
      print_name(names, "-", i);
  }
  free(image);
  if (status == POA_OK && ferror(stdin))
    return poa_fail(error, POA_IO, "standard input cannot be read");
  if (status == POA_OK && got > 0)
    status = poa_fail(error, POA_BAD_INPUT,
                      "standard input ends within an image: %zu of %zu bytes; expected float32 "
                      "[n, %d, %d, %d]",
                      got, bytes, f->channels, f->side, f->side);
  return status;
}

poa_status poa_features_read(poa_features *f, const char *path, FILE *names, poa_error *error) {
  if (strcmp(path, "-") == 0)
    return read_standard_input(f, names, error);
  poa_loaded_images images;
  poa_status status = poa_images_load(path, 0, &images, error);
  if (status)
    return status;
  status = add_images(f, &images, path, names, error);
  poa_images_free(&images);
  return status;
}
