/* export.h: a plain network as an ONNX model, of standard operators, for any batch size.
 *
 * The network comes twice, at the same point for two batch sizes: node by node the two graphs are
 * the same, and an extent that differs is the batch, times a factor. So dynamic extents are
 * found without symbols in the graph. */
#ifndef POA_ONNX_EXPORT_H
#define POA_ONNX_EXPORT_H

#include "ir/ir.h"

typedef struct poa_onnx_metadata {
  const char *key, *value;
} poa_onnx_metadata;

typedef struct poa_onnx_export {
  const poa_graph *graph; /* specialized, extracted; may hold dead nodes */
  const poa_graph *other; /* the same for another batch size */
  int64_t batch, other_batch;
  /* The values of parameter `index` of the graph's table, row-major, into `out`. */
  poa_status (*values)(void *context, int index, float *out, poa_error *error);
  void *context;
  int metadata_count;
  const poa_onnx_metadata *metadata;
} poa_onnx_export;

/* Writes the model to `path`, whole or not at all: opset 17, IR version 8, weights inside. Fails
 * where an op has no ONNX form, where shapes depend on the batch in a way that ONNX cannot
 * say, and for models above 2 GB, which the format cannot hold. */
poa_status poa_onnx_write(const poa_onnx_export *export, const char *path, poa_error *error);

/* Whether this build can: it takes protobuf-c and ONNX's schema. */
bool poa_onnx_available(void);

#endif
