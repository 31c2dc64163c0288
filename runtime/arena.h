/* arena.h: memory that is freed all at once. */
#ifndef POA_RUNTIME_ARENA_H
#define POA_RUNTIME_ARENA_H

#include "poa.h"

typedef struct poa_arena poa_arena;

poa_arena *poa_arena_create(void); /* NULL without memory */
void poa_arena_free(poa_arena *arena);
/* An arena for a while: its memory is what `lender` has to spare, and goes back there when it is
 * freed, which is before `lender` is. NULL without memory. */
poa_arena *poa_arena_borrow(poa_arena *lender);
/* Forgets all that was allocated, but keeps the memory for what comes next. */
void poa_arena_reset(poa_arena *arena);
/* Zeroed, aligned to 16. Never NULL: without memory the program ends with a message. */
void *poa_arena_alloc(poa_arena *arena, size_t size);
/* The same, of any contents: for arrays that are written before they are read. */
void *poa_arena_room(poa_arena *arena, size_t size);
char *poa_arena_text(poa_arena *arena, const char *text); /* a copy */
/* The first `length` characters of `start`, as text. */
char *poa_arena_span(poa_arena *arena, const char *start, size_t length);
char *poa_arena_format(poa_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
