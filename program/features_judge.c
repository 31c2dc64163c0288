/* features_judge.c: how good the features are: nearest neighbours on a labelled data set. */
#include <stdlib.h>

#include "program/features.h"
#include "runtime/dataset.h"
#include "runtime/knn.h"

/* The features of `count` images of the set, in *features, the caller's. */
static poa_status compute(poa_features *f, const poa_dataset *data, int64_t count,
                          const poa_normalization *normalization, float **features,
                          poa_error *error) {
  float *image = malloc((size_t)poa_features_image_floats(f) * sizeof *image);
  poa_status status = image ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
  for (int64_t i = 0; i < count && status == POA_OK; i++) {
    status = poa_dataset_batch(data, i, 1, f->channels, f->side, normalization, image, error);
    if (status == POA_OK)
      status = poa_features_add(f, image, error);
  }
  if (status == POA_OK)
    status = poa_features_flush(f, error);
  free(image);
  *features = f->results;
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
  float *known = NULL, *asked = NULL;
  double accuracy;
  poa_status status = compute(f, train, bank, &normalization, &known, error);
  if (status == POA_OK)
    status = compute(f, test, test->count, &normalization, &asked, error);
  poa_knn_settings settings = POA_KNN_DEFAULTS;
  settings.threads = poa_executor_threads(f->executor);
  if (status == POA_OK)
    status = poa_knn_accuracy(&(poa_knn_rows){known, train->labels, bank},
                              &(poa_knn_rows){asked, test->labels, test->count}, f->dimension,
                              train->classes, settings, &accuracy, error);
  if (status == POA_OK)
    printf("k-NN: %.2f %% of %lld images, by %lld training images\n", 100 * accuracy,
           (long long)test->count, (long long)bank);
  free(known);
  free(asked);
  return status;
}

poa_status poa_features_judge(poa_features *f, poa_error *error) {
  poa_dataset *train = NULL, *test = NULL;
  poa_status status = poa_dataset_open(&train, f->flags->knn, "train", error);
  if (status == POA_OK)
    status = poa_dataset_open(&test, f->flags->knn, "test", error);
  if (status == POA_OK && (!train->labels || !test->labels))
    status = poa_fail(error, POA_BAD_INPUT, "%s has no labels: give a folder with both splits",
                      f->flags->knn);
  if (status == POA_OK)
    status = judge(f, train, test, error);
  poa_dataset_free(train);
  poa_dataset_free(test);
  return status;
}
