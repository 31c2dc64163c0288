/* row_passes.c: plans passes from the description alone; see row_passes.h. */
#include "codegen/row_passes.h"

#include <string.h>

#define SCRATCH_BYTES (64 * 1024) /* on the stack, of all scratch rows */

static int *numbers(poa_arena *arena, int count, int initial) {
  int *array = poa_arena_alloc(arena, (size_t)count * sizeof *array);
  for (int i = 0; i < count; i++)
    array[i] = initial;
  return array;
}

static bool reduces(const poa_cluster_value *value) {
  return poa_op_is(value->op, POA_FLAG_REDUCTION);
}

/* A reduction is there one pass after the pass that can compute its operand. */
static void find_when(poa_row_passes *p, const poa_cluster *c) {
  for (int v = 0; v < c->value_count; v++) {
    const poa_cluster_value *value = &c->values[v];
    for (int i = 0; i < value->operand_count; i++) {
      int operand = p->when[value->operand[i]];
      p->when[v] = operand > p->when[v] ? operand : p->when[v];
    }
    if (reduces(value)) {
      p->when[v]++;
      p->count = p->when[v] > p->count ? p->when[v] : p->count;
    }
  }
  for (int s = 0; s < c->store_count; s++) {
    int needs = p->when[c->stores[s].value] + 1;
    if (c->rank && c->stores[s].full && needs > p->count)
      p->count = needs;
  }
}

/* Stores go as early as they can, but after the last pass that reads what they replace. */
static void place_stores(poa_row_passes *p, const poa_cluster *c) {
  for (int s = 0; s < c->store_count; s++) {
    const poa_cluster_store *store = &c->stores[s];
    p->store_pass[s] = store->last ? p->count - 1 : p->when[store->value];
    bool unit = c->rank && c->accesses[store->access].stride[c->rank - 1] == 1;
    if (store->full && unit && !store->last && !store->accumulate)
      p->stored_at[store->value] = store->access;
  }
}

static bool scratch_fits(const poa_row_passes *p, const poa_cluster *c) {
  return (p->scratch_count + 1) * poa_cluster_inner(c) * 4 <= SCRATCH_BYTES;
}

/* What a pass does for a value it wants, computed first in pass `first` (-1: never yet). */
static poa_row_action choose(poa_row_passes *p, const poa_cluster *c, int v, int pass, int first) {
  const poa_cluster_value *value = &c->values[v];
  if (p->resident || first < 0 || first == pass || value->op == POA_OP_input)
    return POA_ROW_COMPUTE;
  if (p->stored_at[v] >= 0 && pass > p->when[v])
    return POA_ROW_RELOAD;
  if (p->scratch[v] >= 0)
    return POA_ROW_FETCH;
  if (!poa_op_is(value->op, POA_FLAG_COSTLY) || value->dtype != POA_F32 || !scratch_fits(p, c))
    return POA_ROW_COMPUTE;
  p->scratch[v] = p->scratch_count++;
  return POA_ROW_FETCH;
}

static void want_roots(const poa_row_passes *p, const poa_cluster *c, int pass, uint8_t *wanted) {
  for (int v = 0; v < c->value_count; v++)
    if (reduces(&c->values[v]) && p->when[v] == pass + 1)
      wanted[c->values[v].operand[0]] = true;
  for (int s = 0; s < c->store_count; s++)
    if (c->stores[s].full && p->store_pass[s] == pass)
      wanted[c->stores[s].value] = true;
}

/* From the last value back: wanted values are computed or fetched, computed ones want their
 * operands. Scalars are not the pass's work. */
static void plan_pass(poa_row_passes *p, const poa_cluster *c, int pass, uint8_t *wanted,
                      int *first) {
  memset(wanted, 0, (size_t)c->value_count);
  want_roots(p, c, pass, wanted);
  for (int v = c->value_count - 1; v >= 0; v--) {
    const poa_cluster_value *value = &c->values[v];
    if (!wanted[v] || !value->vector)
      continue;
    poa_row_action action = choose(p, c, v, pass, first[v]);
    p->action[pass * c->value_count + v] = (uint8_t)action;
    if (action != POA_ROW_COMPUTE)
      continue;
    first[v] = first[v] < 0 ? pass : first[v];
    for (int i = 0; i < value->operand_count; i++)
      wanted[value->operand[i]] = true;
  }
}

poa_row_passes poa_plan_row_passes(const poa_cluster *c, bool resident, poa_arena *arena) {
  poa_row_passes p = {.resident = resident,
                      .when = numbers(arena, c->value_count, 0),
                      .scratch = numbers(arena, c->value_count, -1),
                      .store_pass = numbers(arena, c->store_count, 0),
                      .stored_at = numbers(arena, c->value_count, -1)};
  find_when(&p, c);
  place_stores(&p, c);
  p.action = poa_arena_alloc(arena, (size_t)p.count * (size_t)c->value_count);
  uint8_t *wanted = poa_arena_alloc(arena, (size_t)c->value_count);
  int *first = numbers(arena, c->value_count, -1);
  for (int pass = 0; pass < p.count; pass++)
    plan_pass(&p, c, pass, wanted, first);
  return p;
}
