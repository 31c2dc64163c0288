/* features_choice.c: which of the compiled sub-networks runs. */
#include "program/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_ours(const poa_features *f, const poa_program_entry *entry) {
  return entry->variant == f->variant && strcmp(entry->entry, "features") == 0;
}

static bool is_at(const poa_features *f, const poa_program_entry *entry, const poa_point *point) {
  return is_ours(f, entry) && poa_point_equal(&f->program->lattice, &entry->point, point);
}

/* Making a point ready */

static int compare_batches(const void *a, const void *b) {
  int64_t x = ((const poa_ready_size *)a)->entry->batch,
          y = ((const poa_ready_size *)b)->entry->batch;
  return (x < y) - (x > y);
}

static void note_shapes(poa_features *f) {
  const poa_ready_size *first = &f->sizes[0];
  f->channels = (int)first->ends.images->shape.dim[1];
  f->side = (int)first->ends.images->shape.dim[2];
  f->dimension = first->ends.features->shape.dim[1];
}

poa_status poa_features_take(poa_features *f, const poa_point *point, poa_error *error) {
  poa_status status = POA_OK;
  poa_features_release(f);
  f->point = *point;
  for (int i = 0; i < f->program->entry_count && status == POA_OK; i++) {
    const poa_program_entry *entry = &f->program->entries[i];
    if (!is_at(f, entry, point) || f->size_count == POA_MAX_SIZES)
      continue;
    poa_ready_size *size = &f->sizes[f->size_count++];
    *size = (poa_ready_size){.entry = entry};
    status = poa_find_features_ends(entry->plan, &size->ends, error);
    if (status == POA_OK)
      status = poa_executor_prepare(f->executor, entry->plan, f->store, &size->prepared, error);
  }
  if (status)
    return status;
  qsort(f->sizes, (size_t)f->size_count, sizeof *f->sizes, compare_batches);
  note_shapes(f);
  return POA_OK;
}

void poa_features_release(poa_features *f) {
  for (int i = 0; i < f->size_count; i++)
    poa_prepared_free(f->sizes[i].prepared);
  f->size_count = 0;
}

/* Choosing */

/* The points compiled in, one entry each, by rising FLOPs. */
static int compare_flops(const void *a, const void *b) {
  double x = (*(const poa_program_entry *const *)a)->flops;
  double y = (*(const poa_program_entry *const *)b)->flops;
  return (x > y) - (x < y);
}

static int list_points(const poa_features *f, const poa_program_entry **points) {
  int count = 0;
  for (int i = 0; i < f->program->entry_count; i++) {
    const poa_program_entry *entry = &f->program->entries[i];
    bool known = !is_ours(f, entry);
    for (int k = 0; k < count && !known; k++)
      known = is_at(f, entry, &points[k]->point);
    if (!known)
      points[count++] = entry;
  }
  qsort(points, (size_t)count, sizeof *points, compare_flops);
  return count;
}

static poa_status refuse_point(const poa_features *f, const poa_program_entry *const *points,
                               int count, poa_error *error) {
  char text[1200] = "";
  for (int i = 0; i < count; i++) {
    size_t used = strlen(text);
    if (used + 100 > sizeof text) {
      snprintf(text + used, sizeof text - used, " ..");
      break;
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "%s", i ? " " : "");
    poa_point_print(&f->program->lattice, &points[i]->point, text + used, sizeof text - used);
  }
  return poa_fail(error, POA_BAD_INPUT, "--at '%s' is not compiled in; these are: %s", f->flags->at,
                  *text ? text : "(one network without elastic names)");
}

static poa_status take_named(poa_features *f, const poa_program_entry *const *points, int count,
                             poa_error *error) {
  poa_point point;
  poa_status status = poa_point_parse(&f->program->lattice, f->flags->at, &point, error);
  if (status)
    return status;
  for (int i = 0; i < count; i++)
    if (is_at(f, points[i], &point))
      return poa_features_take(f, &point, error);
  return refuse_point(f, points, count, error);
}

static poa_status take_within_flops(poa_features *f, const poa_program_entry *const *points,
                                    int count, poa_error *error) {
  int best = -1;
  for (int i = 0; i < count; i++)
    if (points[i]->flops <= f->flags->max_gflops * 1e9)
      best = i;
  if (best >= 0)
    return poa_features_take(f, &points[best]->point, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "--max-gflops %g: the smallest network compiled in takes %.4g GFLOP for an image",
                  f->flags->max_gflops, points[0]->flops * 1e-9);
}

/* Time grows with FLOPs nearly always: a binary search measures few. */
static poa_status take_within_time(poa_features *f, const poa_program_entry *const *points,
                                   int count, poa_error *error) {
  int low = -1, high = count;
  double smallest = NAN;
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    poa_status status = poa_features_take(f, &points[middle]->point, error);
    if (status)
      return status;
    double ms = 1e3 * poa_features_time(f, &f->sizes[f->size_count - 1], 0.05);
    smallest = middle == 0 ? ms : smallest;
    if (ms <= f->flags->max_ms)
      low = middle;
    else
      high = middle;
  }
  if (low >= 0)
    return poa_features_take(f, &points[low]->point, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "--max-ms %g: the smallest network compiled in takes %.3g ms here",
                  f->flags->max_ms, smallest);
}

poa_status poa_features_choose(poa_features *f, poa_error *error) {
  const poa_features_flags *flags = f->flags;
  if ((flags->at != NULL) + (flags->max_gflops > 0) + (flags->max_ms > 0) > 1)
    return poa_fail(error, POA_BAD_INPUT,
                    "--at, --max-gflops and --max-ms each choose the network: give one of them");
  size_t most = (size_t)f->program->entry_count + 1;
  const poa_program_entry **points = malloc(most * sizeof *points);
  if (!points)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  int count = list_points(f, points);
  poa_status status;
  if (flags->at)
    status = take_named(f, points, count, error);
  else if (flags->max_gflops > 0)
    status = take_within_flops(f, points, count, error);
  else if (flags->max_ms > 0)
    status = take_within_time(f, points, count, error);
  else
    status = poa_features_take(f, &points[count - 1]->point, error);
  free(points);
  return status;
}
