/* key_text.h: a text that grows at its end, for the keys and labels of kernels. A step has
 * thousands of them, which is too many for stdio. */
#ifndef POA_CODEGEN_KEY_TEXT_H
#define POA_CODEGEN_KEY_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/arena.h"

typedef struct poa_key_text {
  poa_arena *arena; /* where it lies */
  char *bytes;      /* ends in 0; NULL as long as nothing was put */
  size_t length, capacity;
} poa_key_text;

void poa_put(poa_key_text *text, const char *more);
void poa_put_number(poa_key_text *text, int64_t number);
/* "4,1,384": `count` numbers with `between` between them. */
void poa_put_numbers(poa_key_text *text, const int64_t *numbers, int count, const char *between);
/* Exactly, as %a writes it. */
void poa_put_real(poa_key_text *text, double number);

#endif
