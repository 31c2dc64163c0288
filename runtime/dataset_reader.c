/* dataset_reader.c: see dataset_reader.h. */
#include "runtime/dataset_reader.h"

poa_status poa_dataset_reader_open(poa_dataset_reader *reader, const poa_dataset *data, int64_t end,
                                   int channels, int size, const poa_normalization *normalization,
                                   poa_error *error) {
  *reader = (poa_dataset_reader){.data = data,
                                 .end = end,
                                 .channels = channels,
                                 .size = size,
                                 .normalization = *normalization};
  poa_dataset_keep(data, size);
  return poa_resampler_create(&reader->resampler, size, error);
}

void poa_dataset_reader_close(poa_dataset_reader *reader) {
  poa_resampler_free(reader->resampler);
  reader->resampler = NULL;
}

poa_status poa_dataset_read(poa_dataset_reader *reader, int64_t count, float *out, int32_t *labels,
                            int64_t *have, poa_error *error) {
  const poa_normalization *n = &reader->normalization;
  int64_t values = (int64_t)reader->channels * reader->size * reader->size;
  for (*have = 0; *have < count && reader->next < reader->end; reader->next++) {
    poa_held_image held;
    if (!poa_dataset_get(reader->data, reader->next, reader->size, &held))
      continue;
    poa_pixels pixels = held.pixels;
    poa_box middle = poa_middle_square(pixels.height, pixels.width);
    poa_image image = {out + *have * values, reader->channels, reader->size};
    poa_status status =
        poa_resampler_reserve(reader->resampler, middle.height, middle.width, error);
    if (status == POA_OK) {
      poa_resample(reader->resampler, pixels, middle, false, image);
      poa_image_normalize(image, n->mean, n->deviation);
    }
    poa_held_image_release(&held);
    if (status)
      return status;
    if (labels && reader->data->labels)
      labels[*have] = reader->data->labels[reader->next];
    ++*have;
  }
  return POA_OK;
}
