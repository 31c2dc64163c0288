/* safetensors.h: named tensors in a file.
 *
 * The format (huggingface/safetensors): 8 bytes little-endian header length, a JSON
 * header, the raw little-endian row-major data.
 *
 *   {"__metadata__":{"step":"100"},
 *    "norm.bias":{"dtype":"F32","shape":[384],"data_offsets":[0,1536]}}
 *
 * The reader believes nothing: what is not exactly of this form is refused with the file,
 * the tensor and what was expected. The data is mapped, not copied; files change only by
 * being replaced (atomic_file.h), which leaves a mapping intact. */
#ifndef POA_RUNTIME_SAFETENSORS_H
#define POA_RUNTIME_SAFETENSORS_H

#include "runtime/plan.h"

typedef enum poa_tensor_dtype {
  POA_TENSOR_F32,
  POA_TENSOR_F64,
  POA_TENSOR_F16,
  POA_TENSOR_BF16,
  POA_TENSOR_I64,
  POA_TENSOR_I32,
  POA_TENSOR_U8,
  POA_TENSOR_BOOL,
} poa_tensor_dtype;

typedef struct poa_file_tensor {
  const char *name;
  poa_tensor_dtype dtype;
  poa_plan_shape shape;
  poa_file_order order; /* memory's, of f32 data that is to be written (file_order.h) */
  const void *data;     /* elements, row-major; of a read file, possibly misaligned */
} poa_file_tensor;

typedef struct poa_metadata {
  const char *key, *value;
} poa_metadata;

/* A file's content. Everything lies in memory that the file owns. */
typedef struct poa_safetensors {
  const char *path;
  int tensor_count, metadata_count;
  const poa_file_tensor *tensors; /* in the order of their data */
  const poa_metadata *metadata;   /* sorted by key */
} poa_safetensors;

/* Opens `path` and checks all of its header. *file is the caller's. */
poa_status poa_safetensors_open(poa_safetensors **file, const char *path, poa_error *error);
void poa_safetensors_close(poa_safetensors *file);

/* The tensor `name`, or NULL. */
const poa_file_tensor *poa_safetensors_find(const poa_safetensors *file, const char *name);

/* The metadata string under `key`, or NULL. */
const char *poa_safetensors_metadata(const poa_safetensors *file, const char *key);

/* Convert all elements of `tensor` into `out`, tensor_convert.c. To float: from any type, rounding
 * to nearest. To i32: from integers and booleans, failing on a value out of range. To bool (0
 * or 1): from integers and booleans, failing on other values. Errors name the tensor, not the file.
 */
void poa_tensor_to_f32(const poa_file_tensor *tensor, float *out);
poa_status poa_tensor_to_i32(const poa_file_tensor *tensor, int32_t *out, poa_error *error);
poa_status poa_tensor_to_bool(const poa_file_tensor *tensor, uint8_t *out, poa_error *error);

/* Writes a file, whole or not at all. The bytes depend only on the content, not on the order of
 * the lists (safetensors_write.c). Fails on repeated names and keys, and on anything that the
 * system refuses. */
poa_status poa_safetensors_write(const char *path, int tensor_count, const poa_file_tensor *tensors,
                                 int metadata_count, const poa_metadata *metadata,
                                 poa_error *error);

/* "F32", and so on. */
const char *poa_tensor_dtype_name(poa_tensor_dtype dtype);
int64_t poa_tensor_dtype_bytes(poa_tensor_dtype dtype);

#endif
