/* arena.c: memory that is used again is zero where it is promised to be. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "runtime/arena.h"

static bool is_zero(const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (bytes[i])
      return false;
  return true;
}

/* Sizes that share blocks, fill one, and need one of their own. */
static const size_t sizes[] = {1, 100, 5000, 70000, 16, 300000, 40};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(poa_arena *arena) {
  for (int i = 0; i < SIZES; i++) {
    unsigned char *bytes = poa_arena_alloc(arena, sizes[i]);
    cr_assert(is_zero(bytes, sizes[i]), "%zu bytes", sizes[i]);
    memset(bytes, 0xa5, sizes[i]);
  }
}

Test(arena, is_zeroed_after_a_reset) {
  poa_arena *arena = poa_arena_create();
  for (int round = 0; round < 4; round++) {
    fill(arena);
    poa_arena_reset(arena);
  }
  poa_arena_free(arena);
}

Test(arena, lends_its_memory_and_gets_it_back) {
  poa_arena *lender = poa_arena_create();
  char *kept = poa_arena_text(lender, "kept");
  void *first = NULL;
  for (int round = 0; round < 3; round++) {
    poa_arena *borrower = poa_arena_borrow(lender);
    void *at = poa_arena_alloc(borrower, 8);
    cr_assert(round == 0 || at == first, "the same memory serves again");
    first = at;
    fill(borrower);
    poa_arena_free(borrower);
  }
  fill(lender);
  cr_assert_str_eq(kept, "kept");
  poa_arena_free(lender);
}

Test(arena, room_and_zeroed_memory_stand_side_by_side) {
  poa_arena *arena = poa_arena_create();
  memset(poa_arena_room(arena, 1000), 0xff, 1000);
  poa_arena_reset(arena);
  memset(poa_arena_room(arena, 100), 0x55, 100);
  cr_assert(is_zero(poa_arena_alloc(arena, 2000), 2000));
  poa_arena_free(arena);
}
