/* orientation.h: how a photograph is held, as cameras note it in Exif. */
#ifndef POA_RUNTIME_ORIENTATION_H
#define POA_RUNTIME_ORIENTATION_H

#include "runtime/image_files.h"

/* The orientation 1..8 in the contents of a JPEG's APP1 segment; 1 (upright) if there is none or
 * the segment is something else or damaged. */
int poa_exif_orientation(const uint8_t *segment, size_t size);

/* Turns one image of pixels upright: height and width may swap. Takes memory for a second image
 * meanwhile. */
poa_status poa_images_turn_upright(poa_loaded_images *images, int orientation, poa_error *error);

#endif
