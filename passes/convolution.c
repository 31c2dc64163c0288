/* convolution.c: convolutions as products over sliding windows (implicit GEMM: Chetlur et al.,
 * "cuDNN: Efficient Primitives for Deep Learning", 2014).
 *
 * The windows of the padded input are a view, windows[b, oh, ow, kh, kw, c], in which elements
 * stand many times without being stored so; a product takes b, oh, ow together as rows and
 * kh, kw, c together as what it sums over:
 *
 *   y[b oh ow, o]    = windows[b oh ow, kh kw c] @ weight[kh kw c, o]
 *   dw[kh kw c, o]   = windows[b oh ow, kh kw c]' @ dy[b oh ow, o]
 *   dx               = the same as y, of the padded dy and the weight turned round
 *
 * With a stride s, dx falls apart: elements whose padded index is q*s + r meet the taps t*s + r
 * alone, so each r is a convolution of stride 1 with a smaller weight, and no product is with
 * a zero between the elements of dy. */
#include "passes/convolution.h"

typedef struct convolution {
  const int64_t *stride, *low, *high;
  int64_t groups;
} convolution;

static convolution convolution_of(const poa_node *node) {
  return (convolution){poa_node_attribute(node, "stride")->integers,
                       poa_node_attribute(node, "low")->integers,
                       poa_node_attribute(node, "high")->integers, poa_node_int(node, "groups", 1)};
}

static const poa_type *type_of(const poa_build *b, poa_value x) {
  return &b->graph->nodes[x].type;
}

static int64_t extent(const poa_build *b, poa_value x, int axis) {
  return type_of(b, x)->dim[axis].value;
}

static poa_value reshape(poa_build *b, poa_value x, int rank, const int64_t *extents) {
  poa_type type = {.dtype = type_of(b, x)->dtype, .rank = rank};
  for (int i = 0; i < rank; i++)
    type.dim[i] = poa_known(extents[i]);
  return poa_same_shape(&type, type_of(b, x)) ? x : poa_b_reshape(b, x, &type);
}
#define RESHAPE(b, x, ...)                                                                         \
  reshape(b, x, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define TRANSPOSE(b, x, ...) poa_b_transpose(b, x, (int64_t[]){__VA_ARGS__})

static poa_value concat(poa_build *b, const poa_value *parts, int count, int axis) {
  poa_attribute attribute = poa_attribute_int("axis", axis);
  return poa_b_node(b, POA_OP_concat, parts, count, &attribute, 1, NULL);
}

static poa_value zeros_beside(poa_build *b, poa_value x, int axis, int64_t count) {
  poa_type type = *type_of(b, x);
  type.dim[axis] = poa_known(count);
  return poa_b_constant(b, 0, &type);
}

static poa_value pad_axis(poa_build *b, poa_value x, int axis, int64_t low, int64_t high) {
  poa_value parts[3];
  int count = 0;
  if (low)
    parts[count++] = zeros_beside(b, x, axis, low);
  parts[count++] = x;
  if (high)
    parts[count++] = zeros_beside(b, x, axis, high);
  return count == 1 ? x : concat(b, parts, count, axis);
}

/* x[b, h, w, c] with zeros around. */
static poa_value pad(poa_build *b, poa_value x, const int64_t *low, const int64_t *high) {
  return pad_axis(b, pad_axis(b, x, 2, low[1], high[1]), 1, low[0], high[0]);
}

/* x[b, h, w, groups * c] -> [groups, b, oh, ow, kh, kw, c]; without the first axis where there is
 * one group. */
static poa_value windows(poa_build *b, poa_value x, int64_t kh, int64_t kw, const int64_t *stride,
                         int64_t groups) {
  if (groups > 1)
    x = RESHAPE(b, x, extent(b, x, 0), extent(b, x, 1), extent(b, x, 2), groups,
                extent(b, x, 3) / groups);
  x = poa_b_window(b, x, 1, kh, stride[0]);
  x = poa_b_window(b, x, 3, kw, stride[1]);
  return groups > 1 ? TRANSPOSE(b, x, 5, 0, 1, 3, 2, 4, 6) : TRANSPOSE(b, x, 0, 1, 3, 2, 4, 5);
}

/* Products */

/* The last axis apart into groups, and those first: [.., groups * c] -> [groups, .. joined, c]. */
static poa_value group_columns(poa_build *b, poa_value x, int64_t rows, int64_t groups) {
  int64_t columns = poa_type_elements(*type_of(b, x)) / rows / groups;
  if (groups == 1)
    return RESHAPE(b, x, rows, columns);
  return TRANSPOSE(b, RESHAPE(b, x, rows, groups, columns), 1, 0, 2);
}

/* The inverse, to `extents`, four of them. */
static poa_value ungroup_columns(poa_build *b, poa_value x, int64_t groups,
                                 const int64_t *extents) {
  return reshape(b, groups == 1 ? x : TRANSPOSE(b, x, 1, 0, 2), 4, extents);
}

/* weight[kh, kw, c, groups * o] -> [groups, kh * kw * c, o] */
static poa_value weight_matrix(poa_build *b, poa_value weight, int64_t groups) {
  int64_t rows = extent(b, weight, 0) * extent(b, weight, 1) * extent(b, weight, 2);
  return group_columns(b, weight, rows, groups);
}

static poa_value multiply(poa_build *b, poa_value a, poa_value x, bool ta, int joined) {
  return poa_b_product(b, a, x, (poa_dot_form){ta, false, 1, joined, joined, false});
}

/* Whether every window is one element and each element one window, so that the product is one of
 * pixels as they are. `taps`: the first extents of the weight. */
static bool is_pointwise(const convolution *v, const poa_extent *taps) {
  bool plain = v->groups == 1;
  for (int i = 0; i < 2; i++)
    plain &= taps[i].value == 1 && v->stride[i] == 1;
  return plain;
}

/* [b, h, w, c] -> [b * h * w, c] */
static poa_value pixels(poa_build *b, poa_value x) {
  int64_t channels = extent(b, x, 3);
  return RESHAPE(b, x, poa_type_elements(*type_of(b, x)) / channels, channels);
}

static poa_value multiply_pixels(poa_build *b, const poa_node *node, poa_value x, poa_value weight,
                                 bool turned) {
  poa_value y = poa_b_dot(b, pixels(b, x), weight_matrix(b, weight, 1), false, turned, 1);
  return poa_b_reshape(b, y, &node->type);
}

/* y of an input that is padded already. */
static poa_value convolve(poa_build *b, poa_value x, poa_value matrix, int64_t kh, int64_t kw,
                          const int64_t *stride, int64_t groups) {
  poa_value seen = windows(b, x, kh, kw, stride, groups);
  int first = groups > 1 ? 1 : 0;
  int64_t columns = extent(b, matrix, first + 1) * groups;
  int64_t extents[] = {extent(b, seen, first), extent(b, seen, first + 1),
                       extent(b, seen, first + 2), columns};
  return ungroup_columns(b, multiply(b, seen, matrix, false, 3), groups, extents);
}

static poa_value expand_forward(poa_build *b, const poa_node *node, poa_value x, poa_value weight) {
  convolution v = convolution_of(node);
  if (is_pointwise(&v, type_of(b, weight)->dim))
    return multiply_pixels(b, node, x, weight, false);
  return convolve(b, pad(b, x, v.low, v.high), weight_matrix(b, weight, v.groups),
                  extent(b, weight, 0), extent(b, weight, 1), v.stride, v.groups);
}

static poa_value expand_weight(poa_build *b, const poa_node *node, poa_value x, poa_value dy) {
  convolution v = convolution_of(node);
  int64_t out = extent(b, dy, 3), rows = poa_type_elements(*type_of(b, dy)) / out;
  int64_t extents[4];
  for (int i = 0; i < 4; i++)
    extents[i] = node->type.dim[i].value;
  poa_value matrix = group_columns(b, dy, rows, v.groups), dw;
  if (is_pointwise(&v, node->type.dim)) {
    dw = poa_b_dot(b, pixels(b, x), matrix, true, false, 1);
  } else {
    x = pad(b, x, v.low, v.high);
    dw = multiply(b, windows(b, x, extents[0], extents[1], v.stride, v.groups), matrix, true, 3);
  }
  return ungroup_columns(b, dw, v.groups, extents);
}

/* The gradient by the input */

/* Along one axis: which elements of dx the residues give, and which of dy they meet. */
typedef struct residues {
  int64_t taps;         /* of residue 0, the most */
  int64_t first, count; /* q of the first element of dx, and how many there are */
  int64_t low, high;    /* zeros around dy */
} residues;

static residues residues_of(int64_t size, int64_t stride, int64_t low, int64_t taps, int64_t dy) {
  int64_t most = (taps + stride - 1) / stride, first = low / stride;
  int64_t last = (low + size - 1) / stride;
  return (residues){most, first, last - first + 1, most - 1 - first, last - dy + 1};
}

static int64_t taps_of(int64_t taps, int64_t stride, int64_t residue) {
  return residue < taps ? (taps - residue + stride - 1) / stride : 0;
}

/* i32 [count[0] * count[1]]: numbers of the taps of the residues r, the last first. */
static poa_value tap_numbers(poa_build *b, int64_t kw, const int64_t *stride, const int64_t *r,
                             const int64_t *count) {
  poa_type grid = {POA_I32, 2, {poa_known(count[0]), poa_known(count[1])}};
  int64_t step[] = {stride[0] * kw, stride[1]};
  int64_t last = ((count[0] - 1) * stride[0] + r[0]) * kw + (count[1] - 1) * stride[1] + r[1];
  poa_value number = poa_b_constant(b, (double)last, &grid);
  for (int axis = 0; axis < 2; axis++) {
    poa_attribute along = poa_attribute_int("axis", axis);
    poa_value index = poa_b_node(b, POA_OP_iota, NULL, 0, &along, 1, &grid);
    number = poa_b_binary(b, POA_OP_sub, number, poa_b_scale(b, index, (double)step[axis]));
  }
  return RESHAPE(b, number, count[0] * count[1]);
}

/* weight[kh, kw, c, groups * o] -> [groups, taps * o, c] of the taps of residues r, turned round.
 */
static poa_value turned_weight(poa_build *b, poa_value weight, const convolution *v,
                               const int64_t *r, const int64_t *count) {
  int64_t kh = extent(b, weight, 0), kw = extent(b, weight, 1), taps = count[0] * count[1];
  int64_t in = extent(b, weight, 2), out = extent(b, weight, 3) / v->groups;
  poa_value rows = RESHAPE(b, weight, kh * kw, in * v->groups * out);
  if (kh * kw > 1)
    rows = poa_b_binary(b, POA_OP_gather, rows, tap_numbers(b, kw, v->stride, r, count));
  rows = RESHAPE(b, rows, taps, in, v->groups, out);
  rows = TRANSPOSE(b, rows, 2, 0, 3, 1);
  return v->groups == 1 ? RESHAPE(b, rows, taps * out, in)
                        : RESHAPE(b, rows, v->groups, taps * out, in);
}

static poa_value from(poa_build *b, poa_value x, int64_t row, int64_t column) {
  poa_extent start[] = {poa_known(0), poa_known(row), poa_known(column), poa_known(0)};
  return row || column ? poa_b_slice(b, x, start, type_of(b, x)->dim) : x;
}

/* The elements of dx at padded indices q*s + r, [b, qh, qw, c], from the padded dy. */
static poa_value expand_residue(poa_build *b, poa_value dy, poa_value weight, const convolution *v,
                                const residues *axes, const int64_t *r) {
  static const int64_t unit[] = {1, 1};
  int64_t count[2];
  for (int i = 0; i < 2; i++)
    count[i] = taps_of(extent(b, weight, i), v->stride[i], r[i]);
  if (count[0] == 0 || count[1] == 0) {
    poa_type type = {POA_F32,
                     4,
                     {type_of(b, dy)->dim[0], poa_known(axes[0].count), poa_known(axes[1].count),
                      poa_known(extent(b, weight, 2) * v->groups)}};
    return poa_b_constant(b, 0, &type);
  }
  poa_value matrix = turned_weight(b, weight, v, r, count);
  /* Smaller weights meet dy later: with their last tap where the largest has it. */
  int64_t end[] = {axes[0].taps - count[0], axes[1].taps - count[1]};
  return convolve(b, from(b, dy, end[0], end[1]), matrix, count[0], count[1], unit, v->groups);
}

/* [b, qh, qw, c] of each pair of residues, put between one another: [b, qh * s, qw * s, c]. */
static poa_value interleave(poa_build *b, const poa_value *parts, const int64_t *stride) {
  poa_value rows[16];
  int64_t images = extent(b, parts[0], 0), channels = extent(b, parts[0], 3);
  int64_t height = extent(b, parts[0], 1), width = extent(b, parts[0], 2);
  for (int64_t i = 0; i < stride[0]; i++) {
    poa_value columns[16];
    for (int64_t j = 0; j < stride[1]; j++)
      columns[j] = RESHAPE(b, parts[i * stride[1] + j], images, height, 1, width, 1, channels);
    rows[i] = stride[1] == 1 ? columns[0] : concat(b, columns, (int)stride[1], 4);
  }
  poa_value all = stride[0] == 1 ? rows[0] : concat(b, rows, (int)stride[0], 2);
  return RESHAPE(b, all, images, height * stride[0], width * stride[1], channels);
}

static poa_value expand_input(poa_build *b, const poa_node *node, poa_value dy, poa_value weight) {
  convolution v = convolution_of(node);
  if (is_pointwise(&v, type_of(b, weight)->dim))
    return multiply_pixels(b, node, dy, weight, true);
  residues axes[2];
  int64_t low[2], high[2];
  for (int i = 0; i < 2; i++) {
    axes[i] = residues_of(node->type.dim[i + 1].value, v.stride[i], v.low[i], extent(b, weight, i),
                          extent(b, dy, i + 1));
    low[i] = axes[i].low;
    high[i] = axes[i].high;
  }
  poa_value padded = pad(b, dy, low, high), parts[16 * 16] = {0};
  for (int64_t i = 0; i < v.stride[0]; i++)
    for (int64_t j = 0; j < v.stride[1]; j++)
      parts[i * v.stride[1] + j] = expand_residue(b, padded, weight, &v, axes, (int64_t[]){i, j});
  poa_value dx = interleave(b, parts, v.stride);
  poa_extent start[4] = {{0, NULL}},
             limit[4] = {node->type.dim[0], {0, NULL}, {0, NULL}, node->type.dim[3]};
  for (int i = 1; i <= 2; i++) {
    start[i] = poa_known(v.low[i - 1] - axes[i - 1].first * v.stride[i - 1]);
    limit[i] = poa_known(start[i].value + node->type.dim[i].value);
  }
  return poa_b_slice(b, dx, start, limit);
}

poa_value poa_expand_convolution(poa_build *b, const poa_node *node, poa_value x, poa_value y) {
  switch (node->op) {
  case POA_OP_conv2d_input:
    return expand_input(b, node, x, y);
  case POA_OP_conv2d_weight:
    return expand_weight(b, node, x, y);
  default:
    return expand_forward(b, node, x, y);
  }
}
