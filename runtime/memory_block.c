/* memory_block.c: zeroed, aligned memory by mmap. */
#include "runtime/memory_block.h"

#include <sys/mman.h>

static const int64_t huge_page_bytes = 2 << 20;

static size_t mapped_bytes(int64_t bytes) {
  return bytes > 0 ? (size_t)bytes : 1;
}

static poa_status take(poa_memory_block *block, void *data, int64_t bytes, const char *purpose,
                       poa_error *error) {
  if (data == MAP_FAILED)
    return poa_fail(error, POA_NO_MEMORY,
                    "cannot allocate %.1f MiB for %s; make the batch or the model smaller, or free "
                    "memory",
                    (double)bytes / (1 << 20), purpose);
  if (bytes >= huge_page_bytes)
    madvise(data, mapped_bytes(bytes), MADV_HUGEPAGE); /* a wish: refusal costs only speed */
  *block = (poa_memory_block){data, bytes};
  return POA_OK;
}

poa_status poa_memory_block_create(poa_memory_block *block, int64_t bytes, const char *purpose,
                                   poa_error *error) {
  *block = (poa_memory_block){0};
  void *data = MAP_FAILED;
  if (bytes >= 0)
    data =
        mmap(NULL, mapped_bytes(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return take(block, data, bytes, purpose, error);
}

poa_status poa_memory_block_grow(poa_memory_block *block, int64_t bytes, const char *purpose,
                                 poa_error *error) {
  if (!block->data)
    return poa_memory_block_create(block, bytes, purpose, error);
  void *data = MAP_FAILED;
  if (bytes >= block->bytes)
    data = mremap(block->data, mapped_bytes(block->bytes), mapped_bytes(bytes), MREMAP_MAYMOVE);
  return take(block, data, bytes, purpose, error);
}

void poa_memory_block_free(poa_memory_block *block) {
  if (block->data)
    munmap(block->data, mapped_bytes(block->bytes));
  *block = (poa_memory_block){0};
}
