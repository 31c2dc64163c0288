/* file_order.c: copies between the two orders, element by element of the file. */
#include "runtime/file_order.h"

#include <stdlib.h>

poa_file_order poa_order_of_axes(const int64_t *axes, int rank) {
  poa_file_order order = {.rank = axes ? rank : 0};
  for (int i = 0; i < order.rank; i++)
    order.axis[i] = (int)axes[i];
  return order;
}

bool poa_is_reordered(const poa_file_order *order) {
  return order->rank > 0;
}

poa_plan_shape poa_memory_shape(const poa_file_order *order, poa_plan_shape shape) {
  poa_plan_shape memory = shape;
  for (int i = 0; i < order->rank; i++)
    memory.dim[order->axis[i]] = shape.dim[i];
  return memory;
}

/* Elements between neighbours along each axis of the file, in memory. */
static void memory_strides(const poa_file_order *order, poa_plan_shape shape, int64_t *stride) {
  poa_plan_shape memory = poa_memory_shape(order, shape);
  int64_t dense[POA_PLAN_MAX_RANK], step = 1;
  for (int i = memory.rank - 1; i >= 0; i--) {
    dense[i] = step;
    step *= memory.dim[i];
  }
  for (int i = 0; i < shape.rank; i++)
    stride[i] = dense[order->rank ? order->axis[i] : i];
}

/* Visits the elements in the file's order; exactly one of the two is written. */
static void copy(const poa_file_order *order, poa_plan_shape shape, const float *from, float *to,
                 bool to_memory) {
  int64_t stride[POA_PLAN_MAX_RANK], index[POA_PLAN_MAX_RANK] = {0}, place = 0;
  int64_t count = poa_plan_elements(shape);
  memory_strides(order, shape, stride);
  for (int64_t i = 0; i < count; i++) {
    to[to_memory ? place : i] = from[to_memory ? i : place];
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
      place += stride[axis];
      if (++index[axis] < shape.dim[axis])
        break;
      place -= stride[axis] * shape.dim[axis];
      index[axis] = 0;
    }
  }
}

void poa_to_memory_order(const poa_file_order *order, poa_plan_shape shape, const float *file,
                         float *memory) {
  copy(order, shape, file, memory, true);
}

void poa_to_file_order(const poa_file_order *order, poa_plan_shape shape, const float *memory,
                       float *file) {
  copy(order, shape, memory, file, false);
}

static float *room_for(poa_plan_shape shape) {
  return malloc(((size_t)poa_plan_elements(shape) + 1) * sizeof(float));
}

poa_status poa_tensor_to_values(const poa_file_tensor *tensor, const poa_file_order *order,
                                float *values, poa_error *error) {
  if (!poa_is_reordered(order)) {
    poa_tensor_to_f32(tensor, values);
    return POA_OK;
  }
  float *file = room_for(tensor->shape);
  if (!file)
    return poa_fail(error, POA_NO_MEMORY, "no memory to read '%s'", tensor->name);
  poa_tensor_to_f32(tensor, file);
  poa_to_memory_order(order, tensor->shape, file, values);
  free(file);
  return POA_OK;
}

const float *poa_values_for_file(const poa_file_order *order, poa_plan_shape shape,
                                 const float *values, float **copied) {
  *copied = NULL;
  if (!poa_is_reordered(order))
    return values;
  *copied = room_for(shape);
  if (*copied)
    poa_to_file_order(order, shape, values, *copied);
  return *copied;
}
