/* cluster_key.c: descriptions as text. Two clusters have the same key exactly when the
 * same code serves both.
 *
 *   rows 1/2 whole [1576,384] 0:input f32 v @0; 1:reduce_sum f32 0; @f32(384,1); ... */
#include "codegen/cluster.h"
#include "codegen/key_text.h"

static void put_strides(poa_key_text *out, const int64_t *strides, int count) {
  poa_put(out, "(");
  poa_put_numbers(out, strides, count, ",");
  poa_put(out, ")");
}

static void put_value(poa_key_text *out, const poa_cluster_value *value, int number) {
  poa_put(out, " ");
  poa_put_number(out, number);
  poa_put(out, ":");
  poa_put(out, poa_op_table(value->op)->name);
  poa_put(out, " ");
  poa_put(out, poa_dtype_name(value->dtype));
  poa_put(out, value->vector ? value->after ? " v a" : " v" : value->after ? " a" : "");
  for (int i = 0; i < value->operand_count; i++) {
    poa_put(out, " ");
    poa_put_number(out, value->operand[i]);
  }
  if (value->op == POA_OP_constant) {
    poa_put(out, " ");
    poa_put_real(out, value->constant);
  }
  if (value->op == POA_OP_iota) {
    poa_put(out, " /");
    poa_put_number(out, value->axis);
  }
  if (value->access >= 0) {
    poa_put(out, " @");
    poa_put_number(out, value->access);
  }
  if (value->op == POA_OP_gather) {
    poa_put(out, " ");
    poa_put_numbers(out, (int64_t[]){value->row_count, value->row_stride}, 2, "*");
  }
}

static void put_store(poa_key_text *out, const poa_cluster_store *store) {
  poa_put(out, " store");
  poa_put(out, store->full ? " full" : "");
  poa_put(out, store->accumulate ? " +=" : "");
  poa_put(out, store->last ? " last " : " ");
  poa_put_numbers(out, (int64_t[]){store->value, store->access}, 2, "@");
}

char *poa_cluster_key(const poa_cluster *c, poa_arena *arena) {
  poa_key_text out = {.arena = arena};
  poa_put(&out, c->columns ? "columns " : "rows ");
  poa_put_numbers(&out, (int64_t[]){c->outer, c->rank}, 2, "/");
  poa_put(&out, c->whole_rows ? " whole [" : " [");
  poa_put_numbers(&out, c->extent, c->rank, ",");
  poa_put(&out, "]");
  for (int v = 0; v < c->value_count; v++)
    put_value(&out, &c->values[v], v);
  for (int a = 0; a < c->access_count; a++) {
    poa_put(&out, " @");
    poa_put(&out, poa_dtype_name(c->accesses[a].dtype));
    put_strides(&out, c->accesses[a].stride, c->rank);
  }
  for (int s = 0; s < c->store_count; s++)
    put_store(&out, &c->stores[s]);
  return out.bytes;
}

char *poa_scatter_key(const poa_scatter *s, poa_arena *arena) {
  poa_key_text out = {.arena = arena};
  poa_put(&out, "scatter ");
  poa_put(&out, poa_dtype_name(s->dtype));
  poa_put(&out, " ");
  poa_put_numbers(&out, (int64_t[]){s->count, s->base_count}, 2, "->");
  poa_put(&out, " [");
  poa_put_numbers(&out, s->extent, s->rank, ",");
  poa_put(&out, "] ");
  poa_put_number(&out, s->base_row);
  put_strides(&out, s->base, s->rank);
  poa_put(&out, " rows ");
  poa_put_number(&out, s->rows_stride);
  poa_put(&out, " ");
  if (s->constant_y) {
    poa_put_real(&out, s->constant);
    return out.bytes;
  }
  poa_put_number(&out, s->y_row);
  put_strides(&out, s->y, s->rank);
  return out.bytes;
}
