/* ops.c: the rows of ops.def as data. */
#include <string.h>

#include "ir/internal.h"

#define VARIADIC POA_VARIADIC
#define ELEMENTWISE POA_FLAG_ELEMENTWISE
#define COMMUTATIVE POA_FLAG_COMMUTATIVE
#define COSTLY POA_FLAG_COSTLY
#define VIEW POA_FLAG_VIEW
#define REDUCTION POA_FLAG_REDUCTION
#define COMPOSITE POA_FLAG_COMPOSITE
#define ROOT POA_FLAG_ROOT
#define LEAF POA_FLAG_LEAF
#define EARLY POA_FLAG_EARLY

static const poa_op_info table[] = {
#define POA_OP(name, operands, attributes, shape, gradient, flags)                                 \
  {#name, operands, attributes, flags},
#include "ir/ops.def"
#undef POA_OP
};

const poa_op_info *poa_op_table(poa_op op) {
  return &table[op];
}

bool poa_op_from_name(const char *name, poa_op *op) {
  for (int i = 0; i < POA_OP_COUNT; i++)
    if (!strcmp(table[i].name, name)) {
      *op = (poa_op)i;
      return true;
    }
  return false;
}

static const char *const kind_names[] = {
    [POA_ATTRIBUTE_INT] = "int",         [POA_ATTRIBUTE_FLOAT] = "float",
    [POA_ATTRIBUTE_STRING] = "string",   [POA_ATTRIBUTE_INTS] = "ints",
    [POA_ATTRIBUTE_EXTENTS] = "extents", [POA_ATTRIBUTE_EXPR] = "expr",
};

const char *poa_attribute_kind_name(poa_attribute_kind kind) {
  return kind_names[kind];
}

static poa_attribute_kind kind_from(const char *name, size_t length) {
  int kind = POA_ATTRIBUTE_INT;
  while (strlen(kind_names[kind]) != length || strncmp(kind_names[kind], name, length))
    kind++;
  return (poa_attribute_kind)kind;
}

int poa_op_slots(poa_op op, poa_slot *slots) {
  int count = 0;
  for (const char *row = table[op].attributes; *row; count++) {
    const char *colon = strchr(row, ':');
    size_t kind = strcspn(colon + 1, "?,");
    const char *end = colon + 1 + kind;
    slots[count] = (poa_slot){row, (int)(colon - row), kind_from(colon + 1, kind), *end == '?'};
    row = end + strspn(end, "?, ");
  }
  return count;
}
