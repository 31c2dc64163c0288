/* cut_rows.c: computes only the rows that somebody reads.
 *
 * A selection of rows, by slice or gather, moves up through all that works on each row by
 * itself: element-wise ops, sums along a row, products with a matrix. So the class token and
 * the masked patches of a transformer's last block go through its MLP alone, and the other
 * patches stop behind the attention. */
#include "ir/build.h"
#include "passes/internal.h"

/* Selections of one value that are kept apart; with more, all of it is computed. */
enum { MOST_PIECES = 8 };

typedef enum need_kind {
  NOT_READ,
  WHOLE,     /* some reader takes all of it */
  SELECTED,  /* all readers are selections; this value may become the root of a region */
  IN_REGION, /* all readers are row-wise and read the same rows */
} need_kind;

/* What the readers of a value want of it. */
typedef struct need {
  need_kind kind;
  /* SELECTED: each piece is a chain of slices, reshapes and gathers that begins at this value; here
   * is the last node of each. None of them touches the last `rest` axes. */
  int count, rest;
  poa_value last[MOST_PIECES];
  /* IN_REGION */
  poa_value root; /* whose selections are moved up */
  int rows;       /* so many leading axes are the rows */
} need;

/* A value whose selected rows alone are computed, with all row-wise values above it. */
typedef struct region {
  int rest, rows;       /* axes of the root */
  int64_t of, selected; /* how many rows there are, and how many of them are read */
  int count;
  poa_value last[MOST_PIECES];
  int64_t offset[MOST_PIECES]; /* first row of each piece among the selected */
  poa_value latest_index;      /* the last of the indices of gathers */
  int products;
} region;

typedef struct cutter {
  poa_build b;
  poa_arena *scratch;
  const poa_node *nodes;
  uint32_t count;
  need *needs;
  region **regions;         /* of roots; else NULL */
  poa_value *root_of_piece; /* of last nodes of pieces; else POA_NO_VALUE */
  poa_value *map;           /* whole values; POA_NO_VALUE: not computed */
  poa_value *selected;      /* the selected rows as one axis, for the region selected_for */
  poa_value *selected_for;
} cutter;

/* What a node reads of its operands */

/* How many of the last axes a selection leaves alone; 0: the node is no selection of rows. */
static int axes_left_alone(const cutter *c, const poa_node *n) {
  if (n->op == POA_OP_gather)
    return n->type.rank - 1;
  const poa_type *from = &c->nodes[n->operands[0]].type;
  int rest = 0, rank = n->type.rank;
  if (n->op == POA_OP_slice) {
    while (rest < rank && n->type.dim[rank - 1 - rest].value == from->dim[rank - 1 - rest].value)
      rest++;
    return rest < rank ? rest : 0;
  }
  if (n->op == POA_OP_reshape)
    while (rest < rank && rest < from->rank &&
           n->type.dim[rank - 1 - rest].value == from->dim[from->rank - 1 - rest].value)
      rest++;
  return rest;
}

/* The leading axes of `type` that together are `of` rows; -1: no such. */
static int leading_axes(const poa_type *type, int64_t of) {
  int64_t product = 1;
  for (int i = 0; i < type->rank; i++) {
    if (product == of)
      return i;
    product *= type->dim[i].value;
  }
  return product == of ? type->rank : -1;
}

static bool is_prefix_kept(const poa_attribute *list, int rows) {
  for (int i = 0; i < rows; i++)
    if (i >= list->count || list->integers[i] != i)
      return false;
  return true;
}

static bool all_from(const poa_attribute *list, int first) {
  for (int i = 0; i < list->count; i++)
    if (list->integers[i] < first)
      return false;
  return true;
}

static int rows_through_broadcast(const poa_node *n, const poa_type *from, int rows) {
  const poa_attribute *axes = poa_node_attribute(n, "axes");
  if (all_from(axes, rows))
    return 0;
  if (!is_prefix_kept(axes, rows))
    return -1;
  return poa_joined_extent(from, 0, rows) == poa_joined_extent(&n->type, 0, rows) ? rows : -1;
}

static int rows_through_dot(const poa_node *n, const poa_type *from, int operand, int rows) {
  poa_dot_form form = poa_dot_form_of(n);
  if (form.ta || rows != 1 || n->type.rank != 2)
    return -1;
  return operand == 0 && from->rank == form.rows + form.inner ? (int)form.rows : 0;
}

/* The first `rows` axes of the node are rows: how many leading axes of the operand are the same
 * rows? 0: every row reads the whole operand; -1: the node does not work row by row. */
static int rows_of_operand(const cutter *c, const poa_node *n, int operand, int rows) {
  const poa_type *from = &c->nodes[n->operands[operand]].type;
  if (poa_op_is(n->op, POA_FLAG_ELEMENTWISE) || n->op == POA_OP_detach)
    return rows;
  switch (n->op) {
  case POA_OP_softmax:
  case POA_OP_log_softmax:
    return rows < n->type.rank ? rows : -1;
  case POA_OP_broadcast:
    return rows_through_broadcast(n, from, rows);
  case POA_OP_reduce_sum:
  case POA_OP_reduce_max:
    return all_from(poa_node_attribute(n, "axes"), rows) ? rows : -1;
  case POA_OP_reshape:
    return leading_axes(from, poa_joined_extent(&n->type, 0, rows));
  case POA_OP_transpose:
    return is_prefix_kept(poa_node_attribute(n, "perm"), rows) ? rows : -1;
  case POA_OP_slice:
    return poa_joined_extent(from, 0, rows) == poa_joined_extent(&n->type, 0, rows) ? rows : -1;
  case POA_OP_concat:
    return poa_node_int(n, "axis", 0) >= rows ? rows : -1;
  case POA_OP_dot:
    return rows_through_dot(n, from, operand, rows);
  default:
    return -1;
  }
}

static bool is_row_wise(const cutter *c, poa_value v, const region *r, int rows) {
  const poa_node *n = &c->nodes[v];
  /* The indices must be there before the first selected row. */
  if (r->latest_index != POA_NO_VALUE && v < r->latest_index)
    return false;
  if (r->rows + n->type.rank - rows > POA_MAX_RANK || rows == 0)
    return false;
  if (n->op == POA_OP_constant)
    return true;
  for (int i = 0; i < n->operand_count; i++) {
    int own = rows_of_operand(c, n, i, rows);
    const poa_type *from = &c->nodes[n->operands[i]].type;
    if (own < 0 || r->rows + from->rank - own > POA_MAX_RANK)
      return false;
  }
  return n->operand_count > 0;
}

/* From the readers up: what is needed of each value */

static void need_whole(cutter *c, poa_value v) {
  c->needs[v].kind = WHOLE;
}

static void need_piece(cutter *c, poa_value v, poa_value last, int rest) {
  need *n = &c->needs[v];
  if ((n->kind != NOT_READ && n->kind != SELECTED) || n->count == MOST_PIECES) {
    n->kind = WHOLE;
    return;
  }
  n->rest = n->kind == NOT_READ || rest < n->rest ? rest : n->rest;
  n->kind = SELECTED;
  n->last[n->count++] = last;
}

static void need_rows(cutter *c, poa_value v, poa_value root, int rows) {
  need *n = &c->needs[v];
  if (n->kind == NOT_READ)
    *n = (need){.kind = IN_REGION, .root = root, .rows = rows};
  else if (n->kind != IN_REGION || n->root != root || n->rows != rows)
    n->kind = WHOLE;
}

static void need_operands_whole(cutter *c, const poa_node *n, int first) {
  for (int i = first; i < n->operand_count; i++)
    need_whole(c, n->operands[i]);
}

/* A node that is computed whole. */
static void read_operands(cutter *c, poa_value v) {
  const poa_node *n = &c->nodes[v];
  bool selects = n->op == POA_OP_slice || n->op == POA_OP_gather;
  int rest = selects ? axes_left_alone(c, n) : 0;
  if (rest > 0)
    need_piece(c, n->operands[0], v, rest);
  need_operands_whole(c, n, rest > 0 ? 1 : 0);
}

/* Whether a selection of a selection is passed on as one of the operand. */
static bool lengthen_chains(cutter *c, poa_value v) {
  const poa_node *n = &c->nodes[v];
  const need *own = &c->needs[v];
  if (n->op != POA_OP_slice && n->op != POA_OP_gather && n->op != POA_OP_reshape)
    return false;
  if (axes_left_alone(c, n) < own->rest)
    return false;
  for (int i = 0; i < own->count; i++)
    need_piece(c, n->operands[0], own->last[i], own->rest);
  need_operands_whole(c, n, 1);
  return true;
}

static poa_value latest_index(const cutter *c, poa_value last, poa_value root, poa_value latest) {
  for (poa_value v = last; v != root; v = c->nodes[v].operands[0])
    if (c->nodes[v].op == POA_OP_gather)
      if (latest == POA_NO_VALUE || c->nodes[v].operands[1] > latest)
        latest = c->nodes[v].operands[1];
  return latest;
}

static region *describe_region(const cutter *c, poa_value root) {
  const need *own = &c->needs[root];
  const poa_type *type = &c->nodes[root].type;
  region *r = poa_arena_alloc(c->scratch, sizeof *r);
  *r = (region){.rest = own->rest,
                .rows = type->rank - own->rest,
                .count = own->count,
                .latest_index = POA_NO_VALUE};
  r->of = poa_joined_extent(type, 0, r->rows);
  for (int i = 0; i < own->count; i++) {
    const poa_type *piece = &c->nodes[own->last[i]].type;
    r->last[i] = own->last[i];
    r->offset[i] = r->selected;
    r->selected += poa_joined_extent(piece, 0, piece->rank - own->rest);
    r->latest_index = latest_index(c, own->last[i], root, r->latest_index);
  }
  return r;
}

static void pass_rows_on(cutter *c, poa_value v, poa_value root, int rows) {
  const poa_node *n = &c->nodes[v];
  c->regions[root]->products += n->op == POA_OP_dot;
  for (int i = 0; i < n->operand_count; i++) {
    int own = rows_of_operand(c, n, i, rows);
    if (own > 0)
      need_rows(c, n->operands[i], root, own);
    else
      need_whole(c, n->operands[i]);
  }
}

/* Where less than a quarter of the rows is not read, gathering the others costs more than it saves.
 */
static bool is_worth_it(const region *r) {
  return r->selected <= r->of * 3 / 4;
}

static void visit(cutter *c, poa_value v) {
  need *own = &c->needs[v];
  if (own->kind == SELECTED) {
    if (lengthen_chains(c, v))
      return;
    region *r = describe_region(c, v);
    if (is_worth_it(r) && is_row_wise(c, v, r, r->rows)) {
      c->regions[v] = r;
      for (int i = 0; i < r->count; i++)
        c->root_of_piece[r->last[i]] = v;
      *own = (need){.kind = IN_REGION, .root = v, .rows = r->rows};
      pass_rows_on(c, v, v, r->rows);
      return;
    }
  }
  if (own->kind == IN_REGION && is_row_wise(c, v, c->regions[own->root], own->rows)) {
    pass_rows_on(c, v, own->root, own->rows);
    return;
  }
  own->kind = WHOLE;
  read_operands(c, v);
}

/* Down again: the graph with the rows cut */

/* [selected, the axes of `type` from `rows` on] */
static poa_type selected_type(const region *r, const poa_type *type, int rows) {
  poa_type cut = {.dtype = type->dtype, .rank = 1 + type->rank - rows};
  cut.dim[0] = poa_known(r->selected);
  for (int i = rows; i < type->rank; i++)
    cut.dim[1 + i - rows] = type->dim[i];
  return cut;
}

/* The first `rows` axes of `left`, then those of `right` from `from` on. */
static poa_type joined_type(const poa_type *left, int rows, const poa_type *right, int from) {
  poa_type type = {.dtype = right->dtype, .rank = rows + right->rank - from};
  for (int i = 0; i < rows; i++)
    type.dim[i] = left->dim[i];
  for (int i = from; i < right->rank; i++)
    type.dim[rows + i - from] = right->dim[i];
  return type;
}

static poa_value reshaped(cutter *c, poa_value x, const poa_type *type) {
  return poa_same_shape(&c->b.graph->nodes[x].type, type) ? x : poa_b_reshape(&c->b, x, type);
}

/* One node of a chain on `x`, whose axes from `rest_from` on are not the root's. */
static poa_value select_again(cutter *c, const poa_node *n, int rest, poa_value x) {
  poa_type from = c->b.graph->nodes[x].type;
  int rows = n->type.rank - rest, tail = c->nodes[n->operands[0]].type.rank - rest;
  poa_type to = joined_type(&n->type, rows, &from, tail);
  if (n->op == POA_OP_gather)
    return poa_b_node(&c->b, POA_OP_gather, (poa_value[]){x, c->map[n->operands[1]]}, 2, NULL, 0,
                      NULL);
  if (n->op == POA_OP_reshape)
    return reshaped(c, x, &to);
  const poa_attribute *begin = poa_node_attribute(n, "start");
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int i = 0; i < from.rank; i++) {
    start[i] = i < rows ? begin->extents[i] : poa_known(0);
    limit[i] = poa_known(start[i].value + to.dim[i].value);
  }
  return poa_b_slice(&c->b, x, start, limit);
}

static poa_value select_piece(cutter *c, const region *r, poa_value root, poa_value v,
                              poa_value x) {
  if (v == root)
    return x;
  x = select_piece(c, r, root, c->nodes[v].operands[0], x);
  return select_again(c, &c->nodes[v], r->rest, x);
}

/* The rows of a value that is computed whole. */
static poa_value select_rows(cutter *c, poa_value root, poa_value v, int rows) {
  const region *r = c->regions[root];
  const poa_type *type = &c->nodes[v].type;
  poa_type laid_out = joined_type(&c->nodes[root].type, r->rows, type, rows);
  poa_value whole = reshaped(c, c->map[v], &laid_out), pieces[MOST_PIECES];
  for (int i = 0; i < r->count; i++) {
    int64_t end = i + 1 < r->count ? r->offset[i + 1] : r->selected;
    poa_type piece = selected_type(r, type, rows);
    piece.dim[0] = poa_known(end - r->offset[i]);
    pieces[i] = reshaped(c, select_piece(c, r, root, r->last[i], whole), &piece);
  }
  poa_attribute axis = poa_attribute_int("axis", 0);
  return r->count == 1 ? pieces[0]
                       : poa_b_node(&c->b, POA_OP_concat, pieces, r->count, &axis, 1, NULL);
}

/* The axes of a list that are not rows, moved to where they are when the rows are one axis. */
static poa_attribute moved_axes(const cutter *c, const poa_attribute *list, int rows,
                                bool has_rows) {
  int64_t *axes = poa_arena_alloc(c->scratch, ((size_t)list->count + 1) * sizeof *axes);
  int count = 0;
  if (has_rows)
    axes[count++] = 0;
  for (int i = 0; i < list->count; i++)
    if (list->integers[i] >= rows)
      axes[count++] = list->integers[i] - rows + 1;
  return poa_attribute_ints(list->key, axes, count);
}

static poa_value cut_slice(cutter *c, const poa_node *n, const region *r, int rows, poa_value x) {
  const poa_attribute *begin = poa_node_attribute(n, "start"),
                      *end = poa_node_attribute(n, "limit");
  poa_extent start[POA_MAX_RANK] = {poa_known(0)}, limit[POA_MAX_RANK] = {poa_known(r->selected)};
  for (int i = rows; i < n->type.rank; i++) {
    start[1 + i - rows] = begin->extents[i];
    limit[1 + i - rows] = end->extents[i];
  }
  return poa_b_slice(&c->b, x, start, limit);
}

static poa_value cut_dot(cutter *c, const poa_node *n, const poa_value *operands) {
  poa_dot_form form = poa_dot_form_of(n);
  form.rows = 1;
  return poa_b_product(&c->b, operands[0], operands[1], form);
}

/* The node over selected rows alone. */
static poa_value cut_node(cutter *c, const poa_node *n, const region *r, int rows,
                          const poa_value *operands) {
  poa_type type = selected_type(r, &n->type, rows);
  const poa_attribute *attributes = n->attributes;
  poa_attribute own;
  switch (n->op) {
  case POA_OP_slice:
    return cut_slice(c, n, r, rows, operands[0]);
  case POA_OP_dot:
    return cut_dot(c, n, operands);
  case POA_OP_broadcast: {
    const poa_attribute *axes = poa_node_attribute(n, "axes");
    own = moved_axes(c, axes, rows, !all_from(axes, rows));
    attributes = &own;
    break;
  }
  case POA_OP_reduce_sum:
  case POA_OP_reduce_max:
    own = moved_axes(c, poa_node_attribute(n, "axes"), rows, false);
    attributes = &own;
    break;
  case POA_OP_transpose:
    own = moved_axes(c, poa_node_attribute(n, "perm"), rows, true);
    attributes = &own;
    break;
  case POA_OP_concat:
    own = poa_attribute_int("axis", poa_node_int(n, "axis", 0) - rows + 1);
    attributes = &own;
    break;
  default:
    break;
  }
  return poa_b_node(&c->b, n->op, operands, n->operand_count, attributes, n->attribute_count,
                    &type);
}

static poa_value rows_of(cutter *c, poa_value root, poa_value v, int rows);

static poa_value compute_rows(cutter *c, poa_value root, poa_value v, int rows) {
  const poa_node *n = &c->nodes[v];
  poa_value few[4], *operands = few;
  if (n->operand_count > 4)
    operands = poa_arena_alloc(c->scratch, (size_t)n->operand_count * sizeof *operands);
  for (int i = 0; i < n->operand_count; i++) {
    int own = rows_of_operand(c, n, i, rows);
    operands[i] = own > 0 ? rows_of(c, root, n->operands[i], own) : c->map[n->operands[i]];
  }
  c->b.location = n->location;
  return cut_node(c, n, c->regions[root], rows, operands);
}

static bool reads_no_rows(const cutter *c, const poa_node *n, int rows) {
  return n->op == POA_OP_constant ||
         (n->op == POA_OP_broadcast && rows_of_operand(c, n, 0, rows) == 0);
}

/* The selected rows of any operand. What is the same in each row is made anew for these alone,
 * though others may want it whole. */
static poa_value rows_of(cutter *c, poa_value root, poa_value v, int rows) {
  if (c->selected_for[v] != root) {
    bool anew = reads_no_rows(c, &c->nodes[v], rows);
    poa_value value = anew ? compute_rows(c, root, v, rows) : select_rows(c, root, v, rows);
    c->selected[v] = value;
    c->selected_for[v] = root;
  }
  return c->selected[v];
}

static bool is_cut(const cutter *c, poa_value root) {
  return root != POA_NO_VALUE && c->regions[root]->products > 0;
}

/* The rows of one piece, in the shape that its readers know. */
static poa_value read_piece(cutter *c, poa_value root, poa_value last) {
  const region *r = c->regions[root];
  int piece = 0;
  while (r->last[piece] != last)
    piece++;
  poa_value rows = c->selected[root];
  poa_type type = c->b.graph->nodes[rows].type;
  poa_extent start[POA_MAX_RANK], limit[POA_MAX_RANK];
  for (int i = 0; i < type.rank; i++) {
    start[i] = poa_known(0);
    limit[i] = type.dim[i];
  }
  start[0].value = r->offset[piece];
  limit[0].value = piece + 1 < r->count ? r->offset[piece + 1] : r->selected;
  poa_value own = r->count == 1 ? rows : poa_b_slice(&c->b, rows, start, limit);
  return reshaped(c, own, &c->nodes[last].type);
}

static void rebuild(cutter *c, poa_value v) {
  const poa_node *n = &c->nodes[v];
  const need *own = &c->needs[v];
  c->b.location = n->location;
  c->map[v] = POA_NO_VALUE;
  if (is_cut(c, c->root_of_piece[v])) {
    c->map[v] = read_piece(c, c->root_of_piece[v], v);
  } else if (own->kind == IN_REGION && is_cut(c, own->root)) {
    c->selected[v] = compute_rows(c, own->root, v, own->rows);
    c->selected_for[v] = own->root;
  } else if (n->operand_count == 0 || c->map[n->operands[0]] != POA_NO_VALUE) {
    c->map[v] = poa_graph_copy(c->b.graph, n, c->map);
  } /* else in the middle of a chain that is gone */
}

static bool any_cut(const cutter *c) {
  for (poa_value v = 0; v < c->count; v++)
    if (c->regions[v] && c->regions[v]->products)
      return true;
  return false;
}

static void cut(cutter *c, poa_graph *graph) {
  size_t count = graph->node_count;
  c->nodes = graph->nodes;
  c->count = graph->node_count;
  c->needs = poa_arena_alloc(c->scratch, count * sizeof *c->needs);
  c->regions = poa_arena_alloc(c->scratch, count * sizeof(region *));
  poa_value **arrays[] = {&c->root_of_piece, &c->map, &c->selected, &c->selected_for};
  for (int i = 0; i < 4; i++)
    *arrays[i] = poa_arena_alloc(c->scratch, count * sizeof(poa_value));
  for (size_t v = 0; v < count; v++) {
    c->needs[v] = (need){.kind = NOT_READ};
    c->regions[v] = NULL;
    c->root_of_piece[v] = c->selected_for[v] = POA_NO_VALUE;
  }
  for (poa_value v = c->count; v-- > 0;)
    visit(c, v);
  if (!any_cut(c))
    return;
  c->nodes = poa_graph_take_nodes(graph, &c->count);
  for (poa_value v = 0; v < c->count; v++)
    rebuild(c, v);
}

/* Moves selections of rows up to where rows depend on each other, if a matrix product lies between.
 *
 *   before:                                         after:
 *     %1 = dot %0, %w             : f32[64,192]       %1 = slice %0 {start=[0,0], limit=[8,48]}
 *     %2 = exp %1                 : f32[64,192]       %2 = dot %1, %w      : f32[8,192]
 *     %3 = slice %2 {start=[0,0],                     %3 = exp %2          : f32[8,192]
 *            limit=[8,192]}       : f32[8,192]
 *
 * Several selections of a value become one, a concat, and slices of what is computed from it.
 *
 * Requires: known extents, no kernels; before differentiate, so that the backward sweep is that of
 * the rows left. Keeps: order, effects, every value that an effect sees. */
poa_status poa_cut_rows(poa_graph *graph, const poa_options *options, poa_error *error) {
  (void)options;
  if (poa_require_early(graph, "cut_rows", error))
    return POA_BAD_INPUT;
  cutter c = {.b = {.graph = graph}, .scratch = poa_arena_borrow(graph->arena)};
  if (!c.scratch)
    return poa_fail(error, POA_NO_MEMORY, "no memory to cut rows of %s", graph->name);
  cut(&c, graph);
  poa_arena_free(c.scratch);
  return POA_OK;
}
