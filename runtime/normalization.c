/* normalization.c: see normalization.h. */
#include "runtime/normalization.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void poa_normalization_print(const poa_normalization *normalization, int channels, char *out,
                             size_t size) {
  size_t used = 0;
  out[0] = '\0';
  for (int i = 0; i < channels && used < size; i++)
    used += (size_t)snprintf(out + used, size - used, "%s%.9g/%.9g", i ? "," : "",
                             normalization->mean[i], normalization->deviation[i]);
}

bool poa_normalization_parse(const char *text, poa_normalization *normalization) {
  int count = 0;
  for (const char *at = text; count < 3; count++) {
    char *slash, *end;
    float mean = strtof(at, &slash);
    if (slash == at || *slash != '/')
      return false;
    float deviation = strtof(slash + 1, &end);
    if (end == slash + 1 || !isfinite(mean) || !(deviation > 0) || !isfinite(deviation))
      return false;
    normalization->mean[count] = mean;
    normalization->deviation[count] = deviation;
    if (*end == '\0') {
      for (int i = ++count; i < 3; i++) {
        normalization->mean[i] = mean;
        normalization->deviation[i] = deviation;
      }
      return true;
    }
    if (*end != ',')
      return false;
    at = end + 1;
  }
  return false;
}
