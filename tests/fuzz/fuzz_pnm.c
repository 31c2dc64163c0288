/* fuzz_pnm.c: arbitrary bytes as a PGM or PPM image.
 *
 * Decoding either fails with a message or gives one image whose every pixel can be read; what the
 * input holds bounds what memory is taken. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/pnm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  poa_error error = {0};
  poa_loaded_images images = {0};
  if (!poa_is_pnm(data, size))
    return 0;
  poa_status status = poa_pnm_decode(data, size, &images, &error);
  if ((status != POA_OK) != (*error.message != 0))
    abort();
  int64_t pixels = images.count * images.channels * images.height * images.width;
  if (images.pixels && (images.count != 1 || pixels < 1 || pixels > (int64_t)size)) {
    fprintf(stderr, "%zu bytes are %lld pixels\n", size, (long long)pixels);
    abort();
  }
  volatile int sum = 0;
  for (int64_t i = 0; status == POA_OK && i < pixels; i++)
    sum = sum + images.pixels[i];
  poa_images_free(&images);
  return 0;
}
