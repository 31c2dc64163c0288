/* syntax.h: the syntax tree of the model language. All of it lies in one arena. */
#ifndef POA_FRONTEND_SYNTAX_H
#define POA_FRONTEND_SYNTAX_H

#include "frontend/diagnostics.h"
#include "ir/ir.h"

typedef enum poa_token_kind {
  TOKEN_END,
  TOKEN_NAME,
  TOKEN_INTEGER,
  TOKEN_REAL,
  TOKEN_STRING,
  TOKEN_PUNCTUATION, /* text is one of the operators */
  TOKEN_NEWLINE,     /* ends a statement */
} poa_token_kind;

typedef struct poa_token {
  poa_token_kind kind;
  const char *text; /* names, strings (unescaped), punctuation */
  double real;
  int64_t integer;
  poa_location location;
  int length; /* of its text in the line, for the caret */
} poa_token;

typedef enum poa_syntax_kind {
  SYNTAX_INTEGER,
  SYNTAX_REAL,
  SYNTAX_STRING, /* with {name} and {name.member} to be filled in */
  SYNTAX_NAME,
  SYNTAX_LIST,   /* children */
  SYNTAX_UNARY,  /* text: - not */
  SYNTAX_BINARY, /* text: + - * / // % ^ @ == != < <= > >= and or */
  SYNTAX_CALL,   /* text: callee; children: arguments, names: keyword or NULL */
  SYNTAX_INDEX,  /* children: the value, then the subscripts */
  SYNTAX_RANGE,  /* children: low, high, either NULL (only as a subscript) */
  SYNTAX_REST,   /* .. as a subscript or as the leading extents of a pattern */
  SYNTAX_MEMBER, /* children: value; text: member */
  SYNTAX_LABEL,  /* text: path with {} for indices; children: the call, then the indices */
  SYNTAX_BRANCH, /* text: parameter set; `at_max`; children: the call */
} poa_syntax_kind;

typedef struct poa_syntax {
  poa_syntax_kind kind;
  poa_location location;
  int length;
  const char *text;
  int64_t integer;
  double real;
  bool at_max;
  int count;
  struct poa_syntax **children;
  const char **names;
} poa_syntax;

/* `name = value` pairs: attributes after `with`, arguments of a source. */
typedef struct poa_syntax_pair {
  const char *name;
  poa_location location;
  poa_syntax *value;
} poa_syntax_pair;

typedef struct poa_syntax_pairs {
  int count;
  poa_syntax_pair *items;
} poa_syntax_pairs;

/* A parameter of a module or an input of an entry. */
typedef struct poa_formal {
  const char *name;
  poa_location location;
  int length;
  bool has_shape;
  int rank;
  poa_syntax **shape;    /* names bind extents, other expressions are checked; SYNTAX_REST first */
  poa_syntax *otherwise; /* default value or NULL */
  const char *dtype;     /* inputs: "f32", "i32", "bool" */
  const char *source;    /* inputs: NULL if the caller fills it */
  poa_location source_location;
  poa_syntax_pairs arguments;
} poa_formal;

typedef enum poa_statement_kind {
  STATEMENT_ASSIGN, /* names = value */
  STATEMENT_PARAM,
  STATEMENT_FOR,
  STATEMENT_IF,
  STATEMENT_RETURN,
  STATEMENT_REPORT,
  STATEMENT_PROBE,
  STATEMENT_UPDATE, /* target = value */
  STATEMENT_EVALUATE,
} poa_statement_kind;

typedef struct poa_statement poa_statement;

typedef struct poa_block {
  int count;
  poa_statement **items;
} poa_block;

struct poa_statement {
  poa_statement_kind kind;
  poa_location location;
  int length;
  int name_count;
  const char **names;
  int value_count;
  poa_syntax **values;
  poa_syntax *target; /* update: what; report, probe: the name; for: what is looped over */
  poa_syntax_pairs with;
  poa_block body, otherwise;
  int rank, file_rank; /* param */
  poa_syntax **shape, **file_shape;
  poa_syntax *file_axes; /* as transpose [3, 2, 0, 1]: the list; else NULL */
};

/* How a declared C function is called. */
typedef struct poa_syntax_extern {
  const char *symbol;
  poa_location location;
  int argument_count;
  poa_syntax **arguments; /* of the C call */
  const char **types;     /* "int", "int64", "float", "double", or NULL: a tensor */
  int gradient_count;
  const char **gradients; /* names of externs, "none" where there is none */
} poa_syntax_extern;

/* A module, an entry or an external function. */
typedef struct poa_definition {
  const char *name;
  poa_location location;
  int length;
  int formal_count;
  poa_formal *formals;
  poa_block body;
  poa_syntax_extern *external; /* NULL for modules and entries */
  poa_formal result;           /* externs: name and shape of what comes back */
} poa_definition;

typedef struct poa_const {
  const char *name;
  poa_location location;
  int length;
  poa_syntax *value;
  bool from_command_line;
} poa_const;

typedef struct poa_elastic_syntax {
  const char *name;
  poa_location location;
  poa_syntax *low, *high, *step; /* step NULL: 1 */
  bool uniform, follows;         /* follows: sampled as one with the name before it */
} poa_elastic_syntax;

/* params NAME, params NAME = copy(OTHER), params NAME = zeros */
typedef struct poa_set_syntax {
  const char *name;
  poa_location location;
  const char *copy_of; /* or NULL */
  poa_location copy_location;
  bool zeros;
} poa_set_syntax;

typedef struct poa_import {
  const char *path;
  poa_location location;
  int length;
} poa_import;

/* All of one file, or of a whole model once its files are joined. */
typedef struct poa_program {
  int import_count, const_count, set_count, elastic_count, module_count, entry_count,
      override_count;
  poa_import *imports;
  poa_const *consts;
  poa_const *overrides; /* `set NAME = value` */
  poa_set_syntax *sets;
  poa_elastic_syntax *elastics;
  poa_definition **modules, **entries;
  poa_syntax *select_scale; /* of `sampling`, or NULL */
} poa_program;

/* lexer.c: the tokens of a text; errors go to `diagnostics`. */
poa_token *poa_lex(poa_arena *arena, const char *file, const char *text,
                   poa_diagnostics *diagnostics, int *count);
/* parser.c: parses a file into `program`, adding to what it holds already. */
void poa_parse_file(poa_arena *arena, const char *file, const char *text,
                    poa_diagnostics *diagnostics, poa_program *program);
/* parser.c: one expression, as after --set NAME=. NULL after an error. */
poa_syntax *poa_parse_value(poa_arena *arena, const char *file, const char *text,
                            poa_diagnostics *diagnostics);

#endif
