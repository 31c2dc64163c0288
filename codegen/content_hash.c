/* content_hash.c: 128 bits that name a content; see content_hash.h. */
#include "codegen/content_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Odd constants with as many ones as zeros: fractions of sqrt(2), sqrt(3), sqrt(5), sqrt(7). */
#define K0 UINT64_C(0x6a09e667f3bcc909)
#define K1 UINT64_C(0xbb67ae8584caa73b)
#define K2 UINT64_C(0x3c6ef372fe94f82b)
#define K3 UINT64_C(0xa54ff53a5f1d36f1)

static uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The old lanes are added back: a product with a zero factor must not erase them. */
static poa_hash absorb(poa_hash h, uint64_t x, uint64_t y) {
  uint64_t low = fold(x ^ K0 ^ h.word[0], y ^ K1 ^ h.word[1]);
  uint64_t high = fold(y ^ K2 ^ h.word[0], x ^ K3 ^ (h.word[1] << 32 | h.word[1] >> 32));
  return (poa_hash){{low + (h.word[1] ^ x) * K3, high + (h.word[0] ^ y) * K1}};
}

poa_hash poa_hash_bytes(poa_hash seed, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  poa_hash h = absorb(seed, size, K2);
  for (size_t left = size; left > 0;) {
    uint64_t block[2] = {0, 0};
    size_t take = left < sizeof block ? left : sizeof block;
    memcpy(block, at, take);
    h = absorb(h, block[0], block[1]);
    at += take;
    left -= take;
  }
  return absorb(absorb(h, K3, size), K1, K0);
}

poa_hash poa_hash_text(poa_hash seed, const char *text) {
  return poa_hash_bytes(seed, text, strlen(text));
}

void poa_hash_print(poa_hash hash, char text[33]) {
  snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, hash.word[0], hash.word[1]);
}
