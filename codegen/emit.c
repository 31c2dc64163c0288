/* emit.c: what takes more than an instruction to emit: functions, loops, branches,
 * reductions, masked memory.
 *
 * A loop is tested at its head, so that its variables (phis of the head) hold their
 * final values after it; LLVM's block placement turns the test to the bottom:
 *
 *   before: br head
 *   head:   i = phi [from, before], [i + step, end of the body]
 *           br i < to, body, after
 *   body:   ...
 *           br head
 *   after: */
#include "codegen/emit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void poa_emitter_init(poa_emitter *e, const poa_target *target, LLVMTargetMachineRef machine) {
  LLVMContextRef context = LLVMContextCreate();
  *e = (poa_emitter){
      .target = target,
      .context = context,
      .module = LLVMModuleCreateWithNameInContext("poa", context),
      .builder = LLVMCreateBuilderInContext(context),
      .f32 = LLVMFloatTypeInContext(context),
      .i1 = LLVMInt1TypeInContext(context),
      .i8 = LLVMInt8TypeInContext(context),
      .i32 = LLVMInt32TypeInContext(context),
      .i64 = LLVMInt64TypeInContext(context),
      .pointer = LLVMPointerTypeInContext(context, 0),
  };
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
  LLVMSetModuleDataLayout(e->module, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(e->module, target->triple);
}

void poa_emitter_free(poa_emitter *e) {
  if (!e->context)
    return;
  LLVMDisposeBuilder(e->builder);
  LLVMDisposeModule(e->module);
  LLVMContextDispose(e->context);
  memset(e, 0, sizeof *e);
}

static void set_text_attribute(poa_emitter *e, LLVMValueRef function, const char *name,
                               const char *value) {
  LLVMAttributeRef attribute = LLVMCreateStringAttribute(e->context, name, (unsigned)strlen(name),
                                                         value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

/* The auto-vectorizer and the legalizer look at the function, not at the machine. */
static void set_target_attributes(poa_emitter *e, LLVMValueRef function) {
  char width[16];
  snprintf(width, sizeof width, "%d", e->target->vector_lanes * 32);
  set_text_attribute(e, function, "target-cpu", e->target->cpu);
  set_text_attribute(e, function, "target-features", e->target->features);
  set_text_attribute(e, function, "prefer-vector-width", width);
  unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", strlen("nounwind"));
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                          LLVMCreateEnumAttribute(e->context, kind, 0));
}

static LLVMValueRef begin_function(poa_emitter *e, const char *symbol, LLVMTypeRef type) {
  e->function = LLVMAddFunction(e->module, symbol, type);
  set_target_attributes(e, e->function);
  LLVMPositionBuilderAtEnd(e->builder, poa_emit_block(e, "entry"));
  return e->function;
}

LLVMValueRef poa_emit_kernel(poa_emitter *e, const char *symbol) {
  LLVMTypeRef parameters[] = {e->pointer, e->i64, e->i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 3, false);
  return begin_function(e, symbol, type);
}

LLVMValueRef poa_emit_helper(poa_emitter *e, const char *symbol, LLVMTypeRef type) {
  LLVMValueRef function = begin_function(e, symbol, type);
  LLVMSetLinkage(function, LLVMInternalLinkage);
  return function;
}

LLVMBasicBlockRef poa_emit_block(poa_emitter *e, const char *name) {
  return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

LLVMValueRef poa_emit_intrinsic(poa_emitter *e, const char *name, LLVMTypeRef overload,
                                LLVMValueRef *arguments, unsigned count) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  assert(id != 0);
  LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->module, id, &overload, 1);
  return emit_call(e, function, arguments, count);
}

poa_emit_loop poa_emit_loop_begin(poa_emitter *e, LLVMValueRef from, LLVMValueRef to,
                                  LLVMValueRef step) {
  poa_emit_loop loop = {.step = step, .before = LLVMGetInsertBlock(e->builder)};
  loop.head = poa_emit_block(e, "head");
  LLVMBasicBlockRef body = poa_emit_block(e, "body");
  loop.after = poa_emit_block(e, "after");
  LLVMBuildBr(e->builder, loop.head);
  LLVMPositionBuilderAtEnd(e->builder, loop.head);
  loop.index = LLVMBuildPhi(e->builder, e->i64, "i");
  LLVMAddIncoming(loop.index, &from, &loop.before, 1);
  LLVMBuildCondBr(e->builder, emit_compare_int(e, LLVMIntSLT, loop.index, to), body, loop.after);
  LLVMPositionBuilderAtEnd(e->builder, body);
  return loop;
}

LLVMValueRef poa_emit_loop_carry(poa_emitter *e, const poa_emit_loop *loop, LLVMValueRef initial) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder), before = loop->before;
  LLVMPositionBuilderBefore(e->builder, LLVMGetFirstInstruction(loop->head));
  LLVMValueRef variable = LLVMBuildPhi(e->builder, LLVMTypeOf(initial), "");
  LLVMAddIncoming(variable, &initial, &before, 1);
  LLVMPositionBuilderAtEnd(e->builder, here);
  return variable;
}

void poa_emit_loop_set(poa_emitter *e, LLVMValueRef variable, LLVMValueRef next) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
  LLVMAddIncoming(variable, &next, &here, 1);
}

void poa_emit_loop_end(poa_emitter *e, poa_emit_loop *loop) {
  poa_emit_loop_set(e, loop->index, LLVMBuildNSWAdd(e->builder, loop->index, loop->step, ""));
  LLVMBuildBr(e->builder, loop->head);
  LLVMMoveBasicBlockAfter(loop->after, LLVMGetInsertBlock(e->builder));
  LLVMPositionBuilderAtEnd(e->builder, loop->after);
}

poa_emit_branch poa_emit_if(poa_emitter *e, LLVMValueRef condition) {
  LLVMBasicBlockRef then = poa_emit_block(e, "then");
  poa_emit_branch branch = {poa_emit_block(e, "otherwise"), poa_emit_block(e, "end_if")};
  LLVMBuildCondBr(e->builder, condition, then, branch.otherwise);
  LLVMPositionBuilderAtEnd(e->builder, then);
  return branch;
}

void poa_emit_else(poa_emitter *e, poa_emit_branch *branch) {
  LLVMBuildBr(e->builder, branch->after);
  LLVMPositionBuilderAtEnd(e->builder, branch->otherwise);
  branch->otherwise = NULL;
}

void poa_emit_end_if(poa_emitter *e, poa_emit_branch *branch) {
  if (branch->otherwise)
    poa_emit_else(e, branch);
  LLVMBuildBr(e->builder, branch->after);
  LLVMPositionBuilderAtEnd(e->builder, branch->after);
}

/* Lanes [from, from + count) of a vector. */
static LLVMValueRef part(poa_emitter *e, LLVMValueRef vector, int from, int count) {
  LLVMValueRef lanes[POA_EMIT_MAX_LANES];
  for (int i = 0; i < count; ++i)
    lanes[i] = emit_int32(e, from + i);
  LLVMValueRef mask = LLVMConstVector(lanes, (unsigned)count);
  return LLVMBuildShuffleVector(e->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)), mask, "");
}

typedef LLVMValueRef (*combine_fn)(poa_emitter *e, LLVMValueRef a, LLVMValueRef b);

static LLVMValueRef reduce(poa_emitter *e, LLVMValueRef vector, combine_fn combine) {
  int lanes = emit_lanes(vector);
  assert((lanes & (lanes - 1)) == 0 && lanes <= POA_EMIT_MAX_LANES);
  while (lanes > 2) {
    lanes /= 2;
    vector = combine(e, part(e, vector, 0, lanes), part(e, vector, lanes, lanes));
  }
  return lanes == 1 ? vector : combine(e, emit_lane(e, vector, 0), emit_lane(e, vector, 1));
}

/* emit_max and emit_min already yield `b` when either is NaN: only that of `a` is missing. */
static LLVMValueRef keep_nan(poa_emitter *e, LLVMValueRef a, LLVMValueRef chosen) {
  return emit_select(e, emit_compare(e, LLVMRealUNO, a, a), a, chosen);
}

static LLVMValueRef max_or_nan(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef chosen = emit_max(e, a, b);
  return emit_is_float(a) ? keep_nan(e, a, chosen) : chosen;
}

static LLVMValueRef min_or_nan(poa_emitter *e, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef chosen = emit_min(e, a, b);
  return emit_is_float(a) ? keep_nan(e, a, chosen) : chosen;
}

LLVMValueRef poa_emit_reduce_add(poa_emitter *e, LLVMValueRef vector) {
  return reduce(e, vector, emit_add);
}

LLVMValueRef poa_emit_reduce_max(poa_emitter *e, LLVMValueRef vector) {
  return reduce(e, vector, max_or_nan);
}

LLVMValueRef poa_emit_reduce_min(poa_emitter *e, LLVMValueRef vector) {
  return reduce(e, vector, min_or_nan);
}

/* Calls an intrinsic that is overloaded on a value type and a pointer type. */
static LLVMValueRef call_memory(poa_emitter *e, const char *name, LLVMTypeRef value,
                                LLVMTypeRef pointer, LLVMValueRef *arguments, unsigned count) {
  LLVMTypeRef overload[] = {value, pointer};
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  return emit_call(e, LLVMGetIntrinsicDeclaration(e->module, id, overload, 2), arguments, count);
}

LLVMValueRef poa_emit_masked_load(poa_emitter *e, LLVMTypeRef type, LLVMValueRef pointer,
                                  LLVMValueRef mask, unsigned alignment) {
  LLVMValueRef arguments[] = {pointer, emit_int32(e, (int32_t)alignment), mask, emit_zero(type)};
  return call_memory(e, "llvm.masked.load", type, e->pointer, arguments, 4);
}

void poa_emit_masked_store(poa_emitter *e, LLVMValueRef value, LLVMValueRef pointer,
                           LLVMValueRef mask, unsigned alignment) {
  LLVMValueRef arguments[] = {value, pointer, emit_int32(e, (int32_t)alignment), mask};
  call_memory(e, "llvm.masked.store", LLVMTypeOf(value), e->pointer, arguments, 4);
}

/* The bytes of an element, the alignment of gathers and scatters. */
static LLVMValueRef element_bytes(poa_emitter *e, LLVMTypeRef element) {
  return emit_int32(e, element == e->i64 ? 8 : element == e->i8 ? 1 : 4);
}

LLVMValueRef poa_emit_gather(poa_emitter *e, LLVMTypeRef type, LLVMValueRef base,
                             LLVMValueRef index, LLVMValueRef mask) {
  LLVMTypeRef element = LLVMGetElementType(type);
  LLVMValueRef pointers = emit_at(e, element, base, index);
  LLVMValueRef arguments[] = {pointers, element_bytes(e, element), mask, emit_zero(type)};
  return call_memory(e, "llvm.masked.gather", type, LLVMTypeOf(pointers), arguments, 4);
}

void poa_emit_scatter(poa_emitter *e, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index,
                      LLVMValueRef mask) {
  LLVMTypeRef type = LLVMTypeOf(value), element = LLVMGetElementType(type);
  LLVMValueRef pointers = emit_at(e, element, base, index);
  LLVMValueRef arguments[] = {value, pointers, element_bytes(e, element), mask};
  call_memory(e, "llvm.masked.scatter", type, LLVMTypeOf(pointers), arguments, 4);
}

LLVMValueRef poa_emit_splat(poa_emitter *e, LLVMValueRef scalar, int lanes) {
  if (lanes == 1)
    return scalar;
  assert(lanes <= POA_EMIT_MAX_LANES);
  if (LLVMIsConstant(scalar)) {
    LLVMValueRef copies[POA_EMIT_MAX_LANES];
    for (int i = 0; i < lanes; ++i)
      copies[i] = scalar;
    return LLVMConstVector(copies, (unsigned)lanes);
  }
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
  LLVMValueRef first =
      LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, emit_int32(e, 0), "");
  LLVMValueRef zeros = emit_zero(LLVMVectorType(e->i32, (unsigned)lanes));
  return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(type), zeros, "");
}

LLVMValueRef poa_emit_lane_numbers(LLVMTypeRef element, int lanes) {
  if (lanes == 1)
    return emit_zero(element);
  assert(lanes <= POA_EMIT_MAX_LANES);
  LLVMValueRef numbers[POA_EMIT_MAX_LANES];
  for (int i = 0; i < lanes; ++i)
    numbers[i] = LLVMConstInt(element, (unsigned long long)i, false);
  return LLVMConstVector(numbers, (unsigned)lanes);
}
