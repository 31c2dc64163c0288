/* parse_expression.c: expressions, by precedence climbing.
 *
 *   or < and < not < == != < <= > >= < + - < * / // % @ < unary - < ^ < postfix
 *
 * A label, `blocks[i]: call(..)`, and a branch, `student at max: call(..)`, are
 * primaries: what follows the colon is a call. */
#include <string.h>

#include "frontend/parser.h"

typedef struct precedence_row {
  const char *text;
  int level;
} precedence_row;

static const precedence_row binary_operators[] = {
    {"or", 1}, {"and", 2}, {"==", 4}, {"!=", 4}, {"<=", 4}, {">=", 4}, {"<", 4}, {">", 4},
    {"+", 5},  {"-", 5},   {"*", 6},  {"//", 6}, {"/", 6},  {"%", 6},  {"@", 6},
};
enum { MAX_LABEL = 500, MAX_LABEL_PARTS = 20 };
enum { LEVEL_NOT = 3, LEVEL_UNARY = 7 };

static poa_syntax *parse_level(poa_parser *p, int level);

poa_syntax *poa_new_syntax(poa_parser *p, poa_syntax_kind kind, const poa_token *at) {
  poa_syntax *syntax = poa_arena_alloc(p->arena, sizeof *syntax);
  syntax->kind = kind;
  syntax->location = at->location;
  syntax->length = at->length;
  syntax->text = at->text;
  syntax->integer = at->integer;
  syntax->real = at->real;
  return syntax;
}

static void set_children(poa_syntax *syntax, const poa_pointers *children) {
  syntax->count = children->count;
  syntax->children = (poa_syntax **)children->items;
}

static poa_syntax *with_children(poa_parser *p, poa_syntax_kind kind, const poa_token *at,
                                 poa_syntax *first, poa_syntax *second) {
  poa_syntax *syntax = poa_new_syntax(p, kind, at);
  poa_pointers children = {0};
  poa_push(p->arena, &children, first);
  if (second)
    poa_push(p->arena, &children, second);
  set_children(syntax, &children);
  return syntax;
}

/* Arguments after '(': positional, then name = value. */
static poa_syntax *parse_call(poa_parser *p, const poa_token *callee) {
  poa_syntax *call = poa_new_syntax(p, SYNTAX_CALL, callee);
  poa_pointers arguments = {0}, names = {0};
  bool outer = p->in_subscript;
  p->in_subscript = false;
  poa_expect(p, "(", "'(' before the arguments");
  while (!poa_is(p, ")")) {
    const poa_token *name = poa_peek(p);
    bool keyword = name->kind == TOKEN_NAME && p->tokens[p->at + 1].kind == TOKEN_PUNCTUATION &&
                   strcmp(p->tokens[p->at + 1].text, "=") == 0;
    if (keyword)
      p->at += 2;
    else if (names.count && names.items[names.count - 1])
      poa_parse_failure(p, name, "an argument without a name cannot follow a named one");
    poa_push(p->arena, &arguments, poa_parse_expression(p));
    poa_push(p->arena, &names, keyword ? name->text : NULL);
    if (!poa_accept(p, ","))
      break;
  }
  poa_expect(p, ")", "',' or ')' after an argument");
  p->in_subscript = outer;
  set_children(call, &arguments);
  call->names = (const char **)names.items;
  return call;
}

/* One subscript: an index, a range with either end left out, or '..'. */
static poa_syntax *parse_subscript(poa_parser *p) {
  const poa_token *at = poa_peek(p);
  if (poa_accept(p, ".."))
    return poa_new_syntax(p, SYNTAX_REST, at);
  poa_syntax *low = poa_is(p, ":") ? NULL : poa_parse_expression(p);
  const poa_token *colon = poa_peek(p);
  if (!poa_accept(p, ":"))
    return low;
  poa_syntax *range = poa_new_syntax(p, SYNTAX_RANGE, low ? at : colon);
  bool open = poa_is(p, ",") || poa_is(p, "]");
  poa_pointers ends = {0};
  poa_push(p->arena, &ends, low);
  poa_push(p->arena, &ends, open ? NULL : poa_parse_expression(p));
  set_children(range, &ends);
  return range;
}

static poa_syntax *parse_index(poa_parser *p, poa_syntax *value) {
  const poa_token *at = poa_expect(p, "[", "'['");
  poa_syntax *index = poa_new_syntax(p, SYNTAX_INDEX, at);
  poa_pointers parts = {0};
  bool outer = p->in_subscript;
  p->in_subscript = true;
  poa_push(p->arena, &parts, value);
  do
    poa_push(p->arena, &parts, parse_subscript(p));
  while (poa_accept(p, ","));
  poa_expect(p, "]", "',' or ']' after a subscript");
  p->in_subscript = outer;
  set_children(index, &parts);
  return index;
}

static poa_syntax *parse_list(poa_parser *p) {
  const poa_token *at = poa_expect(p, "[", "'['");
  poa_syntax *list = poa_new_syntax(p, SYNTAX_LIST, at);
  poa_pointers items = {0};
  bool outer = p->in_subscript;
  p->in_subscript = false;
  while (!poa_is(p, "]")) {
    poa_push(p->arena, &items, poa_parse_expression(p));
    if (!poa_accept(p, ","))
      break;
  }
  poa_expect(p, "]", "',' or ']' in a list");
  p->in_subscript = outer;
  set_children(list, &items);
  return list;
}

poa_syntax **poa_parse_extents(poa_parser *p, int *rank) {
  poa_pointers extents = {0};
  while (!poa_is(p, "]")) {
    const poa_token *at = poa_peek(p);
    if (poa_accept(p, ".."))
      poa_push(p->arena, &extents, poa_new_syntax(p, SYNTAX_REST, at));
    else
      poa_push(p->arena, &extents, poa_parse_expression(p));
    if (!poa_accept(p, ","))
      break;
  }
  poa_expect(p, "]", "',' or ']' after an extent");
  if (extents.count > POA_MAX_RANK)
    poa_parse_failure(p, poa_peek(p), "a tensor has at most %d axes", POA_MAX_RANK);
  *rank = extents.count;
  return (poa_syntax **)extents.items;
}

/* Finds the ':' of `name(.name | [index])* : name(` without taking anything. */
static bool label_ahead(const poa_parser *p) {
  if (p->in_subscript)
    return false;
  int at = p->at + 1;
  for (int depth = 0;; at++) {
    const poa_token *token = &p->tokens[at];
    if (token->kind == TOKEN_END || token->kind == TOKEN_NEWLINE)
      return false;
    bool punctuation = token->kind == TOKEN_PUNCTUATION;
    if (punctuation && strcmp(token->text, "[") == 0) {
      depth++;
    } else if (punctuation && strcmp(token->text, "]") == 0) {
      if (--depth < 0)
        return false;
    } else if (depth == 0) {
      if (punctuation && strcmp(token->text, ":") == 0)
        break;
      bool dot = punctuation && strcmp(token->text, ".") == 0;
      bool path = dot || (token->kind == TOKEN_NAME && strcmp(p->tokens[at - 1].text, ".") == 0);
      if (!path)
        return false;
    }
  }
  return p->tokens[at + 1].kind == TOKEN_NAME;
}

static poa_syntax *parse_labelled_call(poa_parser *p) {
  const poa_token *callee = poa_expect_name(p, "a call after the label");
  if (!poa_is(p, "("))
    poa_parse_failure(p, callee, "expected a call, NAME(..), after the ':' of a label");
  return parse_call(p, callee);
}

/* The path becomes "blocks[]" with its indices as further children. */
static poa_syntax *parse_label(poa_parser *p) {
  poa_syntax *label = poa_new_syntax(p, SYNTAX_LABEL, poa_peek(p));
  poa_pointers children = {0};
  poa_push(p->arena, &children, NULL);
  const char *path = poa_expect_name(p, "a label")->text;
  while (!poa_accept(p, ":")) {
    if (poa_accept(p, "[")) {
      poa_push(p->arena, &children, poa_parse_expression(p));
      poa_expect(p, "]", "']' after the index of a label");
      path = poa_arena_format(p->arena, "%s[]", path);
    } else {
      poa_expect(p, ".", "'.', '[' or ':' in a label");
      path = poa_arena_format(p->arena, "%s.%s", path, poa_expect_name(p, "a label")->text);
    }
    if (children.count > MAX_LABEL_PARTS || strlen(path) > MAX_LABEL)
      poa_parse_failure(p, poa_peek(p), "this label is too long");
  }
  children.items[0] = parse_labelled_call(p);
  label->text = path;
  set_children(label, &children);
  return label;
}

/* student at max: call(..) */
static poa_syntax *parse_branch(poa_parser *p, const poa_token *set) {
  poa_expect(p, "at", "'at'");
  const poa_token *where = poa_expect_name(p, "'max' or 'sampled' after 'at'");
  bool at_max = strcmp(where->text, "max") == 0;
  if (!at_max && strcmp(where->text, "sampled") != 0)
    poa_parse_failure(p, where, "expected 'max' or 'sampled', found %s", poa_describe(p, where));
  poa_expect(p, ":", "':' before what the branch applies");
  poa_syntax *branch = with_children(p, SYNTAX_BRANCH, set, parse_labelled_call(p), NULL);
  branch->at_max = at_max;
  return branch;
}

static poa_syntax *parse_primary(poa_parser *p) {
  const poa_token *token = poa_peek(p);
  switch (token->kind) {
  case TOKEN_INTEGER:
    p->at++;
    return poa_new_syntax(p, SYNTAX_INTEGER, token);
  case TOKEN_REAL:
    p->at++;
    return poa_new_syntax(p, SYNTAX_REAL, token);
  case TOKEN_STRING:
    p->at++;
    return poa_new_syntax(p, SYNTAX_STRING, token);
  case TOKEN_NAME:
    if (label_ahead(p))
      return parse_label(p);
    p->at++;
    if (poa_is(p, "at"))
      return parse_branch(p, token);
    return poa_is(p, "(") ? parse_call(p, token) : poa_new_syntax(p, SYNTAX_NAME, token);
  default:
    break;
  }
  if (poa_is(p, "["))
    return parse_list(p);
  if (!poa_accept(p, "("))
    poa_parse_failure(p, token, "expected an expression, found %s", poa_describe(p, token));
  bool outer = p->in_subscript;
  p->in_subscript = false;
  poa_syntax *inner = poa_parse_expression(p);
  poa_expect(p, ")", "')'");
  p->in_subscript = outer;
  return inner;
}

static poa_syntax *parse_postfix(poa_parser *p) {
  poa_syntax *value = parse_primary(p);
  for (;;) {
    if (poa_is(p, "[")) {
      value = parse_index(p, value);
    } else if (poa_accept(p, ".")) {
      const poa_token *member = poa_expect_name(p, "an attribute after '.'");
      value = with_children(p, SYNTAX_MEMBER, member, value, NULL);
    } else {
      return value;
    }
  }
}

/* ^ binds tighter than a minus on its left and takes one on its right: -x ^ -2. */
static poa_syntax *parse_power(poa_parser *p) {
  poa_syntax *base = parse_postfix(p);
  const poa_token *at = poa_peek(p);
  if (!poa_accept(p, "^"))
    return base;
  return with_children(p, SYNTAX_BINARY, at, base, parse_level(p, LEVEL_UNARY));
}

static int level_of(const poa_parser *p) {
  const poa_token *token = poa_peek(p);
  if (token->kind != TOKEN_PUNCTUATION && token->kind != TOKEN_NAME)
    return 0;
  for (size_t i = 0; i < sizeof binary_operators / sizeof *binary_operators; i++)
    if (strcmp(token->text, binary_operators[i].text) == 0)
      return binary_operators[i].level;
  return 0;
}

static poa_syntax *parse_prefix(poa_parser *p, int level) {
  const poa_token *at = poa_peek(p);
  if (level <= LEVEL_NOT && poa_accept(p, "not"))
    return with_children(p, SYNTAX_UNARY, at, parse_level(p, LEVEL_NOT), NULL);
  if (poa_accept(p, "-"))
    return with_children(p, SYNTAX_UNARY, at, parse_level(p, LEVEL_UNARY), NULL);
  return parse_power(p);
}

static poa_syntax *parse_level(poa_parser *p, int level) {
  if (++p->nesting > POA_MAX_NESTING)
    poa_parse_failure(p, poa_peek(p), "expressions and blocks are nested more than %d deep",
                      POA_MAX_NESTING);
  poa_syntax *left = parse_prefix(p, level);
  for (int next = level_of(p); next >= level && next > 0 && level < LEVEL_UNARY;
       next = level_of(p)) {
    const poa_token *at = poa_peek(p);
    p->at++;
    left = with_children(p, SYNTAX_BINARY, at, left, parse_level(p, next + 1));
  }
  p->nesting--;
  return left;
}

poa_syntax *poa_parse_expression(poa_parser *p) {
  return parse_level(p, 1);
}
