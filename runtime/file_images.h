/* file_images.h: images that stay in their files until they are asked for.
 *
 * What is decoded can be kept, as small as it was asked for, as long as there is room: at most 1
 * GiB, and an eighth of the machine's memory. Files that cannot be read are noted, once each. One
 * thread may ask for images while another asks about those files. */
#ifndef POA_RUNTIME_FILE_IMAGES_H
#define POA_RUNTIME_FILE_IMAGES_H

#include "runtime/image.h"
#include "runtime/image_list.h"

typedef struct poa_file_images poa_file_images;

/* An image and, where it is kept nowhere else, its memory. */
typedef struct poa_held_image {
  poa_pixels pixels;
  uint8_t *own; /* or NULL */
} poa_held_image;

void poa_held_image_release(poa_held_image *image);

/* Takes over the list, whose labels are not looked at, also on failure. */
poa_status poa_file_images_create(poa_file_images **files, poa_image_list *list, poa_error *error);
void poa_file_images_free(poa_file_images *files);

/* Images that are asked for with `least` are kept from now on, as long as there is room. */
void poa_file_images_keep(poa_file_images *files, int least);

/* Decodes an image of the list. If it is larger, its shorter side may come as short as `least`
 * pixels (0: it comes whole). False if it cannot be read, now or before. */
bool poa_file_images_get(poa_file_images *files, int64_t index, int least, poa_held_image *image);

/* How many files could not be read up to now. */
int64_t poa_file_images_unreadable(poa_file_images *files);
/* Writes the message of the next of them that has not been told, of the first few; false if there
 * is none. */
bool poa_file_images_complaint(poa_file_images *files, char *message, size_t size);

#endif
