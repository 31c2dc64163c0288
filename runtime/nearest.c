/* nearest.c: "did you mean". Edit distance counts insertions, deletions, substitutions
 * (Levenshtein 1966); a name is near when a third of it at most has to change. */
#include <string.h>

#include "poa.h"

#define LONGEST 64

static int least(int a, int b) {
  return a < b ? a : b;
}

/* Distance of two names, row by row of the table of prefixes; -1: too long to compare. */
static int distance(const char *a, const char *b) {
  int row[LONGEST + 1];
  size_t n = strlen(a), m = strlen(b);
  if (n > LONGEST || m > LONGEST)
    return -1;
  for (size_t j = 0; j <= m; j++)
    row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int above = row[j];
      row[j] = least(diagonal + (a[i - 1] != b[j - 1]), 1 + least(above, row[j - 1]));
      diagonal = above;
    }
  }
  return row[m];
}

const char *poa_nearest(const char *name, const char *const *candidates, int count) {
  const char *nearest = NULL;
  int limit = 1 + (int)strlen(name) / 3, best = limit + 1;
  for (int i = 0; i < count; i++) {
    int d = distance(name, candidates[i]);
    /* A name of which nothing is left is not near. */
    if (d >= 0 && d < best && d < (int)strlen(candidates[i])) {
      best = d;
      nearest = candidates[i];
    }
  }
  return nearest;
}
