/* no_image_codecs.c: what is linked where JPEG and PNG were not asked for. */
#include "program/image_files.h"

poa_status poa_codec_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                            poa_error *error) {
  (void)images;
  bool jpeg = size > 2 && bytes[0] == 0xff && bytes[1] == 0xd8;
  bool png = size > 3 && bytes[0] == 0x89 && bytes[1] == 'P' && bytes[2] == 'N' && bytes[3] == 'G';
  if (jpeg || png)
    return poa_fail(error, POA_UNSUPPORTED,
                    "is a %s file, and this program was compiled without --with-images",
                    jpeg ? "JPEG" : "PNG");
  return poa_fail(error, POA_BAD_INPUT, "is no image that this program knows: .npy, IDX, PGM, PPM");
}
