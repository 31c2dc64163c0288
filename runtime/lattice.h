/* lattice.h: the sub-networks of an elastic model, as plain data.
 *
 * Each elastic name ranges over min, min + step, .. max; a point gives every name a value
 * and is one sub-network. As text: "width=256,depth=8". */
#ifndef POA_RUNTIME_LATTICE_H
#define POA_RUNTIME_LATTICE_H

#include "poa.h"

#define POA_MAX_ELASTIC 8

typedef struct poa_elastic {
  const char *name;
  int64_t min, max, step;
  int group; /* how it is sampled: as poa_deck_axis has them (deck.h) */
  bool uniform;
} poa_elastic;

/* The names of a model and how often small networks are sampled (deck.h). */
typedef struct poa_lattice {
  int count;
  poa_elastic name[POA_MAX_ELASTIC];
  double select_scale;
} poa_lattice;

/* A value for each name of the lattice. */
typedef struct poa_point {
  int64_t value[POA_MAX_ELASTIC];
} poa_point;

poa_point poa_lattice_top(const poa_lattice *lattice);
/* How many values a name has, and the product of all, INT64_MAX if it is larger. */
int64_t poa_elastic_values(const poa_elastic *name);
int64_t poa_lattice_size(const poa_lattice *lattice);
/* Points in order, the first name outermost. */
poa_point poa_lattice_point(const poa_lattice *lattice, int64_t index);
bool poa_lattice_contains(const poa_lattice *lattice, const poa_point *point);
bool poa_point_equal(const poa_lattice *lattice, const poa_point *a, const poa_point *b);

/* Reads "width=256,depth=8"; names left out stand for their largest value. Fails with the
 * points there are. */
poa_status poa_point_parse(const poa_lattice *lattice, const char *text, poa_point *point,
                           poa_error *error);
/* Writes the same form; returns the length of the whole text, as snprintf does. */
int poa_point_print(const poa_lattice *lattice, const poa_point *point, char *out, size_t size);

#endif
