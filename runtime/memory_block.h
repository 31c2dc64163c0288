/* memory_block.h: the runtime's large allocations: the arena and the parameters.
 *
 * A block is anonymous memory straight from the system: zero, page-aligned (so on a
 * POA_ALIGNMENT boundary), backed only when touched, on huge pages where the system
 * grants them. A step walks gigabytes in long rows, where 4 KiB pages cost TLB misses. */
#ifndef POA_RUNTIME_MEMORY_BLOCK_H
#define POA_RUNTIME_MEMORY_BLOCK_H

#include "poa.h"

typedef struct poa_memory_block {
  void *data;    /* NULL when empty */
  int64_t bytes; /* as asked for */
} poa_memory_block;

/* Makes `block` (overwritten) hold `bytes` zero bytes, at least one. `purpose` names them in the
 * error: "the values of a step". Fails with POA_NO_MEMORY, leaving the block empty. */
poa_status poa_memory_block_create(poa_memory_block *block, int64_t bytes, const char *purpose,
                                   poa_error *error);

/* Makes a block larger; it may move. What it held it still holds, on the same pages of the
 * machine's memory, and what is added is zero. An empty block is made. Fails as
 * poa_memory_block_create does, and leaves the block as it was. */
poa_status poa_memory_block_grow(poa_memory_block *block, int64_t bytes, const char *purpose,
                                 poa_error *error);

/* Returns the memory and empties the block; an empty block is left alone. */
void poa_memory_block_free(poa_memory_block *block);

#endif
