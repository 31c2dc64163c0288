/* repeat_cheap.c: values that are computed again rather than stored.
 *
 * A value that other kernels read costs a write, a read by each of them, and memory
 * until the last has run. Where a few operations give it from what is in memory anyway,
 * each kernel gets a twin of it. The normalized rows of a layer norm, wanted again by its
 * gradient:
 *
 *   kernel 7:  %c = sub %x, (broadcast %mean)   %n = mul %c, (broadcast %rstd)
 *   kernel 90: %g = mul %dy, %n
 *
 * becomes a second sub and mul in kernel 90; %x and the two rows are stored, %n is not.
 * Reductions and products are never computed twice. A transcendental is, once, where the
 * other kernel reads all it takes anyway: at the speed of memory, that is about what reading
 * it back costs, and it need not be held from the forward to the backward sweep. A value
 * that one other kernel alone wants moves there if that takes no more memory. */
#include "passes/fusion.h"
#include "passes/strides.h"

enum {
  MOST_WORK = 6,    /* operations per element, divisions and roots counting several */
  MOST_SOURCES = 2, /* stored values of full size read instead */
  MOST_KERNELS = 8, /* that get a twin */
  MOST_COSTLY = 2,  /* kernels that compute a transcendental again */
  NEAR = 8,         /* kernels: holding a value for so much longer costs nothing */
};

/* What it takes to compute a value from memory. */
typedef struct recipe {
  bool possible; /* at all: element-wise, from at most MOST_SOURCES */
  bool cheap;    /* often */
  int work;
  int count;
  poa_value source[MOST_SOURCES];
} recipe;

typedef struct repeat {
  poa_fusion *f;
  recipe *recipes;
  uint32_t count; /* of nodes that have one: twins have not */
} repeat;

static int work_of(const poa_node *node) {
  switch (node->op) {
  case POA_OP_div:
  case POA_OP_sqrt:
  case POA_OP_rsqrt:
    return 3;
  default:
    return 1;
  }
}

static bool add_source(recipe *r, poa_value source) {
  for (int i = 0; i < r->count; i++)
    if (r->source[i] == source)
      return true;
  if (r->count == MOST_SOURCES)
    return false;
  r->source[r->count++] = source;
  return true;
}

/* Adds what operand `value` of an element-wise op takes. */
static bool add_operand(const repeat *r, recipe *sum, poa_value value) {
  const recipe *operand = &r->recipes[value];
  poa_op op = poa_fused_op(r->f, value)->op;
  if (op == POA_OP_constant || op == POA_OP_broadcast)
    return true; /* what is repeated is small */
  if (!operand->cheap)
    return add_source(sum, value);
  sum->work += operand->work;
  for (int i = 0; i < operand->count; i++)
    if (!add_source(sum, operand->source[i]))
      return false;
  return true;
}

static recipe recipe_of(const repeat *r, poa_value value) {
  const poa_fused_node *n = poa_fused(r->f, value);
  recipe result = {.possible =
                       poa_op_is(n->node->op, POA_FLAG_ELEMENTWISE) && n->node->type.rank > 0,
                   .work = work_of(n->node)};
  if (n->node->op == POA_OP_iota)
    return (recipe){.possible = true, .cheap = true, .work = 1};
  for (int i = 0; result.possible && i < n->node->operand_count; i++)
    result.possible = add_operand(r, &result, n->operands[i]);
  result.cheap =
      result.possible && !poa_op_is(n->node->op, POA_FLAG_COSTLY) && result.work <= MOST_WORK;
  return result;
}

/* The kernels other than its own that read a value. */
typedef struct readers {
  int count;
  int kernel[MOST_KERNELS];
  bool own;    /* its own kernel does too */
  bool memory; /* something reads it that can only read memory, or too many do */
} readers;

static void add_reader(readers *r, int kernel) {
  for (int i = 0; i < r->count; i++)
    if (r->kernel[i] == kernel)
      return;
  if (r->count == MOST_KERNELS)
    r->memory = true;
  else
    r->kernel[r->count++] = kernel;
}

static bool needs_memory(const poa_fused_node *user, poa_value value) {
  for (int o = 0; o < user->node->operand_count; o++)
    if (user->operands[o] == value && poa_fused_in_memory(user->node, o))
      return true;
  return user->kernel == POA_FUSED_NONE;
}

static readers readers_of(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  readers r = {0};
  for (int u = 0; u < n->user_count; u++)
    for (uint32_t t = n->users[u]; t != POA_FUSED_END; t = poa_fused(f, t)->twin) {
      const poa_fused_node *user = poa_fused(f, t);
      if (!user->live)
        continue;
      r.memory |= needs_memory(user, value);
      if (user->kernel == n->kernel)
        r.own = true;
      else if (user->kernel != POA_FUSED_NONE)
        add_reader(&r, user->kernel);
    }
  return r;
}

/* Whether `kernel` can compute the value itself. */
static bool takes(const poa_fusion *f, int kernel, poa_value value) {
  const poa_fused_kernel *k = &f->kernels[kernel];
  const poa_node *node = poa_fused_op(f, value);
  if (k->kind == POA_FUSED_ALONE || k->node_count >= POA_FUSED_MOST_NODES)
    return false;
  if (k->kind == POA_FUSED_COLUMNS)
    return node->op != POA_OP_iota && poa_same_shape(&node->type, &k->domain);
  return poa_same_shape(&node->type, &k->domain) ||
         (k->domain.rank > 1 && poa_is_row_of(&node->type, &k->domain));
}

typedef struct reach {
  int last;    /* the last kernel that reads a value from memory */
  bool stored; /* some kernel but its own does */
} reach;

/* By its users and those of its views. */
static reach reach_down(const poa_fusion *f, poa_value value) {
  const poa_fused_node *n = poa_fused(f, value);
  reach r = {.last = -1, .stored = n->kernel == POA_FUSED_NONE};
  for (int u = 0; u < n->user_count; u++)
    for (uint32_t t = n->users[u]; t != POA_FUSED_END; t = poa_fused(f, t)->twin) {
      const poa_fused_node *user = poa_fused(f, t);
      if (!user->live || (user->kernel == n->kernel && n->kernel >= 0))
        continue;
      int last = user->kernel >= 0 ? user->kernel : reach_down(f, n->users[u]).last;
      r.stored = true;
      r.last = last > r.last ? last : r.last;
    }
  return r;
}

/* Leaves are in memory all the time, or all the time that counts. */
static reach reach_of(const poa_fusion *f, poa_value value) {
  while (poa_is_view(poa_fused_op(f, value)->op) && poa_fused(f, value)->kernel == POA_FUSED_NONE)
    value = poa_fused(f, value)->operands[0];
  if (poa_op_is(poa_fused_op(f, value)->op, POA_FLAG_LEAF) &&
      poa_fused_op(f, value)->op != POA_OP_iota)
    return (reach){.last = f->kernel_count, .stored = true};
  return reach_down(f, value);
}

static bool reads(const poa_fusion *f, int kernel, poa_value source) {
  const poa_fused_node *n = poa_fused(f, source);
  for (int u = 0; u < n->user_count; u++)
    for (uint32_t t = n->users[u]; t != POA_FUSED_END; t = poa_fused(f, t)->twin)
      if (poa_fused(f, t)->live && poa_fused(f, t)->kernel == kernel)
        return true;
  return false;
}

/* What it takes to compute the value in all of `r`'s kernels. */
typedef struct price {
  int64_t held;   /* bytes held longer */
  int more_reads; /* values of full size read in addition */
} price;

static price price_of(const repeat *rep, poa_value value, const readers *r) {
  const recipe *needs = &rep->recipes[value];
  price sum = {0};
  int last = -1;
  for (int i = 0; i < r->count; i++)
    last = r->kernel[i] > last ? r->kernel[i] : last;
  for (int s = 0; s < needs->count; s++) {
    reach source = reach_of(rep->f, needs->source[s]);
    if (!source.stored || source.last < last - NEAR)
      sum.held += poa_type_bytes(&poa_fused_op(rep->f, needs->source[s])->type);
    for (int i = 0; i < r->count; i++)
      sum.more_reads += !reads(rep->f, r->kernel[i], needs->source[s]);
  }
  return sum;
}

/* Whether that moves no more bytes and holds no more of them than storing it does. */
static bool pays(const repeat *rep, poa_value value, const readers *r) {
  price sum = price_of(rep, value, r);
  bool costly = poa_op_is(poa_fused_op(rep->f, value)->op, POA_FLAG_COSTLY);
  if (costly && r->own && (r->count > MOST_COSTLY || sum.held || sum.more_reads))
    return false;
  return sum.held <= poa_type_bytes(&poa_fused_op(rep->f, value)->type) &&
         sum.more_reads <= r->count + 1;
}

/* Lets the nodes of `kernel` (or those without one) read `twin` in place of `value`. */
static void redirect(poa_fusion *f, poa_value value, poa_value twin, int kernel) {
  const poa_fused_node *n = poa_fused(f, value);
  for (int u = 0; u < n->user_count; u++)
    for (uint32_t t = n->users[u]; t != POA_FUSED_END; t = poa_fused(f, t)->twin) {
      poa_fused_node *user = poa_fused(f, t);
      if (user->kernel != kernel || !user->live)
        continue;
      for (int o = 0; o < user->node->operand_count; o++)
        if (user->operands[o] == value)
          user->operands[o] = twin;
    }
}

static void repeat_in(poa_fusion *f, poa_value value, int kernel) {
  poa_value twin = poa_fusion_twin(f, value);
  if (kernel != POA_FUSED_NONE)
    poa_fusion_enter(f, twin, kernel);
  redirect(f, value, twin, kernel);
}

/* A repeated row that other kernels read is a view for them. */
static void repeat_broadcast(repeat *rep, poa_value value) {
  poa_fusion *f = rep->f;
  readers r = readers_of(f, value);
  if (r.count || r.memory) {
    poa_value twin = poa_fusion_twin(f, value);
    for (int i = 0; i < r.count; i++)
      redirect(f, value, twin, r.kernel[i]);
    redirect(f, value, twin, POA_FUSED_NONE);
  }
  poa_fused(f, value)->live = r.own;
}

static void repeat_value(repeat *rep, poa_value value) {
  poa_fusion *f = rep->f;
  readers r = readers_of(f, value);
  if (r.memory || (!r.count && r.own))
    return;
  bool costly = poa_op_is(poa_fused_op(f, value)->op, POA_FLAG_COSTLY);
  bool wanted = rep->recipes[value].cheap || r.count <= (costly ? MOST_COSTLY : 1);
  for (int i = 0; wanted && i < r.count; i++)
    wanted = takes(f, r.kernel[i], value);
  if (!wanted || !pays(rep, value, &r))
    return;
  for (int i = 0; i < r.count; i++)
    repeat_in(f, value, r.kernel[i]);
  poa_fused(f, value)->live = r.own;
}

void poa_repeat_cheap(poa_fusion *f) {
  poa_arena *arena = poa_arena_borrow(f->scratch);
  if (!arena)
    return; /* an optimization: without memory for it, all is stored */
  repeat rep = {.f = f, .count = f->count};
  rep.recipes = poa_arena_alloc(arena, f->count * sizeof *rep.recipes);
  for (poa_value i = 0; i < rep.count; i++)
    rep.recipes[i] = recipe_of(&rep, i);
  for (poa_value i = rep.count; i-- > 0;) {
    const poa_fused_node *n = poa_fused(f, i);
    if (!n->live || n->kernel < 0)
      continue;
    if (n->node->op == POA_OP_broadcast && f->kernels[n->kernel].kind == POA_FUSED_ROWS)
      repeat_broadcast(&rep, i);
    else if (rep.recipes[i].possible)
      repeat_value(&rep, i);
  }
  poa_arena_free(arena);
}
