/* gemm_gather.c: a block of A, whose rows or columns are several axes of memory, to a dense
 * block that micro-kernels read by two strides. For a convolution that is the block's piece of
 * the matrix of windows, made where it is used and never whole.
 *
 *   for (o = 0; o < outer_count; ++o)                  rows of the block, or steps of k
 *     for (r = run_first; r < run_end; r += count)     along the axis of unit stride
 *       count = min(elements up to the end of the axis, run_end - r);
 *       copy(a + offset(outer_first + o) + offset(r), block + o * pitch + r - run_first, count); */
#include "codegen/emit.h"
#include "codegen/gemm_plan.h"

#include <stdio.h>

typedef struct gathering {
  poa_emitter *e;
  const poa_gemm_plan *plan;
  const poa_gemm_axes *outer, *run;
  int64_t run_extent, run_stride; /* of the innermost axis of `run` */
} gathering;

static LLVMValueRef at(poa_emitter *e, LLVMValueRef base, LLVMValueRef index) {
  return emit_at(e, e->f32, base, index);
}

/* Elements from the first to number `index` of the joined axes. */
static LLVMValueRef offset_of(poa_emitter *e, const poa_gemm_axes *axes, LLVMValueRef index) {
  LLVMValueRef offset = emit_index(e, 0);
  for (int d = axes->rank - 1; d >= 0; --d) {
    LLVMValueRef extent = emit_index(e, axes->extent[d]), digit = index;
    if (d > 0) {
      digit = LLVMBuildURem(e->builder, index, extent, "");
      index = LLVMBuildUDiv(e->builder, index, extent, "");
    }
    offset = emit_add(e, offset, emit_mul(e, digit, emit_index(e, axes->stride[d])));
  }
  return offset;
}

static void copy_vector(gathering *g, LLVMValueRef from, LLVMValueRef to, LLVMValueRef valid) {
  poa_emitter *e = g->e;
  int lanes = g->plan->lanes;
  LLVMTypeRef vector = emit_vector_type(e->f32, lanes);
  if (!valid) {
    emit_store(e, emit_load(e, vector, from, 4), to, 4);
    return;
  }
  LLVMValueRef mask = emit_tail_mask(e, valid, lanes);
  poa_emit_masked_store(e, poa_emit_masked_load(e, vector, from, mask, 4), to, mask, 4);
}

static void copy_dense(gathering *g, LLVMValueRef from, LLVMValueRef to, LLVMValueRef count) {
  poa_emitter *e = g->e;
  LLVMValueRef lanes = emit_index(e, g->plan->lanes);
  LLVMValueRef whole = emit_mul(e, emit_div(e, count, lanes), lanes);
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), whole, lanes);
  copy_vector(g, at(e, from, loop.index), at(e, to, loop.index), NULL);
  poa_emit_loop_end(e, &loop);
  poa_emit_branch left = poa_emit_if(e, emit_compare_int(e, LLVMIntSLT, whole, count));
  copy_vector(g, at(e, from, whole), at(e, to, whole), emit_sub(e, count, whole));
  poa_emit_end_if(e, &left);
}

static void copy_apart(gathering *g, LLVMValueRef from, LLVMValueRef to, LLVMValueRef count) {
  poa_emitter *e = g->e;
  poa_emit_loop loop = poa_emit_loop_begin(e, emit_index(e, 0), count, emit_index(e, 1));
  LLVMValueRef place = emit_mul(e, loop.index, emit_index(e, g->run_stride));
  emit_store(e, emit_load(e, e->f32, at(e, from, place), 4), at(e, to, loop.index), 4);
  poa_emit_loop_end(e, &loop);
}

/* Elements [first, end) of the run, one innermost axis after the other. */
static void gather_run(gathering *g, LLVMValueRef a, LLVMValueRef to, LLVMValueRef first,
                       LLVMValueRef end) {
  poa_emitter *e = g->e;
  LLVMValueRef extent = emit_index(e, g->run_extent);
  LLVMValueRef skipped = LLVMBuildURem(e->builder, first, extent, "");
  LLVMValueRef base = emit_sub(e, first, skipped);
  poa_emit_loop loop = poa_emit_loop_begin(e, base, end, extent);
  LLVMValueRef begins = emit_compare_int(e, LLVMIntSLT, loop.index, first);
  LLVMValueRef from = emit_select(e, begins, first, loop.index);
  LLVMValueRef to_end = emit_min(e, emit_add(e, loop.index, extent), end);
  LLVMValueRef count = emit_sub(e, to_end, from);
  LLVMValueRef source = at(e, a, offset_of(e, g->run, from));
  LLVMValueRef place = at(e, to, emit_sub(e, from, first));
  if (g->run_stride == 1)
    copy_dense(g, source, place, count);
  else
    copy_apart(g, source, place, count);
  poa_emit_loop_end(e, &loop);
}

LLVMValueRef poa_gemm_gather(poa_emitter *e, const poa_gemm_plan *plan, const char *symbol) {
  char name[256];
  snprintf(name, sizeof name, "%s.gather", symbol);
  LLVMTypeRef parameters[] = {e->pointer, e->pointer, e->i64, e->i64, e->i64, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 6, false);
  LLVMValueRef function = poa_emit_helper(e, name, type);
  LLVMValueRef argument[6];
  LLVMGetParams(function, argument);
  gathering g = {.e = e, .plan = plan};
  g.outer = plan->run_of_rows ? &plan->gemm.inner : &plan->gemm.rows;
  g.run = plan->run_of_rows ? &plan->gemm.rows : &plan->gemm.inner;
  g.run_extent = g.run->extent[g.run->rank - 1];
  g.run_stride = g.run->stride[g.run->rank - 1];
  LLVMValueRef outer_first = argument[plan->run_of_rows ? 4 : 2];
  LLVMValueRef outer_count = argument[plan->run_of_rows ? 5 : 3];
  LLVMValueRef run_first = argument[plan->run_of_rows ? 2 : 4];
  LLVMValueRef run_end = emit_add(e, run_first, argument[plan->run_of_rows ? 3 : 5]);
  poa_emit_loop outer = poa_emit_loop_begin(e, emit_index(e, 0), outer_count, emit_index(e, 1));
  LLVMValueRef number = emit_add(e, outer_first, outer.index);
  LLVMValueRef base = at(e, argument[0], offset_of(e, g.outer, number));
  LLVMValueRef pitch = emit_index(e, plan->run_of_rows ? plan->tile_m : plan->k_block);
  gather_run(&g, base, at(e, argument[1], emit_mul(e, outer.index, pitch)), run_first, run_end);
  poa_emit_loop_end(e, &outer);
  emit_return(e);
  return function;
}
