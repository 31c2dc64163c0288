/* The helpers of codegen/emit.h: what a kernel built from them computes. */
#include <criterion/criterion.h>
#include <math.h>

#include "codegen/emit.h"

typedef struct fixture {
  poa_target target;
  poa_kernel_library *library;
  poa_error error;
} fixture;

static fixture set_up(const char *cpu) {
  fixture f = {0};
  cr_assert_eq(poa_target_init(&f.target, cpu, &f.error), POA_OK, "%s", f.error.message);
  cr_assert_eq(poa_kernel_library_create(&f.library, &f.target, NULL, &f.error), POA_OK);
  return f;
}

static void tear_down(fixture *f) {
  poa_kernel_library_free(f->library);
  poa_target_free(&f->target);
}

/* Compiles one kernel and runs it over (in, out). */
static void run(fixture *f, const char *key, poa_emit_fn emit, void *in, void *out, int64_t last) {
  poa_kernel_request request = {key, emit, NULL};
  poa_kernel_fn kernel;
  cr_assert_eq(poa_kernel_library_get(f->library, &request, 1, &kernel, &f->error), POA_OK, "%s",
               f->error.message);
  kernel((void *[]){in, out}, 0, last);
}

/* out = {sum, max, min} of sixteen lanes. */
static poa_status emit_reductions(poa_emitter *e, const void *description, const char *symbol,
                                  poa_error *error) {
  (void)description, (void)error;
  poa_emit_kernel(e, symbol);
  LLVMValueRef x = emit_load(e, emit_vector_type(e->f32, 16), emit_buffer(e, 0), 4);
  LLVMValueRef y = emit_buffer(e, 1);
  emit_store(e, poa_emit_reduce_add(e, x), y, 4);
  emit_store(e, poa_emit_reduce_max(e, x), emit_at(e, e->f32, y, emit_index(e, 1)), 4);
  emit_store(e, poa_emit_reduce_min(e, x), emit_at(e, e->f32, y, emit_index(e, 2)), 4);
  emit_return(e);
  return POA_OK;
}

/* Protects: the stated order of additions, the same bits on every CPU. */
Test(emit, reduces_by_halves) {
  float x[16], y[3];
  for (int i = 0; i < 16; ++i)
    x[i] = i % 3 ? 1e8f + (float)i * 7 : -1.5f - (float)i;
  float halves[16];
  for (int i = 0; i < 16; ++i)
    halves[i] = x[i];
  for (int n = 8; n > 0; n /= 2)
    for (int i = 0; i < n; ++i)
      halves[i] += halves[i + n];
  const char *const cpus[] = {"x86-64", "native"};
  for (int i = 0; i < 2; ++i) {
    fixture f = set_up(cpus[i]);
    run(&f, "reductions", emit_reductions, x, y, 1);
    cr_assert_eq(y[0], halves[0]);
    cr_assert_eq(y[1], x[14]);
    cr_assert_eq(y[2], -16.5f);
    tear_down(&f);
  }
}

/* Protects: a NaN in any lane reaches the result. */
Test(emit, reductions_keep_nan) {
  fixture f = set_up(NULL);
  for (int lane = 0; lane < 16; ++lane) {
    float x[16] = {0}, y[3];
    x[lane] = NAN;
    run(&f, "reductions", emit_reductions, x, y, 1);
    cr_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]), "lane %d", lane);
  }
  tear_down(&f);
}

/* out[i] = sum over j < i of (j odd ? in[j] : -in[j]), for i in 0..last-1. */
static poa_status emit_nest(poa_emitter *e, const void *description, const char *symbol,
                            poa_error *error) {
  (void)description, (void)error;
  poa_emit_kernel(e, symbol);
  LLVMValueRef x = emit_buffer(e, 0), y = emit_buffer(e, 1), one = emit_index(e, 1);
  poa_emit_loop i = poa_emit_loop_begin(e, emit_first(e), emit_last(e), one);
  LLVMValueRef at = emit_at(e, e->f32, y, i.index);
  poa_emit_loop j = poa_emit_loop_begin(e, emit_index(e, 0), i.index, one);
  LLVMValueRef sum = poa_emit_loop_carry(e, &j, emit_float(e, 0));
  LLVMValueRef value = emit_load(e, e->f32, emit_at(e, e->f32, x, j.index), 4);
  LLVMValueRef odd = emit_compare_int(e, LLVMIntEQ, emit_and(e, j.index, one), one);
  poa_emit_branch branch = poa_emit_if(e, odd);
  emit_store(e, emit_add(e, sum, value), at, 4);
  poa_emit_else(e, &branch);
  emit_store(e, emit_sub(e, sum, value), at, 4);
  poa_emit_end_if(e, &branch);
  poa_emit_loop_set(e, sum, emit_load(e, e->f32, at, 4));
  poa_emit_loop_end(e, &j);
  emit_store(e, sum, at, 4);
  poa_emit_loop_end(e, &i);
  emit_return(e);
  return POA_OK;
}

/* Protects: nested loops, variables across turns and after the loop, branches. */
Test(emit, loops_and_branches) {
  enum { COUNT = 12 };
  float x[COUNT], y[COUNT];
  for (int i = 0; i < COUNT; ++i)
    x[i] = (float)(i * i);
  fixture f = set_up(NULL);
  run(&f, "nest", emit_nest, x, y, COUNT);
  for (int i = 0; i < COUNT; ++i) {
    float sum = 0;
    for (int j = 0; j < i; ++j)
      sum += j % 2 ? x[j] : -x[j];
    cr_assert_eq(y[i], sum, "element %d", i);
  }
  tear_down(&f);
}

/* out[7 - lane] = in[2 * lane] in the first `last` of eight lanes. */
static poa_status emit_indexed(poa_emitter *e, const void *description, const char *symbol,
                               poa_error *error) {
  (void)description, (void)error;
  poa_emit_kernel(e, symbol);
  LLVMValueRef mask = emit_tail_mask(e, emit_last(e), 8);
  LLVMValueRef lane = poa_emit_lane_numbers(e->i32, 8);
  LLVMValueRef from = emit_mul(e, lane, emit_int32(e, 2)), to = emit_sub(e, emit_int32(e, 7), lane);
  LLVMValueRef value =
      poa_emit_gather(e, emit_vector_type(e->f32, 8), emit_buffer(e, 0), from, mask);
  poa_emit_scatter(e, value, emit_buffer(e, 1), to, mask);
  emit_return(e);
  return POA_OK;
}

/* Protects: masked lanes touch no memory, with AVX-512's instructions and without. */
Test(emit, gathers_and_scatters) {
  const char *const cpus[] = {"x86-64", "native"};
  for (int i = 0; i < 2; ++i) {
    fixture f = set_up(cpus[i]);
    float x[9], y[8] = {0};
    for (int j = 0; j < 9; ++j)
      x[j] = (float)(10 + j);
    run(&f, "indexed", emit_indexed, x, y, 5);
    for (int j = 0; j < 8; ++j)
      cr_assert_eq(y[j], j < 3 ? 0 : (float)(10 + 2 * (7 - j)), "element %d", j);
    tear_down(&f);
  }
}
