/* dataset_idx.c: IDX files, as MNIST and Fashion-MNIST have them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/dataset_kinds.h"
#include "runtime/idx.h"

enum { MAX_SIDE = 1 << 15 };

static int32_t *widen(const poa_idx *labels) {
  int32_t *wide = malloc((size_t)labels->bytes * sizeof *wide);
  for (int64_t i = 0; wide && i < labels->bytes; i++)
    wide[i] = labels->data[i];
  return wide;
}

static poa_status check_images(const poa_idx *images, const char *path, poa_error *error) {
  const int64_t *dim = images->dim;
  if (dim[0] > INT32_MAX)
    return poa_fail(error, POA_BAD_INPUT, "%s: expected at most %d images, found %lld", path,
                    INT32_MAX, (long long)dim[0]);
  if (dim[1] > MAX_SIDE || dim[2] > MAX_SIDE)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected images of at most %d pixels a side, found %lld x %lld", path,
                    MAX_SIDE, (long long)dim[1], (long long)dim[2]);
  return POA_OK;
}

/* Sets *labels, which the caller frees. */
static poa_status read_labels(int32_t **labels, const char *path, const poa_idx *images,
                              const char *images_path, poa_error *error) {
  poa_idx bytes;
  poa_status status = poa_idx_read(&bytes, path, 1, error);
  if (status != POA_OK)
    return status;
  if (bytes.dim[0] != images->dim[0])
    status = poa_fail(error, POA_BAD_INPUT,
                      "%s: expected a label for each of the %lld images of %s, found %lld", path,
                      (long long)images->dim[0], images_path, (long long)bytes.dim[0]);
  else
    *labels = widen(&bytes);
  if (status == POA_OK && !*labels)
    status = poa_fail(error, POA_NO_MEMORY, "%s: no memory for its labels", path);
  poa_idx_free(&bytes);
  return status;
}

/* `labels_path` may be NULL. */
static poa_status read_idx(poa_dataset **dataset, const char *images_path, const char *labels_path,
                           poa_error *error) {
  poa_idx images;
  int32_t *labels = NULL;
  poa_status status = poa_idx_read(&images, images_path, 3, error);
  if (status == POA_OK)
    status = check_images(&images, images_path, error);
  if (status == POA_OK && labels_path)
    status = read_labels(&labels, labels_path, &images, images_path, error);
  if (status != POA_OK) {
    poa_idx_free(&images);
    return status;
  }
  status = poa_dataset_create(dataset, images.dim[0], 1, (int)images.dim[1], (int)images.dim[2],
                              images.data, labels, error);
  if (status == POA_OK)
    snprintf((*dataset)->kind, sizeof(*dataset)->kind, "IDX");
  return status;
}

poa_status poa_dataset_open_idx(poa_dataset **dataset, const char *path, poa_error *error) {
  return read_idx(dataset, path, NULL, error);
}

/* Sets `path` to FOLDER/NAME or FOLDER/NAME.gz, whichever is there. */
static bool find_file(char path[PATH_MAX], const char *folder, const char *name) {
  static const char *const endings[] = {"", ".gz"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    struct stat info;
    int length = snprintf(path, PATH_MAX, "%s/%s%s", folder, name, endings[i]);
    if (length < PATH_MAX && stat(path, &info) == 0)
      return true;
  }
  return false;
}

poa_status poa_dataset_open_idx_folder(poa_dataset **dataset, const char *folder, bool train,
                                       bool *recognized, poa_error *error) {
  static const char *const names[2][2] = {{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
                                          {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}};
  char images[PATH_MAX], labels[PATH_MAX], other[PATH_MAX];
  bool has_images = find_file(images, folder, names[train][0]);
  bool has_labels = find_file(labels, folder, names[train][1]);
  *recognized = has_images || has_labels || find_file(other, folder, names[!train][0]);
  if (!*recognized)
    return POA_OK;
  if (!has_images && !has_labels)
    return poa_fail(error, POA_BAD_INPUT, "%s: has %s but neither %s nor %s (plain or with .gz)",
                    folder, names[!train][0], names[train][0], names[train][1]);
  if (!has_images || !has_labels)
    return poa_fail(error, POA_BAD_INPUT, "%s: has %s but lacks %s (plain or with .gz)", folder,
                    names[train][!has_images], names[train][has_images]);
  return read_idx(dataset, images, labels, error);
}
