/* dataset_cifar.c: the binary files of CIFAR-10 and CIFAR-100.
 *
 *   CIFAR-10:   label, 3 planes of 32 x 32 bytes; the next; ..
 *   CIFAR-100:  coarse label, fine label, 3 planes; ..
 *
 * The fine labels are taken. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/dataset_kinds.h"

enum { SIDE = 32, CHANNELS = 3, IMAGE = CHANNELS * SIDE * SIDE, MAX_FILES = 5 };

typedef struct cifar {
  const char *name, *subfolder;
  int classes, labels;                 /* labels of an image, the last of which is taken */
  const char *files[2][MAX_FILES + 1]; /* of the test and the training split */
} cifar;

static const cifar cifar10 = {.name = "CIFAR-10",
                              .subfolder = "cifar-10-batches-bin",
                              .classes = 10,
                              .labels = 1,
                              .files = {{"test_batch.bin"},
                                        {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin"}}};
static const cifar cifar100 = {.name = "CIFAR-100",
                               .subfolder = "cifar-100-binary",
                               .classes = 100,
                               .labels = 2,
                               .files = {{"test.bin"}, {"train.bin"}}};

static bool is_there(char path[PATH_MAX], const char *folder, const char *name) {
  struct stat info;
  return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX && stat(path, &info) == 0;
}

/* The files of a split, in memory. */
typedef struct split {
  int64_t count;
  uint8_t *images;
  int32_t *labels;
} split;

static poa_status make_room(split *s, int64_t count, poa_error *error) {
  int64_t all = s->count + count;
  uint8_t *images = realloc(s->images, (size_t)all * IMAGE);
  s->images = images ? images : s->images;
  int32_t *labels = realloc(s->labels, (size_t)all * sizeof *labels);
  s->labels = labels ? labels : s->labels;
  return images && labels
             ? POA_OK
             : poa_fail(error, POA_NO_MEMORY, "no memory for %lld images", (long long)all);
}

static poa_status read_images(const cifar *kind, FILE *file, int64_t count, split *s,
                              poa_error *error) {
  for (int64_t i = 0; i < count; i++, s->count++) {
    uint8_t labels[2];
    if (fread(labels, 1, (size_t)kind->labels, file) != (size_t)kind->labels ||
        fread(s->images + s->count * IMAGE, 1, IMAGE, file) != IMAGE)
      return poa_fail(error, POA_IO, "cannot read: %s",
                      ferror(file) ? strerror(errno) : "it was cut meanwhile");
    s->labels[s->count] = labels[kind->labels - 1];
    if (s->labels[s->count] >= kind->classes)
      return poa_fail(error, POA_BAD_INPUT, "image %lld has the label %d, expected 0 to %d",
                      (long long)i, s->labels[s->count], kind->classes - 1);
  }
  return POA_OK;
}

static poa_status read_file(const cifar *kind, const char *path, split *s, poa_error *error) {
  struct stat info;
  int64_t record = IMAGE + kind->labels;
  FILE *file = fopen(path, "re");
  if (!file || fstat(fileno(file), &info) != 0) {
    poa_fail(error, POA_IO, "%s: cannot open: %s", path, strerror(errno));
    if (file)
      fclose(file);
    return POA_IO;
  }
  poa_status status = POA_OK;
  int64_t count = info.st_size / record;
  if (!S_ISREG(info.st_mode) || count < 1 || info.st_size % record)
    status = poa_fail(error, POA_BAD_INPUT,
                      "expected images of %lld bytes each as %s has them, found %lld bytes",
                      (long long)record, kind->name, (long long)info.st_size);
  else if (count > INT32_MAX - s->count)
    status = poa_fail(error, POA_BAD_INPUT, "more than %d images", INT32_MAX);
  if (status == POA_OK)
    status = make_room(s, count, error);
  if (status == POA_OK)
    status = read_images(kind, file, count, s, error);
  fclose(file);
  return status ? poa_context(error, "%s", path) : POA_OK;
}

static poa_status read_split(const cifar *kind, const char *folder, bool train, split *s,
                             poa_error *error) {
  poa_status status = POA_OK;
  char path[PATH_MAX];
  for (const char *const *name = kind->files[train]; *name && status == POA_OK; name++)
    status = is_there(path, folder, *name)
                 ? read_file(kind, path, s, error)
                 : poa_fail(error, POA_BAD_INPUT, "%s: holds files of %s but lacks %s", folder,
                            kind->name, *name);
  return status;
}

static poa_status open_cifar(const cifar *kind, poa_dataset **dataset, const char *folder,
                             bool train, bool *recognized, poa_error *error) {
  char below[PATH_MAX], path[PATH_MAX];
  bool inside = is_there(below, folder, kind->subfolder);
  const char *where = inside ? below : folder;
  *recognized =
      is_there(path, where, kind->files[0][0]) || is_there(path, where, kind->files[1][0]);
  if (!*recognized)
    return POA_OK;
  split s = {0};
  poa_status status = read_split(kind, where, train, &s, error);
  if (status) {
    free(s.images);
    free(s.labels);
    return status;
  }
  status = poa_dataset_create(dataset, s.count, CHANNELS, SIDE, SIDE, s.images, s.labels, error);
  if (status == POA_OK)
    snprintf((*dataset)->kind, sizeof(*dataset)->kind, "%s", kind->name);
  return status;
}

poa_status poa_dataset_open_cifar10(poa_dataset **dataset, const char *folder, bool train,
                                    bool *recognized, poa_error *error) {
  return open_cifar(&cifar10, dataset, folder, train, recognized, error);
}

poa_status poa_dataset_open_cifar100(poa_dataset **dataset, const char *folder, bool train,
                                     bool *recognized, poa_error *error) {
  return open_cifar(&cifar100, dataset, folder, train, recognized, error);
}
