/* image_files.h: images as people have them. The format is told by content:
 *
 *   .npy      bytes: pixels; floats: ready network input     npy.c
 *   IDX       bytes, gzip or not                             runtime/idx.c
 *   PGM, PPM  one image                                      pnm.c
 *   JPEG, PNG one image, in programs compiled with them      image_codecs.c */
#ifndef POA_PROGRAM_IMAGE_FILES_H
#define POA_PROGRAM_IMAGE_FILES_H

#include "poa.h"

/* The images of one file, [count, channels, height, width]: either `pixels`, to be resized and
 * normalized, or `values`, which are normalized already. */
typedef struct poa_loaded_images {
  int64_t count;
  int channels, height, width; /* channels: 1 or 3 */
  uint8_t *pixels;
  float *values;
} poa_loaded_images;

/* Reads all images of `path`; *images is the caller's to free. Errors name the file. */
poa_status poa_images_load(const char *path, poa_loaded_images *images, poa_error *error);
void poa_images_free(poa_loaded_images *images);

/* Takes memory for images of these extents: for values if `floats`, else for pixels. Fails for
 * absurd extents, before anything is taken. */
poa_status poa_images_allocate(poa_loaded_images *images, poa_loaded_images extents, bool floats,
                               poa_error *error);

/* image_codecs.c, no_image_codecs.c: one of the two is linked. Decodes a JPEG or PNG. On failure,
 * as for all decoders, *images may hold memory that the caller frees. */
poa_status poa_codec_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                            poa_error *error);

#endif
