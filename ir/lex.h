/* lex.h: tokens of the text form, and messages that point at one. */
#ifndef POA_IR_LEX_H
#define POA_IR_LEX_H

#include "ir/ir.h"

typedef enum poa_token_kind {
  POA_TOKEN_END,
  POA_TOKEN_NAME,   /* width, add */
  POA_TOKEN_STRING, /* "blocks.0", decoded */
  POA_TOKEN_INT,    /* 12; signs are symbols */
  POA_TOKEN_FLOAT,  /* 0.5, 1e-3 */
  POA_TOKEN_SYMBOL, /* one character, or ".." */
} poa_token_kind;

typedef struct poa_token {
  poa_token_kind kind;
  const char *start; /* in the source */
  int length;
  const char *text; /* STRING: decoded, in the arena */
  uint64_t integer; /* INT: at most 2^63 */
  double real;      /* INT and FLOAT */
} poa_token;

typedef struct poa_lexer {
  const char *file, *source;
  const char *next; /* behind `token` */
  poa_token token;
  poa_arena *arena;
  poa_error *error;
} poa_lexer;

/* Reads the first token. `file` names the source in messages; both strings stay the caller's. */
poa_status poa_lex_start(poa_lexer *lexer, poa_arena *arena, const char *file, const char *source,
                         poa_error *error);
/* Moves to the next token. */
poa_status poa_lex_next(poa_lexer *lexer);
/* Whether the current token is this name or symbol. */
bool poa_lex_at(const poa_lexer *lexer, const char *text);
/* Fails with "file:line:column: message", the line and a caret under `at`. */
poa_status poa_lex_fail(poa_lexer *lexer, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Fails at the current token: "expected WHAT, found 'this'". */
poa_status poa_lex_expected(poa_lexer *lexer, const char *what);

#endif
