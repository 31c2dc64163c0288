/* interpret_convolution.c: 2-D convolution and its gradients, from one walk over all
 * products x[b, i, j, c] * weight[k, l, c, o] that make up y[b, p, q, o]:
 *
 *   i = p * stride + k - low,  j likewise;  c and o in the same group. */
#include "ir/interpret.h"

/* One convolution; the three tensors are dense, channels last. */
typedef struct convolution {
  const poa_type *x, *weight, *y;
  const int64_t *stride, *low;
  int64_t groups;
} convolution;

/* Offsets of one product's elements. */
typedef struct term {
  int64_t x, weight, y;
} term;

static convolution convolution_of(const poa_node *node, const poa_type *x, const poa_type *weight,
                                  const poa_type *y) {
  return (convolution){
      .x = x,
      .weight = weight,
      .y = y,
      .stride = poa_node_attribute(node, "stride")->integers,
      .low = poa_node_attribute(node, "low")->integers,
      .groups = poa_node_int(node, "groups", 1),
  };
}

static int64_t extent(const poa_type *type, int axis) {
  return type->dim[axis].value;
}

/* The products of one pixel of y with one tap of the weight: all pairs of channels. */
static void visit_channels(const convolution *v, term at, void (*add)(void *, term),
                           void *context) {
  int64_t in = extent(v->weight, 2), out = extent(v->weight, 3) / v->groups;
  for (int64_t g = 0; g < v->groups; g++)
    for (int64_t c = 0; c < in; c++)
      for (int64_t o = 0; o < out; o++)
        add(context, (term){at.x + g * in + c, at.weight + c * extent(v->weight, 3) + g * out + o,
                            at.y + g * out + o});
}

/* `index`: image, then row and column of y, then row and column of the weight. */
static void visit_tap(const convolution *v, const int64_t *index, void (*add)(void *, term),
                      void *context) {
  int64_t place[2];
  for (int i = 0; i < 2; i++) {
    place[i] = index[1 + i] * v->stride[i] + index[3 + i] - v->low[i];
    if (place[i] < 0 || place[i] >= extent(v->x, 1 + i))
      return;
  }
  int64_t x = (index[0] * extent(v->x, 1) + place[0]) * extent(v->x, 2) + place[1];
  int64_t y = (index[0] * extent(v->y, 1) + index[1]) * extent(v->y, 2) + index[2];
  int64_t weight = index[3] * extent(v->weight, 1) + index[4];
  visit_channels(v,
                 (term){x * extent(v->x, 3), weight * extent(v->weight, 2) * extent(v->weight, 3),
                        y * extent(v->y, 3)},
                 add, context);
}

static void visit(const convolution *v, void (*add)(void *, term), void *context) {
  poa_type taps = {
      .rank = 5,
      .dim = {v->y->dim[0], v->y->dim[1], v->y->dim[2], v->weight->dim[0], v->weight->dim[1]}};
  int64_t index[POA_MAX_RANK] = {0}, count = poa_type_elements(taps);
  for (int64_t i = 0; i < count; i++) {
    visit_tap(v, index, add, context);
    poa_next_index(&taps, index);
  }
}

typedef struct sum {
  const double *a, *b;
  double *result;
} sum;

static void add_to_y(void *context, term t) {
  sum *s = context;
  s->result[t.y] += s->a[t.x] * s->b[t.weight];
}

static void add_to_x(void *context, term t) {
  sum *s = context;
  s->result[t.x] += s->a[t.y] * s->b[t.weight];
}

static void add_to_weight(void *context, term t) {
  sum *s = context;
  s->result[t.weight] += s->a[t.x] * s->b[t.y];
}

poa_status poa_interpret_conv2d(const poa_interpreter *in, const poa_node *node,
                                const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  convolution v = convolution_of(node, &x[0]->type, &x[1]->type, &y->type);
  visit(&v, add_to_y, &(sum){x[0]->data, x[1]->data, y->data});
  return POA_OK;
}

poa_status poa_interpret_conv2d_input(const poa_interpreter *in, const poa_node *node,
                                      const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  convolution v = convolution_of(node, &y->type, &x[1]->type, &x[0]->type);
  visit(&v, add_to_x, &(sum){x[0]->data, x[1]->data, y->data});
  return POA_OK;
}

poa_status poa_interpret_conv2d_weight(const poa_interpreter *in, const poa_node *node,
                                       const poa_tensor *const *x, poa_tensor *y) {
  (void)in;
  convolution v = convolution_of(node, &x[0]->type, &y->type, &x[1]->type);
  visit(&v, add_to_weight, &(sum){x[0]->data, x[1]->data, y->data});
  return POA_OK;
}
