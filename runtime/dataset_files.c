/* dataset_files.c: sets of image files, by lists or by folders. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/dataset_kinds.h"

/* Sets `path` to FOLDER/NAME; whether it is there, as a folder or as a file. */
static bool is_there(char path[PATH_MAX], const char *folder, const char *name, bool as_folder) {
  struct stat info;
  return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX && stat(path, &info) == 0 &&
         !S_ISDIR(info.st_mode) == !as_folder;
}

/* Lists */

static poa_status open_list(poa_dataset **dataset, const char *path, bool train, poa_error *error) {
  poa_image_list list = {0};
  poa_status status = poa_image_list_read(&list, path, error);
  if (status) {
    poa_image_list_free(&list);
    return status;
  }
  status = poa_dataset_create_of_files(dataset, &list, train, path, error);
  if (status == POA_OK)
    snprintf((*dataset)->kind, sizeof(*dataset)->kind, "a list of files");
  return status;
}

poa_status poa_dataset_open_list(poa_dataset **dataset, const char *path, bool train,
                                 poa_error *error) {
  if (train)
    return open_list(dataset, path, train, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "%s is one list of images, which is trained on; to evaluate, name a folder with "
                  "the lists train.txt and test.txt (or val.txt), a label behind each path",
                  path);
}

poa_status poa_dataset_open_lists(poa_dataset **dataset, const char *folder, bool train,
                                  bool *recognized, poa_error *error) {
  char known[PATH_MAX], asked[PATH_MAX];
  *recognized = is_there(known, folder, "train.txt", false);
  if (!*recognized)
    return POA_OK;
  if (train)
    return open_list(dataset, known, train, error);
  if (is_there(asked, folder, "test.txt", false) || is_there(asked, folder, "val.txt", false))
    return open_list(dataset, asked, train, error);
  return poa_fail(error, POA_BAD_INPUT,
                  "%s: has the list train.txt, but no test.txt or val.txt to evaluate on", folder);
}

/* Folders */

static void name_kind(poa_dataset *data) {
  snprintf(data->kind, sizeof data->kind,
           data->labels ? "a folder of images for each class" : "a folder of images");
}

/* *found is false where `folder` holds no images at all. */
static poa_status scan(poa_image_list *list, const char *folder, const char *classes, bool *found,
                       poa_error *error) {
  poa_status status = poa_image_list_scan(list, folder, classes, error);
  *found = status || list->count || list->foreign;
  if (status == POA_OK && !list->count && list->foreign)
    status = poa_fail(error, POA_UNSUPPORTED,
                      "%s: of %lld image files this program can read none, for it was built or "
                      "compiled without the libraries of their formats (the first: %s)",
                      folder, (long long)list->foreign, list->first_foreign);
  return status;
}

static poa_status open_scanned(poa_dataset **dataset, poa_image_list *list, bool train,
                               const char *folder, poa_error *error) {
  poa_status status = poa_dataset_create_of_files(dataset, list, train, folder, error);
  if (status == POA_OK)
    name_kind(*dataset);
  return status;
}

/* The images of one folder; `classes` is where the names of the classes are from. */
static poa_status open_images(poa_dataset **dataset, const char *folder, const char *classes,
                              bool train, poa_error *error) {
  poa_image_list list = {0};
  bool found;
  poa_status status = scan(&list, folder, classes, &found, error);
  if (status == POA_OK && !found)
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s: no images in this folder nor below it (.jpg .jpeg .png .webp .ppm .pgm)",
                      folder);
  if (status == POA_OK)
    return open_scanned(dataset, &list, train, folder, error);
  poa_image_list_free(&list);
  return status;
}

/* test/, or where that has no labels val/, as large collections have it. */
static poa_status open_test(poa_dataset **dataset, const char *folder, const char *classes,
                            poa_error *error) {
  char test[PATH_MAX], val[PATH_MAX];
  bool has_test = is_there(test, folder, "test", true);
  bool has_val = is_there(val, folder, "val", true);
  if (!has_test && !has_val)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: has no images to evaluate on: put some into %s/test (or val), in a folder "
                    "for each class, beside %s/train",
                    folder, folder, folder);
  if (!has_test)
    return open_images(dataset, val, classes, false, error);
  poa_status status = open_images(dataset, test, classes, false, error);
  if (status || !has_val || (*dataset)->labels)
    return status;
  poa_dataset_free(*dataset);
  *dataset = NULL;
  return open_images(dataset, val, classes, false, error);
}

poa_status poa_dataset_open_image_folder(poa_dataset **dataset, const char *folder, bool train,
                                         bool *recognized, poa_error *error) {
  char inside[PATH_MAX], other[PATH_MAX];
  poa_image_list list = {0};
  bool has_train = is_there(inside, folder, "train", true);
  *recognized = true;
  if (has_train)
    return train ? open_images(dataset, inside, inside, train, error)
                 : open_test(dataset, folder, inside, error);
  bool has_other = is_there(other, folder, "test", true) || is_there(other, folder, "val", true);
  poa_status status = scan(&list, folder, folder, recognized, error);
  if (status == POA_OK && *recognized && has_other)
    status = poa_fail(error, POA_BAD_INPUT, "%s: has %s but no %s/train to go with it", folder,
                      other, folder);
  if (status == POA_OK && *recognized && !train)
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s is one folder of images, which is trained on; to evaluate, part them "
                      "into %s/train and %s/test (or val), in each a folder for each class",
                      folder, folder, folder);
  if (status == POA_OK && *recognized)
    return open_scanned(dataset, &list, train, folder, error);
  poa_image_list_free(&list);
  return status;
}
