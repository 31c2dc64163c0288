/* orientation.c: see orientation.h.
 *
 * Exif is a TIFF file: a header that says the byte order and where the first directory lies; a
 * directory is a count and that many entries of 12 bytes: tag, type, count, value. */
#include "runtime/orientation.h"

#include <stdlib.h>
#include <string.h>

typedef struct tiff {
  const uint8_t *bytes;
  size_t size;
  bool big_endian;
} tiff;

/* Zero beyond the end, which no tag or orientation is. */
static uint32_t number(const tiff *t, size_t at, size_t bytes) {
  uint32_t value = 0;
  if (at > t->size || bytes > t->size - at)
    return 0;
  for (size_t i = 0; i < bytes; i++)
    value = value << 8 | t->bytes[at + (t->big_endian ? i : bytes - 1 - i)];
  return value;
}

int poa_exif_orientation(const uint8_t *segment, size_t size) {
  enum { PREFIX = 6, ENTRY = 12, TAG = 0x0112, TYPE_SHORT = 3 };
  if (size < PREFIX + 8 || memcmp(segment, "Exif\0", PREFIX) != 0)
    return 1;
  tiff t = {segment + PREFIX, size - PREFIX, segment[PREFIX] == 'M'};
  if (memcmp(t.bytes, t.big_endian ? "MM\0*" : "II*", 4) != 0)
    return 1;
  size_t directory = number(&t, 4, 4), count = number(&t, directory, 2);
  for (size_t i = 0; i < count; i++) {
    size_t entry = directory + 2 + i * ENTRY;
    if (number(&t, entry, 2) != TAG)
      continue;
    uint32_t value = number(&t, entry + 8, 2);
    return number(&t, entry + 2, 2) == TYPE_SHORT && value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

/* Orientations 5 to 8 swap rows and columns. In terms of where the upright image's first pixel
 * lies in the file and which way its rows and columns run there:
 *
 *   1 as it is   2 mirrored left to right   3 upside down   4 mirrored top to bottom
 *   5..8 are 1, 4, 3 and 2 with rows for columns */
poa_status poa_images_turn_upright(poa_loaded_images *images, int orientation, poa_error *error) {
  if (orientation <= 1 || orientation > 8)
    return POA_OK;
  int height = images->height, width = images->width;
  int64_t plane = (int64_t)height * width;
  bool swaps = orientation >= 5;
  bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  int64_t along_row = from_right ? -1 : 1, along_column = from_bottom ? -width : width;
  int64_t first = (from_right ? width - 1 : 0) + (from_bottom ? (int64_t)(height - 1) * width : 0);
  uint8_t *turned = malloc((size_t)(plane * images->channels));
  if (!turned)
    return poa_fail(error, POA_NO_MEMORY, "no memory to turn the image");
  int64_t right = swaps ? along_column : along_row, down = swaps ? along_row : along_column;
  images->height = swaps ? width : height;
  images->width = swaps ? height : width;
  uint8_t *to = turned;
  for (int c = 0; c < images->channels; c++)
    for (int y = 0; y < images->height; y++) {
      const uint8_t *from = images->pixels + c * plane + first + y * down;
      for (int x = 0; x < images->width; x++)
        *to++ = from[x * right];
    }
  free(images->pixels);
  images->pixels = turned;
  return POA_OK;
}
