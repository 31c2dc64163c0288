/* barriers.c: see barriers.h. */
#include "codegen/barriers.h"

#include <string.h>

/* A use of one launch since the last barrier. */
typedef struct access {
  const poa_plan_buffer *buffer;
  const poa_use *use;
} access;

typedef struct pending {
  access *reads, *writes;
  int read_count, write_count;
} pending;

/* The elements of a row of length `pitch` that the use touches, from `from` on, if all its
 * longer strides are multiples of the pitch; 0 if they are not or it reaches over rows. */
static int64_t width_in_rows(const poa_use *use, int64_t pitch, int64_t *from) {
  int64_t width = 1;
  for (int a = 0; a < use->rank; a++) {
    if (use->extent[a] == 1 || use->stride[a] % pitch == 0)
      continue;
    if (use->stride[a] > pitch)
      return 0;
    width += (use->extent[a] - 1) * use->stride[a];
  }
  *from = use->offset % pitch;
  return *from + width <= pitch ? width : 0;
}

static bool apart_in_rows(const poa_use *a, const poa_use *b, int64_t pitch) {
  int64_t a_from = 0, b_from = 0;
  int64_t a_width = width_in_rows(a, pitch, &a_from), b_width = width_in_rows(b, pitch, &b_from);
  return a_width && b_width && (a_from + a_width <= b_from || b_from + b_width <= a_from);
}

/* Two blocks of the same buffer that share no element although their ranges overlap. */
static bool interleaved(const poa_use *a, const poa_use *b) {
  if (a->root != b->root || a->dtype != b->dtype)
    return false;
  for (int axis = 0; axis < a->rank; axis++)
    if (a->extent[axis] > 1 && a->stride[axis] > 1 && apart_in_rows(a, b, a->stride[axis]))
      return true;
  return false;
}

static bool overlap(const access *a, const access *b) {
  const poa_plan_buffer *x = a->buffer, *y = b->buffer;
  if (x->space != y->space || x->offset + x->bytes <= y->offset ||
      y->offset + y->bytes <= x->offset)
    return false;
  return !interleaved(a->use, b->use);
}

static bool meets(const access *list, int count, const access *one) {
  for (int i = 0; i < count; i++)
    if (overlap(&list[i], one))
      return true;
  return false;
}

static bool must_wait(const pending *p, const poa_plan_launch *launch, const poa_use *uses) {
  for (int i = 0; i < launch->buffer_count; i++) {
    access one = {&launch->buffers[i], &uses[i]};
    if (meets(p->writes, p->write_count, &one) ||
        (uses[i].written && meets(p->reads, p->read_count, &one)))
      return true;
  }
  return false;
}

static void remember(pending *p, const poa_plan_launch *launch, const poa_use *uses) {
  for (int i = 0; i < launch->buffer_count; i++) {
    access one = {&launch->buffers[i], &uses[i]};
    if (uses[i].written)
      p->writes[p->write_count++] = one;
    else if (uses[i].read)
      p->reads[p->read_count++] = one;
  }
}

void poa_place_barriers(poa_plan_launch *launches, int count, const poa_use *const *uses,
                        poa_arena *arena) {
  size_t total = 0;
  for (int i = 0; i < count; i++)
    total += (size_t)launches[i].buffer_count;
  pending p = {.reads = poa_arena_alloc(arena, total * sizeof *p.reads),
               .writes = poa_arena_alloc(arena, total * sizeof *p.writes)};
  for (int i = 0; i < count; i++) {
    launches[i].barrier = must_wait(&p, &launches[i], uses[i]);
    if (launches[i].barrier)
      p.read_count = p.write_count = 0;
    remember(&p, &launches[i], uses[i]);
  }
}
