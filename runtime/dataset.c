/* dataset.c: sets of images, in memory or in files, behind one door. */
#include "runtime/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/dataset_measure.h"

static void count_classes(poa_dataset *data) {
  for (int64_t i = 0; data->labels && i < data->count; i++)
    if (data->labels[i] >= data->classes)
      data->classes = data->labels[i] + 1;
}

poa_status poa_dataset_create(poa_dataset **dataset, int64_t count, int channels, int height,
                              int width, uint8_t *images, int32_t *labels, poa_error *error) {
  *dataset = NULL;
  poa_dataset *data = malloc(sizeof *data);
  if (!data) {
    free(images);
    free(labels);
    return poa_fail(error, POA_NO_MEMORY, "no memory for a data set");
  }
  *data = (poa_dataset){.count = count,
                        .channels = channels,
                        .height = height,
                        .width = width,
                        .images = images,
                        .labels = labels};
  poa_dataset_measure_all(data);
  count_classes(data);
  *dataset = data;
  return POA_OK;
}

poa_status poa_dataset_create_of_files(poa_dataset **dataset, poa_image_list *list, bool measure,
                                       const char *path, poa_error *error) {
  poa_dataset *data = *dataset = calloc(1, sizeof *data);
  if (!data) {
    poa_image_list_free(list);
    return poa_fail(error, POA_NO_MEMORY, "no memory for a data set");
  }
  data->count = list->count;
  data->labels = list->labels;
  list->labels = NULL;
  count_classes(data);
  poa_status status = poa_file_images_create(&data->files, list, error);
  if (status == POA_OK)
    status = poa_dataset_measure_some(data, measure, path, error);
  if (status) {
    poa_dataset_free(data);
    *dataset = NULL;
  }
  return status;
}

void poa_dataset_free(poa_dataset *dataset) {
  if (!dataset)
    return;
  free(dataset->images);
  poa_file_images_free(dataset->files);
  free(dataset->labels);
  free(dataset);
}

void poa_dataset_describe(const poa_dataset *dataset, char *out, size_t size) {
  char extent[40] = "", classes[40] = "";
  if (dataset->images)
    snprintf(extent, sizeof extent, " of %d x %d", dataset->height, dataset->width);
  if (dataset->labels)
    snprintf(classes, sizeof classes, ", %d classes", dataset->classes);
  snprintf(out, size, "%s%s%lld images%s%s", dataset->kind, *dataset->kind ? ", " : "",
           (long long)dataset->count, extent, classes);
}

poa_normalization poa_dataset_normalization(const poa_dataset *dataset, int channels) {
  poa_normalization n;
  bool coloured = dataset->channels == 3 && channels == 3;
  for (int i = 0; i < 3; i++) {
    n.mean[i] = coloured ? dataset->mean[i] : dataset->grey_mean;
    n.deviation[i] = coloured ? dataset->deviation[i] : dataset->grey_deviation;
  }
  return n;
}

/* Pixels */

void poa_dataset_keep(const poa_dataset *dataset, int least) {
  if (dataset->files)
    poa_file_images_keep(dataset->files, least);
}

bool poa_dataset_get(const poa_dataset *dataset, int64_t index, int least, poa_held_image *image) {
  if (dataset->files)
    return poa_file_images_get(dataset->files, index, least, image);
  int64_t bytes = (int64_t)dataset->channels * dataset->height * dataset->width;
  *image = (poa_held_image){.pixels = {dataset->images + index * bytes, dataset->channels,
                                       dataset->height, dataset->width}};
  return true;
}

poa_status poa_dataset_get_some(const poa_dataset *dataset, int64_t index, int least,
                                poa_held_image *image, poa_error *error) {
  for (int64_t i = 0; i < dataset->count; i++)
    if (poa_dataset_get(dataset, (index + i) % dataset->count, least, image))
      return POA_OK;
  return poa_fail(error, POA_IO, "none of the %lld images can be read any more",
                  (long long)dataset->count);
}

/* Files that cannot be read */

int64_t poa_dataset_unreadable(const poa_dataset *dataset) {
  return dataset->files ? poa_file_images_unreadable(dataset->files) : 0;
}

bool poa_dataset_complaint(const poa_dataset *dataset, char *message, size_t size) {
  return dataset->files && poa_file_images_complaint(dataset->files, message, size);
}

void poa_dataset_complain(const poa_dataset *dataset, FILE *out) {
  char message[sizeof((poa_error *)0)->message];
  int64_t count = poa_dataset_unreadable(dataset);
  while (poa_dataset_complaint(dataset, message, sizeof message))
    fprintf(out, "left out: %s\n", message);
  if (count)
    fprintf(out, "%lld image file%s could not be read\n", (long long)count, count > 1 ? "s" : "");
}
