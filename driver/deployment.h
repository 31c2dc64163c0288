/* deployment.h: a trained model on its way out.
 *
 * What `extract` and `compile` are given may be a run's folder, an extracted file, or a description
 * (with --weights FILE, or without weights at all); this finds the description, the values
 * and the normalization of images behind each. */
#ifndef POA_DRIVER_DEPLOYMENT_H
#define POA_DRIVER_DEPLOYMENT_H

#include "driver/driver.h"
#include "passes/extract.h"
#include "runtime/normalization.h"
#include "runtime/parameter_store.h"
#include "runtime/safetensors.h"

/* Keys of an extracted file's metadata, beside those of checkpoint.h. */
#define POA_KEY_POINT "point"   /* "width=64,depth=3" */
#define POA_KEY_SOURCE "source" /* the run, and the set */

typedef struct poa_deployment {
  poa_flags flags; /* the user's, with the description's path and the run's constants */
  poa_model *model;
  poa_safetensors *weights; /* NULL: none, first values are used */
  bool extracted;           /* `weights` are of a plain network, at `point` */
  poa_point point;
  const char *overrides;      /* the constants set, as one text */
  int64_t step;               /* of the run */
  const char *source;         /* where the weights are from; "" if from nowhere */
  const char *normalization;  /* of images, as text; "" if unknown */
  poa_parameter_store *first; /* without weights: the first values, once they are asked for */
  poa_arena *arena;
} poa_deployment;

/* Opens what flags->arguments[0] names. Errors say what the file is and what was expected.
 * Close with poa_deployment_close, also after a failure. Strings belong to `arena`. */
poa_status poa_deployment_open(poa_deployment *deployment, const poa_flags *flags, poa_arena *arena,
                               poa_error *error);
/* The same, with inputs `images` of `entry` for `batch` of them: their first extent has to be a
 * constant of the description, which is set. */
poa_status poa_deployment_open_batch(poa_deployment *deployment, const poa_flags *flags,
                                     const char *entry, int64_t batch, poa_arena *arena,
                                     poa_error *error);
/* Whether it is. */
bool poa_deployment_has_batch(const poa_deployment *deployment, const char *entry);
void poa_deployment_close(poa_deployment *deployment);

/* The plain network of `entry` at `point`: a specialized graph in `arena`, and how its parameters
 * come from the elastic network's. */
poa_status poa_deployment_plain(const poa_deployment *deployment, const char *entry,
                                const poa_point *point, poa_arena *arena, poa_graph **graph,
                                poa_extraction *extraction, poa_error *error);
/* The values of parameter `index` of the plain network, row-major, into `out`. Fails where the
 * weights lack it or have another shape. */
poa_status poa_deployment_plain_values(poa_deployment *deployment, const poa_extraction *extraction,
                                       int index, float *out, poa_error *error);
/* The values of a parameter of the elastic network. */
poa_status poa_deployment_values(poa_deployment *deployment, const poa_parameter *parameter,
                                 float *out, poa_error *error);

#endif
