/* image_codecs.c: JPEG, PNG and WebP by their libraries. Linked in place of no_image_codecs.c into
 * the command, into trainers, and into programs that were compiled --with-images. */
#include "runtime/image_codecs.h"

bool poa_codec_knows(poa_image_format format) {
#ifndef POA_WEBP
  if (format == POA_IMAGE_WEBP)
    return false;
#endif
  return format != POA_IMAGE_OTHER;
}

poa_status poa_codec_decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                            poa_error *error) {
  switch (poa_image_format_of(bytes, size)) {
  case POA_IMAGE_JPEG:
    return poa_jpeg_decode(bytes, size, least, images, error);
  case POA_IMAGE_PNG:
    return poa_png_decode(bytes, size, images, error);
  case POA_IMAGE_WEBP:
#ifdef POA_WEBP
    return poa_webp_decode(bytes, size, images, error);
#else
    return poa_fail(error, POA_UNSUPPORTED,
                    "is a WebP file, and poa was built without libwebp (Debian: libwebp-dev)");
#endif
  case POA_IMAGE_OTHER:
    break;
  }
#ifdef POA_WEBP
  const char *also = ", WebP";
#else
  const char *also = "";
#endif
  return poa_fail(error, POA_BAD_INPUT,
                  "is no image that this program knows: .npy, IDX, PGM, PPM, JPEG, PNG%s", also);
}
