/* order_kernels.c: the order in which kernels run.
 *
 * Threads wait for each other between a kernel and one that needs its result, and until
 * the slowest has come the others idle. So where a wait is due, kernels from a little
 * further down that need nothing of what ran since the last one come first:
 *
 *   %q = dot ..                       %q = dot ..
 *   %qb = add %q, ..    (wait)        %k = dot ..
 *   %k = dot ..                  ->   %v = dot ..
 *   %kb = add %k, ..    (wait)        %qb = add %q, ..    (wait)
 *   %v = dot ..                       %kb = add %k, ..
 *   %vb = add %v, ..    (wait)        %vb = add %v, ..
 *
 * A kernel needs the values it reads, and, where it updates a buffer (accumulate,
 * scatter_add, a new value of a parameter), all that touched the buffer before. What comes
 * earlier lives longer: of a few limits on what may be moved, the widest is taken that
 * leaves the peak of memory about as it was. */
#include <limits.h>
#include <string.h>

#include "passes/place_buffers.h"
#include "passes/schedule.h"
#include "passes/strides.h"

enum {
  WINDOW = 24,      /* kernels to look ahead */
  MOST_GROWTH = 128 /* the part of the peak that waits may cost */
};

/* A list of kernels. */
typedef struct kernels {
  int count, capacity;
  int update; /* of those that touch a buffer: the first since its last update */
  int *list;
} kernels;

typedef struct task {
  poa_value first, end; /* its nodes */
  kernels needs;        /* may name one several times */
  int64_t bytes;        /* of the buffers it begins */
} task;

typedef struct ordering {
  poa_graph *graph;
  poa_arena *scratch;
  int count;
  task *tasks;
  kernels *touched; /* per root: kernels that did */
  int *order;       /* result: kernels as they shall run */
} ordering;

static void append(ordering *o, kernels *k, int kernel) {
  if (k->count && k->list[k->count - 1] == kernel)
    return;
  if (k->count == k->capacity) {
    int capacity = k->capacity ? 2 * k->capacity : 8;
    int *list = poa_arena_alloc(o->scratch, (size_t)capacity * sizeof *list);
    if (k->count)
      memcpy(list, k->list, (size_t)k->count * sizeof *list);
    k->list = list;
    k->capacity = capacity;
  }
  k->list[k->count++] = kernel;
}

/* The kernels that `value` is read from. */
static void need_value(ordering *o, kernels *needs, int reader, poa_value value) {
  const poa_node *node = &o->graph->nodes[value];
  if (node->kernel >= 0) {
    if (node->kernel != reader)
      append(o, needs, node->kernel);
    return;
  }
  for (int i = 0; i < node->operand_count; i++)
    need_value(o, needs, reader, node->operands[i]);
}

static void need_touched(ordering *o, poa_value root, int kernel) {
  kernels *touched = &o->touched[root];
  for (int i = touched->update; i < touched->count; i++)
    if (touched->list[i] != kernel)
      append(o, &o->tasks[kernel].needs, touched->list[i]);
  touched->update = touched->count;
}

/* The buffer that the node overwrites, or POA_NO_VALUE. */
static poa_value updated_root(const poa_graph *graph, const poa_node *node) {
  if (node->op == POA_OP_assign)
    return graph->nodes[node->operands[0]].storage.root;
  poa_value root = node->storage.root;
  bool update = node->op == POA_OP_accumulate || node->op == POA_OP_scatter_add;
  bool parameter =
      root != POA_NO_VALUE && !poa_is_view(node->op) && graph->nodes[root].op == POA_OP_parameter;
  return update || parameter ? root : POA_NO_VALUE;
}

static void touch(ordering *o, poa_value value, int kernel) {
  poa_value root = o->graph->nodes[value].storage.root;
  if (root != POA_NO_VALUE)
    append(o, &o->touched[root], kernel);
}

static void find_needs(ordering *o, int number) {
  task *k = &o->tasks[number];
  const poa_graph *graph = o->graph;
  for (poa_value v = k->first; v < k->end; v++) {
    const poa_node *node = &graph->nodes[v];
    for (int i = 0; i < node->operand_count; i++)
      need_value(o, &k->needs, number, node->operands[i]);
    poa_value root = updated_root(graph, node);
    if (root != POA_NO_VALUE)
      need_touched(o, root, number);
    if (node->storage.root == v)
      k->bytes += poa_type_bytes(&node->type);
  }
  for (poa_value v = k->first; v < k->end; v++) {
    touch(o, v, number);
    for (int i = 0; i < graph->nodes[v].operand_count; i++)
      touch(o, graph->nodes[v].operands[i], number);
  }
}

/* Where each kernel stands among those placed, and behind which wait. */
typedef struct run {
  const ordering *o;
  int *segment; /* per kernel: number of waits before it, or -1 */
  int waits, count;
} run;

/* Whether the kernel can run behind the waits there were so far. */
static bool is_ready(const run *r, int number) {
  const kernels *needs = &r->o->tasks[number].needs;
  for (int i = 0; i < needs->count; i++)
    if (r->segment[needs->list[i]] < 0 || r->segment[needs->list[i]] == r->waits)
      return false;
  return true;
}

static void place(run *r, int number) {
  r->segment[number] = r->waits;
  r->o->order[r->count++] = number;
}

/* Places kernels that need no wait from those behind `next`. */
static void fill(run *r, int next, int64_t most_bytes) {
  int seen = 0;
  for (int k = next + 1; k < r->o->count && seen < WINDOW; k++) {
    if (r->segment[k] >= 0)
      continue;
    seen++;
    if (r->o->tasks[k].bytes <= most_bytes && is_ready(r, k))
      place(r, k);
  }
}

static void order(const ordering *o, int64_t most_bytes) {
  run r = {.o = o};
  r.segment = poa_arena_alloc(o->scratch, (size_t)o->count * sizeof *r.segment + 1);
  memset(r.segment, 0xff, (size_t)o->count * sizeof *r.segment);
  for (int next = 0; next < o->count; next++) {
    if (r.segment[next] >= 0)
      continue;
    if (!is_ready(&r, next)) {
      fill(&r, next, most_bytes);
      r.waits++;
    }
    place(&r, next);
  }
}

/* The peak of memory if the kernels ran in the order found. */
static int64_t peak(const ordering *o) {
  const poa_lifetime *lives = poa_find_lifetimes(o->graph, o->scratch);
  uint32_t nodes = o->graph->node_count;
  int *position = poa_arena_alloc(o->scratch, ((size_t)o->count + 1) * sizeof *position);
  poa_buffer *buffers = poa_arena_alloc(o->scratch, (nodes + (size_t)1) * sizeof *buffers);
  int *index = poa_arena_alloc(o->scratch, (nodes + (size_t)1) * sizeof *index);
  int count = 0;
  for (int i = 0; i < o->count; i++)
    position[o->order[i]] = i;
  for (poa_value v = 0; v < nodes; v++)
    if (lives[v].arena) {
      index[v] = count;
      buffers[count++] = (poa_buffer){.bytes = poa_type_bytes(&o->graph->nodes[v].type),
                                      .first = lives[v].first < 0 ? -1 : INT_MAX,
                                      .last = lives[v].last >= o->count ? o->count : -1};
    }
  for (poa_value v = 0; v < nodes; v++)
    for (int i = 0; i < o->touched[v].count && lives[v].arena; i++) {
      poa_buffer *b = &buffers[index[v]];
      int at = position[o->touched[v].list[i]];
      b->first = at < b->first ? at : b->first;
      b->last = at > b->last ? at : b->last;
    }
  for (int i = 0; i < count; i++)
    if (buffers[i].first > buffers[i].last)
      buffers[i].first = buffers[i].last;
  return poa_live_peak(buffers, count);
}

/* Writing */

typedef struct writer {
  poa_graph *graph;
  const poa_node *nodes;
  poa_value *map; /* old node -> new one, POA_NO_VALUE before */
} writer;

static void write_node(writer *w, poa_value old, int kernel) {
  poa_node node = w->nodes[old];
  node.kernel = kernel;
  w->map[old] = poa_graph_copy(w->graph, &node, w->map);
}

/* Writes a value without a kernel, after what it depends on. */
static void write_outside(writer *w, poa_value old) {
  const poa_node *node = &w->nodes[old];
  if (node->kernel >= 0 || w->map[old] != POA_NO_VALUE)
    return;
  for (int i = 0; i < node->operand_count; i++)
    write_outside(w, node->operands[i]);
  write_node(w, old, -1);
}

static void write_kernel(writer *w, const task *k, int number) {
  for (poa_value v = k->first; v < k->end; v++)
    for (int i = 0; i < w->nodes[v].operand_count; i++)
      write_outside(w, w->nodes[v].operands[i]);
  for (poa_value v = k->first; v < k->end; v++)
    write_node(w, v, number);
}

static void write_graph(ordering *o) {
  writer w = {.graph = o->graph};
  uint32_t count;
  w.nodes = poa_graph_take_nodes(o->graph, &count);
  w.map = poa_arena_alloc(o->scratch, count * sizeof *w.map + 1);
  memset(w.map, 0xff, count * sizeof *w.map);
  for (poa_value v = 0; v < count; v++)
    if (w.nodes[v].op == POA_OP_input)
      write_node(&w, v, -1);
  for (int i = 0; i < o->count; i++) {
    const task *k = &o->tasks[o->order[i]];
    write_kernel(&w, k, i);
    /* Assigns done in place stand behind the kernel that did them. */
    for (poa_value v = k->end; v < count && w.nodes[v].op == POA_OP_assign; v++)
      if (w.nodes[v].kernel < 0)
        write_outside(&w, v);
  }
  for (poa_value v = 0; v < count; v++)
    write_outside(&w, v);
  for (poa_value v = 0; v < o->graph->node_count; v++) {
    poa_storage *storage = &o->graph->nodes[v].storage;
    if (storage->root != POA_NO_VALUE)
      storage->root = w.map[storage->root];
  }
}

static void find_kernels(ordering *o) {
  const poa_graph *graph = o->graph;
  for (poa_value v = 0; v < graph->node_count; v++)
    if (graph->nodes[v].kernel >= o->count)
      o->count = graph->nodes[v].kernel + 1;
  o->tasks = poa_arena_alloc(o->scratch, (size_t)o->count * sizeof *o->tasks + 1);
  for (poa_value v = graph->node_count; v-- > 0;) {
    if (graph->nodes[v].kernel < 0)
      continue;
    task *k = &o->tasks[graph->nodes[v].kernel];
    k->first = v;
    k->end = k->end ? k->end : v + 1;
  }
}

void poa_order_kernels(poa_graph *graph, poa_arena *scratch) {
  ordering o = {.graph = graph, .scratch = scratch};
  find_kernels(&o);
  o.touched = poa_arena_alloc(scratch, (graph->node_count + (size_t)1) * sizeof *o.touched);
  o.order = poa_arena_alloc(scratch, (size_t)o.count * sizeof *o.order + 1);
  for (int k = 0; k < o.count; k++)
    find_needs(&o, k);
  for (int k = 0; k < o.count; k++)
    o.order[k] = k;
  int64_t before = peak(&o);
  /* The bytes that a moved kernel may begin: all, then parts of the peak, at last none. */
  const int64_t limits[] = {INT64_MAX, before / 64, before / 1024, before / 16384, 0};
  bool good = false;
  for (int i = 0; i < 5 && !good; i++) {
    order(&o, limits[i]);
    good = peak(&o) <= before + before / MOST_GROWTH;
  }
  for (int k = 0; k < o.count && !good; k++)
    o.order[k] = k;
  write_graph(&o);
}
