/* interpret_reduce.c: sums, maxima and what is built of them, and matrix products. Sums
 * run in row-major order of the operand, products along k in order, all in double. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ir/interpret.h"

/* Strides that map an operand's index to its element of the result: 0 on reduced axes. */
static void reduced_strides(const poa_node *node, const poa_tensor *x, const poa_tensor *y,
                            int64_t *stride) {
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  int64_t dense[POA_MAX_RANK];
  poa_dense_strides(&y->type, dense);
  for (int i = 0, k = 0, next = 0; i < x->type.rank; i++)
    if (next < axes->count && axes->integers[next] == i) {
      stride[i] = 0;
      next++;
    } else {
      stride[i] = dense[k++];
    }
}

static poa_status reduce(const poa_node *node, const poa_tensor *x, poa_tensor *y, double first,
                         double (*combine)(const double *)) {
  int64_t stride[POA_MAX_RANK], index[POA_MAX_RANK] = {0};
  int64_t elements = poa_type_elements(x->type), results = poa_type_elements(y->type);
  reduced_strides(node, x, y, stride);
  for (int64_t i = 0; i < results; i++)
    y->data[i] = first;
  for (int64_t i = 0; i < elements; i++) {
    double *result = &y->data[poa_offset_of(x->type.rank, index, stride)];
    *result = combine((double[]){*result, x->data[i]});
    poa_next_index(&x->type, index);
  }
  return POA_OK;
}

poa_status poa_interpret_reduce_sum(const poa_interpreter *in, const poa_node *node,
                                    const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  return reduce(node, x[0], y, 0, poa_evaluate_add);
}

poa_status poa_interpret_reduce_max(const poa_interpreter *in, const poa_node *node,
                                    const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  return reduce(node, x[0], y, -INFINITY, poa_evaluate_max);
}

/* The operand seen as [outer, extent of axis, inner]. */
static void split_at(const poa_type *type, int64_t axis, int64_t *outer, int64_t *inner) {
  *outer = *inner = 1;
  for (int i = 0; i < type->rank; i++) {
    *outer *= i < axis ? type->dim[i].value : 1;
    *inner *= i > axis ? type->dim[i].value : 1;
  }
}

static int64_t largest(const double *x, int64_t count, int64_t stride) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; i++)
    if (x[i * stride] > x[best * stride])
      best = i;
  return best;
}

poa_status poa_interpret_argmax(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  int64_t axis = poa_node_int(node, "axis", 0), count = x[0]->type.dim[axis].value, outer, inner;
  split_at(&x[0]->type, axis, &outer, &inner);
  for (int64_t i = 0; i < outer; i++)
    for (int64_t j = 0; j < inner; j++)
      y->data[i * inner + j] = (double)largest(x[0]->data + i * count * inner + j, count, inner);
  return POA_OK;
}

/* Shifts a row so that its largest is 0, which keeps exp in range; returns sum exp. */
static double shift_row(const double *x, int64_t count, double *y) {
  double most = x[largest(x, count, 1)], sum = 0;
  for (int64_t i = 0; i < count; i++) {
    y[i] = x[i] - most;
    sum += exp(y[i]);
  }
  return sum;
}

static int64_t last_extent(const poa_type *type) {
  return type->rank ? type->dim[type->rank - 1].value : 1;
}

poa_status poa_interpret_softmax(const poa_interpreter *in, const poa_node *node,
                                 const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)node;
  int64_t elements = poa_type_elements(y->type), count = last_extent(&y->type);
  for (int64_t row = 0; row < elements; row += count) {
    double sum = shift_row(x[0]->data + row, count, y->data + row);
    for (int64_t i = row; i < row + count; i++)
      y->data[i] = exp(y->data[i]) / sum;
  }
  return POA_OK;
}

poa_status poa_interpret_log_softmax(const poa_interpreter *in, const poa_node *node,
                                     const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)node;
  int64_t elements = poa_type_elements(y->type), count = last_extent(&y->type);
  for (int64_t row = 0; row < elements; row += count) {
    double sum = shift_row(x[0]->data + row, count, y->data + row);
    for (int64_t i = row; i < row + count; i++)
      y->data[i] -= log(sum);
  }
  return POA_OK;
}

/* Strides of a matrix operand as (row, column) of the product, and its size. */
typedef struct matrix {
  int64_t rows, columns, row, column;
} matrix;

/* The `second` last axes of the operand are one, as are the axes between them and the batch. */
static matrix matrix_of(const poa_type *type, int batch, int second, bool transposed) {
  int64_t rows = poa_joined_extent(type, batch, type->rank - second);
  int64_t columns = poa_joined_extent(type, type->rank - second, type->rank);
  if (transposed)
    return (matrix){columns, rows, 1, columns};
  return (matrix){rows, columns, columns, 1};
}

/* The nearest bf16, ties to even, as the processor's instruction has it: subnormals are 0. */
static double round_bf16(double x) {
  float single = (float)x;
  uint32_t bits;
  memcpy(&bits, &single, sizeof bits);
  if (isnan(single))
    return x;
  if ((bits & 0x7f800000u) == 0)
    bits &= 0x80000000u;
  bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
  memcpy(&single, &bits, sizeof bits);
  return (double)single;
}

static double as_is(double x) {
  return x;
}

static void multiply(matrix ma, const double *a, matrix mb, const double *b, double alpha,
                     double (*round)(double), double *c) {
  for (int64_t i = 0; i < ma.rows; i++)
    for (int64_t j = 0; j < mb.columns; j++) {
      double sum = 0;
      for (int64_t k = 0; k < ma.columns; k++)
        sum += round(a[i * ma.row + k * ma.column]) * round(b[k * mb.row + j * mb.column]);
      c[i * mb.columns + j] = alpha * sum;
    }
}

poa_status poa_interpret_dot(const poa_interpreter *in, const poa_node *node,
                             const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  int batch_axes = y->type.rank - 2;
  bool ta = poa_node_int(node, "ta", 0);
  int second = (int)poa_node_int(node, ta ? "rows" : "inner", 1);
  matrix a = matrix_of(&x[0]->type, batch_axes, second, ta);
  matrix b = matrix_of(&x[1]->type, batch_axes, 1, poa_node_int(node, "tb", 0));
  int64_t batch = poa_joined_extent(&y->type, 0, batch_axes);
  for (int64_t i = 0; i < batch; i++)
    multiply(a, x[0]->data + i * a.rows * a.columns, b, x[1]->data + i * b.rows * b.columns,
             poa_node_float(node, "alpha", 1), poa_node_int(node, "bf16", 0) ? round_bf16 : as_is,
             y->data + i * a.rows * b.columns);
  return POA_OK;
}
