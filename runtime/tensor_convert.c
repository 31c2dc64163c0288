/* tensor_convert.c: elements of a file's tensors as the runtime's types.
 *
 * Files are read once, so elements are fetched one by one; only F32 is copied whole. */
#include <string.h>

#include "runtime/safetensors.h"

static float bits_to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE binary16: sign, 5 bits of exponent (bias 15), 10 bits of fraction. */
static float half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f;
  uint32_t fraction = half & 0x3ff;
  if (exponent == 0) /* zero or subnormal: fraction * 2^-24 */
    return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
  if (exponent == 0x1f)
    return bits_to_float(sign | 0x7f800000u | fraction << 13);
  return bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Reads element `i`, wherever it lies: files need not align their data. */
#define FETCH(type, variable, tensor, i)                                                           \
  type variable;                                                                                   \
  memcpy(&variable, (const char *)(tensor)->data + (i) * (int64_t)sizeof variable, sizeof variable)

static int64_t integer_at(const poa_file_tensor *tensor, int64_t i) {
  if (tensor->dtype == POA_TENSOR_I64) {
    FETCH(int64_t, value, tensor, i);
    return value;
  }
  if (tensor->dtype == POA_TENSOR_I32) {
    FETCH(int32_t, value, tensor, i);
    return value;
  }
  return ((const uint8_t *)tensor->data)[i];
}

static bool holds_integers(const poa_file_tensor *tensor) {
  return tensor->dtype == POA_TENSOR_I64 || tensor->dtype == POA_TENSOR_I32 ||
         tensor->dtype == POA_TENSOR_U8 || tensor->dtype == POA_TENSOR_BOOL;
}

static float float_at(const poa_file_tensor *tensor, int64_t i) {
  if (tensor->dtype == POA_TENSOR_F64) {
    FETCH(double, value, tensor, i);
    return (float)value;
  }
  if (tensor->dtype == POA_TENSOR_F16 || tensor->dtype == POA_TENSOR_BF16) {
    FETCH(uint16_t, value, tensor, i);
    return tensor->dtype == POA_TENSOR_F16 ? half_to_float(value)
                                           : bits_to_float((uint32_t)value << 16);
  }
  if (tensor->dtype == POA_TENSOR_F32) {
    FETCH(float, value, tensor, i);
    return value;
  }
  return (float)integer_at(tensor, i);
}

void poa_tensor_to_f32(const poa_file_tensor *tensor, float *out) {
  int64_t count = poa_plan_elements(tensor->shape);
  if (tensor->dtype == POA_TENSOR_F32) {
    memcpy(out, tensor->data, (size_t)count * sizeof *out);
    return;
  }
  for (int64_t i = 0; i < count; i++)
    out[i] = float_at(tensor, i);
}

/* Fails unless every element is an integer in least..most. */
static poa_status check_integers(const poa_file_tensor *tensor, int64_t least, int64_t most,
                                 poa_error *error) {
  if (!holds_integers(tensor))
    return poa_fail(error, POA_BAD_INPUT, "tensor '%.200s' is %s, but integers are needed here",
                    tensor->name, poa_tensor_dtype_name(tensor->dtype));
  int64_t count = poa_plan_elements(tensor->shape);
  for (int64_t i = 0; i < count; i++) {
    int64_t value = integer_at(tensor, i);
    if (value < least || value > most)
      return poa_fail(error, POA_BAD_INPUT,
                      "tensor '%.200s': element %lld is %lld, expected %lld..%lld", tensor->name,
                      (long long)i, (long long)value, (long long)least, (long long)most);
  }
  return POA_OK;
}

poa_status poa_tensor_to_i32(const poa_file_tensor *tensor, int32_t *out, poa_error *error) {
  poa_status status = check_integers(tensor, INT32_MIN, INT32_MAX, error);
  int64_t count = status == POA_OK ? poa_plan_elements(tensor->shape) : 0;
  for (int64_t i = 0; i < count; i++)
    out[i] = (int32_t)integer_at(tensor, i);
  return status;
}

poa_status poa_tensor_to_bool(const poa_file_tensor *tensor, uint8_t *out, poa_error *error) {
  poa_status status = check_integers(tensor, 0, 1, error);
  int64_t count = status == POA_OK ? poa_plan_elements(tensor->shape) : 0;
  for (int64_t i = 0; i < count; i++)
    out[i] = (uint8_t)integer_at(tensor, i);
  return status;
}
