/* aot_weights.c: weights by the assembler's .incbin, from a file without a name.
 *
 * As an LLVM constant they would be hashed and copied several times; the assembler inside LLVM
 * reads the file into the object and is done. The file is deleted as soon as it is made and
 * read through its descriptor, so nothing is left behind however the program ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/aot_weights.h"

static poa_status open_nameless(const char *path, int *descriptor, poa_error *error) {
  char *name;
  if (asprintf(&name, "%s.weights-XXXXXX", path) < 0)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a file name");
  *descriptor = mkostemp(name, O_CLOEXEC);
  poa_status status = POA_OK;
  if (*descriptor < 0)
    status = poa_fail(error, POA_IO, "cannot write '%s': %s", name, strerror(errno));
  else
    unlink(name);
  free(name);
  return status;
}

static poa_status write_all(int descriptor, const char *bytes, size_t size, const char *path,
                            poa_error *error) {
  while (size > 0) {
    ssize_t written = write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return poa_fail(error, POA_IO, "cannot write the weights beside '%s': %s", path,
                      strerror(written < 0 ? errno : EIO));
    bytes += written;
    size -= (size_t)written;
  }
  return POA_OK;
}

/* The bytes are the module's assembly; its code sees a constant that is defined elsewhere. */
static poa_status define(poa_emitter *e, const char *name, int descriptor, poa_error *error) {
  char *text;
  int length = asprintf(&text,
                        ".pushsection .poa.weights,\"a\",%%progbits\n"
                        ".globl %s\n"
                        ".hidden %s\n"
                        ".type %s,%%object\n"
                        ".p2align 12\n"
                        "%s:\n"
                        ".incbin \"/proc/self/fd/%d\"\n"
                        ".size %s, . - %s\n"
                        ".popsection\n",
                        name, name, name, name, descriptor, name, name);
  if (length < 0)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the weights");
  LLVMAppendModuleInlineAsm(e->module, text, (size_t)length);
  free(text);
  LLVMValueRef global = LLVMAddGlobal(e->module, e->i8, name);
  LLVMSetGlobalConstant(global, true);
  LLVMSetVisibility(global, LLVMHiddenVisibility);
  return POA_OK;
}

poa_status poa_aot_weights_open(poa_aot_weights *weights, poa_emitter *e, const char *name,
                                const void *bytes, size_t size, const char *path,
                                poa_error *error) {
  weights->descriptor = -1;
  poa_status status = open_nameless(path, &weights->descriptor, error);
  if (status == POA_OK)
    status = write_all(weights->descriptor, bytes, size, path, error);
  return status ? status : define(e, name, weights->descriptor, error);
}

void poa_aot_weights_close(poa_aot_weights *weights) {
  if (weights->descriptor >= 0)
    close(weights->descriptor);
  weights->descriptor = -1;
}
