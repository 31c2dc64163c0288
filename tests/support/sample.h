/* sample.h: made-up values for the inputs and parameters of a graph under test, and a place
 * for what it gives. Values follow from names alone, so that the interpreter and
 * compiled code see the same.
 *
 *   f32    in -2..2; of a name that begins with "positive": in 0.1..3
 *   i32    in -9..9; of a name "rows" and a number n: in 0..n-1
 *   bool   either */
#ifndef POA_TESTS_SAMPLE_H
#define POA_TESTS_SAMPLE_H

#include "ir/ir.h"

#define POA_SAMPLE_MOST 64

/* What a run has stored: outputs by name, assigned parameters as "SET.NAME". */
typedef struct poa_sample {
  int count;
  char name[POA_SAMPLE_MOST][64];
  poa_tensor tensor[POA_SAMPLE_MOST]; /* data owned */
} poa_sample;

/* Bindings that load made-up values and store into `sample`. */
poa_bindings poa_sample_bindings(poa_sample *sample);
void poa_sample_free(poa_sample *sample);
/* NULL if no output of the name was stored. */
const poa_tensor *poa_sample_find(const poa_sample *sample, const char *name);

/* True if `actual` has all that `expected` has, within tolerance * (1 + |expected|); else
 * writes the first difference to `what`. NaN agrees with NaN. */
bool poa_sample_agree(const poa_sample *expected, const poa_sample *actual, double tolerance,
                      char *what, size_t size);

#endif
