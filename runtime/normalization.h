/* normalization.h: how pixels become a network's input: (value - mean) / deviation for each
 * channel, of values in 0..1. As text, in files' metadata: "0.286/0.353", one pair for each
 * channel, separated by commas. */
#ifndef POA_RUNTIME_NORMALIZATION_H
#define POA_RUNTIME_NORMALIZATION_H

#include "poa.h"

typedef struct poa_normalization {
  float mean[3], deviation[3];
} poa_normalization;

/* Writes the text for `channels` channels (at most 3) to `out` of `size` characters. */
void poa_normalization_print(const poa_normalization *normalization, int channels, char *out,
                             size_t size);
/* Reads it; false if the text is none. A grey pair counts for all channels. */
bool poa_normalization_parse(const char *text, poa_normalization *normalization);

#endif
