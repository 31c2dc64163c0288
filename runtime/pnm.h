/* pnm.h: PGM and PPM images (netpbm), plain and raw, up to 16 bits.
 *
 *   P5 28 28 255 <one byte a pixel>          P2 is the same as decimal text
 *   P6 64 48 255 <red green blue bytes>      P3 likewise */
#ifndef POA_RUNTIME_PNM_H
#define POA_RUNTIME_PNM_H

#include "runtime/image_files.h"

bool poa_is_pnm(const uint8_t *bytes, size_t size);
/* Decodes one image. Deeper values are scaled to 0..255. Errors say what is wrong, without the
 * file's name. */
poa_status poa_pnm_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error);

#endif
