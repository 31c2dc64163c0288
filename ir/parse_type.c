/* parse_type.c: extents, which are expressions of elastic names, and types.
 *
 *   type    = dtype "[" [extent {"," extent}] "]"
 *   extent  = term {("+" | "-") term}
 *   term    = factor {("*" | "/" | "%") factor}
 *   factor  = ["-"] integer | elastic name | "(" extent ")" */
#include <string.h>

#include "ir/parse.h"

#define MAX_DEPTH 64      /* of parentheses */
#define MAX_OPERATORS 256 /* in one extent */

/* What bounds the size of one extent's expression. */
typedef struct extent_reader {
  poa_reader *r;
  int depth, operators;
} extent_reader;

static poa_status read_sum(extent_reader *e, poa_extent *extent);

static poa_status read_elastic(extent_reader *e, poa_extent *extent) {
  poa_lexer *lexer = &e->r->lexer;
  const poa_lattice *lattice = &e->r->graph->lattice;
  const char *name, *at = lexer->token.start, *candidates[POA_MAX_ELASTIC];
  if (poa_read_name(e->r, "an extent (a number or an elastic name)", &name))
    return POA_BAD_INPUT;
  for (int i = 0; i < lattice->count; i++) {
    candidates[i] = lattice->name[i].name;
    if (!strcmp(name, candidates[i])) {
      *extent = poa_extent_name(e->r->arena, i);
      return POA_OK;
    }
  }
  const char *nearest = poa_nearest(name, candidates, lattice->count);
  return poa_lex_fail(lexer, at, "unknown elastic name '%s'%s%s%s", name,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static poa_status read_factor(extent_reader *e, poa_extent *extent) {
  poa_lexer *lexer = &e->r->lexer;
  if (poa_lex_at(lexer, "(")) {
    if (++e->depth > MAX_DEPTH)
      return poa_lex_fail(lexer, lexer->token.start, "parentheses are nested too deeply");
    poa_status status =
        poa_read_expect(e->r, "(") || read_sum(e, extent) || poa_read_expect(e->r, ")")
            ? POA_BAD_INPUT
            : POA_OK;
    e->depth--;
    return status;
  }
  if (lexer->token.kind == POA_TOKEN_NAME)
    return read_elastic(e, extent);
  *extent = poa_known(0);
  return poa_read_int(e->r, "an extent (a number or an elastic name)", INT64_MIN, INT64_MAX,
                      &extent->value);
}

static poa_status combine(extent_reader *e, const char *at, poa_expr_kind kind, poa_extent *left,
                          poa_extent right) {
  if (++e->operators > MAX_OPERATORS)
    return poa_lex_fail(&e->r->lexer, at, "this extent is too long");
  bool divides = kind == POA_EXPR_DIV || kind == POA_EXPR_MOD;
  if (divides && !right.expr && right.value == 0)
    return poa_lex_fail(&e->r->lexer, at, "division by zero");
  *left = poa_extent_combine(e->r->arena, kind, *left, right);
  return POA_OK;
}

static bool at_operator(const poa_lexer *lexer, const char *symbols, const poa_expr_kind *kinds,
                        poa_expr_kind *kind) {
  if (lexer->token.kind != POA_TOKEN_SYMBOL || lexer->token.length != 1)
    return false;
  const char *found = strchr(symbols, *lexer->token.start);
  if (found)
    *kind = kinds[found - symbols];
  return found != NULL;
}

static poa_status read_product(extent_reader *e, poa_extent *extent) {
  static const poa_expr_kind kinds[] = {POA_EXPR_MUL, POA_EXPR_DIV, POA_EXPR_MOD};
  poa_expr_kind kind;
  poa_extent right;
  if (read_factor(e, extent))
    return POA_BAD_INPUT;
  while (at_operator(&e->r->lexer, "*/%", kinds, &kind)) {
    const char *at = e->r->lexer.token.start;
    if (poa_lex_next(&e->r->lexer) || read_factor(e, &right) || combine(e, at, kind, extent, right))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

static poa_status read_sum(extent_reader *e, poa_extent *extent) {
  static const poa_expr_kind kinds[] = {POA_EXPR_ADD, POA_EXPR_SUB};
  poa_expr_kind kind;
  poa_extent right;
  if (read_product(e, extent))
    return POA_BAD_INPUT;
  while (at_operator(&e->r->lexer, "+-", kinds, &kind)) {
    const char *at = e->r->lexer.token.start;
    if (poa_lex_next(&e->r->lexer) || read_product(e, &right) ||
        combine(e, at, kind, extent, right))
      return POA_BAD_INPUT;
  }
  return POA_OK;
}

poa_status poa_read_extent(poa_reader *r, poa_extent *extent) {
  extent_reader e = {.r = r};
  return read_sum(&e, extent);
}

poa_status poa_read_shape(poa_reader *r, poa_extent *extents, int *count) {
  *count = 0;
  if (poa_read_expect(r, "["))
    return POA_BAD_INPUT;
  while (!poa_lex_at(&r->lexer, "]")) {
    if (*count && poa_read_expect(r, ","))
      return POA_BAD_INPUT;
    if (*count == POA_MAX_RANK)
      return poa_lex_fail(&r->lexer, r->lexer.token.start, "a value has at most %d axes",
                          POA_MAX_RANK);
    if (poa_read_extent(r, &extents[*count]))
      return POA_BAD_INPUT;
    ++*count;
  }
  return poa_read_expect(r, "]");
}

poa_status poa_read_type(poa_reader *r, poa_type *type) {
  static const poa_dtype dtypes[] = {POA_F32, POA_I32, POA_BOOL};
  const char *at = r->lexer.token.start, *name;
  *type = (poa_type){0};
  if (poa_read_name(r, "a type (f32[..], i32[..] or bool[..])", &name))
    return POA_BAD_INPUT;
  for (int i = 0; i < 3; i++)
    if (!strcmp(name, poa_dtype_name(dtypes[i]))) {
      poa_error error = {0};
      type->dtype = dtypes[i];
      if (poa_read_shape(r, type->dim, &type->rank))
        return POA_BAD_INPUT;
      if (poa_type_check(&r->graph->lattice, type, &error))
        return poa_lex_fail(&r->lexer, at, "%s", error.message);
      return POA_OK;
    }
  return poa_lex_fail(&r->lexer, at, "unknown dtype '%s'; expected f32, i32 or bool", name);
}
