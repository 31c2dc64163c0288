/* interpret_move.c: ops that put elements elsewhere. A view is a read with strides. */
#include <inttypes.h>
#include <string.h>

#include "ir/interpret.h"

static void copy(poa_tensor *y, const double *x) {
  memcpy(y->data, x, (size_t)poa_type_elements(y->type) * sizeof *x);
}

/* y[i, j, ..] = x[i*stride[0] + j*stride[1] + ..] */
static poa_status read_strided(poa_tensor *y, const double *x, const int64_t *stride) {
  int64_t index[POA_MAX_RANK] = {0}, elements = poa_type_elements(y->type);
  for (int64_t i = 0; i < elements; i++) {
    y->data[i] = x[poa_offset_of(y->type.rank, index, stride)];
    poa_next_index(&y->type, index);
  }
  return POA_OK;
}

poa_status poa_interpret_reshape(const poa_interpreter *in, const poa_node *node,
                                 const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  (void)node;
  copy(y, x[0]->data);
  return POA_OK;
}

poa_status poa_interpret_transpose(const poa_interpreter *in, const poa_node *node,
                                   const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  const poa_attribute *perm = poa_node_attribute(node, "perm");
  int64_t dense[POA_MAX_RANK], stride[POA_MAX_RANK];
  poa_dense_strides(&x[0]->type, dense);
  for (int i = 0; i < perm->count; i++)
    stride[i] = dense[perm->integers[i]];
  return read_strided(y, x[0]->data, stride);
}

poa_status poa_interpret_broadcast(const poa_interpreter *in, const poa_node *node,
                                   const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  const poa_attribute *axes = poa_node_attribute(node, "axes");
  int64_t dense[POA_MAX_RANK], stride[POA_MAX_RANK] = {0};
  poa_dense_strides(&x[0]->type, dense);
  for (int i = 0; i < axes->count; i++)
    stride[axes->integers[i]] = dense[i];
  return read_strided(y, x[0]->data, stride);
}

poa_status poa_interpret_slice(const poa_interpreter *in, const poa_node *node,
                               const poa_tensor *const *x, poa_tensor *y) {
  const poa_extent *start = poa_node_attribute(node, "start")->extents;
  int64_t stride[POA_MAX_RANK], offset = 0;
  poa_dense_strides(&x[0]->type, stride);
  for (int i = 0; i < y->type.rank; i++)
    offset += poa_extent_at(start[i], &in->graph->point) * stride[i];
  return read_strided(y, x[0]->data + offset, stride);
}

poa_status poa_interpret_window(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  int64_t axis = poa_node_int(node, "axis", 0);
  int64_t dense[POA_MAX_RANK], stride[POA_MAX_RANK];
  poa_dense_strides(&x[0]->type, dense);
  for (int i = 0; i < y->type.rank; i++)
    stride[i] = dense[i <= axis ? i : i - 1];
  stride[axis] *= poa_node_int(node, "stride", 1);
  return read_strided(y, x[0]->data, stride);
}

/* Adds (or, with `replace`, writes) x into the block of y that begins at start. */
static void put_block(poa_tensor *y, const poa_tensor *x, const int64_t *start, bool replace) {
  int64_t stride[POA_MAX_RANK], index[POA_MAX_RANK] = {0}, elements = poa_type_elements(x->type);
  int rank = y->type.rank;
  poa_dense_strides(&y->type, stride);
  double *block = y->data + poa_offset_of(rank, start, stride);
  for (int64_t i = 0; i < elements; i++) {
    double *to = &block[poa_offset_of(rank, index, stride)];
    *to = replace ? x->data[i] : *to + x->data[i];
    poa_next_index(&x->type, index);
  }
}

poa_status poa_interpret_concat(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  int64_t axis = poa_node_int(node, "axis", 0), start[POA_MAX_RANK] = {0};
  for (int i = 0; i < node->operand_count; i++) {
    put_block(y, x[i], start, true);
    start[axis] += x[i]->type.dim[axis].value;
  }
  return POA_OK;
}

poa_status poa_interpret_accumulate(const poa_interpreter *in, const poa_node *node,
                                    const poa_tensor *const *x, poa_tensor *y) {
  const poa_extent *extents = poa_node_attribute(node, "start")->extents;
  int64_t start[POA_MAX_RANK] = {0};
  for (int i = 0; i < y->type.rank; i++)
    start[i] = poa_extent_at(extents[i], &in->graph->point);
  copy(y, x[0]->data);
  put_block(y, x[1], start, false);
  return POA_OK;
}

/* Elements of one row of x[n, ..]. */
static int64_t row_elements(const poa_type *type) {
  int64_t elements = 1;
  for (int i = 1; i < type->rank; i++)
    elements *= type->dim[i].value;
  return elements;
}

static poa_status row_at(const poa_interpreter *in, const poa_node *node, const poa_tensor *rows,
                         int64_t i, int64_t count, int64_t *row) {
  *row = (int64_t)rows->data[i];
  if (*row >= 0 && *row < count)
    return POA_OK;
  return poa_fail(in->error, POA_BAD_INPUT,
                  "%s: row %" PRId64 " (number %" PRId64 " of the rows) is out of 0..%" PRId64,
                  poa_op_table(node->op)->name, *row, i, count - 1);
}

poa_status poa_interpret_gather(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  int64_t size = row_elements(&x[0]->type), count = y->type.dim[0].value, row;
  for (int64_t i = 0; i < count; i++) {
    if (row_at(in, node, x[1], i, x[0]->type.dim[0].value, &row))
      return POA_BAD_INPUT;
    memcpy(y->data + i * size, x[0]->data + row * size, (size_t)size * sizeof(double));
  }
  return POA_OK;
}

poa_status poa_interpret_rearrange(const poa_interpreter *in, const poa_node *node,
                                   const poa_tensor *const *x, poa_tensor *y) {
  int64_t axis = poa_node_int(node, "axis", 0), outer = 1, size = 1, row;
  int64_t from = x[0]->type.dim[axis].value, to = y->type.dim[axis].value;
  for (int i = 0; i < y->type.rank; i++) {
    outer *= i < axis ? y->type.dim[i].value : 1;
    size *= i > axis ? y->type.dim[i].value : 1;
  }
  for (int64_t i = 0; i < outer * to; i++) {
    if (x[1]->data[i % to] < 0)
      continue;
    if (row_at(in, node, x[1], i % to, from, &row))
      return POA_BAD_INPUT;
    memcpy(y->data + i * size, x[0]->data + (i / to * from + row) * size,
           (size_t)size * sizeof(double));
  }
  return POA_OK;
}

poa_status poa_interpret_scatter_add(const poa_interpreter *in, const poa_node *node,
                                     const poa_tensor *const *x, poa_tensor *y) {
  int64_t size = row_elements(&y->type), count = x[1]->type.dim[0].value, row;
  copy(y, x[0]->data);
  for (int64_t i = 0; i < count; i++) {
    if (row_at(in, node, x[1], i, y->type.dim[0].value, &row))
      return POA_BAD_INPUT;
    for (int64_t k = 0; k < size; k++)
      y->data[row * size + k] += x[2]->data[i * size + k];
  }
  return POA_OK;
}
