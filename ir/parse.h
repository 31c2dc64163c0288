/* parse.h: what the files of the parser share. */
#ifndef POA_IR_PARSE_H
#define POA_IR_PARSE_H

#include "ir/internal.h"
#include "ir/lex.h"

/* The longest list ([..], operands, arguments) that text may hold. */
#define POA_MAX_LIST 65536

/* value_names.c: names of values, as text writes them after %. */

typedef struct poa_named_value {
  const char *name; /* NULL: a free place */
  poa_value value;
} poa_named_value;

/* A hash table with open addressing; in the reader's arena. */
typedef struct poa_value_names {
  poa_named_value *places;
  uint32_t count, capacity;
} poa_value_names;

/* False if the name is taken. */
bool poa_value_names_add(poa_value_names *names, poa_arena *arena, const char *name,
                         poa_value value);
poa_value poa_value_names_find(const poa_value_names *names, const char *name); /* or NO_VALUE */
/* The name nearest to `name`, or NULL. */
const char *poa_value_names_nearest(const poa_value_names *names, const char *name);

/* A root that was named before its node. */
typedef struct poa_forward_root {
  poa_value node;
  const char *name, *at;
  struct poa_forward_root *previous;
} poa_forward_root;

typedef struct poa_reader {
  poa_lexer lexer;
  poa_arena *arena;
  poa_graph *graph;
  poa_value_names names;
  poa_forward_root *forward_roots;
} poa_reader;

/* parse_basic.c: each reads one thing at the current token and moves behind it, or fails
 * with what was expected. */

/* Moves on if the current token is `text`. A bad token behind it is found by the next read. */
bool poa_read_accept(poa_reader *r, const char *text);
poa_status poa_read_expect(poa_reader *r, const char *text);
/* A name, as text in the arena. */
poa_status poa_read_name(poa_reader *r, const char *what, const char **name);
poa_status poa_read_string(poa_reader *r, const char *what, const char **text);
/* An identifier or a string. */
poa_status poa_read_any_name(poa_reader *r, const char *what, const char **name);
/* What stands behind a %: an identifier, a number or a string; *at is where. */
poa_status poa_read_value_name(poa_reader *r, const char **name, const char **at);
poa_status poa_read_int(poa_reader *r, const char *what, int64_t least, int64_t most,
                        int64_t *value);
poa_status poa_read_float(poa_reader *r, const char *what, double *value);
poa_status poa_read_ints(poa_reader *r, const char *what, int64_t **values, int *count);
/* ` loc "file":line:column`, if it is there. */
poa_status poa_read_location(poa_reader *r, poa_location *location);

/* parse_type.c */

poa_status poa_read_extent(poa_reader *r, poa_extent *extent);
/* [e, e, ..], at most POA_MAX_RANK of them. */
poa_status poa_read_shape(poa_reader *r, poa_extent *extents, int *count);
poa_status poa_read_type(poa_reader *r, poa_type *type);

/* parse_node.c */

/* One line of the body, in kernel `kernel`. */
poa_status poa_read_node(poa_reader *r, int kernel);
/* Gives nodes whose root stands further down their root. */
poa_status poa_read_forward_roots(poa_reader *r);

#endif
