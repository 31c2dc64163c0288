/* aot_module.c: see aot_module.h. */
#include "codegen/aot_module.h"

#include <llvm-c/Comdat.h>
#include <stdio.h>
#include <stdlib.h>
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

poa_status poa_emit_named_kernel(poa_emitter *e, const poa_named_kernel *kernel, poa_error *error) {
  poa_status status = kernel->request->emit(e, kernel->request->description, kernel->symbol, error);
  if (status)
    return poa_context(error, "kernel '%.200s'", kernel->request->key);
  LLVMValueRef function = LLVMGetNamedFunction(e->module, kernel->symbol);
  LLVMSetLinkage(function, LLVMWeakODRLinkage);
  LLVMSetVisibility(function, LLVMHiddenVisibility);
  LLVMComdatRef comdat = LLVMGetOrInsertComdat(e->module, kernel->symbol);
  LLVMSetComdat(function, comdat);
  return POA_OK;
}

void poa_emit_file(poa_emitter *e, const char *name, const char *path) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return;
  fprintf(out,
          ".section .poa.weights,\"a\",%%progbits\n.p2align 12\n.globl %s\n.hidden %s\n"
          ".type %s,%%object\n%s:\n.incbin \"",
          name, name, name, name);
  for (const char *at = path; *at; at++)
    fprintf(out, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
  fprintf(out, "\"\n.size %s, . - %s\n.text\n", name, name);
  fclose(out);
  LLVMAppendModuleInlineAsm(e->module, text, size);
  free(text);
  LLVMValueRef global = LLVMAddGlobal(e->module, e->i8, name);
  LLVMSetGlobalConstant(global, true);
  LLVMSetVisibility(global, LLVMHiddenVisibility);
}

poa_status poa_write_module(poa_emitter *e, LLVMTargetMachineRef machine, poa_aot_form form,
                            const char *path, poa_error *error) {
  poa_status status = poa_module_finish(e, machine, error);
  if (status)
    return status;
  if (form == POA_AOT_LLVM) {
    char *text = LLVMPrintModuleToString(e->module);
    status = poa_write_file_atomically(path, text, strlen(text), error);
    LLVMDisposeMessage(text);
    return status;
  }
  LLVMMemoryBufferRef code = NULL;
  status = poa_module_code(e, machine, form == POA_AOT_OBJECT ? LLVMObjectFile : LLVMAssemblyFile,
                           &code, error);
  if (status == POA_OK)
    status =
        poa_write_file_atomically(path, LLVMGetBufferStart(code), LLVMGetBufferSize(code), error);
  if (code)
    LLVMDisposeMemoryBuffer(code);
  return status;
}
