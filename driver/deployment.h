/* deployment.h: a trained model on its way out.
 *
 * What `extract` and `compile` are given may be a run's folder, an extracted file, or a description
 * (with --weights FILE, or without weights at all); this finds the description, the values
 * and the normalization of images behind each. */
#ifndef POA_DRIVER_DEPLOYMENT_H
#define POA_DRIVER_DEPLOYMENT_H

#include "driver/driver.h"
#include "passes/extract.h"
#include "runtime/dataset.h"
#include "runtime/safetensors.h"

typedef struct poa_deployment {
  poa_flags flags; /* the user's, with the description's path and the run's constants */
  poa_model *model;
  poa_safetensors *weights; /* NULL: none, first values are used */
  bool extracted;           /* `weights` are of a plain network, at `point` */
  poa_point point;
  const char *set;    /* a run's: the parameter set to read, "teacher" or as --from says */
  const char *source; /* where the weights are from, for metadata; "" if nowhere */
  bool normalized;
  poa_normalization normalization;
} poa_deployment;

/* Opens what flags->arguments[0] names, with the constants `extra` ("eval_batch=1", may be NULL)
 * set over everything else. Errors say what the file is and what was expected. Close with
 * poa_deployment_close, also after a failure. Strings belong to `arena`. */
poa_status poa_deployment_open(poa_deployment *deployment, const poa_flags *flags,
                               const char *extra, poa_arena *arena, poa_error *error);
void poa_deployment_close(poa_deployment *deployment);

/* The plain network of `entry` at `point`: a specialized graph in `arena`, and how its parameters
 * come from the elastic network's. */
poa_status poa_deployment_plain(poa_deployment *deployment, const char *entry,
                                const poa_point *point, poa_arena *arena, poa_graph **graph,
                                poa_extraction *extraction, poa_error *error);
/* The values of parameter `index` of the plain network, row-major, into `out`. Fails where the
 * weights lack it or have another shape. */
poa_status poa_deployment_plain_values(const poa_deployment *deployment, const poa_graph *graph,
                                       const poa_extraction *extraction, int index, float *out,
                                       poa_error *error);
/* The values of parameter `parameter` of an elastic graph (set and name of a run's). */
poa_status poa_deployment_values(const poa_deployment *deployment, const poa_parameter *parameter,
                                 float *out, poa_error *error);

#endif
