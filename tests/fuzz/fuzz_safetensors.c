/* fuzz_safetensors.c: arbitrary bytes as a file of tensors.
 *
 * Opening either fails with a message or gives tensors whose every element can be read. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const poa_file_tensor *tensor) {
  int64_t elements = 1;
  for (int i = 0; i < tensor->shape.rank; i++)
    elements *= tensor->shape.dim[i];
  poa_error error = {0};
  void *out = malloc((size_t)elements * 4 + 1);
  poa_tensor_to_f32(tensor, out);
  (void)poa_tensor_to_i32(tensor, out, &error);
  error = (poa_error){0};
  (void)poa_tensor_to_bool(tensor, out, &error);
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  poa_error error = {0};
  poa_safetensors *file = NULL;
  int memory = memfd_create("tensors", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  if (memory < 0 || write(memory, data, size) != (ssize_t)size)
    abort();
  poa_status status = poa_safetensors_open(&file, path, &error);
  if ((status != POA_OK) != (*error.message != 0))
    abort();
  for (int i = 0; status == POA_OK && i < file->tensor_count; i++)
    read_all(&file->tensors[i]);
  poa_safetensors_close(file);
  close(memory);
  return 0;
}
