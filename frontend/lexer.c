/* lexer.c: text to tokens.
 *
 * A newline ends a statement unless a bracket is open, so long calls may run over
 * lines; '#' begins a comment. Two-character operators are tried first. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/syntax.h"

#define MAX_NAME 200
#define MAX_STRING 1000

typedef struct lexer {
  poa_arena *arena;
  const char *file, *at, *line_start;
  int line;
  int depth; /* of ( and [ */
  poa_diagnostics *diagnostics;
  poa_token *tokens;
  int count, capacity;
} lexer;

static const char *const operators[] = {
    "..", "->", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "^",
    "@",  "<",  ">",  "=",  "(",  ")",  "[",  "]", "{", "}", ",", ":", ".",
};

static poa_location here(const lexer *l) {
  return (poa_location){
      .file = l->file, .line = l->line, .column = (int)(l->at - l->line_start) + 1};
}

static poa_token *push(lexer *l, poa_token_kind kind, int length) {
  if (l->count == l->capacity) {
    int capacity = l->capacity ? 2 * l->capacity : 256;
    poa_token *tokens = poa_arena_alloc(l->arena, (size_t)capacity * sizeof *tokens);
    if (l->count)
      memcpy(tokens, l->tokens, (size_t)l->count * sizeof *tokens);
    l->tokens = tokens;
    l->capacity = capacity;
  }
  poa_token *token = &l->tokens[l->count++];
  *token = (poa_token){.kind = kind, .location = here(l), .length = length, .text = ""};
  return token;
}

static const char *copy(lexer *l, const char *from, size_t length) {
  char *text = poa_arena_alloc(l->arena, length + 1);
  memcpy(text, from, length);
  return text;
}

/* An item of the top level in the first column ends all brackets, so that one left open
 * spoils no more than its own item. */
static bool item_follows(const char *line) {
  static const char *const words[] = {"import", "const",  "set",    "elastic", "sampling",
                                      "params", "module", "extern", "entry"};
  size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz");
  for (int i = 0; i < 9 && line[length] == ' '; i++)
    if (strlen(words[i]) == length && strncmp(words[i], line, length) == 0)
      return true;
  return false;
}

static void newline(lexer *l) {
  if (item_follows(l->at + 1))
    l->depth = 0;
  bool wanted = l->depth == 0 && l->count > 0 && l->tokens[l->count - 1].kind != TOKEN_NEWLINE;
  if (wanted)
    push(l, TOKEN_NEWLINE, 1);
  l->at++;
  l->line++;
  l->line_start = l->at;
}

static void lex_name(lexer *l) {
  size_t length = 1;
  while (isalnum((unsigned char)l->at[length]) || l->at[length] == '_')
    length++;
  if (length > MAX_NAME)
    poa_diagnose(l->diagnostics, here(l), (int)length, "a name has at most %d characters",
                 MAX_NAME);
  push(l, TOKEN_NAME, (int)length)->text = copy(l, l->at, length < MAX_NAME ? length : MAX_NAME);
  l->at += length;
}

/* 12, 0.5, 1e-6; not the 1 of 1..5. */
static void lex_number(lexer *l) {
  const char *end = l->at;
  while (isdigit((unsigned char)*end))
    end++;
  bool real = end[0] == '.' && isdigit((unsigned char)end[1]);
  if (real)
    for (end++; isdigit((unsigned char)*end);)
      end++;
  if (*end == 'e' || *end == 'E') {
    const char *digits = end + 1 + (end[1] == '-' || end[1] == '+');
    if (isdigit((unsigned char)*digits)) {
      real = true;
      for (end = digits; isdigit((unsigned char)*end);)
        end++;
    }
  }
  int length = (int)(end - l->at);
  poa_token *token = push(l, real ? TOKEN_REAL : TOKEN_INTEGER, length);
  token->text = copy(l, l->at, (size_t)length);
  errno = 0;
  token->real = strtod(token->text, NULL);
  token->integer = real ? 0 : strtoll(token->text, NULL, 10);
  bool fits = real ? isfinite(token->real) : !errno && token->integer <= INT64_C(1) << 53;
  if (!fits)
    poa_diagnose(l->diagnostics, token->location, length, "the number %s is too large",
                 token->text);
  l->at = end;
}

static void lex_string(lexer *l) {
  const char *start = l->at + 1, *end = start;
  while (*end && *end != '"' && *end != '\n')
    end++;
  int length = (int)(end - l->at);
  if (*end != '"') {
    poa_diagnose(l->diagnostics, here(l), length, "this string has no closing quote");
    push(l, TOKEN_STRING, length)->text = copy(l, start, (size_t)(end - start));
    l->at = end;
    return;
  }
  if (length > MAX_STRING)
    poa_diagnose(l->diagnostics, here(l), length, "a string has at most %d characters", MAX_STRING);
  push(l, TOKEN_STRING, length + 1)->text = copy(l, start, (size_t)(end - start));
  l->at = end + 1;
}

static bool lex_operator(lexer *l) {
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    size_t length = strlen(operators[i]);
    if (strncmp(l->at, operators[i], length) != 0)
      continue;
    push(l, TOKEN_PUNCTUATION, (int)length)->text = operators[i];
    if (strchr("([", *operators[i]))
      l->depth++;
    if (strchr(")]", *operators[i]) && l->depth > 0)
      l->depth--;
    l->at += length;
    return true;
  }
  return false;
}

poa_token *poa_lex(poa_arena *arena, const char *file, const char *text,
                   poa_diagnostics *diagnostics, int *count) {
  lexer l = {.arena = arena,
             .file = file,
             .at = text,
             .line_start = text,
             .line = 1,
             .diagnostics = diagnostics};
  while (*l.at) {
    unsigned char c = (unsigned char)*l.at;
    if (c == '\n')
      newline(&l);
    else if (c == ' ' || c == '\t' || c == '\r')
      l.at++;
    else if (c == '#')
      l.at += strcspn(l.at, "\n");
    else if (isalpha(c) || c == '_')
      lex_name(&l);
    else if (isdigit(c))
      lex_number(&l);
    else if (c == '"')
      lex_string(&l);
    else if (!lex_operator(&l)) {
      poa_diagnose(diagnostics, here(&l), 1,
                   isprint(c) ? "'%c' has no meaning here" : "byte 0x%02x has no meaning here", c);
      l.at++;
    }
  }
  push(&l, TOKEN_NEWLINE, 0);
  push(&l, TOKEN_END, 0);
  *count = l.count;
  return l.tokens;
}
