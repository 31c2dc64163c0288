/* store_again.c: values that are stored a second time rather than held.
 *
 * What a product reads has to lie in memory. A hidden layer h = gelu(z) is read by the next
 * product of the forward sweep, and again, much later, by that which makes the gradient of its
 * weight. Held all the while, it takes as much as z, which is held anyway; and a kernel of
 * the backward sweep has z, and most of what h is made of, in registers:
 *
 *   kernel  40: %h = gelu %z                      kernel  40: %h = gelu %z
 *   kernel  41: dot %h, %w                        kernel  41: dot %h, %w
 *   ..                                       ->   ..
 *   kernel 400: dot %dy, %h {ta=1}                kernel 401: dot %dy, %w
 *   kernel 401: dot %dy, %w                       kernel 402: %dz = ..   %h' = gelu %z
 *   kernel 402: %dz = .. %z ..                    kernel 400: dot %dy, %h' {ta=1}
 *
 * So that kernel stores h once more, and products that stood before it move behind it. Only
 * where it costs no reads and no transcendental: a store in exchange for the memory. (Such
 * rematerialization trades a little time for activations: Chen et al., "Training Deep Nets with
 * Sublinear Memory Cost", 2016.) */
#include <string.h>

#include "passes/fusion.h"
#include "passes/strides.h"

enum {
  FAR = 32,          /* kernels: nearer readers read what was stored first */
  NEARBY = 24,       /* how far from the products the kernel may stand that stores again */
  MOST_DEPTH = 12,   /* of what is computed again for it */
  MOST_PRODUCTS = 8, /* that read the value far from where it is computed */
  MOST_VIEWS = 4,    /* between the value and a product */
};

enum { LEAST_BYTES = 1 << 14 };

/* A product that reads the value, by operand `operand` through `count` views, the last first. */
typedef struct product {
  poa_value dot;
  int operand, count;
  poa_value views[MOST_VIEWS];
  int host; /* the kernel that stores the value for it; POA_FUSED_NONE: not known yet */
} product;

typedef struct again {
  poa_fusion *f;
  int *behind; /* kernel -> the one it moves behind, or itself */
  int count;   /* of products */
  product products[MOST_PRODUCTS];
} again;

static int kernel_of(const again *a, const product *p) {
  return poa_fused(a->f, p->dot)->kernel;
}

static bool add_product(again *a, poa_value dot, int operand, const poa_value *views, int count) {
  if (a->count == MOST_PRODUCTS)
    return false;
  product *p = &a->products[a->count++];
  *p = (product){.dot = dot, .operand = operand, .count = count, .host = POA_FUSED_NONE};
  memcpy(p->views, views, (size_t)count * sizeof *views);
  return true;
}

/* Collects the far products that read `value`. False: something else does from far, or too many. */
static bool find_products(again *a, poa_value value, int own, poa_value *views, int count) {
  const poa_fused_node *n = poa_fused(a->f, value);
  for (int u = 0; u < n->user_count; u++) {
    poa_value user = n->users[u];
    const poa_fused_node *reader = poa_fused(a->f, user);
    if (reader->kernel == POA_FUSED_NONE) {
      if (!poa_is_view(reader->node->op) || count == MOST_VIEWS)
        return false;
      views[count] = user;
      if (!find_products(a, user, own, views, count + 1))
        return false;
      continue;
    }
    if (reader->kernel <= own + FAR)
      continue;
    if (reader->node->op != POA_OP_dot)
      return false;
    for (int o = 0; o < 2; o++)
      if (reader->operands[o] == value && !add_product(a, user, o, views, count))
        return false;
  }
  return true;
}

/* The node of `kernel` that computes what `value` does, or POA_NO_VALUE. */
static poa_value twin_in(const poa_fusion *f, poa_value value, int kernel) {
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    if (poa_fused(f, i)->node == poa_fused(f, value)->node)
      return i;
  return POA_NO_VALUE;
}

static bool is_read_by(const poa_fusion *f, poa_value value, int kernel) {
  const poa_fused_node *n = poa_fused(f, value);
  for (int u = 0; u < n->user_count; u++)
    if (poa_fused(f, n->users[u])->kernel == kernel)
      return true;
  return false;
}

/* Whether `kernel` can compute the value from what it reads and computes anyway. What is repeated
 * along the rows is small. */
static bool has(const poa_fusion *f, int kernel, poa_value value, int depth) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->node->op == POA_OP_constant || n->node->op == POA_OP_broadcast ||
      twin_in(f, value, kernel) != POA_NO_VALUE || is_read_by(f, value, kernel))
    return true;
  if (n->kernel == POA_FUSED_NONE || depth == MOST_DEPTH ||
      !poa_op_is(n->node->op, POA_FLAG_ELEMENTWISE) || poa_op_is(n->node->op, POA_FLAG_COSTLY))
    return false;
  for (int o = 0; o < n->node->operand_count; o++)
    if (!has(f, kernel, n->operands[o], depth + 1))
      return false;
  return true;
}

/* Whether all that reads `value`, through views too, stands behind kernel `host`. */
static bool is_read_behind(const poa_fusion *f, poa_value value, int own, int host) {
  const poa_fused_node *n = poa_fused(f, value);
  for (int u = 0; u < n->user_count; u++) {
    int reader = poa_fused(f, n->users[u])->kernel;
    bool good = reader == own || reader > host;
    if (reader == POA_FUSED_NONE)
      good = is_read_behind(f, n->users[u], own, host);
    if (!good)
      return false;
  }
  return true;
}

static bool can_wait(const poa_fusion *f, int kernel, int host) {
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next)
    if (!is_read_behind(f, i, kernel, host))
      return false;
  return true;
}

/* Whether kernel `host` can store the value for the products from kernel `first` to `last`. */
static bool serves(const again *a, int host, poa_value value, int first, int last) {
  const poa_fused_kernel *k = &a->f->kernels[host];
  if (k->kind != POA_FUSED_ROWS || k->node_count == 0 || k->node_count >= POA_FUSED_MOST_NODES ||
      a->behind[host] != host || !poa_same_shape(&k->domain, &poa_fused_op(a->f, value)->type) ||
      twin_in(a->f, value, host) != POA_NO_VALUE)
    return false;
  const poa_fused_node *n = poa_fused(a->f, value);
  for (int o = 0; o < n->node->operand_count; o++)
    if (!has(a->f, host, n->operands[o], 0))
      return false;
  for (int i = 0; i < a->count; i++) {
    int kernel = kernel_of(a, &a->products[i]);
    if (kernel >= first && kernel <= last && kernel < host && !can_wait(a->f, kernel, host))
      return false;
  }
  return true;
}

/* The kernel that can store the value again for these products, the nearest to the first. */
static int find_host(const again *a, poa_value value, int first, int last) {
  int own = poa_fused(a->f, value)->kernel;
  for (int distance = 1; distance <= NEARBY; distance++)
    for (int sign = -1; sign <= 1; sign += 2) {
      int host = first + sign * distance;
      if (host > own + FAR && host < a->f->kernel_count && serves(a, host, value, first, last))
        return host;
    }
  return POA_FUSED_NONE;
}

/* The first kernel of a product that has no host yet; kernel_count if all have. */
static int first_without_host(const again *a) {
  int first = a->f->kernel_count;
  for (int i = 0; i < a->count; i++) {
    int kernel = kernel_of(a, &a->products[i]);
    if (a->products[i].host == POA_FUSED_NONE && kernel < first)
      first = kernel;
  }
  return first;
}

/* Gives every product a host: those that stand together have one. (Two sweeps that share a value
 * read it at two places.) */
static bool find_hosts(again *a, poa_value value) {
  for (int first; (first = first_without_host(a)) < a->f->kernel_count;) {
    int last = first + NEARBY, host = find_host(a, value, first, last);
    if (host < 0)
      return false;
    for (int i = 0; i < a->count; i++) {
      int kernel = kernel_of(a, &a->products[i]);
      if (kernel >= first && kernel <= last)
        a->products[i].host = host;
    }
  }
  return true;
}

/* The value as `kernel` computes or reads it. */
static poa_value computed_in(poa_fusion *f, int kernel, poa_value value, bool own) {
  poa_value twin = twin_in(f, value, kernel);
  if (twin != POA_NO_VALUE)
    return twin;
  const poa_fused_node *n = poa_fused(f, value);
  poa_op op = n->node->op;
  if (!own && (op == POA_OP_constant || op == POA_OP_broadcast || n->kernel == POA_FUSED_NONE ||
               is_read_by(f, value, kernel)))
    return value;
  twin = poa_fusion_twin(f, value);
  for (int o = 0; o < poa_fused_op(f, twin)->operand_count; o++) {
    poa_value operand = computed_in(f, kernel, poa_fused(f, value)->operands[o], false);
    poa_fused(f, twin)->operands[o] = operand;
  }
  poa_fusion_enter(f, twin, kernel);
  return twin;
}

/* Lets the product read `again` through views of its own. */
static void redirect(poa_fusion *f, const product *p, poa_value stored) {
  for (int i = 0; i < p->count; i++) {
    poa_value view = poa_fusion_twin(f, p->views[i]);
    poa_fused(f, view)->operands[0] = stored;
    stored = view;
  }
  poa_fused(f, p->dot)->operands[p->operand] = stored;
}

static void store_again(again *a, poa_value value) {
  const poa_fused_node *n = poa_fused(a->f, value);
  poa_value views[MOST_VIEWS];
  a->count = 0;
  if (!n->live || n->kernel < 0 || a->f->kernels[n->kernel].kind != POA_FUSED_ROWS ||
      !poa_op_is(n->node->op, POA_FLAG_ELEMENTWISE) || n->node->type.rank < 2 ||
      poa_op_is(n->node->op, POA_FLAG_COSTLY) || poa_type_bytes(&n->node->type) < LEAST_BYTES ||
      !find_products(a, value, n->kernel, views, 0) || a->count == 0)
    return;
  if (!find_hosts(a, value))
    return;
  for (int i = 0; i < a->count; i++) {
    const product *p = &a->products[i];
    int kernel = kernel_of(a, p);
    redirect(a->f, p, computed_in(a->f, p->host, value, true));
    if (kernel < p->host && a->behind[kernel] < p->host)
      a->behind[kernel] = p->host;
  }
}

void poa_store_again(poa_fusion *f) {
  again a = {.f = f};
  int *order = poa_arena_alloc(f->scratch, (size_t)f->kernel_count * sizeof *order + 1);
  a.behind = poa_arena_alloc(f->scratch, (size_t)f->kernel_count * sizeof *a.behind + 1);
  for (int k = 0; k < f->kernel_count; k++)
    a.behind[k] = k;
  for (poa_value v = 0, count = f->count; v < count; v++)
    store_again(&a, v);
  /* What has moved stands behind what stayed in its new place. */
  for (int k = 0; k < f->kernel_count; k++)
    order[k] = 2 * a.behind[k] + (a.behind[k] != k);
  poa_fusion_reorder(f, order, 2 * f->kernel_count + 2);
}
