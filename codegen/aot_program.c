/* aot_program.c: a program of its own, as objects to be linked: one with the constant data and
 * main, and one for each core with a share of the kernels. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/aot_constants.h"
#include "codegen/aot_module.h"
#include "codegen/aot_weights.h"

#define WEIGHTS_SYMBOL "poa_program_weights"

typedef struct build {
  const poa_aot_program *program;
  poa_named_kernel *kernels;
  int kernel_count;
  const char ***symbols; /* by entry and launch */
} build;

static void free_build(build *b) {
  for (int i = 0; b->symbols && i < b->program->program->entry_count; i++)
    free(b->symbols[i]);
  free(b->symbols);
  free(b->kernels);
}

static poa_status name_all(build *b, poa_error *error) {
  const poa_program *program = b->program->program;
  size_t most = 1;
  for (int i = 0; i < program->entry_count; i++)
    most += (size_t)program->entries[i].plan->launch_count;
  b->kernels = malloc(most * sizeof *b->kernels);
  b->symbols = calloc((size_t)program->entry_count + 1, sizeof *b->symbols);
  for (int i = 0; b->kernels && b->symbols && i < program->entry_count; i++) {
    const poa_lowered *lowered = &b->program->lowered[i];
    b->symbols[i] = malloc(((size_t)lowered->plan->launch_count + 1) * sizeof **b->symbols);
    if (!b->symbols[i])
      return poa_fail(error, POA_NO_MEMORY, "out of memory for a program");
    poa_name_kernels(lowered, &b->program->targets[program->entries[i].variant], b->kernels,
                     &b->kernel_count, b->symbols[i]);
  }
  return b->kernels && b->symbols ? POA_OK
                                  : poa_fail(error, POA_NO_MEMORY, "out of memory for a program");
}

/* Constants and main */

/* int main(int argc, char **argv) { return MAIN(&program, argc, argv); } */
static void emit_main(poa_emitter *e, const char *name, LLVMValueRef program) {
  LLVMTypeRef main_type = LLVMFunctionType(e->i32, (LLVMTypeRef[]){e->i32, e->pointer}, 2, false);
  LLVMTypeRef called_type =
      LLVMFunctionType(e->i32, (LLVMTypeRef[]){e->pointer, e->i32, e->pointer}, 3, false);
  LLVMValueRef called = LLVMAddFunction(e->module, name, called_type);
  LLVMValueRef function = LLVMAddFunction(e->module, "main", main_type);
  LLVMPositionBuilderAtEnd(e->builder,
                           LLVMAppendBasicBlockInContext(e->context, function, "entry"));
  LLVMValueRef arguments[] = {program, LLVMGetParam(function, 0), LLVMGetParam(function, 1)};
  LLVMBuildRet(e->builder, LLVMBuildCall2(e->builder, called_type, called, arguments, 3, ""));
}

/* The program as constant data, and main. */
static poa_status emit_constants(const build *b, poa_emitter *e, const char *weights,
                                 poa_error *error) {
  poa_image *image = poa_image_create();
  if (!image)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a program");
  LLVMValueRef global;
  size_t place =
      poa_put_program(image, b->program->program, (const char *const *const *)b->symbols, weights);
  poa_status status = poa_image_emit(image, e, "poa_program_data", &global, error);
  if (status == POA_OK) {
    LLVMValueRef index = LLVMConstInt(e->i64, place, false);
    emit_main(e, b->program->main, LLVMConstInBoundsGEP2(e->i8, global, &index, 1));
  }
  poa_image_free(image);
  return status;
}

static poa_status emit_program(const build *b, poa_emitter *e, LLVMTargetMachineRef machine,
                               const char *path, poa_error *error) {
  const poa_program *program = b->program->program;
  bool inside = program->weights && program->weight_bytes > 0;
  poa_aot_weights weights = {.descriptor = -1};
  poa_status status = POA_OK;
  if (inside)
    status = poa_aot_weights_open(&weights, e, WEIGHTS_SYMBOL, program->weights,
                                  (size_t)program->weight_bytes, path, error);
  if (status == POA_OK)
    status = emit_constants(b, e, inside ? WEIGHTS_SYMBOL : NULL, error);
  if (status == POA_OK)
    status = poa_write_module(e, machine, POA_AOT_OBJECT, path, error);
  poa_aot_weights_close(&weights);
  return status;
}

/* main runs before the CPU is known to be good: it is compiled for the least of its kind. */
static poa_status write_constants(const build *b, const char *prefix, poa_error *error) {
  const char *triple = b->program->targets[0].triple;
  char path[4200];
  poa_target least;
  snprintf(path, sizeof path, "%s-0.o", prefix);
  poa_status status = poa_target_init_for(
      &least, strncmp(triple, "x86_64", 6) ? "generic" : "x86-64", triple, error);
  if (status)
    return status;
  LLVMTargetMachineRef machine = poa_target_machine(&least, error);
  status = machine ? POA_OK : error->status;
  if (machine) {
    poa_emitter e;
    poa_emitter_init(&e, &least, machine);
    poa_module_report_to(&e, error);
    status = emit_program(b, &e, machine, path, error);
    poa_emitter_free(&e);
    LLVMDisposeTargetMachine(machine);
  }
  poa_target_free(&least);
  return status;
}

/* Kernels */

/* One core's share: every `parts`-th kernel of one target. */
static poa_status emit_share(const build *b, int part, int parts, const poa_target *target,
                             const char *path, poa_error *error) {
  LLVMTargetMachineRef machine = poa_target_machine(target, error);
  if (!machine)
    return error->status;
  poa_emitter e;
  poa_emitter_init(&e, target, machine);
  poa_module_report_to(&e, error);
  poa_status status = POA_OK;
  for (int i = part; i < b->kernel_count && status == POA_OK; i += parts)
    if (b->kernels[i].target == target)
      status = poa_emit_named_kernel(&e, &b->kernels[i], error);
  if (status == POA_OK)
    status = poa_write_module(&e, machine, POA_AOT_OBJECT, path, error);
  poa_emitter_free(&e);
  LLVMDisposeTargetMachine(machine);
  return status;
}

static poa_status write_kernels(const build *b, const char *prefix, int *count, poa_error *error) {
  int cores = omp_get_max_threads();
  int parts = b->kernel_count < cores ? b->kernel_count : cores;
  int variants = b->program->program->variant_count, files = parts * variants;
  poa_error *errors = calloc((size_t)files + 1, sizeof *errors);
  if (!errors)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a program");
#pragma omp parallel for num_threads(cores) schedule(dynamic)
  for (int i = 0; i < files; i++) {
    char path[4200];
    snprintf(path, sizeof path, "%s-%d.o", prefix, i + 1);
    emit_share(b, i % parts, parts, &b->program->targets[i / parts], path, &errors[i]);
  }
  *count += files;
  poa_status status = POA_OK;
  for (int i = 0; i < files && status == POA_OK; i++)
    if (errors[i].status)
      status = poa_fail(error, errors[i].status, "%s", errors[i].message);
  free(errors);
  return status;
}

poa_status poa_aot_program_write(const poa_aot_program *program, const char *prefix, int *count,
                                 poa_error *error) {
  build b = {.program = program};
  *count = 1;
  poa_status status = name_all(&b, error);
  if (status == POA_OK)
    status = write_constants(&b, prefix, error);
  if (status == POA_OK)
    status = write_kernels(&b, prefix, count, error);
  free_build(&b);
  return status;
}
