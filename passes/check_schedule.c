/* check_schedule.c: a simulation that proves a schedule right.
 *
 * Every element of every value that a kernel stores gets a tag of its own. Memory is an
 * array of tags, one per byte. Kernels run in order: each element that one reads from
 * memory must bear the tag of the element of that value, as the ops define it and whatever
 * the strides say; then what the kernel writes is tagged.
 *
 *   %t = transpose %0 : f32[8,4]    element (2,1) must bear the tag of %0's element (1,2)
 *
 * Within a kernel a cell may be read and written only by the same index of the same shape.
 * Where the memory is too large for that, only buffers are compared. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "passes/schedule.h"
#include "passes/strides.h"

#define MOST_CELLS (INT64_C(1) << 26)
#define MOST_ELEMENTS (INT64_C(1) << 24)
#define NOT_IN_STEP UINT64_MAX

/* Kernel -1 stands for what is in memory before the first; no cell bears stamp 0 then. */
enum { FIRST_STAMP = 2 };

typedef struct cell {
  uint32_t tag;
  int read_by, written_by; /* stamp of the kernel that did last */
  uint64_t read_as;        /* the index and rank of the shape, or NOT_IN_STEP */
} cell;

typedef struct simulation {
  const poa_graph *graph;
  cell *cells;
  int64_t *base;       /* per root: its first byte */
  uint32_t *first_tag; /* per node */
  int64_t bytes;       /* of memory: the arena, then the parameters */
  poa_error *error;
} simulation;

static const poa_node *node_at(const simulation *s, poa_value value) {
  return &s->graph->nodes[value];
}

static int64_t size_of(const poa_node *node) {
  return node->type.dtype == POA_BOOL ? 1 : 4;
}

static void decode(const poa_type *type, int64_t element, int64_t *index) {
  for (int a = type->rank - 1; a >= 0; a--) {
    index[a] = element % type->dim[a].value;
    element /= type->dim[a].value;
  }
}

static int64_t encode(const poa_type *type, const int64_t *index) {
  int64_t element = 0;
  for (int a = 0; a < type->rank; a++)
    element = element * type->dim[a].value + index[a];
  return element;
}

/* The operand that element `index` of a concat comes from; moves the index into it. */
static poa_value operand_of_concat(const simulation *s, const poa_node *node, int64_t *index) {
  int64_t axis = poa_node_int(node, "axis", 0);
  int o = 0;
  while (index[axis] >= node_at(s, node->operands[o])->type.dim[axis].value)
    index[axis] -= node_at(s, node->operands[o++])->type.dim[axis].value;
  return node->operands[o];
}

/* Whether the element lies in the block that an accumulate adds to. */
static bool in_block(const simulation *s, const poa_node *node, const int64_t *index) {
  const poa_type *block = &node_at(s, node->operands[1])->type;
  const poa_attribute *start = poa_node_attribute(node, "start");
  for (int a = 0; a < block->rank; a++)
    if (index[a] < start->extents[a].value ||
        index[a] >= start->extents[a].value + block->dim[a].value)
      return false;
  return true;
}

/* One step towards the node that stores the element, by the meaning of the op. */
static bool step_back(const simulation *s, poa_value *value, int64_t *element) {
  const poa_node *node = node_at(s, *value);
  int64_t index[POA_MAX_RANK], from[POA_MAX_RANK] = {0};
  poa_value operand = node->operand_count ? node->operands[0] : POA_NO_VALUE;
  const poa_attribute *a;
  decode(&node->type, *element, index);
  switch (node->op) {
  case POA_OP_reshape:
    *value = operand;
    return true;
  case POA_OP_transpose:
    a = poa_node_attribute(node, "perm");
    for (int i = 0; i < a->count; i++)
      from[a->integers[i]] = index[i];
    break;
  case POA_OP_broadcast:
    a = poa_node_attribute(node, "axes");
    for (int i = 0; i < a->count; i++)
      from[i] = index[a->integers[i]];
    break;
  case POA_OP_slice:
    a = poa_node_attribute(node, "start");
    for (int i = 0; i < a->count; i++)
      from[i] = index[i] + a->extents[i].value;
    break;
  case POA_OP_window: {
    int64_t axis = poa_node_int(node, "axis", 0);
    for (int i = 0; i < node->type.rank; i++)
      from[i <= axis ? i : i - 1] = index[i];
    from[axis] = index[axis] * poa_node_int(node, "stride", 1) + index[axis + 1];
    break;
  }
  case POA_OP_concat:
    operand = operand_of_concat(s, node, index);
    memcpy(from, index, sizeof from);
    break;
  case POA_OP_accumulate:
    if (in_block(s, node, index))
      return false;
    memcpy(from, index, sizeof from);
    break;
  case POA_OP_assign:
    if (node->kernel >= 0)
      return false;
    operand = node->operands[1];
    memcpy(from, index, sizeof from);
    break;
  default:
    return false;
  }
  *value = operand;
  *element = encode(&node_at(s, operand)->type, from);
  return true;
}

static uint32_t expected_tag(const simulation *s, poa_value value, int64_t element) {
  while (step_back(s, &value, &element))
    ;
  return s->first_tag[value] + (uint32_t)element;
}

/* The first byte of an element, or -1 outside memory. */
static int64_t byte_of(const simulation *s, const poa_node *node, const poa_storage *storage,
                       int64_t element) {
  int64_t index[POA_MAX_RANK], at = storage->offset;
  decode(&node->type, element, index);
  for (int a = 0; a < node->type.rank; a++)
    at += index[a] * storage->stride[a];
  int64_t byte = s->base[storage->root] + at * size_of(node);
  return at < 0 || byte + size_of(node) > s->bytes ? -1 : byte;
}

static poa_status fail_at(const simulation *s, int kernel, poa_value value, int64_t element,
                          const char *what) {
  return poa_fail(s->error, POA_BAD_INPUT,
                  "schedule of %s is wrong, a bug of poa: kernel %d, element %" PRId64
                  " of %%%" PRIu32 " (%s): %s",
                  s->graph->name, kernel, element, value, poa_op_table(node_at(s, value)->op)->name,
                  what);
}

static uint64_t step_of(const poa_node *node, int64_t element) {
  return (uint64_t)element * (POA_MAX_RANK + 1) + (uint64_t)node->type.rank;
}

/* `element` of an operand is read by `kernel`. `in_step`: at the index it is written at. */
static poa_status read_element(simulation *s, int kernel, poa_value value, int64_t element,
                               bool in_step) {
  const poa_node *node = node_at(s, value);
  int64_t byte = byte_of(s, node, &node->storage, element);
  if (byte < 0)
    return fail_at(s, kernel, value, element, "it lies outside memory");
  uint32_t tag = expected_tag(s, value, element);
  uint64_t step = in_step ? step_of(node, element) : NOT_IN_STEP;
  for (int64_t b = byte; b < byte + size_of(node); b++) {
    cell *c = &s->cells[b];
    if (c->tag != tag)
      return fail_at(s, kernel, value, element, "where it should lie, memory holds another value");
    c->read_as = c->read_by == kernel + FIRST_STAMP && c->read_as != step ? NOT_IN_STEP : step;
    c->read_by = kernel + FIRST_STAMP;
  }
  return POA_OK;
}

static bool is_splat(const simulation *s, poa_value value) {
  return node_at(s, value)->op == POA_OP_constant;
}

static poa_status read_operand(simulation *s, int kernel, const poa_node *reader, int operand) {
  poa_value value = reader->operands[operand];
  const poa_node *node = node_at(s, value);
  if (is_splat(s, value))
    return POA_OK;
  if (node->storage.root == POA_NO_VALUE)
    return fail_at(s, kernel, value, 0, "it is read from memory but stored nowhere");
  bool update = reader->op == POA_OP_accumulate || reader->op == POA_OP_scatter_add;
  bool in_step =
      poa_op_is(reader->op, POA_FLAG_ELEMENTWISE | POA_FLAG_REDUCTION) || (update && operand == 0);
  int64_t count = poa_type_elements(node->type), index[POA_MAX_RANK];
  for (int64_t e = 0; e < count; e++) {
    decode(&node->type, e, index);
    if (reader->op == POA_OP_accumulate && operand == 0 && !in_block(s, reader, index))
      continue;
    if (read_element(s, kernel, value, e, in_step))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

static poa_status write_element(simulation *s, int kernel, poa_value value,
                                const poa_storage *storage, int64_t element) {
  const poa_node *node = node_at(s, value);
  int64_t byte = byte_of(s, node, storage, element);
  if (byte < 0)
    return fail_at(s, kernel, value, element, "it would be written outside memory");
  for (int64_t b = byte; b < byte + size_of(node); b++) {
    cell *c = &s->cells[b];
    if (c->written_by == kernel + FIRST_STAMP)
      return fail_at(s, kernel, value, element, "the kernel writes there twice");
    if (c->read_by == kernel + FIRST_STAMP && c->read_as != step_of(node, element))
      return fail_at(s, kernel, value, element,
                     "the kernel overwrites what it reads at another index");
    c->written_by = kernel + FIRST_STAMP;
    c->tag = s->first_tag[value] + (uint32_t)element;
  }
  return POA_OK;
}

static poa_status write_result(simulation *s, int kernel, poa_value value, bool accumulates) {
  const poa_node *node = node_at(s, value);
  poa_storage storage = node->storage;
  if (node->op == POA_OP_assign) {
    storage = node_at(s, node->operands[0])->storage;
  } else if (storage.root == POA_NO_VALUE || poa_is_view(node->op) ||
             (accumulates && node->op == POA_OP_dot)) {
    return POA_OK; /* in registers only */
  }
  int64_t count = poa_type_elements(node->type), index[POA_MAX_RANK];
  for (int64_t e = 0; e < count; e++) {
    decode(&node->type, e, index);
    if (node->op == POA_OP_accumulate && !in_block(s, node, index))
      continue;
    if (write_element(s, kernel, value, &storage, e))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

/* Nodes first .. end-1. */
static poa_status run_kernel(simulation *s, poa_value first, poa_value end) {
  int kernel = node_at(s, first)->kernel;
  bool accumulates = false;
  for (poa_value v = first; v < end; v++) {
    const poa_node *node = node_at(s, v);
    accumulates |= node->op == POA_OP_accumulate;
    bool in_memory = node->op == POA_OP_gather || node->op == POA_OP_scatter_add;
    for (int o = node->op == POA_OP_assign; o < node->operand_count; o++)
      if ((in_memory || node_at(s, node->operands[o])->kernel != kernel) &&
          read_operand(s, kernel, node, o))
        return POA_BAD_INPUT;
  }
  for (poa_value v = first; v < end; v++)
    if (write_result(s, kernel, v, accumulates))
      return POA_BAD_INPUT;
  return POA_OK;
}

/* At the end, outputs are where they should be and dense, parameters hold their new values. */
static poa_status check_effects(simulation *s, int end) {
  for (poa_value v = 0; v < s->graph->node_count; v++) {
    const poa_node *node = node_at(s, v);
    if (node->op == POA_OP_output) {
      const poa_node *value = node_at(s, node->operands[0]);
      if (read_operand(s, end, node, 0))
        return POA_BAD_INPUT;
      if (is_splat(s, node->operands[0]) || !poa_strides_dense(&value->type, value->storage.stride))
        return fail_at(s, end, node->operands[0], 0, "an output is not stored row-major");
    }
    if (node->op != POA_OP_assign)
      continue;
    const poa_node *parameter = node_at(s, node->operands[0]);
    for (int64_t e = 0; e < poa_type_elements(node->type); e++) {
      int64_t byte = byte_of(s, parameter, &parameter->storage, e);
      if (byte < 0 || s->cells[byte].tag != expected_tag(s, v, e))
        return fail_at(s, end, v, e, "the parameter does not hold its new value");
    }
  }
  return POA_OK;
}

static poa_status run(simulation *s) {
  int kernels = 0;
  for (poa_value v = 0; v < s->graph->node_count; v++) {
    const poa_node *node = node_at(s, v);
    bool leaf = node->op == POA_OP_input || node->op == POA_OP_parameter;
    for (int64_t e = 0; leaf && e < poa_type_elements(node->type); e++)
      if (write_element(s, -1, v, &node->storage, e))
        return POA_BAD_INPUT;
  }
  for (poa_value v = 0, end; v < s->graph->node_count; v = end) {
    end = v + 1;
    if (node_at(s, v)->kernel < 0)
      continue;
    while (end < s->graph->node_count && node_at(s, end)->kernel == node_at(s, v)->kernel)
      end++;
    kernels = node_at(s, v)->kernel + 1;
    if (run_kernel(s, v, end))
      return POA_BAD_INPUT;
  }
  return check_effects(s, kernels);
}

/* Lays parameters behind the arena and numbers tags. False: too large to simulate. */
static bool arrange(simulation *s) {
  int64_t tags = 1;
  s->bytes = s->graph->arena_bytes;
  for (poa_value v = 0; v < s->graph->node_count; v++) {
    const poa_node *node = node_at(s, v);
    s->base[v] = node->storage.place;
    if (node->op == POA_OP_parameter) {
      s->base[v] = s->bytes;
      s->bytes += poa_type_bytes(&node->type);
    }
    s->first_tag[v] = (uint32_t)tags;
    tags += node->storage.root != POA_NO_VALUE || node->op == POA_OP_assign
                ? poa_type_elements(node->type)
                : 0;
    if (tags > MOST_ELEMENTS || s->bytes > MOST_CELLS)
      return false;
  }
  return true;
}

static poa_status check_buffers(const poa_graph *graph, poa_arena *scratch, poa_error *error) {
  const poa_lifetime *lives = poa_find_lifetimes(graph, scratch);
  poa_value *roots = poa_arena_alloc(scratch, graph->node_count * sizeof *roots + 1);
  uint32_t count = 0;
  for (poa_value v = 0; v < graph->node_count; v++)
    if (lives[v].arena)
      roots[count++] = v;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t j = 0; j < i; j++) {
      poa_value a = roots[i], b = roots[j];
      int64_t a_place = graph->nodes[a].storage.place, b_place = graph->nodes[b].storage.place;
      if (lives[a].first <= lives[b].last && lives[b].first <= lives[a].last &&
          a_place < b_place + poa_type_bytes(&graph->nodes[b].type) &&
          b_place < a_place + poa_type_bytes(&graph->nodes[a].type))
        return poa_fail(error, POA_BAD_INPUT,
                        "schedule of %s is wrong, a bug of poa: buffers %%%" PRIu32
                        " and %%%" PRIu32 " overlap in memory and in time",
                        graph->name, b, a);
    }
  return POA_OK;
}

poa_status poa_schedule_check(const poa_graph *graph, poa_error *error) {
  poa_error local = {0};
  simulation s = {.graph = graph, .error = error ? error : &local};
  poa_arena *scratch = poa_arena_borrow(graph->arena);
  if (!scratch || graph->arena_bytes < 0) {
    poa_arena_free(scratch);
    return poa_fail(error, POA_BAD_INPUT, "%s has no schedule to check", graph->name);
  }
  s.base = poa_arena_alloc(scratch, graph->node_count * sizeof *s.base + 1);
  s.first_tag = poa_arena_alloc(scratch, graph->node_count * sizeof *s.first_tag + 1);
  bool exact = arrange(&s);
  poa_status status = check_buffers(graph, scratch, s.error);
  if (!status && exact) {
    s.cells = calloc((size_t)s.bytes + 1, sizeof *s.cells);
    status = s.cells ? run(&s) : poa_fail(error, POA_NO_MEMORY, "no memory to check a schedule");
    free(s.cells);
  }
  poa_arena_free(scratch);
  return status;
}
