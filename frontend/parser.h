/* parser.h: what the parser's files share. */
#ifndef POA_FRONTEND_PARSER_H
#define POA_FRONTEND_PARSER_H

#include <setjmp.h>

#include "frontend/syntax.h"

#define POA_MAX_NESTING 200

/* A statement with an error is left by a jump to the nearest recovery point. */
typedef struct poa_parser {
  poa_arena *arena;
  poa_diagnostics *diagnostics;
  const poa_token *tokens;
  int at;
  int nesting;
  bool unclosed;     /* a '{' without '}' was reported: those around it need not be */
  bool in_subscript; /* ':' separates a range, it does not end a label */
  jmp_buf *recovery;
} poa_parser;

/* A list that grows in the arena. */
typedef struct poa_pointers {
  int count, capacity;
  void **items;
} poa_pointers;

void poa_push(poa_arena *arena, poa_pointers *list, const void *item);

const poa_token *poa_peek(const poa_parser *p);
bool poa_is(const poa_parser *p, const char *text); /* the next token is this operator or word */
bool poa_accept(poa_parser *p, const char *text);   /* and takes it */
const poa_token *poa_expect(poa_parser *p, const char *text, const char *what);
const poa_token *poa_expect_name(poa_parser *p, const char *what);
/* What stands there, for "found ..". */
const char *poa_describe(const poa_parser *p, const poa_token *token);
/* Reports and jumps to the recovery point. */
void poa_parse_failure(poa_parser *p, const poa_token *at, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* parse_expression.c */
poa_syntax *poa_parse_expression(poa_parser *p);
poa_syntax *poa_new_syntax(poa_parser *p, poa_syntax_kind kind, const poa_token *at);
/* `[a, b]` after its opening bracket; a leading `..` allowed. */
poa_syntax **poa_parse_extents(poa_parser *p, int *rank);

/* parse_statement.c */
poa_block poa_parse_block(poa_parser *p);
poa_syntax_pairs poa_parse_pairs(poa_parser *p, const char *close);

/* parse_definition.c */
poa_definition *poa_parse_module(poa_parser *p, bool entry);
poa_definition *poa_parse_extern(poa_parser *p);

#endif
