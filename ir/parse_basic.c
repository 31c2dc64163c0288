/* parse_basic.c: names, numbers and lists of the text form. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/parse.h"

bool poa_read_accept(poa_reader *r, const char *text) {
  if (!poa_lex_at(&r->lexer, text))
    return false;
  poa_lex_next(&r->lexer);
  return true;
}

poa_status poa_read_expect(poa_reader *r, const char *text) {
  char what[40];
  snprintf(what, sizeof what, "'%.30s'", text);
  if (!poa_lex_at(&r->lexer, text))
    return poa_lex_expected(&r->lexer, what);
  return poa_lex_next(&r->lexer);
}

static const char *token_text(poa_reader *r) {
  const poa_token *t = &r->lexer.token;
  if (t->kind == POA_TOKEN_STRING)
    return t->text;
  return poa_arena_span(r->arena, t->start, (size_t)t->length);
}

poa_status poa_read_name(poa_reader *r, const char *what, const char **name) {
  if (r->lexer.token.kind != POA_TOKEN_NAME)
    return poa_lex_expected(&r->lexer, what);
  *name = token_text(r);
  return poa_lex_next(&r->lexer);
}

poa_status poa_read_string(poa_reader *r, const char *what, const char **text) {
  if (r->lexer.token.kind != POA_TOKEN_STRING)
    return poa_lex_expected(&r->lexer, what);
  *text = token_text(r);
  return poa_lex_next(&r->lexer);
}

poa_status poa_read_any_name(poa_reader *r, const char *what, const char **name) {
  if (r->lexer.token.kind == POA_TOKEN_STRING)
    return poa_read_string(r, what, name);
  return poa_read_name(r, what, name);
}

poa_status poa_read_value_name(poa_reader *r, const char **name, const char **at) {
  if (poa_read_expect(r, "%"))
    return POA_BAD_INPUT;
  poa_token_kind kind = r->lexer.token.kind;
  if (kind != POA_TOKEN_NAME && kind != POA_TOKEN_INT && kind != POA_TOKEN_STRING)
    return poa_lex_expected(&r->lexer, "the name of a value");
  *at = r->lexer.token.start;
  *name = token_text(r);
  return poa_lex_next(&r->lexer);
}

poa_status poa_read_int(poa_reader *r, const char *what, int64_t least, int64_t most,
                        int64_t *value) {
  const char *at = r->lexer.token.start;
  bool negative = poa_read_accept(r, "-");
  uint64_t magnitude = r->lexer.token.integer;
  if (r->lexer.token.kind != POA_TOKEN_INT)
    return poa_lex_expected(&r->lexer, what);
  bool fits = magnitude <= (uint64_t)INT64_MAX + negative;
  *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  if (!fits || *value < least || *value > most)
    return poa_lex_fail(&r->lexer, at, "expected %s between %" PRId64 " and %" PRId64, what, least,
                        most);
  return poa_lex_next(&r->lexer);
}

poa_status poa_read_float(poa_reader *r, const char *what, double *value) {
  bool negative = poa_read_accept(r, "-");
  poa_token_kind kind = r->lexer.token.kind;
  if (poa_lex_at(&r->lexer, "inf"))
    *value = INFINITY;
  else if (poa_lex_at(&r->lexer, "nan"))
    *value = NAN;
  else if (kind == POA_TOKEN_INT || kind == POA_TOKEN_FLOAT)
    *value = r->lexer.token.real;
  else
    return poa_lex_expected(&r->lexer, what);
  *value = negative ? -*value : *value;
  return poa_lex_next(&r->lexer);
}

poa_status poa_read_ints(poa_reader *r, const char *what, int64_t **values, int *count) {
  int capacity = 0;
  *values = NULL;
  *count = 0;
  if (poa_read_expect(r, "["))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, "]")) {
    if (*count && poa_read_expect(r, ","))
      return POA_BAD_INPUT;
    if (*count >= POA_MAX_LIST)
      return poa_lex_fail(&r->lexer, r->lexer.token.start, "this list is too long");
    if (*count == capacity) {
      capacity = capacity ? capacity * 2 : 8;
      int64_t *larger = poa_arena_alloc(r->arena, (size_t)capacity * sizeof *larger);
      if (*count)
        memcpy(larger, *values, (size_t)*count * sizeof *larger);
      *values = larger;
    }
    if (poa_read_int(r, what, INT64_MIN, INT64_MAX, &(*values)[*count]))
      return POA_BAD_INPUT;
    ++*count;
  }
  return poa_read_expect(r, "]");
}

poa_status poa_read_location(poa_reader *r, poa_location *location) {
  int64_t line, column;
  *location = (poa_location){0};
  if (!poa_lex_at(&r->lexer, "loc"))
    return POA_OK;
  if (poa_read_expect(r, "loc") || poa_read_string(r, "the file in quotes", &location->file) ||
      poa_read_expect(r, ":") || poa_read_int(r, "a line", 0, INT32_MAX, &line) ||
      poa_read_expect(r, ":") || poa_read_int(r, "a column", 0, INT32_MAX, &column))
    return POA_BAD_INPUT;
  location->line = (int)line;
  location->column = (int)column;
  if (!poa_lex_at(&r->lexer, "of"))
    return POA_OK;
  return poa_read_expect(r, "of") ? POA_BAD_INPUT
                                  : poa_read_string(r, "the branch in quotes", &location->branch);
}
