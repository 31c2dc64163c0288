/* file_order.h: parameters whose axes stand in another order in files than in memory. The weight
 * of a convolution is [kh, kw, in, out] in memory, as products read it, and [out, in, kh, kw] in
 * files, as other programs write it. */
#ifndef POA_RUNTIME_FILE_ORDER_H
#define POA_RUNTIME_FILE_ORDER_H

#include "runtime/safetensors.h"

/* The order of `rank` axes as a description says it; `axes` NULL: the same. */
poa_file_order poa_order_of_axes(const int64_t *axes, int rank);
/* Whether axes stand in another order at all. */
bool poa_is_reordered(const poa_file_order *order);
/* The shape in memory of what files have in `shape`. */
poa_plan_shape poa_memory_shape(const poa_file_order *order, poa_plan_shape shape);

/* Copies all elements of a tensor that files have in `shape`, from one order into the other;
 * the two must not overlap. */
void poa_to_memory_order(const poa_file_order *order, poa_plan_shape shape, const float *file,
                         float *memory);
void poa_to_file_order(const poa_file_order *order, poa_plan_shape shape, const float *memory,
                       float *file);

/* A tensor of a file as values in memory order. Fails only for lack of memory. */
poa_status poa_tensor_to_values(const poa_file_tensor *tensor, const poa_file_order *order,
                                float *values, poa_error *error);
/* The values of a parameter as files have them: `values` itself, or a copy that *copy holds and
 * the caller frees; NULL for lack of memory. */
const float *poa_values_for_file(const poa_file_order *order, poa_plan_shape shape,
                                 const float *values, float **copy);

#endif
