/* value.h: what an expression of a description is worth while it is elaborated.
 *
 * Numbers are known at compile time or symbolic in the elastic names; tensors are
 * values of the graph. */
#ifndef POA_FRONTEND_VALUE_H
#define POA_FRONTEND_VALUE_H

#include "frontend/syntax.h"

#define POA_MAX_EXTENT 100 /* names, numbers and operators in one symbolic extent */

typedef enum poa_value_kind {
  VALUE_ERROR, /* already reported; whatever uses it keeps quiet */
  VALUE_NONE,
  VALUE_BOOL,
  VALUE_NUMBER,
  VALUE_STRING,
  VALUE_LIST,
  VALUE_TENSOR,
  VALUE_MODULE,
  VALUE_SET,
  VALUE_PARAMETER, /* one of a set, or a state */
  VALUE_KEEP,      /* keep(depth), to loop over */
} poa_value_kind;

/* Either real, or the quotient of two extents (the denominator mostly 1). */
typedef struct poa_number {
  bool is_real;
  double real;
  poa_extent numerator, denominator;
} poa_number;

typedef struct poa_worth {
  poa_value_kind kind;
  bool boolean;
  poa_number number;
  const char *text;
  int count;
  struct poa_worth *items;
  poa_value tensor;
  const poa_definition *module;
  int index;     /* of a set or a parameter in the tables; of the elastic name of KEEP, or -1 */
  int64_t total; /* KEEP: how many blocks there are in all */
  int64_t kept;  /* KEEP: how many are kept, when the elastic name is at its top */
} poa_worth;

const char *poa_worth_kind_name(poa_value_kind kind);
poa_worth poa_worth_error(void);
poa_worth poa_worth_none(void);
poa_worth poa_worth_bool(bool value);
poa_worth poa_worth_integer(int64_t value);
poa_worth poa_worth_real(double value);
poa_worth poa_worth_extent(poa_extent extent);
poa_worth poa_worth_text(const char *text);
poa_worth poa_worth_tensor(poa_value tensor);

/* numbers.c */

bool poa_number_is_known(const poa_number *number);
bool poa_number_is_integer(const poa_number *number); /* known and integral */
double poa_number_value(const poa_number *number);    /* of a known number */
/* left (op) right for + - * / // % ^. False when the result is neither known nor a
 * quotient of extents (then it has to be computed as a tensor), or divides by zero:
 * *problem says which, or is NULL. */
bool poa_number_arithmetic(poa_arena *arena, const char *op, const poa_number *left,
                           const poa_number *right, poa_number *result, const char **problem);
/* Whether the expression is one that can be compared at every point of a lattice in time. */
bool poa_extent_is_small(poa_extent extent);
/* The extent that the number is, if it is an integer at every point of the lattice. */
bool poa_number_extent(poa_arena *arena, const poa_lattice *lattice, const poa_number *number,
                       poa_extent *extent);

#endif
