/* module.c: see module.h. */
#include "codegen/module.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>

#define LIGHT_PASSES "early-cse,instcombine<no-verify-fixpoint>"

/* The build defines it as a digest of codegen/, so that no kernel outlives its generator. */
#ifndef POA_GENERATOR
#define POA_GENERATOR "of unknown sources"
#endif

poa_hash poa_target_hash(const poa_target *target) {
  unsigned major, minor, patch;
  LLVMGetVersion(&major, &minor, &patch);
  char versions[160];
  snprintf(versions, sizeof versions, "poa %s llvm %u.%u.%u", POA_GENERATOR, major, minor, patch);
  poa_hash hash = poa_hash_text((poa_hash){{0, 0}}, versions);
  hash = poa_hash_text(hash, target->triple);
  hash = poa_hash_text(hash, target->cpu);
  return poa_hash_text(hash, target->features);
}

void poa_kernel_symbol(poa_hash kernel, char symbol[POA_SYMBOL_LENGTH]) {
  char digits[33];
  poa_hash_print(kernel, digits);
  snprintf(symbol, POA_SYMBOL_LENGTH, "poa_kernel_%s", digits);
}

static void record_diagnostic(LLVMDiagnosticInfoRef info, void *context) {
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
    return;
  char *text = LLVMGetDiagInfoDescription(info);
  poa_fail(context, POA_UNSUPPORTED, "LLVM: %s", text);
  LLVMDisposeMessage(text);
}

static poa_status verify(LLVMModuleRef module, poa_error *error) {
  char *message = NULL;
  poa_status status = POA_OK;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
    status =
        poa_fail(error, POA_UNSUPPORTED, "generated code is invalid, a bug of poa: %s", message);
  LLVMDisposeMessage(message);
  return status;
}

static poa_status run_passes(LLVMModuleRef module, LLVMTargetMachineRef machine, poa_error *error) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef failure = LLVMRunPasses(module, LIGHT_PASSES, machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!failure)
    return POA_OK;
  char *message = LLVMGetErrorMessage(failure);
  poa_status status = poa_fail(error, POA_UNSUPPORTED, "LLVM's passes: %s", message);
  LLVMDisposeErrorMessage(message);
  return status;
}

void poa_module_report_to(poa_emitter *e, poa_error *error) {
  LLVMContextSetDiagnosticHandler(e->context, record_diagnostic, error);
}

poa_status poa_module_finish(poa_emitter *e, LLVMTargetMachineRef machine, poa_error *error) {
  poa_status status = verify(e->module, error);
  return status ? status : run_passes(e->module, machine, error);
}

static poa_status fail_generator(char *message, poa_error *error) {
  poa_status status = poa_fail(error, POA_UNSUPPORTED, "LLVM's code generator: %s", message);
  LLVMDisposeMessage(message);
  return status;
}

poa_status poa_module_object(poa_emitter *e, LLVMTargetMachineRef machine,
                             LLVMMemoryBufferRef *object, poa_error *error) {
  char *message = NULL;
  *object = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, e->module, LLVMObjectFile, &message, object))
    return fail_generator(message, error);
  return error->status; /* a diagnostic may have been recorded */
}

poa_status poa_module_write(poa_emitter *e, LLVMTargetMachineRef machine, LLVMCodeGenFileType type,
                            const char *path, poa_error *error) {
  char *message = NULL;
  if (LLVMTargetMachineEmitToFile(machine, e->module, path, type, &message))
    return fail_generator(message, error);
  return error->status; /* a diagnostic may have been recorded */
}
