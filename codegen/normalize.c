/* normalize.c: the axes of a cluster in the order and number that the loops want.
 *
 *   [8, 1, 12, 197, 64], every access dense        ->  [ | 1210368]
 *   [8, 197, 384] + bias[384], a layer norm        ->  [1576 | 384]
 *   copy of [8, 12, 197, 64] from [8, 197, 12, 64] ->  [8, 12, 197 | 64]
 *
 * Kernels without row values may take all their axes in any order: that in which the first
 * store walks through memory. With row values the inner axis stays; columns choose
 * their inner axis among the kept ones and keep the order of the reduced ones, which
 * is the order of summation. */
#include "codegen/cluster.h"

/* A run of axes that may be ordered and merged among themselves, outermost first. */
typedef struct group {
  int count;
  int axis[POA_MAX_RANK];
} group;

static void push(group *g, int axis) {
  g->axis[g->count++] = axis;
}

static int64_t size_of(int64_t stride) {
  return stride < 0 ? -stride : stride;
}

/* The access whose order of memory the axes follow: of a store of the kept or full shape. */
static const poa_access *leading_access(const poa_cluster *c) {
  for (int s = 0; s < c->store_count; s++)
    if (c->stores[s].full == !c->columns)
      return &c->accesses[c->stores[s].access];
  return &c->accesses[c->stores[0].access];
}

static void sort_by_stride(const poa_cluster *c, group *g) {
  const poa_access *access = leading_access(c);
  for (int i = 1; i < g->count; i++) {
    int axis = g->axis[i], k = i;
    for (; k > 0 && size_of(access->stride[g->axis[k - 1]]) < size_of(access->stride[axis]); k--)
      g->axis[k] = g->axis[k - 1];
    g->axis[k] = axis;
  }
}

/* At least `least` axes stay. */
static void drop_ones(const poa_cluster *c, const bool *pinned, group *g, int least) {
  int count = 0, dropped = g->count - least;
  for (int i = 0; i < g->count; i++) {
    bool drop = c->extent[g->axis[i]] == 1 && !pinned[g->axis[i]] && dropped > 0;
    if (drop)
      dropped--;
    else
      g->axis[count++] = g->axis[i];
  }
  g->count = count;
}

static bool crossed_in_one_stride(const poa_cluster *c, int outer, int inner) {
  for (int i = 0; i < c->access_count; i++)
    if (c->accesses[i].stride[outer] != c->accesses[i].stride[inner] * c->extent[inner])
      return false;
  return true;
}

static void merge(poa_cluster *c, const bool *pinned, group *g) {
  int count = 0;
  for (int i = 0; i < g->count; i++) {
    int inner = g->axis[i], outer = count ? g->axis[count - 1] : inner;
    if (count && !pinned[outer] && !pinned[inner] && crossed_in_one_stride(c, outer, inner)) {
      c->extent[inner] *= c->extent[outer];
      count--;
    }
    g->axis[count++] = inner;
  }
  g->count = count;
}

/* Renames axis order[i] to i everywhere; the others go. */
static void reorder(poa_cluster *c, const int *order, int rank) {
  poa_access old;
  int64_t extent[POA_MAX_RANK] = {0};
  for (int a = 0; a < rank; a++)
    extent[a] = c->extent[order[a]];
  for (int a = 0; a < POA_MAX_RANK; a++)
    c->extent[a] = extent[a];
  for (int i = 0; i < c->access_count; i++) {
    old = c->accesses[i];
    for (int a = 0; a < POA_MAX_RANK; a++)
      c->accesses[i].stride[a] = a < rank ? old.stride[order[a]] : 0;
  }
  for (int v = 0; v < c->value_count; v++)
    for (int a = 0; a < rank && c->values[v].op == POA_OP_iota; a++)
      if (order[a] == c->values[v].axis) {
        c->values[v].axis = a;
        break;
      }
  c->rank = rank;
}

/* A value differs along the inner axis if it is read, counted or made so. */
static void find_vectors(poa_cluster *c) {
  for (int v = 0; v < c->value_count; v++) {
    poa_cluster_value *value = &c->values[v];
    value->vector = value->op == POA_OP_iota && value->axis == c->rank - 1;
    if (value->access >= 0 && c->rank)
      value->vector = c->accesses[value->access].stride[c->rank - 1] != 0;
    for (int i = 0; i < value->operand_count; i++)
      value->vector |= c->values[value->operand[i]].vector;
    if (poa_op_is(value->op, POA_FLAG_REDUCTION))
      value->vector = c->columns;
  }
}

void poa_cluster_normalize(poa_cluster *c, const bool *pinned, const bool *reduced) {
  group outer = {0}, middle = {0}, inner = {0};
  int order[POA_MAX_RANK], rank = 0;
  for (int a = 0; a < c->rank; a++)
    push(c->columns && reduced[a]            ? &middle
         : c->whole_rows && a == c->rank - 1 ? &inner
                                             : &outer,
         a);
  sort_by_stride(c, &outer);
  drop_ones(c, pinned, &outer, c->columns ? 1 : 0);
  drop_ones(c, pinned, &middle, 0);
  merge(c, pinned, &outer);
  merge(c, pinned, &middle);
  if (!c->whole_rows && outer.count)
    push(&inner, outer.axis[--outer.count]);
  const group *groups[] = {&outer, &middle, &inner};
  for (int g = 0; g < 3; g++)
    for (int i = 0; i < groups[g]->count; i++)
      order[rank++] = groups[g]->axis[i];
  c->outer = outer.count;
  reorder(c, order, rank);
  find_vectors(c);
}
