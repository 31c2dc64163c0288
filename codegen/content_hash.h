/* content_hash.h: 128 bits that name a content.
 *
 * Two lanes of multiply-and-fold (the 128-bit product of two words, halves xored, as in
 * wyhash) over 16 bytes at a time. Made against accident, not against an adversary. */
#ifndef POA_CODEGEN_CONTENT_HASH_H
#define POA_CODEGEN_CONTENT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct poa_hash {
  uint64_t word[2];
} poa_hash;

/* The hash of `size` bytes on top of `seed`, itself a hash or zero. Chaining hashes
 * separates the parts: ("ab", "c") differs from ("a", "bc"). */
poa_hash poa_hash_bytes(poa_hash seed, const void *bytes, size_t size);
poa_hash poa_hash_text(poa_hash seed, const char *text);

static inline bool poa_hash_equal(poa_hash a, poa_hash b) {
  return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

/* As 32 lower-case hexadecimal digits and a terminator. */
void poa_hash_print(poa_hash hash, char text[33]);

#endif
