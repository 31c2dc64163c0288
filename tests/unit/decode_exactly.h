/* decode_exactly.h: decodes bytes that end where their memory ends, so that the sanitizers see
 * every step beyond. */
#ifndef POA_TESTS_DECODE_EXACTLY_H
#define POA_TESTS_DECODE_EXACTLY_H

#include <stdlib.h>
#include <string.h>

#include "runtime/image_files.h"

typedef poa_status (*image_decoder)(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                                    poa_error *error);

/* On failure nothing is left in *images, and that there is a message has been checked. */
static inline poa_status decode_exactly(image_decoder decode, const void *bytes, size_t size,
                                        poa_loaded_images *images, poa_error *error) {
  uint8_t *copy = malloc(size ? size : 1);
  cr_assert(copy);
  memcpy(copy, bytes, size);
  *images = (poa_loaded_images){0};
  *error = (poa_error){0};
  poa_status status = decode(copy, size, images, error);
  free(copy);
  cr_assert_eq(status, error->status);
  cr_assert_eq(status == POA_OK, *error->message == '\0', "%s", error->message);
  if (status)
    poa_images_free(images);
  return status;
}

#endif
