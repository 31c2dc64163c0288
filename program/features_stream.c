/* features_stream.c: images go in one by one, run in batches, and come out in order. */
#include <stdlib.h>
#include <string.h>

#include "program/features.h"

int64_t poa_features_image_floats(const poa_features *f) {
  return (int64_t)f->channels * f->side * f->side;
}

static poa_status reserve_results(poa_features *f, int64_t more, poa_error *error) {
  int64_t need = f->result_count + more;
  if (need <= f->result_capacity)
    return POA_OK;
  int64_t capacity = 2 * need;
  float *larger = realloc(f->results, (size_t)(capacity * f->dimension) * sizeof *larger);
  if (!larger)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the features of %lld images",
                    (long long)need);
  f->results = larger;
  f->result_capacity = capacity;
  return POA_OK;
}

/* The largest batch that is full, or else the smallest there is. */
static const poa_ready_size *pick_size(const poa_features *f, int64_t count) {
  for (int i = 0; i < f->size_count; i++)
    if (f->sizes[i].entry->batch <= count)
      return &f->sizes[i];
  return &f->sizes[f->size_count - 1];
}

/* Runs the first of `count` images at `images`; returns how many that were. */
static int64_t run_batch(poa_features *f, const float *images, int64_t count) {
  const poa_ready_size *size = pick_size(f, count);
  int64_t floats = poa_features_image_floats(f), batch = size->entry->batch;
  int64_t taken = count < batch ? count : batch;
  float *in = poa_prepared_pointer(size->prepared, size->ends.images->buffer);
  memcpy(in, images, (size_t)(taken * floats) * sizeof *in);
  memset(in + taken * floats, 0, (size_t)((batch - taken) * floats) * sizeof *in);
  poa_executor_run(f->executor, size->prepared, NULL);
  memcpy(f->results + f->result_count * f->dimension,
         poa_prepared_pointer(size->prepared, size->ends.features->buffer),
         (size_t)(taken * f->dimension) * sizeof *f->results);
  f->result_count += taken;
  return taken;
}

poa_status poa_features_flush(poa_features *f, poa_error *error) {
  poa_status status = reserve_results(f, f->waiting_count, error);
  if (status)
    return status;
  for (int64_t done = 0; done < f->waiting_count;)
    done += run_batch(f, f->waiting + done * poa_features_image_floats(f), f->waiting_count - done);
  f->waiting_count = 0;
  return POA_OK;
}

poa_status poa_features_add(poa_features *f, const float *image, poa_error *error) {
  int64_t floats = poa_features_image_floats(f), batch = f->sizes[0].entry->batch;
  if (!f->waiting)
    f->waiting = malloc((size_t)(batch * floats) * sizeof *f->waiting);
  if (!f->waiting)
    return poa_fail(error, POA_NO_MEMORY, "no memory for a batch of images");
  memcpy(f->waiting + f->waiting_count * floats, image, (size_t)floats * sizeof *image);
  return ++f->waiting_count == batch ? poa_features_flush(f, error) : POA_OK;
}
