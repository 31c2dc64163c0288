/* model.h: an ONNX model under construction, and what the files of onnx/ share.
 *
 *   model.c    nodes, attributes, initializers as protobuf messages; writing
 *   fold.c     what depends on parameters alone, worked out now
 *   shapes.c   values whose extents are told, or stretched, when the model runs
 *   ops.c      a row for each op of the IR
 *   export.c   the whole */
#ifndef POA_ONNX_MODEL_H
#define POA_ONNX_MODEL_H

#include "onnx.pb-c.h"
#include "onnx/export.h"

enum { POA_ONNX_MAX_ATTRIBUTES = 4 };

typedef struct poa_onnx_model {
  const poa_onnx_export *export;
  const poa_graph *graph;
  poa_arena *arena; /* of everything in the model */
  poa_error *error;
  Onnx__GraphProto proto;
  size_t node_capacity, initializer_capacity;
  char **name;          /* by value of the graph: the ONNX value that holds it; NULL: not yet */
  char **full;          /* the same, stretched to its full shape; NULL: as `name` */
  bool *live;           /* an output needs it */
  bool *folded;         /* depends on parameters and constants alone, at any batch */
  char *batch_value;    /* int64[1] with the batch size; NULL until needed */
  int64_t weight_bytes; /* of the initializers */
  int fresh;            /* number of the next made-up name */
} poa_onnx_model;

/* model.c. Names and texts are copied. */

char *poa_onnx_fresh(poa_onnx_model *m, const char *op);
Onnx__AttributeProto *poa_onnx_int(poa_onnx_model *m, const char *name, int64_t value);
Onnx__AttributeProto *poa_onnx_ints(poa_onnx_model *m, const char *name, const int64_t *values,
                                    int count);
/* Appends a node with one output of a made-up name, which is returned. */
char *poa_onnx_node(poa_onnx_model *m, const char *op, char *const *inputs, int input_count,
                    Onnx__AttributeProto *const *attributes, int attribute_count);
/* Shorter forms. */
char *poa_onnx_unary(poa_onnx_model *m, const char *op, char *x);
char *poa_onnx_binary(poa_onnx_model *m, const char *op, char *x, char *y);
/* Constants, of any dtype. */
char *poa_onnx_tensor(poa_onnx_model *m, const char *name, const poa_type *type,
                      const double *values);
char *poa_onnx_scalar(poa_onnx_model *m, double value, poa_dtype dtype);
char *poa_onnx_indices(poa_onnx_model *m, const int64_t *values, int count); /* int64[count] */
int poa_onnx_dtype(poa_dtype dtype);
/* Writes the finished model. */
poa_status poa_onnx_pack(poa_onnx_model *m, const char *path);

/* fold.c */

/* Marks what is needed and what depends on parameters alone, and turns into initializers what of
 * the latter the rest reads. */
poa_status poa_onnx_fold(poa_onnx_model *m);

/* shapes.c */

/* Whether extent `axis` of the value is a multiple of the batch; then *factor times it. */
bool poa_onnx_is_dynamic(const poa_onnx_model *m, poa_value value, int axis, int64_t *factor);
/* The value's shape as int64[rank], known now or computed from the batch. */
char *poa_onnx_shape(poa_onnx_model *m, poa_value value);
/* The value with its full shape; broadcasts and constants are kept small until one asks. */
char *poa_onnx_full(poa_onnx_model *m, poa_value value);
/* Reshapes `x` to the shape of `value`. */
char *poa_onnx_reshape_to(poa_onnx_model *m, char *x, poa_value value);

/* ops.c */

/* Sets m->name[value]. Fails, naming the op, where ONNX has no form for it. */
poa_status poa_onnx_op(poa_onnx_model *m, poa_value value);

#endif
