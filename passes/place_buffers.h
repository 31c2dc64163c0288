/* place_buffers.h: buffers with known lifetimes into one block of memory. */
#ifndef POA_PASSES_PLACE_BUFFERS_H
#define POA_PASSES_PLACE_BUFFERS_H

#include <stdint.h>

/* Alive from time `first` to `last`, both inclusive. */
typedef struct poa_buffer {
  int64_t bytes;
  int first, last;
  int64_t place; /* result: a multiple of POA_BUFFER_ALIGNMENT */
} poa_buffer;

enum { POA_BUFFER_ALIGNMENT = 64 };

/* The most bytes alive at one time: no placement needs less. Times are >= -1. */
int64_t poa_live_peak(const poa_buffer *buffers, int count);
/* Places the buffers so that no two that are alive at the same time overlap; returns the
 * end of the last one. -1 without memory. */
int64_t poa_place_buffers(poa_buffer *buffers, int count);

#endif
