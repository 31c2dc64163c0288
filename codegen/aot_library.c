/* aot_library.c: one entry as C functions in one module: its kernels, the runner (aot_runner.c)
 * and around it
 *
 *   size_t NAME_workspace_bytes(void)
 *   int NAME_ENTRY(..)          checks pointers, copies inputs into the workspace, runs,
 *                               copies results out; for images in rounds of a batch
 *
 * The workspace is the plan's arena. What a call needs is in its arguments and on its stack,
 * so that any number of threads may call at once, each with a workspace of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "codegen/aot_interface.h"
#include "codegen/aot_module.h"
#include "codegen/aot_runner.h"
#include "codegen/aot_weights.h"

typedef struct building {
  const poa_aot_library *library;
  poa_aot_interface interface;
  poa_emitter e;
  LLVMValueRef weights; /* inside the library, or NULL */
  LLVMValueRef run;
} building;

/* Functions. */

static LLVMValueRef begin_public(building *b, const char *what, LLVMTypeRef result,
                                 LLVMTypeRef *parameters, unsigned count) {
  char symbol[2 * POA_AOT_NAME];
  snprintf(symbol, sizeof symbol, "%s_%s", b->interface.name, what);
  LLVMTypeRef type = LLVMFunctionType(result, parameters, count, false);
  LLVMValueRef function = poa_emit_helper(&b->e, symbol, type);
  LLVMSetLinkage(function, LLVMExternalLinkage);
  return function;
}

static void emit_workspace_bytes(building *b) {
  begin_public(b, "workspace_bytes", b->e.i64, NULL, 0);
  LLVMBuildRet(b->e.builder, emit_index(&b->e, b->interface.plan->arena_bytes));
}

/* Leaves the function with BAD_ARGUMENT if `bad`. */
static void emit_refusal(poa_emitter *e, LLVMValueRef bad) {
  LLVMBasicBlockRef refuse = poa_emit_block(e, "refuse"), go_on = poa_emit_block(e, "go_on");
  LLVMBuildCondBr(e->builder, bad, refuse, go_on);
  LLVMPositionBuilderAtEnd(e->builder, refuse);
  LLVMBuildRet(e->builder, emit_int32(e, POA_AOT_BAD_ARGUMENT));
  LLVMPositionBuilderAtEnd(e->builder, go_on);
}

static LLVMValueRef is_null(poa_emitter *e, LLVMValueRef pointer) {
  return LLVMBuildIsNull(e->builder, pointer, "");
}

static LLVMValueRef is_misaligned(poa_emitter *e, LLVMValueRef pointer, int64_t alignment) {
  LLVMValueRef address = LLVMBuildPtrToInt(e->builder, pointer, e->i64, "");
  LLVMValueRef rest = emit_and(e, address, emit_index(e, alignment - 1));
  return emit_compare_int(e, LLVMIntNE, rest, emit_index(e, 0));
}

static void refuse_pointer(poa_emitter *e, LLVMValueRef pointer, int64_t alignment,
                           bool may_be_null) {
  LLVMValueRef bad = is_misaligned(e, pointer, alignment);
  emit_refusal(e, may_be_null ? bad : emit_or(e, bad, is_null(e, pointer)));
}

static void refuse_negative(poa_emitter *e, LLVMValueRef number) {
  emit_refusal(e, emit_compare_int(e, LLVMIntSLT, number, emit_zero(LLVMTypeOf(number))));
}

static LLVMValueRef in_workspace(poa_emitter *e, LLVMValueRef workspace, poa_plan_buffer buffer) {
  return emit_at(e, e->i8, workspace, emit_index(e, buffer.offset));
}

/* The space of `buffer`: outputs may lie among the parameters. */
static LLVMValueRef place_of(poa_emitter *e, LLVMValueRef workspace, LLVMValueRef parameters,
                             poa_plan_buffer buffer) {
  return in_workspace(e, buffer.space == POA_SPACE_PARAMETERS ? parameters : workspace, buffer);
}

static void emit_copy(poa_emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes) {
  LLVMBuildMemCpy(e->builder, to, 1, from, 1, bytes);
}

/* What parameters() of the entry is for the runner: inside, passed, or nothing. */
static LLVMValueRef parameter_space(building *b, LLVMValueRef passed) {
  if (b->interface.inside)
    return b->weights;
  return passed ? passed : LLVMConstNull(b->e.pointer);
}

/* The batched form. */

typedef struct batched_arguments {
  LLVMValueRef weights, images, count, features, workspace, threads; /* weights may be NULL */
} batched_arguments;

static batched_arguments begin_batched(building *b) {
  poa_emitter *e = &b->e;
  LLVMTypeRef types[] = {e->pointer, e->pointer, e->i64, e->pointer, e->pointer, e->i32};
  unsigned skipped = b->interface.parameters ? 0 : 1, next = 0;
  LLVMValueRef function =
      begin_public(b, b->interface.plan->entry, e->i32, types + skipped, 6 - skipped);
  batched_arguments a = {0};
  if (b->interface.parameters)
    a.weights = LLVMGetParam(function, next++);
  a.images = LLVMGetParam(function, next++);
  a.count = LLVMGetParam(function, next++);
  a.features = LLVMGetParam(function, next++);
  a.workspace = LLVMGetParam(function, next++);
  a.threads = LLVMGetParam(function, next);
  return a;
}

static void check_batched(poa_emitter *e, const batched_arguments *a) {
  if (a->weights)
    refuse_pointer(e, a->weights, POA_ALIGNMENT, false);
  refuse_pointer(e, a->images, sizeof(float), false);
  refuse_negative(e, a->count);
  refuse_pointer(e, a->features, sizeof(float), false);
  refuse_pointer(e, a->workspace, POA_ALIGNMENT, false);
  refuse_negative(e, a->threads);
}

/* One round: images [done, done + some) of `batch`; the rest of the batch is zeros. */
static void emit_round(building *b, const batched_arguments *a, LLVMValueRef done) {
  poa_emitter *e = &b->e;
  const poa_plan_input *images = b->interface.images;
  const poa_plan_output *features = b->interface.features;
  LLVMValueRef batch = emit_index(e, images->shape.dim[0]);
  int64_t image_bytes = poa_aot_elements_each(images->shape) * (int64_t)sizeof(float);
  int64_t feature_bytes = poa_aot_elements_each(features->shape) * (int64_t)sizeof(float);
  LLVMValueRef some = emit_min(e, batch, emit_sub(e, a->count, done));
  LLVMValueRef bytes = emit_mul(e, some, emit_index(e, image_bytes));
  LLVMValueRef input = in_workspace(e, a->workspace, images->buffer);
  LLVMValueRef from = emit_at(e, e->i8, a->images, emit_mul(e, done, emit_index(e, image_bytes)));
  LLVMValueRef space = parameter_space(b, a->weights);
  emit_copy(e, input, from, bytes);
  LLVMValueRef missing = emit_sub(e, emit_mul(e, batch, emit_index(e, image_bytes)), bytes);
  LLVMBuildMemSet(e->builder, emit_at(e, e->i8, input, bytes), LLVMConstInt(e->i8, 0, false),
                  missing, 1);
  emit_call(e, b->run, (LLVMValueRef[]){a->workspace, space, a->threads}, 3);
  LLVMValueRef to = emit_at(e, e->i8, a->features, emit_mul(e, done, emit_index(e, feature_bytes)));
  emit_copy(e, to, place_of(e, a->workspace, space, features->buffer),
            emit_mul(e, some, emit_index(e, feature_bytes)));
}

static void emit_batched(building *b) {
  poa_emitter *e = &b->e;
  batched_arguments a = begin_batched(b);
  check_batched(e, &a);
  LLVMValueRef batch = emit_index(e, b->interface.images->shape.dim[0]);
  poa_emit_loop done = poa_emit_loop_begin(e, emit_index(e, 0), a.count, batch);
  emit_round(b, &a, done.index);
  poa_emit_loop_end(e, &done);
  LLVMBuildRet(e->builder, emit_int32(e, 0));
}

/* The plain form. Arguments in order: parameters, inputs, outputs, workspace, threads. */

static unsigned count_outputs(const poa_plan *plan) {
  unsigned count = 0;
  for (int i = 0; i < plan->output_count; i++)
    count += poa_aot_is_given(&plan->outputs[i]);
  return count;
}

static void take_inputs(building *b, unsigned argument, LLVMValueRef workspace) {
  poa_emitter *e = &b->e;
  const poa_plan *plan = b->interface.plan;
  for (int i = 0; i < plan->input_count; i++) {
    const poa_plan_input *input = &plan->inputs[i];
    int64_t bytes = poa_plan_elements(input->shape) * poa_plan_dtype_bytes(input->dtype);
    emit_copy(e, in_workspace(e, workspace, input->buffer),
              LLVMGetParam(e->function, argument + (unsigned)i), emit_index(e, bytes));
  }
}

static void give_outputs(building *b, unsigned argument, LLVMValueRef workspace,
                         LLVMValueRef space) {
  poa_emitter *e = &b->e;
  const poa_plan *plan = b->interface.plan;
  for (int i = 0; i < plan->output_count; i++) {
    const poa_plan_output *output = &plan->outputs[i];
    if (!poa_aot_is_given(output))
      continue;
    LLVMValueRef to = LLVMGetParam(e->function, argument++);
    int64_t bytes = poa_plan_elements(output->shape) * poa_plan_dtype_bytes(output->dtype);
    poa_emit_branch wanted = poa_emit_if(e, LLVMBuildIsNotNull(e->builder, to, ""));
    emit_copy(e, to, place_of(e, workspace, space, output->buffer), emit_index(e, bytes));
    poa_emit_end_if(e, &wanted);
  }
}

static void check_plain(building *b, unsigned first_input, LLVMValueRef workspace,
                        LLVMValueRef threads) {
  poa_emitter *e = &b->e;
  const poa_plan *plan = b->interface.plan;
  if (first_input)
    refuse_pointer(e, LLVMGetParam(e->function, 0), POA_ALIGNMENT, false);
  unsigned argument = first_input;
  for (int i = 0; i < plan->input_count; i++)
    refuse_pointer(e, LLVMGetParam(e->function, argument++),
                   poa_plan_dtype_bytes(plan->inputs[i].dtype), false);
  for (int i = 0; i < plan->output_count; i++)
    if (poa_aot_is_given(&plan->outputs[i]))
      refuse_pointer(e, LLVMGetParam(e->function, argument++),
                     poa_plan_dtype_bytes(plan->outputs[i].dtype), true);
  refuse_pointer(e, workspace, POA_ALIGNMENT, false);
  refuse_negative(e, threads);
}

static poa_status emit_plain(building *b, poa_error *error) {
  poa_emitter *e = &b->e;
  const poa_plan *plan = b->interface.plan;
  unsigned first_input = b->interface.parameters ? 1 : 0;
  unsigned first_output = first_input + (unsigned)plan->input_count;
  unsigned count = first_output + count_outputs(plan) + 2;
  LLVMTypeRef *types = malloc(count * sizeof *types);
  if (!types)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a library");
  for (unsigned i = 0; i < count; i++)
    types[i] = i + 1 < count ? e->pointer : e->i32;
  LLVMValueRef function = begin_public(b, plan->entry, e->i32, types, count);
  free(types);
  LLVMValueRef workspace = LLVMGetParam(function, count - 2);
  LLVMValueRef threads = LLVMGetParam(function, count - 1);
  LLVMValueRef space = parameter_space(b, first_input ? LLVMGetParam(function, 0) : NULL);
  check_plain(b, first_input, workspace, threads);
  take_inputs(b, first_input, workspace);
  emit_call(e, b->run, (LLVMValueRef[]){workspace, space, threads}, 3);
  give_outputs(b, first_output, workspace, space);
  LLVMBuildRet(e->builder, emit_int32(e, 0));
  return POA_OK;
}

/* The module. */

static poa_status emit_kernels(building *b, LLVMValueRef *run, poa_error *error) {
  const poa_lowered *lowered = b->library->lowered;
  size_t most = (size_t)lowered->plan->launch_count + 1;
  poa_named_kernel *kernels = malloc(most * sizeof *kernels);
  const char **symbols = malloc(most * sizeof *symbols);
  poa_status status = POA_OK;
  int count = 0;
  if (!kernels || !symbols)
    status = poa_fail(error, POA_NO_MEMORY, "out of memory for a library's kernels");
  else
    poa_name_kernels(lowered, b->library->target, kernels, &count, symbols);
  for (int i = 0; i < count && status == POA_OK; i++)
    status = poa_emit_named_kernel(&b->e, &kernels[i], error);
  if (status == POA_OK)
    status = poa_aot_emit_runner(&b->e, b->interface.name, lowered->plan, symbols, run, error);
  free(symbols);
  free(kernels);
  return status;
}

/* An object contains the weights; text refers to them by name. */
static poa_status provide_weights(building *b, poa_aot_form form, const char *path,
                                  poa_aot_weights *weights, poa_error *error) {
  char symbol[2 * POA_AOT_NAME];
  poa_status status = POA_OK;
  snprintf(symbol, sizeof symbol, "%s_weights", b->interface.name);
  if (!b->interface.inside)
    return POA_OK;
  if (form == POA_AOT_OBJECT)
    status = poa_aot_weights_open(weights, &b->e, symbol, b->library->weights,
                                  (size_t)b->interface.plan->parameter_bytes, path, error);
  else
    LLVMSetGlobalConstant(LLVMAddGlobal(b->e.module, b->e.i8, symbol), true);
  b->weights = LLVMGetNamedGlobal(b->e.module, symbol);
  return status;
}

static poa_status emit_functions(building *b, poa_error *error) {
  poa_status status = emit_kernels(b, &b->run, error);
  if (status)
    return status;
  emit_workspace_bytes(b);
  if (!b->interface.batched)
    return emit_plain(b, error);
  emit_batched(b);
  return POA_OK;
}

static poa_status build(building *b, poa_aot_form form, const char *path, poa_error *error) {
  LLVMTargetMachineRef machine = poa_target_machine(b->library->target, error);
  if (!machine)
    return POA_UNSUPPORTED;
  poa_aot_weights weights = {.descriptor = -1};
  poa_emitter_init(&b->e, b->library->target, machine);
  poa_module_report_to(&b->e, error);
  poa_status status = provide_weights(b, form, path, &weights, error);
  if (status == POA_OK)
    status = emit_functions(b, error);
  if (status == POA_OK)
    status = poa_write_module(&b->e, machine, form, path, error);
  poa_aot_weights_close(&weights);
  poa_emitter_free(&b->e);
  LLVMDisposeTargetMachine(machine);
  return status;
}

poa_status poa_aot_library_write(const poa_aot_library *library, poa_aot_form form,
                                 const char *path, poa_error *error) {
  poa_error own = {0}; /* diagnostics need one */
  building b = {.library = library};
  error = error ? error : &own;
  poa_status status = poa_aot_interface_of(library, &b.interface, error);
  return status ? status : build(&b, form, path, error);
}
