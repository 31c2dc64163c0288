/* fuzz_image.c: arbitrary bytes as a JPEG, PNG or WebP image, decoded whole and small.
 *
 * Decoding either fails with a message or gives one image whose every pixel can be read. */
#include <stdlib.h>

#include "runtime/image_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size, int least) {
  poa_error error = {0};
  poa_loaded_images images = {0};
  poa_status status = poa_codec_decode(data, size, least, &images, &error);
  if ((status != POA_OK) != (*error.message != 0))
    abort();
  volatile int sum = 0;
  int64_t pixels = (int64_t)images.channels * images.height * images.width;
  for (int64_t i = 0; status == POA_OK && i < pixels; i++)
    sum = sum + images.pixels[i];
  poa_images_free(&images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decode(data, size, 0);
  decode(data, size, 5);
  return 0;
}
