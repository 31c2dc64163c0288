/* key_text.c: see key_text.h. */
#include "codegen/key_text.h"

#include <stdio.h>
#include <string.h>

static void put_bytes(poa_key_text *text, const char *bytes, size_t count) {
  if (text->length + count + 1 > text->capacity) {
    size_t capacity = 2 * (text->length + count) + 256;
    char *larger = poa_arena_room(text->arena, capacity);
    if (text->length)
      memcpy(larger, text->bytes, text->length);
    text->bytes = larger;
    text->capacity = capacity;
  }
  memcpy(text->bytes + text->length, bytes, count);
  text->length += count;
  text->bytes[text->length] = 0;
}

void poa_put(poa_key_text *text, const char *more) {
  put_bytes(text, more, strlen(more));
}

void poa_put_number(poa_key_text *text, int64_t number) {
  char digits[24], *end = digits + sizeof digits, *start = end;
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do
    *--start = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0)
    *--start = '-';
  put_bytes(text, start, (size_t)(end - start));
}

void poa_put_numbers(poa_key_text *text, const int64_t *numbers, int count, const char *between) {
  for (int i = 0; i < count; i++) {
    if (i)
      poa_put(text, between);
    poa_put_number(text, numbers[i]);
  }
}

void poa_put_real(poa_key_text *text, double number) {
  char written[40];
  int length = snprintf(written, sizeof written, "%a", number);
  put_bytes(text, written, (size_t)length);
}
