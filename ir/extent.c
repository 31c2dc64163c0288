/* extent.c: integers and expressions of elastic names. 4*width over width in
 * {384, 448, .. 1024} is such an expression.
 * Arithmetic saturates, so that absurd text gives absurd numbers, never undefined
 * behaviour; a division by zero gives zero (the readers of text refuse it). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/internal.h"

/* Above this many points, equality is checked on an even sample of them. */
#define MAX_POINTS 4096

static int64_t saturate(bool overflow, int64_t value, bool negative) {
  if (!overflow)
    return value;
  return negative ? INT64_MIN : INT64_MAX;
}

static int64_t add(int64_t a, int64_t b) {
  int64_t r;
  bool overflow = __builtin_add_overflow(a, b, &r);
  return saturate(overflow, r, a < 0);
}

static int64_t subtract(int64_t a, int64_t b) {
  int64_t r;
  bool overflow = __builtin_sub_overflow(a, b, &r);
  return saturate(overflow, r, a < 0);
}

static int64_t multiply(int64_t a, int64_t b) {
  int64_t r;
  bool overflow = __builtin_mul_overflow(a, b, &r);
  return saturate(overflow, r, (a < 0) != (b < 0));
}

static int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1)
    return subtract(0, a);
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

static int64_t apply(poa_expr_kind kind, int64_t a, int64_t b) {
  switch (kind) {
  case POA_EXPR_ADD:
    return add(a, b);
  case POA_EXPR_SUB:
    return subtract(a, b);
  case POA_EXPR_MUL:
    return multiply(a, b);
  case POA_EXPR_DIV:
    return floor_divide(a, b);
  case POA_EXPR_MOD:
    return b == 0 ? 0 : subtract(a, multiply(floor_divide(a, b), b));
  default:
    return 0;
  }
}

static bool is_number(poa_extent e, int64_t value) {
  return !e.expr && e.value == value;
}

/* x+0, x-0, x*1, 1*x, 0+x, x/1 are x. */
static bool identity(poa_expr_kind kind, poa_extent a, poa_extent b, poa_extent *result) {
  bool additive = kind == POA_EXPR_ADD || kind == POA_EXPR_SUB;
  bool multiplicative = kind == POA_EXPR_MUL || kind == POA_EXPR_DIV;
  if ((additive && is_number(b, 0)) || (multiplicative && is_number(b, 1)))
    *result = a;
  else if ((kind == POA_EXPR_ADD && is_number(a, 0)) || (kind == POA_EXPR_MUL && is_number(a, 1)))
    *result = b;
  else
    return false;
  return true;
}

static const poa_expr *as_expr(poa_arena *arena, poa_extent e) {
  if (e.expr)
    return e.expr;
  poa_expr *leaf = poa_arena_alloc(arena, sizeof *leaf);
  leaf->kind = POA_EXPR_INT;
  leaf->integer = e.value;
  return leaf;
}

poa_extent poa_extent_combine(poa_arena *arena, poa_expr_kind kind, poa_extent a, poa_extent b) {
  poa_extent result;
  if (!a.expr && !b.expr)
    return poa_known(apply(kind, a.value, b.value));
  if (identity(kind, a, b, &result))
    return result;
  poa_expr *expr = poa_arena_alloc(arena, sizeof *expr);
  expr->kind = kind;
  expr->left = as_expr(arena, a);
  expr->right = as_expr(arena, b);
  return (poa_extent){0, expr};
}

poa_extent poa_extent_name(poa_arena *arena, int index) {
  poa_expr *expr = poa_arena_alloc(arena, sizeof *expr);
  expr->kind = POA_EXPR_NAME;
  expr->integer = index;
  return (poa_extent){0, expr};
}

static int64_t evaluate(const poa_expr *e, const poa_point *point) {
  if (e->kind == POA_EXPR_INT)
    return e->integer;
  if (e->kind == POA_EXPR_NAME)
    return point->value[e->integer];
  return apply(e->kind, evaluate(e->left, point), evaluate(e->right, point));
}

int64_t poa_extent_at(poa_extent extent, const poa_point *point) {
  return extent.expr ? evaluate(extent.expr, point) : extent.value;
}

/* Point `index` of those that vary the names of `mask`; the others are at the top. */
static poa_point masked_point(const poa_lattice *lattice, unsigned mask, int64_t index) {
  poa_point point = poa_lattice_top(lattice);
  for (int i = lattice->count - 1; i >= 0; i--) {
    const poa_elastic *name = &lattice->name[i];
    if (!(mask >> i & 1))
      continue;
    point.value[i] = name->min + index % poa_elastic_values(name) * name->step;
    index /= poa_elastic_values(name);
  }
  return point;
}

static bool same_expr(const poa_expr *a, const poa_expr *b) {
  if (a == b)
    return true;
  if (!a || !b || a->kind != b->kind || a->integer != b->integer)
    return false;
  return same_expr(a->left, b->left) && same_expr(a->right, b->right);
}

static unsigned names_in(const poa_expr *e) {
  if (!e || e->kind == POA_EXPR_INT)
    return 0;
  if (e->kind == POA_EXPR_NAME)
    return 1u << e->integer;
  return names_in(e->left) | names_in(e->right);
}

static bool equal(int64_t a, int64_t b) {
  return a == b;
}

static bool at_most(int64_t a, int64_t b) {
  return a <= b;
}

static bool everywhere(const poa_lattice *lattice, poa_extent a, poa_extent b,
                       bool (*holds)(int64_t, int64_t)) {
  unsigned mask = names_in(a.expr) | names_in(b.expr);
  int64_t points = 1;
  for (int i = 0; i < lattice->count; i++)
    points = mask >> i & 1 ? multiply(points, poa_elastic_values(&lattice->name[i])) : points;
  int64_t stride = 1 + (points - 1) / MAX_POINTS;
  for (int64_t i = 0; i < points; i = add(i, stride)) {
    poa_point point = masked_point(lattice, mask, i);
    if (!holds(poa_extent_at(a, &point), poa_extent_at(b, &point)))
      return false;
    if (i == INT64_MAX)
      break;
  }
  poa_point top = poa_lattice_top(lattice);
  return holds(poa_extent_at(a, &top), poa_extent_at(b, &top));
}

bool poa_extent_equal(const poa_lattice *lattice, poa_extent a, poa_extent b) {
  if (!a.expr && !b.expr)
    return a.value == b.value;
  return same_expr(a.expr, b.expr) || everywhere(lattice, a, b, equal);
}

bool poa_extent_at_most(const poa_lattice *lattice, poa_extent a, poa_extent b) {
  if (!a.expr && !b.expr)
    return a.value <= b.value;
  return same_expr(a.expr, b.expr) || everywhere(lattice, a, b, at_most);
}

poa_extent poa_windows(poa_arena *arena, poa_extent extent, int64_t size, int64_t stride) {
  poa_extent left = poa_extent_combine(arena, POA_EXPR_SUB, extent, poa_known(size));
  poa_extent steps = poa_extent_combine(arena, POA_EXPR_DIV, left, poa_known(stride));
  return poa_extent_combine(arena, POA_EXPR_ADD, steps, poa_known(1));
}

/* An output that counts on when it is full, as snprintf does. */
typedef struct sink {
  char *out;
  size_t size, length;
} sink;

static void put(sink *s, const char *text) {
  for (; *text; text++, s->length++)
    if (s->length + 1 < s->size)
      s->out[s->length] = *text;
  if (s->size)
    s->out[s->length < s->size ? s->length : s->size - 1] = 0;
}

static int precedence(const poa_expr *e) {
  if (e->kind == POA_EXPR_INT)
    return e->integer < 0 ? 0 : 3;
  if (e->kind == POA_EXPR_NAME)
    return 3;
  return e->kind == POA_EXPR_ADD || e->kind == POA_EXPR_SUB ? 1 : 2;
}

static void put_expr(sink *s, const poa_lattice *lattice, const poa_expr *e, int outer) {
  static const char *const symbol[] = {
      [POA_EXPR_ADD] = "+", [POA_EXPR_SUB] = "-", [POA_EXPR_MUL] = "*",
      [POA_EXPR_DIV] = "/", [POA_EXPR_MOD] = "%",
  };
  int own = precedence(e);
  if (own < outer)
    put(s, "(");
  if (e->kind == POA_EXPR_INT) {
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, e->integer);
    put(s, number);
  } else if (e->kind == POA_EXPR_NAME) {
    put(s, lattice->name[e->integer].name);
  } else {
    put_expr(s, lattice, e->left, own);
    put(s, symbol[e->kind]);
    put_expr(s, lattice, e->right, own + 1);
  }
  if (own < outer)
    put(s, ")");
}

int poa_extent_print(const poa_lattice *lattice, poa_extent extent, char *out, size_t size) {
  if (!extent.expr)
    return snprintf(out, size, "%" PRId64, extent.value);
  sink s = {out, size, 0};
  put(&s, "");
  put_expr(&s, lattice, extent.expr, 0);
  return (int)s.length;
}

bool poa_block_kept(int64_t kept, int64_t of, int64_t index) {
  const int64_t most = INT64_C(1) << 30;
  if (index < 0 || index >= of || of > most || kept < 1 || kept > most)
    return false;
  if (kept == 1 || of == 1)
    return index == 0;
  /* The smallest i with floor(i*(of-1)/(kept-1)) >= index either hits it or jumps over. */
  int64_t i = (index * (kept - 1) + of - 2) / (of - 1);
  return i < kept && i * (of - 1) / (kept - 1) == index;
}
