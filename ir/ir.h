/* ir.h: the map of ir/. A graph is a flat array of nodes in topological order; a
 * value is the index of the node that makes it. One arena holds all of a graph.
 *
 *   graph @features(%images: f32[16,3,224,224]) {
 *     %w  = parameter {set="teacher", name="norm.weight"} : f32[1024]
 *     %w1 = slice %w {start=[0], limit=[width]}           : f32[width]
 *     ...
 *   }
 *
 * Extents are integers or expressions of the elastic names; specialize makes them
 * all integers. After fuse each node bears the number of its kernel; after layout
 * each stored value says where its elements lie; after schedule, its buffer's place.
 * parse(print(g)) is g at every stage. */
#ifndef POA_IR_H
#define POA_IR_H

#include <stdio.h>

#include "poa.h"
#include "runtime/arena.h"
#include "runtime/lattice.h"

#define POA_MAX_RANK 8

/* extent.c: integers and expressions of elastic names */

typedef enum poa_expr_kind {
  POA_EXPR_INT,
  POA_EXPR_NAME,
  POA_EXPR_ADD,
  POA_EXPR_SUB,
  POA_EXPR_MUL,
  POA_EXPR_DIV, /* exact or floor */
  POA_EXPR_MOD,
} poa_expr_kind;

typedef struct poa_expr {
  poa_expr_kind kind;
  int64_t integer; /* INT: the value; NAME: index in the lattice */
  const struct poa_expr *left, *right;
} poa_expr;

/* Known (expr NULL) or symbolic. */
typedef struct poa_extent {
  int64_t value;
  const poa_expr *expr;
} poa_extent;

static inline poa_extent poa_known(int64_t value) {
  return (poa_extent){value, NULL};
}
/* Folds where both are known; otherwise allocates in `arena`. */
poa_extent poa_extent_combine(poa_arena *arena, poa_expr_kind kind, poa_extent a, poa_extent b);
poa_extent poa_extent_name(poa_arena *arena, int index);
int64_t poa_extent_at(poa_extent extent, const poa_point *point);
/* Equal at every point of the lattice (structural check first). */
bool poa_extent_equal(const poa_lattice *lattice, poa_extent a, poa_extent b);
/* Writes "4*width" or "197"; returns the length as snprintf does. */
int poa_extent_print(const poa_lattice *lattice, poa_extent extent, char *out, size_t size);
/* Whether depth `kept` of `of` keeps block `index`: floor(linspace(0, of-1, kept)). */
bool poa_block_kept(int64_t kept, int64_t of, int64_t index);

/* type.c */

typedef enum poa_dtype { POA_F32, POA_I32, POA_BOOL } poa_dtype;

typedef struct poa_type {
  poa_dtype dtype;
  int rank;
  poa_extent dim[POA_MAX_RANK];
} poa_type;

const char *poa_dtype_name(poa_dtype dtype);
bool poa_type_known(poa_type type);       /* no symbolic extent */
int64_t poa_type_elements(poa_type type); /* of a known type */
/* The product of the known extents of the axes [first, end). */
int64_t poa_joined_extent(const poa_type *type, int first, int end);
bool poa_type_equal(const poa_lattice *lattice, const poa_type *a, const poa_type *b);
/* Same rank and extents, which are known; the dtypes may differ. */
bool poa_same_shape(const poa_type *a, const poa_type *b);
int poa_type_print(const poa_lattice *lattice, const poa_type *type, char *out, size_t size);

/* ops.c: the table */

typedef enum poa_op {
#define POA_OP(name, ...) POA_OP_##name,
#include "ir/ops.def"
#undef POA_OP
  POA_OP_COUNT
} poa_op;

enum {
  POA_FLAG_ELEMENTWISE = 1 << 0,
  POA_FLAG_COMMUTATIVE = 1 << 1,
  POA_FLAG_COSTLY = 1 << 2,
  POA_FLAG_VIEW = 1 << 3,
  POA_FLAG_REDUCTION = 1 << 4,
  POA_FLAG_COMPOSITE = 1 << 5,
  POA_FLAG_ROOT = 1 << 6,
  POA_FLAG_LEAF = 1 << 7,
  POA_FLAG_EARLY = 1 << 8,
};
#define POA_VARIADIC (-1)

typedef enum poa_attribute_kind {
  POA_ATTRIBUTE_INT,
  POA_ATTRIBUTE_FLOAT,
  POA_ATTRIBUTE_STRING,
  POA_ATTRIBUTE_INTS,
  POA_ATTRIBUTE_EXTENTS,
  POA_ATTRIBUTE_EXPR,
} poa_attribute_kind;

typedef struct poa_attribute {
  const char *key; /* of the op's row: static storage */
  poa_attribute_kind kind;
  int64_t integer;
  double real;
  const char *text;
  int count;
  const int64_t *integers;
  const poa_extent *extents; /* EXTENTS: `count` of them; EXPR: one */
} poa_attribute;

typedef struct poa_op_info {
  const char *name;
  int operands; /* or POA_VARIADIC */
  const char *attributes;
  unsigned flags;
} poa_op_info;

const poa_op_info *poa_op_table(poa_op op);
bool poa_op_from_name(const char *name, poa_op *op);
static inline bool poa_op_is(poa_op op, unsigned flag) {
  return (poa_op_table(op)->flags & flag) != 0;
}

/* graph.c */

typedef uint32_t poa_value;
#define POA_NO_VALUE UINT32_MAX

typedef struct poa_location {
  const char *file; /* NULL where there is none */
  int line, column;
  /* The branch of the description, "student at max", or outside of branches the module that the
   * entry calls; NULL: neither. */
  const char *branch;
} poa_location;

/* Where a value's elements lie: element (i, j, ..) at offset + i*stride[0] + ..
 * elements into the buffer of `root`. A value with root = itself owns its buffer. */
typedef struct poa_storage {
  poa_value root; /* POA_NO_VALUE before layout, and for values inside a kernel */
  int64_t offset;
  int64_t stride[POA_MAX_RANK];
  int64_t place; /* schedule: byte offset of the root's buffer in its space, else -1 */
} poa_storage;

typedef struct poa_node {
  poa_op op;
  poa_type type;
  int operand_count, attribute_count;
  poa_value *operands;
  poa_attribute *attributes;
  poa_location location;
  int kernel; /* fuse: number of the kernel, consecutive in node order; -1: no code */
  poa_storage storage;
} poa_node;

/* A tensor that survives steps. Stored whole, at the top of the lattice. */
typedef struct poa_parameter {
  const char *set, *name;
  poa_type type;      /* known extents, as the graph sees it: [3,1024,1024] */
  poa_type file_type; /* the same elements as files have it: [3072,1024] */
  /* Axis i of the file is axis file_axes[i] of `type`; NULL: elements keep their order. */
  const int64_t *file_axes;
  const char *initializer; /* "constant", "normal", "trunc_normal", "uniform", "copy" */
  double argument;
  const char *copy_of; /* set to copy from, or NULL */
  poa_location location;
} poa_parameter;

typedef struct poa_source_argument {
  const char *name;
  double value;
  const char *text; /* NULL unless a string */
} poa_source_argument;

/* An input of the entry and what fills it before each step (runtime/sources.c). */
typedef struct poa_input {
  const char *name;
  poa_type type;
  const char *source; /* "" when the caller fills it */
  int argument_count;
  poa_source_argument *arguments;
  int use; /* number of this use of randomness */
  poa_location location;
} poa_input;

typedef enum poa_c_kind {
  POA_C_TENSOR, /* pointer to operand `integer`, dense; -1: to the result */
  POA_C_INT,
  POA_C_INT64,
  POA_C_FLOAT,
  POA_C_DOUBLE,
} poa_c_kind;

typedef struct poa_c_argument {
  poa_c_kind kind;
  int64_t integer;
  double real;
} poa_c_argument;

/* A C function that a description declares, as one call of it is made. */
typedef struct poa_external {
  const char *name;   /* of this instance; op call refers to it */
  const char *symbol; /* in the plugin */
  int argument_count;
  poa_c_argument *arguments;
  /* For operand i: the external that computes its gradient from (operands.., result,
   * gradient of the result), or NULL. */
  const char **gradients;
  int operand_count;
} poa_external;

typedef struct poa_graph {
  poa_arena *arena; /* not owned */
  const char *name;
  poa_lattice lattice;
  bool specialized;
  poa_point point; /* what specialize bound */
  poa_node *nodes;
  uint32_t node_count, node_capacity;
  poa_parameter *parameters; /* of the whole model, in file order */
  int parameter_count;
  poa_input *inputs;
  int input_count;
  poa_external *externals;
  int external_count;
  int64_t arena_bytes; /* schedule: exact peak; -1 before */
} poa_graph;

poa_graph *poa_graph_create(poa_arena *arena, const char *name);

/* A graph in `arena` that has the nodes of `graph`, which are neither copied nor to be changed:
 * take them out and write others. `graph` outlives it. */
poa_graph *poa_graph_share(const poa_graph *graph, poa_arena *arena);

/* Appends a node; its type comes from the op's shape rule (`declared` rules take
 * `type`, others ignore it when NULL and check it otherwise). On a violation
 * returns POA_NO_VALUE and says in `error` what was expected, with both shapes. */
poa_value poa_graph_add(poa_graph *graph, poa_op op, const poa_value *operands, int operand_count,
                        const poa_attribute *attributes, int attribute_count, const poa_type *type,
                        poa_location location, poa_error *error);
/* Appends a copy of `node` (perhaps of another graph in the same arena) with operands
 * renamed through `map`. Kernel and storage are copied as they are: a pass that moves
 * nodes after layout renames storage.root itself. */
poa_value poa_graph_copy(poa_graph *graph, const poa_node *node, const poa_value *map);
static inline poa_node *poa_node_of(const poa_graph *graph, poa_value value) {
  return &graph->nodes[value];
}
/* Takes the nodes out and leaves the graph empty of nodes, for a pass that rebuilds it. */
poa_node *poa_graph_take_nodes(poa_graph *graph, uint32_t *count);

poa_attribute poa_attribute_int(const char *key, int64_t value);
poa_attribute poa_attribute_float(const char *key, double value);
poa_attribute poa_attribute_string(const char *key, const char *value);
poa_attribute poa_attribute_ints(const char *key, const int64_t *values, int count);
poa_attribute poa_attribute_extents(const char *key, const poa_extent *values, int count);
poa_attribute poa_attribute_expr(const char *key, const poa_extent *value);
const poa_attribute *poa_node_attribute(const poa_node *node, const char *key); /* or NULL */
int64_t poa_node_int(const poa_node *node, const char *key, int64_t otherwise);
double poa_node_float(const poa_node *node, const char *key, double otherwise);
const char *poa_node_string(const poa_node *node, const char *key);

/* The known extent of an axis; the graph is specialized. */
static inline int64_t poa_dim(const poa_node *node, int axis) {
  return node->type.dim[axis].value;
}
int poa_graph_find_parameter(const poa_graph *graph, const char *set, const char *name); /* -1 */

/* build.h declares short builders (poa_b_binary(b, op, x, y), ..) for passes that write nodes. */

/* print.c, parse.c: the text form */

void poa_graph_print(const poa_graph *graph, FILE *out);
/* Reads one graph; errors name file (`name`), line and column. */
poa_status poa_graph_parse(poa_arena *arena, const char *name, const char *text, poa_graph **graph,
                           poa_error *error);

/* verify.c: operands before uses, shape rules, attributes, kernels contiguous and in
 * order, values used outside their kernel stored, views agree with their roots. */
poa_status poa_graph_verify(const poa_graph *graph, poa_error *error);

/* interpret.c: the definition of every op, naive loops in double. */

/* A dense row-major tensor of doubles (ints and bools too). */
typedef struct poa_tensor {
  poa_type type;
  double *data;
} poa_tensor;

typedef struct poa_bindings {
  /* Called for each input and parameter node; fills `tensor->data`, already allocated. */
  poa_status (*load)(void *context, const poa_graph *graph, const poa_node *node,
                     poa_tensor *tensor, poa_error *error);
  /* Called for each assign and output node with the value. */
  poa_status (*store)(void *context, const poa_graph *graph, const poa_node *node,
                      const poa_tensor *tensor, poa_error *error);
  /* Called for each op call; NULL: such a graph is an error. */
  poa_status (*call)(void *context, const poa_graph *graph, const poa_node *node,
                     const poa_tensor *const *operands, poa_tensor *result, poa_error *error);
  void *context;
} poa_bindings;

/* Runs a specialized graph without gradient nodes. With `round_to_f32`, each result is
 * rounded to float; otherwise all is double. Frees all it allocates. */
poa_status poa_graph_interpret(const poa_graph *graph, const poa_bindings *bindings,
                               bool round_to_f32, poa_error *error);

/* One element of an element-wise op from its operands' elements, before poa_to_dtype. */
double poa_evaluate(poa_op op, const double *operands);
/* What an element of that dtype holds: f32 rounded to float if asked, i32 truncated and
 * saturated (NaN is 0), bool 0 or 1. */
double poa_to_dtype(double value, poa_dtype dtype, bool round_to_f32);

#endif
