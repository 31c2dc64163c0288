/* cluster_key.c: descriptions as text. Two clusters have the same key exactly when the
 * same code serves both.
 *
 *   rows 1/2 whole [1576,384] 0:input f32 v @0; 1:reduce_sum f32 0; @f32(384,1); ... */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codegen/cluster.h"

static void write_numbers(FILE *out, const int64_t *numbers, int count) {
  for (int i = 0; i < count; i++)
    fprintf(out, "%s%" PRId64, i ? "," : "", numbers[i]);
}

static void write_value(FILE *out, const poa_cluster_value *value, int number) {
  fprintf(out, " %d:%s %s%s%s", number, poa_op_table(value->op)->name, poa_dtype_name(value->dtype),
          value->vector ? " v" : "", value->after ? " a" : "");
  for (int i = 0; i < value->operand_count; i++)
    fprintf(out, " %d", value->operand[i]);
  if (value->op == POA_OP_constant)
    fprintf(out, " %a", value->constant);
  if (value->op == POA_OP_iota)
    fprintf(out, " /%d", value->axis);
  if (value->access >= 0)
    fprintf(out, " @%d", value->access);
  if (value->op == POA_OP_gather)
    fprintf(out, " %" PRId64 "*%" PRId64, value->row_count, value->row_stride);
}

static void write_cluster(FILE *out, const poa_cluster *c) {
  fprintf(out, "%s %d/%d%s [", c->columns ? "columns" : "rows", c->outer, c->rank,
          c->whole_rows ? " whole" : "");
  write_numbers(out, c->extent, c->rank);
  fputc(']', out);
  for (int v = 0; v < c->value_count; v++)
    write_value(out, &c->values[v], v);
  for (int a = 0; a < c->access_count; a++) {
    fprintf(out, " @%s(", poa_dtype_name(c->accesses[a].dtype));
    write_numbers(out, c->accesses[a].stride, c->rank);
    fputc(')', out);
  }
  for (int s = 0; s < c->store_count; s++) {
    const poa_cluster_store *store = &c->stores[s];
    fprintf(out, " store%s%s%s %d@%d", store->full ? " full" : "", store->accumulate ? " +=" : "",
            store->last ? " last" : "", store->value, store->access);
  }
}

static void write_scatter(FILE *out, const poa_scatter *s) {
  fprintf(out, "scatter %s %" PRId64 "->%" PRId64 " [", poa_dtype_name(s->dtype), s->count,
          s->base_count);
  write_numbers(out, s->extent, s->rank);
  fprintf(out, "] %" PRId64 "(", s->base_row);
  write_numbers(out, s->base, s->rank);
  fprintf(out, ") rows %" PRId64 " ", s->rows_stride);
  if (s->constant_y) {
    fprintf(out, "%a", s->constant);
    return;
  }
  fprintf(out, "%" PRId64 "(", s->y_row);
  write_numbers(out, s->y, s->rank);
  fputc(')', out);
}

/* The text between `text` and what was written to its stream, moved into the arena. */
static char *finish(FILE *out, char **text, poa_arena *arena) {
  fclose(out);
  char *copy = poa_arena_text(arena, *text ? *text : "");
  free(*text);
  return copy;
}

char *poa_cluster_key(const poa_cluster *cluster, poa_arena *arena) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return NULL;
  write_cluster(out, cluster);
  return finish(out, &text, arena);
}

char *poa_scatter_key(const poa_scatter *scatter, poa_arena *arena) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return NULL;
  write_scatter(out, scatter);
  return finish(out, &text, arena);
}
