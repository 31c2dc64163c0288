/* fuzz_npy.c: arbitrary bytes as a NumPy array of images.
 *
 * Decoding either fails with a message or gives images whose every element can be read; what the
 * input holds bounds what memory is taken. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Elements, each of which is looked at. */
static int64_t read_all(const poa_loaded_images *images) {
  int64_t elements = images->count * images->channels * images->height * images->width;
  volatile double sum = 0;
  for (int64_t i = 0; i < elements; i++)
    sum = sum + (images->values ? (double)images->values[i] : images->pixels[i]);
  return elements;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  poa_error error = {0};
  poa_loaded_images images = {0};
  if (!poa_is_npy(data, size))
    return 0;
  poa_status status = poa_npy_decode(data, size, &images, &error);
  if ((status != POA_OK) != (*error.message != 0))
    abort();
  if (status == POA_OK && read_all(&images) > (int64_t)size) {
    fprintf(stderr, "%zu bytes are %lld elements\n", size, (long long)read_all(&images));
    abort();
  }
  poa_images_free(&images);
  return 0;
}
