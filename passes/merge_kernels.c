/* merge_kernels.c: kernels that can be one.
 *
 * Behind first walk, kernels remain apart that one pass over the data could serve:
 *
 *   sink       a kernel may move back to the first kernel that reads it. A momentum's
 *              %a = mul %m, .. reads a parameter only and so opened a kernel early; it
 *              joins %b = add %a, (mul %g, ..)
 *   siblings   a kernel may move forward to any kernel behind all it reads. The sums over
 *              a layer norm's rows for scale and for bias both read the gradient; they join
 *
 * Either way positions stay a topological order. Two kernels become one if they share the
 * domain, or one computes only rows of the other's, and nothing that the later reads from
 * the earlier passes through memory. */
#include "passes/fusion.h"
#include "passes/strides.h"

/* How far forward a kernel that stores full values may move, and how far back one that frees
 * memory: further, and values would be held for long. */
enum { NEAR = 16, MOST_READERS = 16 };

/* Whether a value with no kernel of its own is, or depends through views on, one of
 * `kernel`. */
static bool views(const poa_fusion *f, poa_value value, int kernel) {
  const poa_fused_node *n = poa_fused(f, value);
  if (n->kernel >= 0)
    return n->kernel == kernel;
  for (int i = 0; i < n->node->operand_count; i++)
    if (views(f, n->operands[i], kernel))
      return true;
  return false;
}

/* Whether `operand` can be read by a kernel of this domain that also computes what
 * kernel `from` does. */
static bool passes_on(const poa_fusion *f, poa_value operand, int from, const poa_type *domain) {
  const poa_fused_node *n = poa_fused(f, operand);
  if (n->kernel == from)
    return poa_fused_direct(f, operand);
  if (n->kernel >= 0 || !views(f, operand, from))
    return true;
  return f->kernels[from].kind == POA_FUSED_ROWS && poa_fused_repeats_rows(f, operand) &&
         poa_same_shape(&n->node->type, domain) && poa_fused(f, n->operands[0])->kernel == from &&
         poa_fused_direct(f, n->operands[0]);
}

static bool edges_allow(const poa_fusion *f, int from, int to, const poa_type *domain) {
  for (uint32_t i = f->kernels[to].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    for (int o = 0; o < n->node->operand_count; o++) {
      bool in_memory = poa_fused_in_memory(n->node, o);
      if (in_memory ? views(f, n->operands[o], from) : !passes_on(f, n->operands[o], from, domain))
        return false;
    }
  }
  return true;
}

/* Columns kernels compute what they reduce as they go, but store only what they keep. */
static bool feeds_columns(const poa_fusion *f, int from, int to) {
  for (uint32_t i = f->kernels[from].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    if (!poa_op_is(n->node->op, POA_FLAG_ELEMENTWISE))
      return false;
    for (int u = 0; u < n->user_count; u++) {
      int kernel = poa_fused(f, n->users[u])->kernel;
      if (kernel != from && kernel != to)
        return false;
    }
  }
  return true;
}

/* The domain of both as one kernel, or NULL if their kinds and domains differ too much. */
static const poa_type *common_domain(const poa_fused_kernel *a, const poa_fused_kernel *b) {
  if (poa_same_shape(&a->domain, &b->domain))
    return &a->domain;
  bool rows = a->kind == POA_FUSED_ROWS && b->kind == POA_FUSED_ROWS;
  if (rows && a->simple && a->domain.rank && poa_is_row_of(&a->domain, &b->domain))
    return &b->domain;
  if (rows && b->simple && b->domain.rank && poa_is_row_of(&b->domain, &a->domain))
    return &a->domain;
  return NULL;
}

static bool can_merge(const poa_fusion *f, int from, int to) {
  const poa_fused_kernel *a = &f->kernels[from], *b = &f->kernels[to];
  if (a->kind == POA_FUSED_ALONE || b->kind == POA_FUSED_ALONE ||
      a->node_count + b->node_count > POA_FUSED_MOST_NODES)
    return false;
  const poa_type *domain = common_domain(a, b);
  if (!domain || !edges_allow(f, from, to, domain))
    return false;
  if (a->kind != b->kind)
    return b->kind == POA_FUSED_COLUMNS && a->simple && feeds_columns(f, from, to);
  return a->kind == POA_FUSED_ROWS || a->reduced == b->reduced;
}

/* Rows of the kernel that it repeats itself come from registers now. */
static void enter_repeated_rows(poa_fusion *f, int kernel) {
  const poa_fused_kernel *k = &f->kernels[kernel];
  if (k->kind != POA_FUSED_ROWS)
    return;
  for (uint32_t i = k->first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    for (int o = 0; o < n->node->operand_count; o++) {
      poa_value operand = n->operands[o];
      if (poa_fused(f, operand)->kernel == POA_FUSED_NONE && poa_fused_repeats_rows(f, operand) &&
          poa_same_shape(&poa_fused_op(f, operand)->type, &k->domain) &&
          poa_fused(f, poa_fused(f, operand)->operands[0])->kernel == kernel)
        poa_fusion_enter(f, operand, kernel);
    }
  }
}

/* Empties kernel `from` into `to`. */
static void merge(poa_fusion *f, int from, int to) {
  poa_fused_kernel *a = &f->kernels[from], *b = &f->kernels[to];
  poa_type domain = a->domain.rank > b->domain.rank ? a->domain : b->domain;
  b->simple = b->simple && a->simple && poa_same_shape(&a->domain, &b->domain);
  b->domain = domain;
  for (uint32_t i = a->first, next; i != POA_FUSED_END; i = next) {
    next = poa_fused(f, i)->next;
    bool simple = b->simple;
    poa_fusion_enter(f, i, to);
    b->simple = simple;
  }
  a->first = a->last = POA_FUSED_END;
  a->node_count = 0;
  enter_repeated_rows(f, to);
}

/* The first kernel that reads `value`, in any way. */
static int first_reader(const poa_fusion *f, poa_value value, int own) {
  const poa_fused_node *n = poa_fused(f, value);
  int first = f->kernel_count;
  for (int u = 0; u < n->user_count; u++) {
    int kernel = poa_fused(f, n->users[u])->kernel;
    if (kernel == POA_FUSED_NONE)
      kernel = first_reader(f, n->users[u], own);
    if (kernel != own && kernel < first)
      first = kernel;
  }
  return first;
}

void poa_sink_kernels(poa_fusion *f) {
  for (int k = f->kernel_count - 1; k >= 0; k--) {
    if (!f->kernels[k].node_count || f->kernels[k].kind == POA_FUSED_ALONE)
      continue;
    int first = f->kernel_count;
    for (uint32_t i = f->kernels[k].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
      int reader = first_reader(f, i, k);
      first = reader < first ? reader : first;
    }
    bool holds = first > k + NEAR && poa_frees_memory(f, k, first);
    if (first < f->kernel_count && !holds && can_merge(f, k, first))
      merge(f, k, first);
  }
}

/* Whether other kernels read full values of this one. */
static bool stores_full(const poa_fusion *f, int kernel) {
  const poa_fused_kernel *k = &f->kernels[kernel];
  for (uint32_t i = k->first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    if (!poa_same_shape(&n->node->type, &k->domain))
      continue;
    for (int u = 0; u < n->user_count; u++)
      if (poa_fused(f, n->users[u])->kernel != kernel)
        return true;
  }
  return false;
}

/* Whether all that `kernel` reads is there before kernel `at` runs, or is made by it. */
static bool ready_at(const poa_fusion *f, int kernel, int at) {
  for (uint32_t i = f->kernels[kernel].first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    for (int o = 0; o < n->node->operand_count; o++) {
      int ready = poa_fused_ready(f, n->operands[o]);
      if (ready != kernel && ready > at)
        return false;
    }
  }
  return true;
}

static bool join_reader_of(poa_fusion *f, poa_value shared, int kernel, bool far) {
  const poa_fused_node *n = poa_fused(f, shared);
  for (int u = n->user_count - 1, tried = 0; u >= 0 && tried < MOST_READERS; u--, tried++) {
    int other = poa_fused(f, n->users[u])->kernel;
    if (other < 0 || other >= kernel || (!far && other < kernel - NEAR) ||
        f->kernels[other].kind != f->kernels[kernel].kind)
      continue;
    if (ready_at(f, kernel, other) && can_merge(f, other, kernel)) {
      merge(f, kernel, other);
      return true;
    }
  }
  return false;
}

static void join_sibling(poa_fusion *f, int kernel) {
  const poa_fused_kernel *k = &f->kernels[kernel];
  bool far = !stores_full(f, kernel);
  for (uint32_t i = k->first; i != POA_FUSED_END; i = poa_fused(f, i)->next) {
    const poa_fused_node *n = poa_fused(f, i);
    for (int o = 0; o < n->node->operand_count; o++) {
      const poa_fused_node *operand = poa_fused(f, n->operands[o]);
      bool shared = operand->kernel != kernel && operand->node->op != POA_OP_constant &&
                    poa_same_shape(&operand->node->type, &k->domain);
      if (shared && join_reader_of(f, n->operands[o], kernel, far))
        return;
    }
  }
}

void poa_join_siblings(poa_fusion *f) {
  for (int k = 0; k < f->kernel_count; k++) {
    const poa_fused_kernel *kernel = &f->kernels[k];
    if (kernel->node_count && kernel->kind != POA_FUSED_ALONE && kernel->domain.rank)
      join_sibling(f, k);
  }
}
