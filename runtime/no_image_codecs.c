/* no_image_codecs.c: what is linked where JPEG, PNG and WebP were not asked for. */
#include "runtime/image_files.h"

bool poa_codec_knows(poa_image_format format) {
  (void)format;
  return false;
}

poa_status poa_codec_decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                            poa_error *error) {
  static const char *const names[] = {
      [POA_IMAGE_JPEG] = "JPEG", [POA_IMAGE_PNG] = "PNG", [POA_IMAGE_WEBP] = "WebP"};
  poa_image_format format = poa_image_format_of(bytes, size);
  (void)least, (void)images;
  if (format != POA_IMAGE_OTHER)
    return poa_fail(error, POA_UNSUPPORTED,
                    "is a %s file, and this program was compiled without --with-images (or poa "
                    "without the library of that format)",
                    names[format]);
  return poa_fail(error, POA_BAD_INPUT, "is no image that this program knows: .npy, IDX, PGM, PPM");
}
