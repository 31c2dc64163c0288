/* labelled_data.c: see labelled_data.h. */
#include "program/labelled_data.h"

poa_status poa_open_labelled(const char *path, poa_dataset **train, poa_dataset **test,
                             poa_error *error) {
  poa_status status = poa_dataset_open(train, path, "train", error);
  if (status == POA_OK && !(*train)->labels)
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s has no labels, which evaluation needs: put images into a folder for each "
                      "class, as in train/cat/1.jpg and test/cat/2.jpg (or val/), or name them in "
                      "train.txt and test.txt with a label behind each",
                      path);
  if (status == POA_OK)
    status = poa_dataset_open(test, path, "test", error);
  if (status == POA_OK && !(*test)->labels)
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s: the images to evaluate on have no labels: put them into a folder for "
                      "each class, or in a list a label behind each",
                      path);
  return status;
}

void poa_complain_of_data(const poa_dataset *train, const poa_dataset *test) {
  if (train)
    poa_dataset_complain(train, stderr);
  if (test)
    poa_dataset_complain(test, stderr);
}
