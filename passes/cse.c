/* cse.c: common sub-expressions by hash-consing: a node is written only where no
 * earlier one has its op, operands, attributes and, where these do not decide it, type.
 *
 *   %a = mul %x, %y      %b = mul %y, %x      ->      %b is %a
 *
 * Source: Click, "Global code motion, global value numbering" (1995), the hashing half:
 * a graph without control flow needs no more. */
#include <string.h>

#include "passes/simplify.h"

static uint32_t mix(uint32_t hash, uint64_t word) {
  uint64_t product = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return (uint32_t)(product ^ product >> 32);
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* Operands and attributes of these leave the result's type open. */
static bool type_is_free(poa_op op) {
  return poa_op_is(op, POA_FLAG_LEAF) || op == POA_OP_reshape || op == POA_OP_broadcast ||
         op == POA_OP_convert;
}

static uint32_t hash_type(uint32_t hash, const poa_type *type) {
  hash = mix(hash, (uint64_t)type->dtype << 8 | (uint64_t)type->rank);
  for (int i = 0; i < type->rank; i++)
    hash = mix(hash, (uint64_t)type->dim[i].value);
  return hash;
}

static uint32_t hash_attribute(uint32_t hash, const poa_attribute *a) {
  hash = mix(hash, (uint64_t)a->key[0] << 32 | (uint64_t)a->count);
  hash = mix(hash, (uint64_t)a->integer ^ bits_of(a->real));
  for (const char *c = a->text; c && *c; c++)
    hash = mix(hash, (unsigned char)*c);
  for (int i = 0; i < a->count; i++)
    hash = mix(hash, (uint64_t)(a->integers ? a->integers[i] : a->extents[i].value));
  return hash;
}

static uint32_t hash_node(const poa_node *n) {
  uint32_t hash = mix(0, (uint64_t)n->op);
  if (n->operand_count == 2 && poa_op_is(n->op, POA_FLAG_COMMUTATIVE))
    hash = mix(hash, (uint64_t)n->operands[0] + n->operands[1]);
  else
    for (int i = 0; i < n->operand_count; i++)
      hash = mix(hash, n->operands[i]);
  for (int i = 0; i < n->attribute_count; i++)
    hash = hash_attribute(hash, &n->attributes[i]);
  return type_is_free(n->op) ? hash_type(hash, &n->type) : hash;
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && !strcmp(a, b));
}

static bool same_attribute(const poa_attribute *a, const poa_attribute *b) {
  if (!same_text(a->key, b->key) || a->kind != b->kind || a->integer != b->integer ||
      bits_of(a->real) != bits_of(b->real) || a->count != b->count || !same_text(a->text, b->text))
    return false;
  for (int i = 0; i < a->count; i++)
    if (a->integers ? a->integers[i] != b->integers[i] : a->extents[i].value != b->extents[i].value)
      return false;
  return true;
}

static bool same_operands(const poa_node *a, const poa_node *b) {
  if (a->operand_count != b->operand_count)
    return false;
  if (a->operand_count == 2 && poa_op_is(a->op, POA_FLAG_COMMUTATIVE) &&
      a->operands[0] == b->operands[1] && a->operands[1] == b->operands[0])
    return true;
  for (int i = 0; i < a->operand_count; i++)
    if (a->operands[i] != b->operands[i])
      return false;
  return true;
}

static bool same_node(const poa_node *a, const poa_node *b) {
  if (a->op != b->op || a->attribute_count != b->attribute_count || !same_operands(a, b))
    return false;
  for (int i = 0; i < a->attribute_count; i++)
    if (!same_attribute(&a->attributes[i], &b->attributes[i]))
      return false;
  return !type_is_free(a->op) ||
         (a->type.dtype == b->type.dtype && poa_same_shape(&a->type, &b->type));
}

poa_value poa_cse_find(const poa_simplifier *s, const poa_node *candidate, uint32_t *hash) {
  const poa_cse_table *t = &s->table;
  *hash = hash_node(candidate);
  for (uint32_t i = *hash & (t->size - 1); t->slots[i]; i = (i + 1) & (t->size - 1))
    if (t->hashes[i] == *hash && same_node(&s->b.graph->nodes[t->slots[i] - 1], candidate))
      return t->slots[i] - 1;
  return POA_NO_VALUE;
}

static void put(poa_cse_table *t, uint32_t slot_value, uint32_t hash) {
  uint32_t i = hash & (t->size - 1);
  while (t->slots[i])
    i = (i + 1) & (t->size - 1);
  t->slots[i] = slot_value;
  t->hashes[i] = hash;
  t->used++;
}

static void create(poa_cse_table *t, poa_arena *arena, uint32_t size) {
  *t = (poa_cse_table){.size = size};
  t->slots = poa_arena_alloc(arena, size * sizeof *t->slots);
  t->hashes = poa_arena_alloc(arena, size * sizeof *t->hashes);
}

void poa_cse_insert(poa_simplifier *s, poa_value value, uint32_t hash) {
  if (2 * s->table.used >= s->table.size) {
    poa_cse_table old = s->table;
    create(&s->table, s->scratch, 2 * old.size);
    for (uint32_t i = 0; i < old.size; i++)
      if (old.slots[i])
        put(&s->table, old.slots[i], old.hashes[i]);
  }
  put(&s->table, value + 1, hash);
}

void poa_cse_create(poa_simplifier *s, uint32_t expected) {
  uint32_t size = 64;
  while (size < 2 * expected)
    size *= 2;
  create(&s->table, s->scratch, size);
}
