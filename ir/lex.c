/* lex.c: tokens of the text form. White space and # comments separate; nothing else is
 * skipped. Every message names file, line and column and shows the line with a caret:
 *
 *   step.ir:3:10: unknown op 'ad'; did you mean 'add'?
 *     %2 = ad %0, %1 : f32[4]
 *          ^ */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/lex.h"

/* How much of a long line a message shows on either side of the caret. */
#define SHOWN_BEFORE 60
#define SHOWN_AFTER 60

static int clamp(ptrdiff_t length, int most) {
  return length < most ? (int)length : most;
}

/* Writes `length` characters, with what a terminal should not see as '?'. */
static int put_clean(char *out, const char *text, int length) {
  for (int i = 0; i < length; i++)
    out[i] = iscntrl((unsigned char)text[i]) ? (text[i] == '\t' ? ' ' : '?') : text[i];
  out[length] = 0;
  return length;
}

/* "\n  the line\n     ^" for the line around `at`. */
static void show_line(const poa_lexer *lexer, const char *at, char *out, size_t size) {
  const char *first = at, *last = at + strcspn(at, "\n");
  while (first > lexer->source && first[-1] != '\n')
    first--;
  int before = clamp(at - first, SHOWN_BEFORE), after = clamp(last - at, SHOWN_AFTER);
  char line[SHOWN_BEFORE + SHOWN_AFTER + 1];
  put_clean(line, at - before, before + after);
  snprintf(out, size, "\n  %s\n  %*s^", line, before, "");
}

poa_status poa_lex_fail(poa_lexer *lexer, const char *at, const char *format, ...) {
  char message[1200], shown[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  int line = 1;
  const char *first = lexer->source;
  for (const char *c = lexer->source; c < at; c++)
    if (*c == '\n') {
      line++;
      first = c + 1;
    }
  show_line(lexer, at, shown, sizeof shown);
  return poa_fail(lexer->error, POA_BAD_INPUT, "%.200s:%d:%td: %s%s", lexer->file, line,
                  at - first + 1, message, shown);
}

poa_status poa_lex_expected(poa_lexer *lexer, const char *what) {
  const poa_token *t = &lexer->token;
  char found[48];
  put_clean(found, t->start, clamp(t->length, 40));
  if (t->kind == POA_TOKEN_END)
    return poa_lex_fail(lexer, t->start, "expected %s, found the end of the text", what);
  return poa_lex_fail(lexer, t->start, "expected %s, found '%s'", what, found);
}

static void skip_space(poa_lexer *lexer) {
  while (isspace((unsigned char)*lexer->next) || *lexer->next == '#')
    lexer->next += *lexer->next == '#' ? strcspn(lexer->next, "\n") : 1;
}

static bool in_name(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes what follows a backslash at *from; moves *from behind it. */
static poa_status decode_escape(poa_lexer *lexer, const char **from, char *to) {
  const char *c = *from;
  *from += 2;
  switch (c[1]) {
  case '"':
  case '\\':
    *to = c[1];
    return POA_OK;
  case 'n':
    *to = '\n';
    return POA_OK;
  case 't':
    *to = '\t';
    return POA_OK;
  case 'x':
    if (hex(c[2]) >= 0 && hex(c[3]) >= 0 && hex(c[2]) + hex(c[3]) > 0) {
      *to = (char)(hex(c[2]) * 16 + hex(c[3]));
      *from += 2;
      return POA_OK;
    }
  }
  return poa_lex_fail(lexer, c, "unknown escape; expected \\\", \\\\, \\n, \\t or \\x01 .. \\xff");
}

static poa_status lex_string(poa_lexer *lexer, poa_token *t) {
  const char *end = t->start + 1;
  while (*end && *end != '"' && *end != '\n')
    end += *end == '\\' && end[1] && end[1] != '\n' ? 2 : 1;
  if (*end != '"')
    return poa_lex_fail(lexer, t->start, "this string has no end; expected \" before the line's");
  char *text = poa_arena_alloc(lexer->arena, (size_t)(end - t->start));
  char *to = text;
  for (const char *c = t->start + 1; c < end; to++)
    if (*c != '\\')
      *to = *c++;
    else if (decode_escape(lexer, &c, to))
      return POA_BAD_INPUT;
  t->kind = POA_TOKEN_STRING;
  t->text = text;
  lexer->next = end + 1;
  return POA_OK;
}

static const char *skip_digits(const char *c) {
  while (isdigit((unsigned char)*c))
    c++;
  return c;
}

/* Digits, then perhaps a fraction (but 1..2 is a range), then perhaps an exponent. */
static const char *number_end(const char *start, bool *is_float) {
  const char *c = skip_digits(start);
  *is_float = false;
  if (c[0] == '.' && c[1] != '.') {
    *is_float = true;
    c = skip_digits(c + 1);
  }
  if (*c == 'e' || *c == 'E') {
    const char *digits = c + 1 + (c[1] == '+' || c[1] == '-');
    if (isdigit((unsigned char)*digits)) {
      *is_float = true;
      c = skip_digits(digits);
    }
  }
  return c;
}

static poa_status lex_number(poa_lexer *lexer, poa_token *t) {
  bool is_float;
  char digits[64];
  const char *end = number_end(t->start, &is_float);
  if (end - t->start >= (ptrdiff_t)sizeof digits)
    return poa_lex_fail(lexer, t->start, "this number has too many digits");
  memcpy(digits, t->start, (size_t)(end - t->start));
  digits[end - t->start] = 0;
  t->kind = is_float ? POA_TOKEN_FLOAT : POA_TOKEN_INT;
  t->real = strtod(digits, NULL);
  lexer->next = end;
  if (isinf(t->real))
    return poa_lex_fail(lexer, t->start, "this number is too large (write inf for infinity)");
  if (is_float)
    return POA_OK;
  if (t->real > 0x1p63)
    return poa_lex_fail(lexer, t->start, "this number is too large; integers end at 2^63");
  t->integer = strtoull(digits, NULL, 10);
  return POA_OK;
}

static poa_status lex_symbol(poa_lexer *lexer, poa_token *t) {
  if (!strchr("(){}[]<>=:,+-*/%@.", *t->start))
    return poa_lex_fail(lexer, t->start, "this character means nothing here");
  t->kind = POA_TOKEN_SYMBOL;
  lexer->next = t->start + (t->start[0] == '.' && t->start[1] == '.' ? 2 : 1);
  return POA_OK;
}

static poa_status lex_token(poa_lexer *lexer, poa_token *t) {
  if (!*t->start)
    return POA_OK;
  if (*t->start == '"')
    return lex_string(lexer, t);
  if (isdigit((unsigned char)*t->start))
    return lex_number(lexer, t);
  if (!in_name(*t->start))
    return lex_symbol(lexer, t);
  t->kind = POA_TOKEN_NAME;
  while (in_name(*lexer->next))
    lexer->next++;
  return POA_OK;
}

poa_status poa_lex_next(poa_lexer *lexer) {
  skip_space(lexer);
  poa_token token = {.kind = POA_TOKEN_END, .start = lexer->next};
  poa_status status = lex_token(lexer, &token);
  ptrdiff_t length = lexer->next - token.start;
  token.length = clamp(length, INT32_MAX);
  if (status)
    token.kind = POA_TOKEN_END; /* no reader takes a bad token for a good one */
  lexer->token = token;
  return status;
}

poa_status poa_lex_start(poa_lexer *lexer, poa_arena *arena, const char *file, const char *source,
                         poa_error *error) {
  *lexer =
      (poa_lexer){.file = file, .source = source, .next = source, .arena = arena, .error = error};
  return poa_lex_next(lexer);
}

bool poa_lex_at(const poa_lexer *lexer, const char *text) {
  const poa_token *t = &lexer->token;
  return (t->kind == POA_TOKEN_NAME || t->kind == POA_TOKEN_SYMBOL) &&
         strlen(text) == (size_t)t->length && !strncmp(t->start, text, (size_t)t->length);
}
