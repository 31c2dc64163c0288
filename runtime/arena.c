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
  size_t dirty;      /* those from here on have never been written: they are zero */
} block;

struct poa_arena {
  block *newest;
  block *spare;      /* blocks of an arena that was reset, or of one that borrowed them */
  poa_arena *lender; /* NULL: its blocks are its own */
};

static char *bytes_of(block *b) {
  return (char *)b + (sizeof(block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

poa_arena *poa_arena_create(void) {
  return calloc(1, sizeof(poa_arena));
}

poa_arena *poa_arena_borrow(poa_arena *lender) {
  poa_arena *arena = poa_arena_create();
  if (arena)
    arena->lender = lender;
  return arena;
}

static void free_blocks(block *b) {
  while (b) {
    block *previous = b->previous;
    free(b);
    b = previous;
  }
}

/* Moves all blocks to the spare ones of `to`. */
static void spare_blocks(poa_arena *arena, poa_arena *to) {
  for (block *b = arena->newest, *previous; b; b = previous) {
    previous = b->previous;
    b->dirty = b->used > b->dirty ? b->used : b->dirty;
    b->used = 0;
    b->previous = to->spare;
    to->spare = b;
  }
  arena->newest = NULL;
}

void poa_arena_free(poa_arena *arena) {
  if (!arena)
    return;
  if (arena->lender)
    spare_blocks(arena, arena->lender);
  free_blocks(arena->newest);
  free_blocks(arena->spare);
  free(arena);
}

void poa_arena_reset(poa_arena *arena) {
  spare_blocks(arena, arena);
}

static void out_of_memory(size_t size) {
  fprintf(stderr, "poa: out of memory (asked for %zu bytes)\n", size);
  exit(EXIT_FAILURE);
}

static block *new_block(size_t size) {
  block *b = size > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(block) + ALIGNMENT + size);
  if (!b) {
    out_of_memory(size);
    return NULL;
  }
  b->size = size;
  return b;
}

/* A spare block of at least `size` bytes, taken out, or NULL. */
static block *take_spare(poa_arena *arena, size_t size) {
  for (block **at = &arena->spare; *at; at = &(*at)->previous)
    if ((*at)->size >= size) {
      block *found = *at;
      *at = found->previous;
      return found;
    }
  return NULL;
}

static void add_block(poa_arena *arena, size_t size) {
  size_t wanted = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK;
  if (wanted > LARGEST_BLOCK)
    wanted = LARGEST_BLOCK;
  if (wanted < size)
    wanted = size;
  block *b = take_spare(arena->lender ? arena->lender : arena, size);
  if (!b)
    b = new_block(wanted);
  b->previous = arena->newest;
  arena->newest = b;
}

void *poa_arena_room(poa_arena *arena, size_t size) {
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

void *poa_arena_alloc(poa_arena *arena, size_t size) {
  void *memory = poa_arena_room(arena, size);
  const block *b = arena->newest;
  size_t from = (size_t)((char *)memory - bytes_of(arena->newest));
  if (from < b->dirty)
    memset(memory, 0, (b->used < b->dirty ? b->used : b->dirty) - from);
  return memory;
}

char *poa_arena_span(poa_arena *arena, const char *start, size_t length) {
  char *text = poa_arena_room(arena, length + 1);
  text[length] = 0;
  return memcpy(text, start, length);
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
