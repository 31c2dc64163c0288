/* model.h: a description, loaded. The way in to frontend/. */
#ifndef POA_FRONTEND_MODEL_H
#define POA_FRONTEND_MODEL_H

#include <stdio.h>

#include "ir/ir.h"

typedef struct poa_model poa_model;

typedef struct poa_model_options {
  const char *path;       /* of the description, or the name of a recipe in models_dir */
  const char *models_dir; /* where recipes are and imports are looked for as well */
  int override_count;
  const char *const *overrides; /* "NAME=VALUE", the last one wins */
  FILE *diagnostics;            /* where errors are shown with carets; NULL: nowhere */
  /* Whether something can fill an input `from NAME(..)`; if not, `advice` gets what to write
   * instead, as "did you mean 'cosine'?". NULL: any name is taken. */
  bool (*source_exists)(const char *name, char *advice, size_t size);
} poa_model_options;

/* Loads the file, its imports, and elaborates every entry, so that the parameter table
 * is the whole model's. All errors found go to `diagnostics`; `error` gets the first.
 * On failure *model is NULL. */
poa_status poa_model_load(poa_model **model, const poa_model_options *options, poa_error *error);
void poa_model_free(poa_model *model);

const char *poa_model_path(const poa_model *model); /* of the file found */
const poa_lattice *poa_model_lattice(const poa_model *model);
int poa_model_entry_count(const poa_model *model);
const char *poa_model_entry_name(const poa_model *model, int index);
bool poa_model_has_entry(const poa_model *model, const char *name);
/* The graph of the entry, symbolic, for passes that work in `arena`. It shares the model's nodes,
 * as poa_graph_share says, so that each sub-network begins where elaboration has ended; the model
 * must outlive it. Several threads may ask at once. An unknown entry is an error that names those
 * there are. */
poa_status poa_model_graph(const poa_model *model, const char *entry, poa_arena *arena,
                           poa_graph **graph, poa_error *error);

bool poa_model_has_const(poa_model *model, const char *name);
/* False if there is no such constant or it is no number. */
bool poa_model_number(poa_model *model, const char *name, double *value);
/* If extent `axis` of that input is written as the name of a constant alone: its name, so that a
 * recorded tensor's shape can set it. Else NULL. */
const char *poa_model_extent_const(const poa_model *model, const char *entry, const char *input,
                                   int axis);

#endif
