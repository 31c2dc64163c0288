/* image_files.h: images as people have them. The format is told by content:
 *
 *   .npy            bytes: pixels; floats: ready network input     npy.c
 *   IDX             bytes, gzip or not                             idx.c
 *   PGM, PPM        one image                                      pnm.c
 *   JPEG, PNG, WebP one image, where codecs are linked             image_codecs.c */
#ifndef POA_RUNTIME_IMAGE_FILES_H
#define POA_RUNTIME_IMAGE_FILES_H

#include "poa.h"

/* The images of one file, [count, channels, height, width]: either `pixels`, to be resized and
 * normalized, or `values`, which are normalized already. */
typedef struct poa_loaded_images {
  int64_t count;
  int channels, height, width; /* channels: 1 or 3 */
  uint8_t *pixels;
  float *values;
} poa_loaded_images;

/* Reads all images of `path`; *images is the caller's to free. With `least` > 0, one image of
 * pixels whose shorter side is longer may come smaller, by a whole factor or a scale of the
 * decoder's own, but not shorter than `least`. Errors name the file. */
poa_status poa_images_load(const char *path, int least, poa_loaded_images *images,
                           poa_error *error);
void poa_images_free(poa_loaded_images *images);

/* For decoders. */

/* Refuses extents of an image that no photograph has, which a file of a few bytes can announce. */
poa_status poa_images_check_size(int64_t height, int64_t width, poa_error *error);
/* Takes memory for images of these extents, once they are checked: for values if `floats`, else for
 * pixels. */
poa_status poa_images_allocate(poa_loaded_images *images, poa_loaded_images extents, bool floats,
                               poa_error *error);
/* Takes row number `at` of the first image from interleaved pixels. */
void poa_images_put_row(poa_loaded_images *images, int64_t at, const uint8_t *row);

/* Formats that need a library. */
typedef enum poa_image_format {
  POA_IMAGE_OTHER,
  POA_IMAGE_JPEG,
  POA_IMAGE_PNG,
  POA_IMAGE_WEBP
} poa_image_format;

/* By how a file begins. */
poa_image_format poa_image_format_of(const uint8_t *bytes, size_t size);

/* image_codecs.c, no_image_codecs.c: one of the two is linked. */

bool poa_codec_knows(poa_image_format format);
/* Decodes an image of a format that needs a library. On failure, as for all decoders, *images may
 * hold memory that the caller frees. */
poa_status poa_codec_decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                            poa_error *error);

#endif
