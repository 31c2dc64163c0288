/* place_buffers.c: buffers with known lifetimes into one block of memory.
 *
 * The largest first, each into the smallest gap that is free all its life:
 *
 *   bytes  lifetime           place
 *   4096   [0,2]              0
 *   4096   [3,5]              0        (the first is dead)
 *   1024   [1,4]              4096
 *
 * Source: Pisarchyk & Lee, Efficient Memory Management for Deep Neural Net Inference
 * (2020), "greedy by size", as in TFLite and XNNPACK. It is run in several orders and the
 * best result kept, unless one reaches the lower bound. What is small altogether lies
 * behind the rest, each buffer by itself: it would gain nothing, and kernels that share no
 * memory need no barrier. */
#include <stdlib.h>
#include <string.h>

#include "passes/place_buffers.h"

typedef struct placed {
  int64_t place, end;
  int first, last;
} placed;

static int64_t aligned(int64_t bytes) {
  return (bytes + POA_BUFFER_ALIGNMENT - 1) / POA_BUFFER_ALIGNMENT * POA_BUFFER_ALIGNMENT;
}

int64_t poa_live_peak(const poa_buffer *buffers, int count) {
  int end = 0;
  for (int i = 0; i < count; i++)
    end = buffers[i].last > end ? buffers[i].last : end;
  int64_t *change = calloc((size_t)end + 3, sizeof *change);
  if (!change)
    return 0;
  for (int i = 0; i < count; i++) {
    change[buffers[i].first + 1] += aligned(buffers[i].bytes);
    change[buffers[i].last + 2] -= aligned(buffers[i].bytes);
  }
  int64_t live = 0, peak = 0;
  for (int t = 0; t < end + 3; t++) {
    live += change[t];
    peak = live > peak ? live : peak;
  }
  free(change);
  return peak;
}

static int by_size(const void *a, const void *b) {
  const poa_buffer *x = *(poa_buffer *const *)a, *y = *(poa_buffer *const *)b;
  if (x->bytes != y->bytes)
    return x->bytes < y->bytes ? 1 : -1;
  int x_life = x->last - x->first, y_life = y->last - y->first;
  if (x_life != y_life)
    return x_life < y_life ? 1 : -1;
  return x < y ? -1 : x > y;
}

static int by_life(const void *a, const void *b) {
  const poa_buffer *x = *(poa_buffer *const *)a, *y = *(poa_buffer *const *)b;
  int x_life = x->last - x->first, y_life = y->last - y->first;
  if (x_life != y_life)
    return x_life < y_life ? 1 : -1;
  return by_size(a, b);
}

static int by_area(const void *a, const void *b) {
  const poa_buffer *x = *(poa_buffer *const *)a, *y = *(poa_buffer *const *)b;
  double x_area = (double)x->bytes * (x->last - x->first + 1);
  double y_area = (double)y->bytes * (y->last - y->first + 1);
  if (x_area < y_area || x_area > y_area)
    return x_area < y_area ? 1 : -1;
  return by_size(a, b);
}

/* Puts one buffer among those placed, which stand sorted by place. */
static int64_t place_one(placed *list, int count, poa_buffer *buffer) {
  int64_t bytes = aligned(buffer->bytes), free_from = 0, best = -1, best_gap = INT64_MAX;
  for (int i = 0; i < count && best_gap > bytes; i++) {
    const placed *other = &list[i];
    if (other->last < buffer->first || other->first > buffer->last)
      continue;
    int64_t gap = other->place - free_from;
    if (gap >= bytes && gap < best_gap) {
      best = free_from;
      best_gap = gap;
    }
    free_from = other->end > free_from ? other->end : free_from;
  }
  buffer->place = best >= 0 ? best : free_from;
  int at = count;
  while (at > 0 && list[at - 1].place > buffer->place)
    at--;
  memmove(&list[at + 1], &list[at], (size_t)(count - at) * sizeof *list);
  list[at] = (placed){buffer->place, buffer->place + bytes, buffer->first, buffer->last};
  return buffer->place + bytes;
}

static int64_t place_in_order(placed *list, poa_buffer **order, int count) {
  int64_t end = 0;
  for (int i = 0; i < count; i++) {
    int64_t its_end = place_one(list, i, order[i]);
    end = its_end > end ? its_end : end;
  }
  return end;
}

/* How many of the buffers, the largest first, are worth placing well: the others together
 * take at most 1/400 of the peak. */
static int worth_placing(poa_buffer *const *order, int count, int64_t peak) {
  int64_t small = 0;
  while (count > 0 && (small += aligned(order[count - 1]->bytes)) <= peak / 400)
    count--;
  return count;
}

int64_t poa_place_buffers(poa_buffer *buffers, int count) {
  static int (*const orders[])(const void *, const void *) = {by_size, by_area, by_life};
  size_t room = (size_t)count + 1;
  placed *list = malloc(room * sizeof *list);
  poa_buffer **order = (poa_buffer **)malloc(room * sizeof *order);
  int64_t *best = malloc(room * sizeof *best), end = -1;
  if (!list || !order || !best)
    goto done;
  for (int i = 0; i < count; i++)
    order[i] = &buffers[i];
  qsort((void *)order, (size_t)count, sizeof *order, by_size);
  int large = worth_placing(order, count, poa_live_peak(buffers, count));
  for (int o = 0; o < 3; o++) {
    /* Small buffers stay at the end of `order`. */
    qsort((void *)order, (size_t)large, sizeof *order, orders[o]);
    int64_t its_end = place_in_order(list, order, large);
    if (end >= 0 && its_end >= end)
      continue;
    end = its_end;
    for (int i = 0; i < count; i++)
      best[i] = buffers[i].place;
    if (end <= poa_live_peak(buffers, count))
      break;
  }
  for (int i = 0; i < count; i++)
    buffers[i].place = best[i];
  for (int i = large; i < count; i++) {
    order[i]->place = end;
    end += aligned(order[i]->bytes);
  }
done:
  free(list);
  free((void *)order);
  free(best);
  return end;
}
