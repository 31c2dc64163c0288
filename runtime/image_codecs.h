/* image_codecs.h: the decoders behind poa_codec_decode, one for each foreign library. As for all
 * decoders, on failure *images may hold memory that the caller frees, and errors say what is
 * wrong, without the file's name. */
#ifndef POA_RUNTIME_IMAGE_CODECS_H
#define POA_RUNTIME_IMAGE_CODECS_H

#include "runtime/image_files.h"

/* At the smallest of the library's scales whose shorter side is at least `least` (0: at full size),
 * upright as Exif says, CMYK turned to red, green and blue. */
poa_status poa_jpeg_decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                           poa_error *error);
poa_status poa_png_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error);
/* Only where POA_WEBP is defined. */
poa_status poa_webp_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                           poa_error *error);

#endif
