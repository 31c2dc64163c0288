/* elaborate.h: the state of an elaboration and the map of its files. */
#ifndef POA_FRONTEND_ELABORATE_H
#define POA_FRONTEND_ELABORATE_H

#include "frontend/value.h"

/* Bounds that no sensible description comes near; they keep absurd ones from taking all
 * memory or the whole stack. */
#define POA_MAX_CALLS 100     /* inside each other */
#define POA_MAX_DEPTH 600     /* expressions, blocks and calls inside each other */
#define POA_MAX_LOOP 100000   /* rounds of one loop */
#define POA_MAX_WORK 4000000  /* expressions evaluated and items copied, all in all */
#define POA_MAX_NODES 500000  /* of one graph */
#define POA_MAX_SCOPE 1000    /* characters of a parameter's name, of a filled string */
#define POA_MAX_POINTS 100000 /* of the lattice */

/* Attributes in force, innermost first. */
typedef struct poa_attribute_scope {
  const char *name;
  poa_worth value;
  const struct poa_attribute_scope *outer;
} poa_attribute_scope;

typedef struct poa_variable {
  const char *name;
  poa_worth value;
} poa_variable;

/* The variables of one call. */
typedef struct poa_frame {
  const poa_definition *definition;
  const poa_syntax *call;         /* NULL: an entry */
  const struct poa_frame *caller; /* NULL: an entry, or a constant's value */
  int count, capacity;
  poa_variable *variables;
  bool returned;
  poa_worth result;
} poa_frame;

typedef struct poa_set {
  const poa_set_syntax *syntax;
} poa_set;

/* A row of the parameter table beyond what the graph keeps. */
typedef struct poa_parameter_row {
  int set; /* -1: a state */
  const poa_attribute_scope *attributes;
  poa_value node; /* in the entry under elaboration, or POA_NO_VALUE */
} poa_parameter_row;

typedef struct poa_const_row {
  const poa_const *syntax;
  enum { CONST_WAITING, CONST_ACTIVE, CONST_KNOWN } state;
  poa_worth value;
} poa_const_row;

typedef struct poa_elaborator {
  poa_arena *arena;
  poa_diagnostics *diagnostics;
  const poa_program *program;
  bool (*source_exists)(const char *name, char *advice, size_t size); /* see model.h */
  poa_lattice lattice;
  int const_count;
  poa_const_row *consts;
  /* The parameters of the whole model. */
  int parameter_count, parameter_capacity;
  poa_parameter *parameters;
  poa_parameter_row *rows;
  int *parameter_hash; /* open addressing; -1: free */
  int hash_capacity;
  bool *looped; /* of each set: a loop went over it */
  bool stale;   /* such a set has grown since: elaborate once more */
  /* The entry under elaboration. */
  poa_graph *graph;
  const poa_definition *entry;
  int input_capacity;
  /* Where we are. */
  poa_frame *frame;
  int calls, depth;
  int64_t work;
  bool exhausted;     /* the bound on work was hit and reported */
  int set;            /* of the branch; -1 outside one */
  bool at_max;        /* the branch's elastic names stand for their largest values */
  const char *scope;  /* "blocks.3.attn" */
  const char *branch; /* of new nodes' locations; NULL: none */
  const poa_attribute_scope *attributes;
} poa_elaborator;

/* Reports an error at a piece of syntax and gives the error value. */
poa_worth poa_complain(poa_elaborator *e, const poa_syntax *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts work; false once there is too much of it, which is reported at `at` the first time. */
bool poa_charge(poa_elaborator *e, const poa_syntax *at, int64_t amount);
/* One level deeper, for as long as it takes; false where that is too deep. Every call that
 * gave true is followed by poa_leave. */
bool poa_enter(poa_elaborator *e, const poa_syntax *at);
void poa_leave(poa_elaborator *e);
/* An array of `count` names, in the arena. */
const char **poa_new_names(poa_elaborator *e, int count);
/* "; did you mean 'x'?" or "", in the arena. */
const char *poa_suggestion(poa_elaborator *e, const char *name, const char *const *names,
                           int count);

/* expression.c */
poa_worth poa_elaborate(poa_elaborator *e, const poa_syntax *syntax);
poa_worth poa_evaluate_binary(poa_elaborator *e, const poa_syntax *at, const char *op,
                              poa_worth left, poa_worth right);
bool poa_worth_is_true(poa_elaborator *e, const poa_syntax *at, poa_worth value);
bool poa_worth_equal(poa_elaborator *e, const poa_syntax *at, const poa_worth *a,
                     const poa_worth *b);

/* statement.c */
void poa_run_block(poa_elaborator *e, const poa_block *block);
poa_worth poa_call_module(poa_elaborator *e, const poa_syntax *call,
                          const poa_definition *definition, const poa_worth *arguments);
/* Sets the variable, new or not, of the frame in force. */
void poa_assign_variable(poa_elaborator *e, const char *name, poa_worth value);
const poa_worth *poa_find_variable(const poa_elaborator *e, const char *name);
/* Binds or checks the extents of a pattern against a tensor's shape. */
bool poa_bind_shape(poa_elaborator *e, const poa_formal *formal, poa_worth value,
                    const poa_syntax *at);

/* consts.c */
void poa_consts_open(poa_elaborator *e);
const poa_const_row *poa_find_const(poa_elaborator *e, const char *name);
poa_worth poa_const_value(poa_elaborator *e, const char *name, const poa_syntax *at, bool *found);
void poa_open_lattice(poa_elaborator *e);
/* The index of an elastic name, or -1. */
int poa_find_elastic(const poa_elaborator *e, const char *name);

/* parameters.c */
poa_worth poa_declare_parameter(poa_elaborator *e, const poa_statement *statement);
poa_worth poa_state(poa_elaborator *e, const poa_syntax *at, const char *name, const poa_type *type,
                    double initial);
/* The parameter of `set` that corresponds to `parameter`; made if it isn't there yet. */
poa_worth poa_corresponding(poa_elaborator *e, const poa_syntax *at, int set, int parameter);
poa_value poa_parameter_node(poa_elaborator *e, int parameter, poa_location at);
poa_worth poa_parameter_member(poa_elaborator *e, const poa_syntax *at, int parameter,
                               const char *member);
int poa_find_set(const poa_elaborator *e, const char *name);
void poa_finish_parameters(poa_elaborator *e);

/* tensor.c: values into tensors, broadcasting, subscripts */
poa_value poa_to_tensor(poa_elaborator *e, const poa_syntax *at, poa_worth value);
bool poa_is_tensor_like(const poa_worth *value);
poa_type *poa_type_of(poa_elaborator *e, poa_value tensor);
const char *poa_show_type(poa_elaborator *e, const poa_type *type);
/* Appends a node; a violated shape rule is reported at `at`. */
poa_value poa_append(poa_elaborator *e, const poa_syntax *at, poa_op op, const poa_value *operands,
                     int count, const poa_attribute *attributes, int attribute_count,
                     const poa_type *type);
poa_value poa_append_constant(poa_elaborator *e, const poa_syntax *at, double value,
                              const poa_type *type);
/* Stretches x to `type`'s shape: leading axes are added, extents of 1 repeated. */
poa_value poa_stretch(poa_elaborator *e, const poa_syntax *at, poa_value x, const poa_type *type);
poa_value poa_element_wise(poa_elaborator *e, const poa_syntax *at, poa_op op, poa_worth left,
                           poa_worth right);
poa_worth poa_matmul(poa_elaborator *e, const poa_syntax *at, poa_worth left, poa_worth right);
poa_worth poa_subscript(poa_elaborator *e, const poa_syntax *index, poa_worth value);
bool poa_to_extent(poa_elaborator *e, const poa_syntax *at, poa_worth value, poa_extent *extent);
bool poa_to_type(poa_elaborator *e, const poa_syntax *at, poa_worth list, poa_dtype dtype,
                 poa_type *type);
bool poa_to_axis(poa_elaborator *e, const poa_syntax *at, poa_worth value, int rank, int *axis);
poa_value poa_reshape_to(poa_elaborator *e, const poa_syntax *at, poa_value x,
                         const poa_type *type);

/* builtins.c, builtins_tensor.c */
typedef struct poa_builtin {
  const char *name;
  const char *formals; /* "x, axis?, keepdims?" */
  poa_worth (*apply)(poa_elaborator *e, const poa_syntax *call, const poa_worth *arguments);
} poa_builtin;
#define POA_MAX_ARGUMENTS 24
#define POA_MAX_BUILTIN_ARGUMENTS 5 /* the most that one row of builtins.c has */
extern const poa_builtin poa_builtins[];
extern const int poa_builtin_count;
const poa_builtin *poa_find_builtin(const char *name);

/* call.c */
poa_worth poa_evaluate_call(poa_elaborator *e, const poa_syntax *call);

/* externals.c */
poa_worth poa_call_external(poa_elaborator *e, const poa_syntax *call,
                            const poa_definition *definition, const poa_worth *arguments);

/* entry.c */
poa_graph *poa_elaborate_entry(poa_elaborator *e, const poa_definition *entry);
/* Adds an input that no formal names, as for random rows. */
poa_value poa_add_input(poa_elaborator *e, const poa_syntax *at, poa_input input);

#endif
