/* checkpoint.h: the whole state of a run in one safetensors file.
 *
 * Tensors are called SET.NAME, single states NAME. The metadata says where the run
 * stands and which model and settings it is of, so that a run is resumed from the file
 * alone:
 *
 *   "step": "100", "seed": "1", "deck_position": "100", "model": "models/net.poa", ...
 *
 * Loading checks everything first: a file that does not fit changes nothing. */
#ifndef POA_RUNTIME_CHECKPOINT_H
#define POA_RUNTIME_CHECKPOINT_H

#include "runtime/parameter_store.h"
#include "runtime/safetensors.h"

/* Where a run stands. Strings are never NULL once read; NULL is saved as "". */
typedef struct poa_checkpoint_info {
  int64_t step; /* steps done */
  uint64_t seed;
  int64_t deck_position;     /* of the next sub-network; see deck.h */
  const char *model;         /* path of the description */
  const char *overrides;     /* "K=V,K=V" */
  const char *precision;     /* of products: "fp32" (also if the file does not say) or "bf16" */
  const char *normalization; /* of the images (normalization.h); "" if unknown */
  const char *version;       /* of the poa that wrote the file; ignored when saving */
} poa_checkpoint_info;

/* Writes all parameters of `store`, whole or not at all. */
poa_status poa_checkpoint_save(const char *path, const poa_parameter_store *store,
                               const poa_checkpoint_info *info, poa_error *error);

/* Reads the metadata of an opened checkpoint. Strings of *info belong to `file`. Fails
 * where a value is missing or not a number. */
poa_status poa_checkpoint_read_info(const poa_safetensors *file, poa_checkpoint_info *info,
                                    poa_error *error);

/* Fills `store` from an opened checkpoint: exactly its parameters, of the same shapes, float32.
 * Fails with POA_BAD_INPUT, naming what is missing, unexpected or different. */
poa_status poa_checkpoint_load(const poa_safetensors *file, poa_parameter_store *store,
                               poa_error *error);

#endif
