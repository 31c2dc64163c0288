/* features_judge.c: how good the features are: nearest neighbours on a labelled data set. */
#include <stdlib.h>

#include "program/features.h"
#include "program/labelled_data.h"
#include "runtime/dataset_reader.h"
#include "runtime/knn.h"

/* Features and labels of the images that can be read. */
typedef struct judged_rows {
  float *features;
  int32_t *labels;
  int64_t count;
} judged_rows;

/* One image after the other; the stream makes batches of them. */
static poa_status feed(poa_features *f, poa_dataset_reader *reader, float *image, judged_rows *rows,
                       poa_error *error) {
  poa_status status = POA_OK;
  while (status == POA_OK && reader->next < reader->end) {
    int64_t have;
    status = poa_dataset_read(reader, 1, image, rows->labels + rows->count, &have, error);
    if (status == POA_OK && have)
      status = poa_features_add(f, image, error);
    rows->count += have;
  }
  return status ? status : poa_features_flush(f, error);
}

/* Of the first `count` images of the set; *rows is the caller's. */
static poa_status compute(poa_features *f, const poa_dataset *data, int64_t count,
                          const poa_normalization *normalization, judged_rows *rows,
                          poa_error *error) {
  poa_dataset_reader reader = {0};
  float *image = malloc((size_t)poa_features_image_floats(f) * sizeof *image);
  *rows = (judged_rows){.labels = malloc((size_t)count * sizeof *rows->labels)};
  poa_status status =
      image && rows->labels ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
  if (status == POA_OK)
    status =
        poa_dataset_reader_open(&reader, data, count, f->channels, f->side, normalization, error);
  if (status == POA_OK)
    status = feed(f, &reader, image, rows, error);
  if (status == POA_OK && rows->count == 0)
    status = poa_fail(error, POA_BAD_INPUT, "none of %lld images can be read", (long long)count);
  poa_dataset_reader_close(&reader);
  free(image);
  rows->features = f->results;
  f->results = NULL;
  f->result_count = f->result_capacity = 0;
  return status;
}

static poa_status judge(poa_features *f, const poa_dataset *train, const poa_dataset *test,
                        poa_error *error) {
  poa_normalization normalization =
      f->normalized ? f->normalization : poa_dataset_normalization(train, f->channels);
  int64_t bank =
      f->flags->limit > 0 && f->flags->limit < train->count ? f->flags->limit : train->count;
  judged_rows known, asked = {0};
  double accuracy;
  poa_status status = compute(f, train, bank, &normalization, &known, error);
  if (status == POA_OK)
    status = compute(f, test, test->count, &normalization, &asked, error);
  poa_knn_settings settings = POA_KNN_DEFAULTS;
  settings.threads = poa_executor_threads(f->executor);
  int classes = train->classes > test->classes ? train->classes : test->classes;
  if (status == POA_OK)
    status = poa_knn_accuracy(&(poa_knn_rows){known.features, known.labels, known.count},
                              &(poa_knn_rows){asked.features, asked.labels, asked.count},
                              f->dimension, classes, settings, &accuracy, error);
  if (status == POA_OK)
    printf("k-NN: %.2f %% of %lld images, by %lld training images\n", 100 * accuracy,
           (long long)asked.count, (long long)known.count);
  free(known.features);
  free(known.labels);
  free(asked.features);
  free(asked.labels);
  return status;
}

poa_status poa_features_judge(poa_features *f, poa_error *error) {
  poa_dataset *train = NULL, *test = NULL;
  poa_status status = poa_open_labelled(f->flags->knn, &train, &test, error);
  if (status == POA_OK)
    status = judge(f, train, test, error);
  poa_complain_of_data(train, test);
  poa_dataset_free(train);
  poa_dataset_free(test);
  return status;
}
