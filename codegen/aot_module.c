/* aot_module.c: see aot_module.h. */
#include "codegen/aot_module.h"

#include <llvm-c/Comdat.h>
#include <string.h>

#include "runtime/atomic_file.h"

static int find_kernel(const poa_named_kernel *kernels, int count, poa_hash hash) {
  for (int i = count - 1; i >= 0; i--)
    if (poa_hash_equal(kernels[i].hash, hash))
      return i;
  return -1;
}

void poa_name_kernels(const poa_lowered *lowered, const poa_target *target,
                      poa_named_kernel *kernels, int *count, const char **symbols) {
  poa_hash seed = poa_target_hash(target);
  for (int i = 0; i < lowered->plan->launch_count; i++) {
    symbols[i] = NULL;
    if (!lowered->requests[i].emit)
      continue;
    poa_hash hash = poa_hash_text(seed, lowered->requests[i].key);
    int found = find_kernel(kernels, *count, hash);
    if (found < 0) {
      found = (*count)++;
      kernels[found] =
          (poa_named_kernel){.request = &lowered->requests[i], .target = target, .hash = hash};
      poa_kernel_symbol(hash, kernels[found].symbol);
    }
    symbols[i] = kernels[found].symbol;
  }
}

/* Puts the functions defined behind `last` (NULL: all) into one group, which the linker takes or
 * leaves as a whole: a kernel that another object has as well leaves no helpers behind. */
static void group_functions(poa_emitter *e, LLVMValueRef last, const char *symbol) {
  LLVMComdatRef group = LLVMGetOrInsertComdat(e->module, symbol);
  LLVMValueRef function = last ? LLVMGetNextFunction(last) : LLVMGetFirstFunction(e->module);
  for (; function; function = LLVMGetNextFunction(function))
    if (!LLVMIsDeclaration(function))
      LLVMSetComdat(function, group);
}

poa_status poa_emit_named_kernel(poa_emitter *e, const poa_named_kernel *kernel, poa_error *error) {
  LLVMValueRef last = LLVMGetLastFunction(e->module);
  poa_status status = kernel->request->emit(e, kernel->request->description, kernel->symbol, error);
  if (status)
    return poa_context(error, "kernel '%.200s'", kernel->request->key);
  LLVMValueRef function = LLVMGetNamedFunction(e->module, kernel->symbol);
  LLVMSetLinkage(function, LLVMWeakODRLinkage);
  LLVMSetVisibility(function, LLVMHiddenVisibility);
  group_functions(e, last, kernel->symbol);
  return POA_OK;
}

/* Code of many megabytes goes straight to the file: in memory it would be there thrice. */
static poa_status write_code(poa_emitter *e, LLVMTargetMachineRef machine, LLVMCodeGenFileType type,
                             const char *path, poa_error *error) {
  poa_atomic_file *file;
  poa_status status = poa_atomic_file_open(&file, path, error);
  if (status)
    return status;
  status = poa_module_write(e, machine, type, poa_atomic_file_temporary(file), error);
  if (status == POA_OK)
    return poa_atomic_file_commit(&file, error);
  poa_atomic_file_abandon(&file);
  return status;
}

poa_status poa_write_module(poa_emitter *e, LLVMTargetMachineRef machine, poa_aot_form form,
                            const char *path, poa_error *error) {
  poa_status status = poa_module_finish(e, machine, error);
  if (status)
    return status;
  if (form != POA_AOT_LLVM)
    return write_code(e, machine, form == POA_AOT_OBJECT ? LLVMObjectFile : LLVMAssemblyFile, path,
                      error);
  char *text = LLVMPrintModuleToString(e->module);
  status = poa_write_file_atomically(path, text, strlen(text), error);
  LLVMDisposeMessage(text);
  return status;
}
