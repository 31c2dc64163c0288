/* training.h: pre-trains an elastic network, wherever its plans come from. */
#ifndef POA_PROGRAM_TRAINING_H
#define POA_PROGRAM_TRAINING_H

#include "program/run_folder.h"
#include "program/supernet.h"
#include "runtime/checkpoint.h"

enum { POA_TRACED_STEPS = 5 };

typedef struct poa_training {
  const char *model;     /* as the user named it; recorded */
  const char *overrides; /* the constants set, as one text; recorded */
  const char *precision; /* of products, "fp32" or "bf16"; recorded */
  const char *again;     /* the command that started the run, without flags: "poa train fashion" */
  const char *data;      /* path of the images */
  const char *init;      /* weights to start from, or NULL */
  const char *trace;     /* where a timeline of the first POA_TRACED_STEPS goes, or NULL */
  poa_run_folder folder;
  uint64_t seed;
  int64_t steps; /* in all */
  int64_t every; /* steps from checkpoint to checkpoint */
  bool resume, quiet;
} poa_training;

/* Names the run's folder: `out`, or runs/NAME after the model. Fails where a run is there and is
 * not to be resumed, or the other way round. */
poa_status poa_training_folder(const char *out, const char *model, bool resume,
                               poa_run_folder *folder, poa_error *error);

/* Of a run that is to be resumed, what it was started with; strings belong to *file, which the
 * caller closes. */
poa_status poa_training_recall(const poa_run_folder *folder, poa_safetensors **file,
                               poa_checkpoint_info *info, poa_error *error);

/* Trains until all steps are done, a signal asks to stop (POA_INTERRUPTED, after a checkpoint) or
 * something fails; then evaluates and writes the report. */
poa_status poa_train_network(const poa_training *training, poa_supernet *net, poa_error *error);

#endif
