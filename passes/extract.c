/* extract.c: cuts a sub-network out of the elastic one, as a plain network.
 *
 *   before, at width=64, depth=2 of blocks 0 to 3:
 *     %x2 = mul %x, constant 2                                    max(in) / in
 *     %w  = parameter {set="teacher", name="blocks.3.fc.weight"}  : f32[128,128]
 *     %w1 = slice %w {start=[0,0], limit=[64,64]}
 *     %y  = dot %x2, %w1 {tb=1}
 *   after:
 *     %w  = parameter {set="", name="blocks.1.fc.weight"}         : f32[64,64]
 *     %y  = dot %x, %w {tb=1}
 *
 * and blocks.1.fc.weight is 2 * blocks.3.fc.weight[:64, :64].
 *
 * - A parameter shrinks to the prefix that is read, along each axis.
 * - The factor max(in) / in between a product and its activation moves into the parameter on the
 *   other side, if all that reads the parameter agrees on it. (Otherwise it stays: slower, not
 *   wrong.) Other constants stay, since they are part of the plain network as well.
 * - Where some numbers of a name are not kept (`blocks.0`, `blocks.3`), the k-th kept one gets the
 *   name of the k-th of all, so that numbers close up.
 *
 * Requires: before fuse; no assign; one set is read. Specializes the graph if that is still to be
 * done. (In one that is specialized already, max(in) / in is a constant like others and stays, and
 * blocks that are not kept cannot be told from parameters that the entry never reads.)
 * Establishes: specialized; nothing reads a prefix of a parameter alone. Keeps: order,
 * locations. */
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"
#include "passes/extract.h"
#include "passes/internal.h"

/* What is found out about a parameter of the elastic network. */
typedef struct finding {
  bool known;                  /* the entry reads it at some point of the lattice */
  bool read;                   /* and at this one */
  int64_t limit[POA_MAX_RANK]; /* of what is read, along each axis */
  bool used;                   /* `factor` is known */
  double factor;               /* that all its readers agree on; else 1 */
  int plain;                   /* its number in the new table */
} finding;

typedef struct extractor {
  poa_graph *graph;
  const poa_node *nodes; /* of the graph before */
  uint32_t count;
  const bool *layer_factors; /* by node; NULL: none is known */
  int *origin;               /* by node: the parameter that it is, or is a view of; else -1 */
  bool *from_parameters;     /* by node: depends on parameters and constants alone */
  finding *findings;         /* by parameter */
  poa_extraction *out;
} extractor;

static bool is_view(const poa_node *node) {
  return node->op == POA_OP_reshape || node->op == POA_OP_transpose || node->op == POA_OP_slice;
}

/* Analysis */

static poa_status check_effects(const poa_graph *graph, poa_error *error) {
  const char *set = NULL;
  for (uint32_t i = 0; i < graph->node_count; i++) {
    const poa_node *node = &graph->nodes[i];
    if (node->op == POA_OP_assign)
      return poa_fail(
          error, POA_BAD_INPUT,
          "'%s' updates parameters: only an entry that reads them makes a plain network",
          graph->name);
    if (node->op != POA_OP_parameter)
      continue;
    const char *read = poa_node_string(node, "set");
    if (set && strcmp(set, read) != 0)
      return poa_fail(error, POA_BAD_INPUT,
                      "'%s' reads the parameter sets '%s' and '%s': a plain network has one",
                      graph->name, set, read);
    set = read;
  }
  return POA_OK;
}

static void find_origins(extractor *x) {
  for (uint32_t i = 0; i < x->count; i++) {
    const poa_node *node = &x->nodes[i];
    x->origin[i] = -1;
    x->from_parameters[i] = node->op == POA_OP_parameter || node->op == POA_OP_constant;
    if (node->op == POA_OP_parameter)
      x->origin[i] = poa_graph_find_parameter(x->graph, poa_node_string(node, "set"),
                                              poa_node_string(node, "name"));
    else if (is_view(node))
      x->origin[i] = x->origin[node->operands[0]];
    bool all = node->operand_count > 0;
    for (int k = 0; k < node->operand_count; k++)
      all &= x->from_parameters[node->operands[k]];
    x->from_parameters[i] |= all;
  }
}

/* The whole of a parameter is read, or slices of it; together, a prefix. */
static void find_limits(extractor *x) {
  for (uint32_t i = 0; i < x->count; i++) {
    const poa_node *node = &x->nodes[i];
    for (int k = 0; k < node->operand_count; k++) {
      const poa_node *operand = &x->nodes[node->operands[k]];
      if (operand->op != POA_OP_parameter)
        continue;
      finding *f = &x->findings[x->origin[node->operands[k]]];
      const poa_attribute *limit =
          node->op == POA_OP_slice ? poa_node_attribute(node, "limit") : NULL;
      f->read = true;
      for (int axis = 0; axis < operand->type.rank; axis++) {
        int64_t end = limit ? limit->extents[axis].value : poa_dim(operand, axis);
        f->limit[axis] = end > f->limit[axis] ? end : f->limit[axis];
      }
    }
  }
}

/* Whether all elements are max(in) / in of a layer; its number. */
static bool is_layer_factor(const extractor *x, poa_value value, double *number) {
  while (x->nodes[value].op == POA_OP_broadcast || x->nodes[value].op == POA_OP_reshape)
    value = x->nodes[value].operands[0];
  if (!x->layer_factors || !x->layer_factors[value])
    return false;
  *number = poa_node_float(&x->nodes[value], "value", 1);
  return true;
}

/* The multiplication by a layer's factor that `value` is, seen through views of its result; its
 * number, and which operand is multiplied. */
static bool find_scale(const extractor *x, poa_value value, poa_value *scale, int *scaled,
                       double *factor) {
  const poa_node *node = &x->nodes[value];
  while (node->op == POA_OP_reshape || node->op == POA_OP_transpose) {
    value = node->operands[0];
    node = &x->nodes[value];
  }
  *scale = value;
  if (node->op != POA_OP_mul || x->from_parameters[value])
    return false;
  for (*scaled = 0; *scaled < 2; ++*scaled)
    if (is_layer_factor(x, node->operands[1 - *scaled], factor))
      return true;
  return false;
}

/* The side of a product or convolution that is a view of a parameter while the other is an
 * activation; -1: none. */
static int parameter_side(const extractor *x, const poa_node *node) {
  bool convolution = node->op == POA_OP_conv2d;
  for (int side = convolution; side < 2 && (convolution || node->op == POA_OP_dot); side++)
    if (x->origin[node->operands[side]] >= 0 && !x->from_parameters[node->operands[1 - side]])
      return side;
  return -1;
}

static void agree(finding *f, double factor) {
  f->factor = !f->used || f->factor == factor ? factor : 1;
  f->used = true;
}

static void find_factors(extractor *x) {
  for (uint32_t i = 0; i < x->count; i++) {
    const poa_node *node = &x->nodes[i];
    int side = parameter_side(x, node), scaled;
    poa_value scale;
    double factor;
    for (int k = 0; k < node->operand_count; k++) {
      int origin = x->origin[node->operands[k]];
      if (origin < 0 || is_view(node))
        continue;
      bool product = k == side && find_scale(x, node->operands[1 - side], &scale, &scaled, &factor);
      agree(&x->findings[origin], product ? factor : 1);
    }
  }
}

/* Names */

static int compare_numbers(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

/* The different numbers that follow `prefix` (of `length`) in the names of the set, sorted; of all
 * parameters that the entry knows, or of those it reads here. */
static int numbers_after(const extractor *x, const char *set, const char *prefix, size_t length,
                         bool only_read, long *numbers) {
  int count = 0;
  for (int i = 0; i < x->graph->parameter_count; i++) {
    const poa_parameter *p = &x->graph->parameters[i];
    bool counts = only_read ? x->findings[i].read : x->findings[i].known;
    if (!counts || strcmp(p->set, set) != 0 || strncmp(p->name, prefix, length) != 0)
      continue;
    char *end;
    long number = strtol(p->name + length, &end, 10);
    if (end > p->name + length && (*end == '.' || *end == '\0') && p->name[length] != '-')
      numbers[count++] = number;
  }
  qsort(numbers, (size_t)count, sizeof *numbers, compare_numbers);
  int distinct = 0;
  for (int i = 0; i < count; i++)
    if (distinct == 0 || numbers[distinct - 1] != numbers[i])
      numbers[distinct++] = numbers[i];
  return distinct;
}

/* The number that takes the place of `number` after `prefix`. */
static long renumber(const extractor *x, const char *set, const char *prefix, size_t length,
                     long number) {
  poa_arena *arena = x->graph->arena;
  size_t bytes = ((size_t)x->graph->parameter_count + 1) * sizeof(long);
  long *all = poa_arena_alloc(arena, bytes), *kept = poa_arena_alloc(arena, bytes);
  numbers_after(x, set, prefix, length, false, all);
  int count = numbers_after(x, set, prefix, length, true, kept);
  for (int rank = 0; rank < count; rank++)
    if (kept[rank] == number)
      return all[rank];
  return number;
}

/* "layers.2.blocks.5.norm.weight" -> "layers.2.blocks.1.norm.weight" */
static const char *plain_name(const extractor *x, const poa_parameter *p) {
  poa_arena *arena = x->graph->arena;
  const char *name = "";
  for (const char *at = p->name; *at;) {
    int length = (int)strcspn(at, ".");
    char *end;
    long number = strtol(at, &end, 10);
    bool is_number = end == at + length && length > 0 && *at >= '0' && *at <= '9';
    const char *dot = at[length] == '.' ? "." : "";
    if (is_number)
      name = poa_arena_format(arena, "%s%ld%s", name,
                              renumber(x, p->set, p->name, (size_t)(at - p->name), number), dot);
    else
      name = poa_arena_format(arena, "%s%.*s%s", name, length, at, dot);
    at += length + (*dot != '\0');
  }
  return name;
}

/* The new table */

static bool same_extents(const poa_type *a, const poa_type *b) {
  bool same = a->rank == b->rank;
  for (int i = 0; same && i < a->rank; i++)
    same = a->dim[i].value == b->dim[i].value;
  return same;
}

/* Extents of the file's form: it groups axes of the graph's form, [3,128,128] as [384,128]. */
static poa_status cut_file_type(const poa_parameter *p, const poa_type *cut, poa_type *file,
                                poa_error *error) {
  int axis = 0;
  *file = p->file_type;
  if (same_extents(cut, &p->type))
    return POA_OK;
  for (int i = 0; p->file_axes && i < file->rank; i++)
    file->dim[i] = cut->dim[p->file_axes[i]];
  if (p->file_axes)
    return POA_OK;
  for (int i = 0; i < file->rank; i++) {
    int64_t whole = 1, part = 1;
    while (axis < cut->rank && whole < p->file_type.dim[i].value) {
      whole *= p->type.dim[axis].value;
      part *= cut->dim[axis++].value;
    }
    while (i + 1 == file->rank && axis < cut->rank && p->type.dim[axis].value == 1)
      axis++;
    if (whole != p->file_type.dim[i].value)
      return poa_fail(error, POA_UNSUPPORTED,
                      "parameter '%s' cannot be cut: axis %d of its form in files is no product of "
                      "whole axes of its form in the description",
                      p->name, i);
    file->dim[i] = poa_known(part);
  }
  return POA_OK;
}

static poa_status add_parameter(extractor *x, int source, poa_parameter *table, poa_error *error) {
  const poa_parameter *p = &x->graph->parameters[source];
  finding *f = &x->findings[source];
  poa_plain_parameter *plain = &x->out->parameters[f->plain = x->out->count++];
  *plain = (poa_plain_parameter){
      .name = plain_name(x, p), .source = source, .type = p->type, .factor = f->factor};
  for (int axis = 0; axis < p->type.rank; axis++)
    plain->type.dim[axis] = poa_known(f->limit[axis]);
  poa_status status = cut_file_type(p, &plain->type, &plain->file_type, error);
  if (status)
    return status;
  table[f->plain] = (poa_parameter){.set = "",
                                    .name = plain->name,
                                    .type = plain->type,
                                    .file_type = plain->file_type,
                                    .file_axes = p->file_axes,
                                    .initializer = "constant",
                                    .location = p->location};
  return POA_OK;
}

static poa_status make_table(extractor *x, poa_parameter **table, poa_error *error) {
  size_t most = (size_t)x->graph->parameter_count + 1;
  *table = poa_arena_alloc(x->graph->arena, most * sizeof **table);
  x->out->parameters = poa_arena_alloc(x->graph->arena, most * sizeof *x->out->parameters);
  poa_status status = POA_OK;
  for (int i = 0; i < x->graph->parameter_count && status == POA_OK; i++)
    if (x->findings[i].read)
      status = add_parameter(x, i, *table, error);
  return status;
}

/* Rewriting */

static poa_value write_parameter(extractor *x, const poa_node *node, int origin) {
  poa_build b = {x->graph, node->location};
  const poa_plain_parameter *plain = &x->out->parameters[x->findings[origin].plain];
  poa_attribute attributes[] = {poa_attribute_string("set", ""),
                                poa_attribute_string("name", plain->name)};
  return poa_b_node(&b, POA_OP_parameter, NULL, 0, attributes, 2, &plain->type);
}

/* `value` of the old graph, as a view of the activation without its constant factor. */
static poa_value without_scale(extractor *x, poa_value value, poa_value scale, int scaled,
                               poa_value *map) {
  if (value == scale)
    return map[x->nodes[scale].operands[scaled]];
  const poa_node *view = &x->nodes[value];
  poa_value saved = map[view->operands[0]];
  map[view->operands[0]] = without_scale(x, view->operands[0], scale, scaled, map);
  poa_value result = poa_graph_copy(x->graph, view, map);
  map[view->operands[0]] = saved;
  return result;
}

/* A product whose parameter has taken in the factor of its activation. */
static poa_value write_product(extractor *x, const poa_node *node, poa_value *map) {
  int side = parameter_side(x, node), scaled;
  poa_value scale;
  double factor;
  if (side < 0 || !find_scale(x, node->operands[1 - side], &scale, &scaled, &factor) ||
      x->findings[x->origin[node->operands[side]]].factor != factor)
    return poa_graph_copy(x->graph, node, map);
  poa_value activation = node->operands[1 - side], saved = map[activation];
  map[activation] = without_scale(x, activation, scale, scaled, map);
  poa_value result = poa_graph_copy(x->graph, node, map);
  map[activation] = saved;
  return result;
}

static void write_nodes(extractor *x) {
  poa_value *map = poa_arena_alloc(x->graph->arena, (x->count + 1) * sizeof *map);
  for (uint32_t i = 0; i < x->count; i++) {
    const poa_node *node = &x->nodes[i];
    if (node->op == POA_OP_parameter && !x->findings[x->origin[i]].read)
      continue;
    if (node->op == POA_OP_parameter)
      map[i] = write_parameter(x, node, x->origin[i]);
    else if (node->op == POA_OP_slice && x->nodes[node->operands[0]].op == POA_OP_parameter &&
             same_extents(&node->type, &x->graph->nodes[map[node->operands[0]]].type))
      map[i] = map[node->operands[0]];
    else
      map[i] = write_product(x, node, map);
  }
}

/* Which parameters the entry reads at some point of the lattice; of a graph that is specialized
 * already, all may be. */
static finding *find_known(const poa_graph *graph) {
  finding *findings =
      poa_arena_alloc(graph->arena, ((size_t)graph->parameter_count + 1) * sizeof *findings);
  bool *read = poa_arena_alloc(graph->arena, (size_t)graph->parameter_count + 1);
  poa_mark_read_parameters(graph, read);
  for (int i = 0; i < graph->parameter_count; i++)
    findings[i].known = read[i] || graph->specialized;
  return findings;
}

/* Finds everything out, and takes the nodes out to be written anew. */
static poa_status analyse(extractor *x, poa_parameter **table, poa_error *error) {
  size_t nodes = x->graph->node_count + (size_t)1;
  x->nodes = x->graph->nodes;
  x->count = x->graph->node_count;
  x->origin = poa_arena_alloc(x->graph->arena, nodes * sizeof *x->origin);
  x->from_parameters = poa_arena_alloc(x->graph->arena, nodes);
  find_origins(x);
  find_limits(x);
  find_factors(x);
  poa_status status = make_table(x, table, error);
  if (status == POA_OK)
    x->nodes = poa_graph_take_nodes(x->graph, &x->count);
  return status;
}

poa_status poa_extract_parameters(poa_graph *graph, const poa_options *options,
                                  poa_extraction *extraction, poa_error *error) {
  extractor x = {.graph = graph, .out = extraction, .findings = find_known(graph)};
  poa_parameter *table;
  *extraction = (poa_extraction){.elastic = graph->parameters};
  poa_status status = check_effects(graph, error);
  if (status == POA_OK)
    status = poa_specialize_layers(graph, options, &x.layer_factors, error);
  if (status == POA_OK)
    status = poa_require_early(graph, "extract", error);
  if (status == POA_OK)
    status = analyse(&x, &table, error);
  if (status)
    return status;
  graph->parameters = table;
  graph->parameter_count = extraction->count;
  write_nodes(&x);
  return POA_OK;
}

poa_status poa_extract(poa_graph *graph, const poa_options *options, poa_error *error) {
  poa_extraction extraction;
  return poa_extract_parameters(graph, options, &extraction, error);
}
