/* parse_statement.c: the statements of modules and entries.
 *
 * After an error the parser skips to the end of the statement and goes on, so that
 * one run shows several errors. */
#include <string.h>

#include "frontend/parser.h"

static const char *const keywords[] = {"param", "for", "if", "return", "report", "probe", "update"};

static poa_statement *new_statement(poa_parser *p, poa_statement_kind kind, const poa_token *at) {
  poa_statement *statement = poa_arena_alloc(p->arena, sizeof *statement);
  statement->kind = kind;
  statement->location = at->location;
  statement->length = at->length;
  return statement;
}

poa_syntax_pairs poa_parse_pairs(poa_parser *p, const char *close) {
  poa_syntax_pairs pairs = {0};
  int capacity = 0;
  do {
    if (close && poa_is(p, close))
      break;
    if (pairs.count == capacity) {
      capacity = capacity ? 2 * capacity : 8;
      poa_syntax_pair *items = poa_arena_alloc(p->arena, (size_t)capacity * sizeof *items);
      if (pairs.count)
        memcpy(items, pairs.items, (size_t)pairs.count * sizeof *items);
      pairs.items = items;
    }
    const poa_token *name = poa_expect_name(p, "NAME = VALUE");
    poa_expect(p, "=", "'=' after the name");
    pairs.items[pairs.count++] =
        (poa_syntax_pair){name->text, name->location, poa_parse_expression(p)};
  } while (poa_accept(p, ","));
  return pairs;
}

static void parse_with(poa_parser *p, poa_statement *statement) {
  if (poa_accept(p, "with"))
    statement->with = poa_parse_pairs(p, NULL);
}

static void parse_values(poa_parser *p, poa_statement *statement) {
  poa_pointers values = {0};
  do
    poa_push(p->arena, &values, poa_parse_expression(p));
  while (poa_accept(p, ","));
  statement->value_count = values.count;
  statement->values = (poa_syntax **)values.items;
  parse_with(p, statement);
}

/* The form of a parameter in files: [extents], or transpose [axes]. */
static void parse_file_form(poa_parser *p, poa_statement *statement) {
  if (poa_accept(p, "transpose")) {
    statement->file_axes = poa_parse_expression(p);
    return;
  }
  poa_expect(p, "[", "'[' before the extents that files have, or 'transpose [axes]'");
  statement->file_shape = poa_parse_extents(p, &statement->file_rank);
}

/* param weight[out, in] as [out * in] = trunc_normal(0.02) with decay = 0 */
static poa_statement *parse_param(poa_parser *p) {
  p->at++;
  const poa_token *name = poa_expect_name(p, "the name of a parameter");
  poa_statement *statement = new_statement(p, STATEMENT_PARAM, name);
  poa_pointers names = {0};
  poa_push(p->arena, &names, name->text);
  statement->names = (const char **)names.items;
  statement->name_count = 1;
  poa_expect(p, "[", "'[' before the extents of the parameter");
  statement->shape = poa_parse_extents(p, &statement->rank);
  if (poa_accept(p, "as"))
    parse_file_form(p, statement);
  poa_expect(p, "=", "'=' and an initializer");
  parse_values(p, statement);
  if (statement->value_count != 1)
    poa_parse_failure(p, name, "a parameter has one initializer, this has %d",
                      statement->value_count);
  return statement;
}

static poa_statement *parse_for(poa_parser *p) {
  p->at++;
  const poa_token *name = poa_expect_name(p, "the name that counts");
  poa_statement *statement = new_statement(p, STATEMENT_FOR, name);
  poa_pointers names = {0};
  poa_push(p->arena, &names, name->text);
  statement->names = (const char **)names.items;
  statement->name_count = 1;
  poa_expect(p, "in", "'in'");
  statement->target = poa_parse_expression(p);
  statement->body = poa_parse_block(p);
  return statement;
}

static poa_statement *parse_if(poa_parser *p) {
  poa_statement *statement = new_statement(p, STATEMENT_IF, poa_peek(p));
  if (++p->nesting > POA_MAX_NESTING)
    poa_parse_failure(p, poa_peek(p), "expressions and blocks are nested more than %d deep",
                      POA_MAX_NESTING);
  p->at++;
  statement->target = poa_parse_expression(p);
  statement->body = poa_parse_block(p);
  bool next_line = poa_peek(p)->kind == TOKEN_NEWLINE && p->tokens[p->at + 1].kind == TOKEN_NAME;
  if (next_line && strcmp(p->tokens[p->at + 1].text, "else") == 0)
    p->at++;
  bool otherwise = poa_accept(p, "else");
  if (otherwise && poa_is(p, "if")) {
    poa_pointers chain = {0};
    poa_push(p->arena, &chain, parse_if(p));
    statement->otherwise = (poa_block){1, (poa_statement **)chain.items};
  } else if (otherwise) {
    statement->otherwise = poa_parse_block(p);
  }
  p->nesting--;
  return statement;
}

static poa_statement *parse_return(poa_parser *p) {
  poa_statement *statement = new_statement(p, STATEMENT_RETURN, poa_peek(p));
  p->at++;
  parse_values(p, statement);
  return statement;
}

/* report "name" = value, probe "name" = value, update target = value */
static poa_statement *parse_effect(poa_parser *p, poa_statement_kind kind) {
  poa_statement *statement = new_statement(p, kind, poa_peek(p));
  p->at++;
  statement->target = poa_parse_expression(p);
  poa_expect(p, "=", "'=' and a value");
  parse_values(p, statement);
  return statement;
}

/* a, b = expression  or a call for its effects */
static poa_statement *parse_assign(poa_parser *p) {
  const poa_token *first = poa_peek(p);
  int ahead = p->at;
  while (p->tokens[ahead].kind == TOKEN_NAME && strcmp(p->tokens[ahead + 1].text, ",") == 0)
    ahead += 2;
  bool assigns = p->tokens[ahead].kind == TOKEN_NAME &&
                 p->tokens[ahead + 1].kind == TOKEN_PUNCTUATION &&
                 strcmp(p->tokens[ahead + 1].text, "=") == 0;
  poa_statement *statement =
      new_statement(p, assigns ? STATEMENT_ASSIGN : STATEMENT_EVALUATE, first);
  poa_pointers names = {0};
  if (assigns) {
    do
      poa_push(p->arena, &names, poa_expect_name(p, "a name")->text);
    while (poa_accept(p, ","));
    poa_expect(p, "=", "'='");
  }
  statement->names = (const char **)names.items;
  statement->name_count = names.count;
  parse_values(p, statement);
  return statement;
}

static poa_statement *parse_statement(poa_parser *p) {
  poa_statement *(*const simple[])(poa_parser *) = {parse_param, parse_for, parse_if, parse_return};
  for (int i = 0; i < 4; i++)
    if (poa_is(p, keywords[i]))
      return simple[i](p);
  if (poa_is(p, "report"))
    return parse_effect(p, STATEMENT_REPORT);
  if (poa_is(p, "probe"))
    return parse_effect(p, STATEMENT_PROBE);
  if (poa_is(p, "update"))
    return parse_effect(p, STATEMENT_UPDATE);
  return parse_assign(p);
}

static void end_statement(poa_parser *p) {
  const poa_token *token = poa_peek(p);
  if (token->kind == TOKEN_NEWLINE || token->kind == TOKEN_END || poa_is(p, "}"))
    return;
  bool block = p->at > 0 && strcmp(p->tokens[p->at - 1].text, "}") == 0;
  if (!block)
    poa_parse_failure(p, token, "expected the end of the statement, found %s",
                      poa_describe(p, token));
}

/* To the end of the line at this depth of braces. */
static void skip_statement(poa_parser *p) {
  for (int depth = 0;; p->at++) {
    const poa_token *token = poa_peek(p);
    if (token->kind == TOKEN_END)
      return;
    if (token->kind == TOKEN_NEWLINE && depth <= 0)
      return;
    if (poa_is(p, "{"))
      depth++;
    if (poa_is(p, "}") && --depth < 0)
      return;
  }
}

static poa_statement *parse_or_skip(poa_parser *p) {
  jmp_buf recovery;
  jmp_buf *const outer = p->recovery;
  const int nesting = p->nesting;
  p->recovery = &recovery;
  if (setjmp(recovery) == 0) {
    poa_statement *parsed = parse_statement(p);
    end_statement(p);
    p->recovery = outer;
    return parsed;
  }
  p->recovery = outer;
  p->nesting = nesting;
  p->in_subscript = false;
  skip_statement(p);
  return NULL;
}

poa_block poa_parse_block(poa_parser *p) {
  const poa_token *open = poa_expect(p, "{", "'{' and statements");
  if (++p->nesting > POA_MAX_NESTING)
    poa_parse_failure(p, open, "expressions and blocks are nested more than %d deep",
                      POA_MAX_NESTING);
  poa_pointers statements = {0};
  for (;;) {
    while (poa_peek(p)->kind == TOKEN_NEWLINE)
      p->at++;
    if (poa_accept(p, "}"))
      break;
    if (poa_peek(p)->kind == TOKEN_END && p->unclosed)
      break;
    p->unclosed = poa_peek(p)->kind == TOKEN_END;
    if (p->unclosed)
      poa_parse_failure(p, open, "this '{' is never closed");
    poa_statement *statement = parse_or_skip(p);
    if (statement)
      poa_push(p->arena, &statements, statement);
  }
  p->nesting--;
  return (poa_block){statements.count, (poa_statement **)statements.items};
}
