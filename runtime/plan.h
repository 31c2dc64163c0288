/* plan.h: what the compiler hands to the runtime.
 *
 * A plan is plain data: an ordered list of kernel launches over buffers that lie
 * at fixed offsets in one of three spaces. The compiler fills it in memory for
 * the JIT; an ahead-of-time program carries it as constants. Nothing here knows
 * what the network computes. Strings and arrays belong to whoever made the plan
 * and outlive it. */
#ifndef POA_RUNTIME_PLAN_H
#define POA_RUNTIME_PLAN_H

#include "poa.h"

#define POA_PLAN_MAX_RANK 8
#define POA_ALIGNMENT 64 /* bytes; every buffer starts on such a boundary */

typedef enum poa_plan_dtype { POA_PLAN_F32, POA_PLAN_I32, POA_PLAN_BOOL } poa_plan_dtype;

typedef enum poa_plan_space {
  POA_SPACE_ARENA,      /* values of one step; nothing survives the step */
  POA_SPACE_PARAMETERS, /* every parameter set and state; survives, is saved */
} poa_plan_space;

typedef struct poa_plan_shape {
  int rank;
  int64_t dim[POA_PLAN_MAX_RANK];
} poa_plan_shape;

/* A number of bytes at an offset of a space. */
typedef struct poa_plan_buffer {
  poa_plan_space space;
  int64_t offset; /* bytes */
  int64_t bytes;
} poa_plan_buffer;

/* A kernel computes tiles first..last-1 of its work; any split into ranges gives
 * the same bits. `buffers` are the launch's, in the kernel's own order. */
typedef void (*poa_kernel_fn)(void *const *buffers, int64_t first, int64_t last);

/* An argument of an external C function. */
typedef enum poa_plan_argument_kind {
  POA_ARGUMENT_POINTER, /* to buffer number `integer` of the launch */
  POA_ARGUMENT_INT,     /* C int */
  POA_ARGUMENT_INT64,
  POA_ARGUMENT_FLOAT,
  POA_ARGUMENT_DOUBLE,
} poa_plan_argument_kind;

typedef struct poa_plan_argument {
  poa_plan_argument_kind kind;
  int64_t integer;
  double real;
} poa_plan_argument;

typedef struct poa_plan_external {
  const char *symbol; /* looked up in the plugins the user named */
  int argument_count;
  const poa_plan_argument *arguments;
} poa_plan_external;

typedef struct poa_plan_launch {
  poa_kernel_fn kernel;              /* NULL for an external call */
  const poa_plan_external *external; /* NULL for a kernel */
  int buffer_count;
  const poa_plan_buffer *buffers;
  int64_t tiles;     /* at least 1; external calls have 1 */
  bool barrier;      /* wait for all earlier launches before this one */
  const char *label; /* for traces and benchmarks: family and what it computes */
  const char *family;
  const char *branch; /* of the description (poa_location); NULL: none */
  double flops;       /* two per multiply-add of a matrix product, else 0 */
  int64_t bytes;      /* of memory that its operands and results take, each once */
} poa_plan_launch;

typedef enum poa_initializer {
  POA_INIT_CONSTANT,     /* a = the value */
  POA_INIT_TRUNC_NORMAL, /* a = standard deviation, cut at +-2 (absolute) */
  POA_INIT_NORMAL,       /* a = standard deviation */
  POA_INIT_UNIFORM,      /* in [-a, a] */
  POA_INIT_COPY,         /* of the parameter of the same name in set `copy_of` */
} poa_initializer;

/* The order of a parameter's axes in files, where it is not that in memory: axis i of the file is
 * axis `axis[i]` in memory (runtime/file_order.h). rank 0: the same order. */
typedef struct poa_file_order {
  int rank, axis[POA_PLAN_MAX_RANK];
} poa_file_order;

/* One tensor of the parameter space. Stored row-major, always at maximal size.
 * The layout is the same in every plan of one model. */
typedef struct poa_plan_parameter {
  const char *set;      /* "student", "teacher", "adam_m"; "" for a single state */
  const char *name;     /* "blocks.0.attn.qkv.weight" */
  poa_plan_shape shape; /* as files have it: [144,48] where the graph has [3,48,48] */
  poa_file_order order;
  int64_t offset; /* bytes in POA_SPACE_PARAMETERS */
  poa_initializer initializer;
  double a;
  const char *copy_of;
} poa_plan_parameter;

typedef struct poa_plan_source_argument {
  const char *name;
  double value;
  const char *text; /* NULL unless the argument is a string */
  double per_step;  /* how `value` grows with the constant `steps`, for programs that vary it */
} poa_plan_source_argument;

/* What fills an input before each step: a row of runtime/sources.c. */
typedef struct poa_plan_input {
  const char *name;
  poa_plan_dtype dtype;
  poa_plan_shape shape;
  poa_plan_buffer buffer; /* in the arena, alive from the start of the step */
  const char *source;     /* "" when the caller fills it itself */
  int argument_count;
  const poa_plan_source_argument *arguments;
  int use; /* number of this use of randomness, for Philox keys */
} poa_plan_input;

typedef enum poa_plan_output_kind {
  POA_OUTPUT_RESULT, /* what the entry returns */
  POA_OUTPUT_REPORT, /* scalars of a step, printed and logged */
  POA_OUTPUT_PROBE,  /* kept only where asked for, as by replay */
} poa_plan_output_kind;

typedef struct poa_plan_output {
  const char *name;
  poa_plan_output_kind kind;
  poa_plan_dtype dtype;
  poa_plan_shape shape;
  poa_plan_buffer buffer; /* valid after the step until the next one; dense, row-major */
} poa_plan_output;

typedef struct poa_plan {
  const char *entry;
  int64_t arena_bytes;
  int64_t parameter_bytes;
  int launch_count, parameter_count, input_count, output_count;
  const poa_plan_launch *launches;
  const poa_plan_parameter *parameters;
  const poa_plan_input *inputs;
  const poa_plan_output *outputs;
} poa_plan;

int64_t poa_plan_elements(poa_plan_shape shape);
int64_t poa_plan_dtype_bytes(poa_plan_dtype dtype);

#endif
