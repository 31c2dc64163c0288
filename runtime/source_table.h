/* source_table.h: the sources that a description can name, and how they are bound.
 *
 * A row of the table says what a source is called, what it fills (type and rank), which
 * numeric arguments it takes and within which bounds. Binding an input finds its row and
 * turns its named arguments into an array in the row's order. */
#ifndef POA_RUNTIME_SOURCE_TABLE_H
#define POA_RUNTIME_SOURCE_TABLE_H

#include "runtime/plan.h"

enum { POA_SOURCE_MAX_PARAMETERS = 16 };

typedef enum poa_source_kind {
  POA_SOURCE_COMPUTED,  /* by `fill`, when the step begins */
  POA_SOURCE_PREPARED,  /* ahead of the step, by preparation.c */
  POA_SOURCE_EVALUATOR, /* by the evaluator, never in training */
} poa_source_kind;

typedef struct poa_source_parameter {
  const char *name;
  double fallback; /* NAN: must be given */
  double low, high;
  bool whole; /* a whole number; passed on rounded */
} poa_source_parameter;

typedef struct poa_bound_source poa_bound_source;

typedef struct poa_source_row {
  const char *name;
  poa_source_kind kind;
  poa_plan_dtype dtype;
  int rank;
  /* Fills `out` for one step; NULL unless computed. */
  void (*fill)(const poa_bound_source *source, uint64_t seed, int64_t step, void *out);
  /* Checks the input's extents against the arguments; may be NULL. */
  poa_status (*check)(const poa_bound_source *source, poa_error *error);
  poa_source_parameter parameters[POA_SOURCE_MAX_PARAMETERS]; /* up to the first without name */
} poa_source_row;

struct poa_bound_source {
  const poa_plan_input *input;
  const poa_source_row *row;
  double value[POA_SOURCE_MAX_PARAMETERS];
};

/* Positions of the arguments that preparation.c reads. */
enum {
  POA_CROPS_COUNT,
  POA_CROPS_SCALE_MIN,
  POA_CROPS_SCALE_MAX,
  POA_CROPS_FLIP,
  POA_CROPS_JITTER,
  POA_CROPS_BRIGHTNESS,
  POA_CROPS_CONTRAST,
  POA_CROPS_SATURATION,
  POA_CROPS_HUE,
  POA_CROPS_GREY,
  POA_CROPS_BLUR_FIRST,
  POA_CROPS_BLUR_REST,
  POA_CROPS_SOLARIZE_LAST,
  POA_CROPS_SEED_GROUP,
};
enum { POA_MASK_PROBABILITY, POA_MASK_RATIO_MIN, POA_MASK_RATIO_MAX };

/* Binds `input`, whose source is not "". Errors name the input, its source and the
 * argument, and suggest the nearest name. */
poa_status poa_source_bind(poa_bound_source *source, const poa_plan_input *input, poa_error *error);

#endif
