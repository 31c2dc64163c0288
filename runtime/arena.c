/* arena.c: memory that is freed all at once. Blocks are chained; each new one is
 * twice the last, so that a graph of any size takes a handful of system calls. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/arena.h"

#define ALIGNMENT 16
#define FIRST_BLOCK ((size_t)64 << 10)
#define LARGEST_BLOCK ((size_t)16 << 20)

typedef struct block {
  struct block *previous;
  size_t size, used; /* of the bytes behind this header */
} block;

struct poa_arena {
  block *newest;
};

_Static_assert(sizeof(block) % 8 == 0, "a block's bytes start aligned after rounding");

static char *bytes_of(block *b) {
  return (char *)b + (sizeof(block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

poa_arena *poa_arena_create(void) {
  return calloc(1, sizeof(poa_arena));
}

void poa_arena_free(poa_arena *arena) {
  if (!arena)
    return;
  for (block *b = arena->newest; b;) {
    block *previous = b->previous;
    free(b);
    b = previous;
  }
  free(arena);
}

void poa_arena_reset(poa_arena *arena) {
  block *kept = arena->newest;
  if (!kept)
    return;
  for (block *b = kept->previous; b;) {
    block *previous = b->previous;
    free(b);
    b = previous;
  }
  memset(bytes_of(kept), 0, kept->used);
  kept->used = 0;
  kept->previous = NULL;
}

static void out_of_memory(size_t size) {
  fprintf(stderr, "poa: out of memory (asked for %zu bytes)\n", size);
  exit(EXIT_FAILURE);
}

static void add_block(poa_arena *arena, size_t size) {
  size_t wanted = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK;
  if (wanted > LARGEST_BLOCK)
    wanted = LARGEST_BLOCK;
  if (wanted < size)
    wanted = size;
  block *b = wanted > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(block) + ALIGNMENT + wanted);
  if (!b) {
    out_of_memory(size);
    return;
  }
  b->size = wanted;
  b->previous = arena->newest;
  arena->newest = b;
}

void *poa_arena_alloc(poa_arena *arena, size_t size) {
  if (size > SIZE_MAX / 4)
    out_of_memory(size);
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (!arena->newest || arena->newest->size - arena->newest->used < size)
    add_block(arena, size);
  block *b = arena->newest;
  void *memory = bytes_of(b) + b->used;
  b->used += size;
  return memory;
}

char *poa_arena_span(poa_arena *arena, const char *start, size_t length) {
  return memcpy(poa_arena_alloc(arena, length + 1), start, length);
}

char *poa_arena_text(poa_arena *arena, const char *text) {
  return poa_arena_span(arena, text, strlen(text));
}

char *poa_arena_format(poa_arena *arena, const char *format, ...) {
  char *formatted = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&formatted, format, arguments);
  va_end(arguments);
  if (length < 0)
    out_of_memory(strlen(format));
  char *text = poa_arena_text(arena, formatted);
  free(formatted);
  return text;
}
