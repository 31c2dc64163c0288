/* dataset_open.c: which kind of data set a path holds.
 *
 * The table is the order in which a folder is looked into; the first kind that is recognized
 * counts. Its texts are what the user is told where none is. Of a single file the contents tell:
 * IDX, or else a list. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/dataset_kinds.h"
#include "runtime/image_files.h"

static const struct {
  poa_status (*open)(poa_dataset **dataset, const char *folder, bool train, bool *recognized,
                     poa_error *error);
  const char *text;
} kinds[] = {
    {poa_dataset_open_idx_folder,
     "IDX files as MNIST and Fashion-MNIST have them: train-images-idx3-ubyte, "
     "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain or .gz"},
    {poa_dataset_open_cifar10,
     "CIFAR-10, the binary version: data_batch_1.bin to _5.bin and test_batch.bin, here or in "
     "cifar-10-batches-bin/"},
    {poa_dataset_open_cifar100,
     "CIFAR-100, the binary version: train.bin and test.bin, here or in cifar-100-binary/"},
    {poa_dataset_open_lists,
     "lists train.txt and test.txt or val.txt: the path of an image in each line and perhaps its "
     "label, a number from 0 on"},
    {poa_dataset_open_image_folder,
     "images (.jpg .jpeg .png .webp .ppm .pgm) in train/ and test/ or val/, or anywhere in the "
     "folder; if they lie in a folder for each class, those are the labels"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static poa_status fail_unrecognized(const char *path, poa_error *error) {
  char text[sizeof error->message - 400] = "";
  for (int i = 0; i < KINDS; i++) {
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "\n  %d. %s", i + 1, kinds[i].text);
  }
  return poa_fail(error, POA_BAD_INPUT,
                  "%.200s: no data of a known kind. A folder is looked into for, in this order:%s\n"
                  "A single file is an IDX file of images or a list.",
                  path, text);
}

static poa_status open_folder(poa_dataset **dataset, const char *folder, bool train,
                              poa_error *error) {
  for (int i = 0; i < KINDS; i++) {
    bool recognized = false;
    poa_status status = kinds[i].open(dataset, folder, train, &recognized, error);
    if (status || recognized)
      return status;
  }
  return fail_unrecognized(folder, error);
}

/* A list is text, and nothing else is: no byte of 0 at the beginning. */
static poa_status open_file(poa_dataset **dataset, const char *path, bool train, poa_error *error) {
  uint8_t start[512];
  FILE *file = fopen(path, "re");
  size_t size = file ? fread(start, 1, sizeof start, file) : 0;
  bool failed = !file || ferror(file);
  poa_status status =
      failed ? poa_fail(error, POA_IO, "%s: cannot read: %s", path, strerror(errno)) : POA_OK;
  if (file)
    fclose(file);
  if (status)
    return status;
  bool zipped = size > 2 && start[0] == 0x1f && start[1] == 0x8b;
  bool idx = size > 3 && start[0] == 0 && start[1] == 0;
  if (zipped || idx)
    return poa_dataset_open_idx(dataset, path, error);
  if (poa_image_format_of(start, size) != POA_IMAGE_OTHER)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s is a single image: name its folder, or a list of images", path);
  if (size == 0 || memchr(start, 0, size))
    return fail_unrecognized(path, error);
  return poa_dataset_open_list(dataset, path, train, error);
}

poa_status poa_dataset_open(poa_dataset **dataset, const char *path, const char *split,
                            poa_error *error) {
  *dataset = NULL;
  if (!path)
    return poa_fail(
        error, POA_BAD_INPUT,
        "this needs images: name them with --data PATH, a folder of images, a data set's "
        "folder, or a list of images; Debian's package dataset-fashion-mnist installs "
        "/usr/share/datasets/fashion-mnist");
  bool train = strcmp(split, "train") == 0;
  if (!train && strcmp(split, "test") != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "'%s' is no split of a data set; the splits are train and test", split);
  struct stat info;
  if (stat(path, &info) != 0)
    return poa_fail(error, POA_IO, "%s: cannot open: %s", path, strerror(errno));
  if (S_ISDIR(info.st_mode))
    return open_folder(dataset, path, train, error);
  if (!S_ISREG(info.st_mode))
    return poa_fail(error, POA_BAD_INPUT, "%s is neither a folder nor a file", path);
  return open_file(dataset, path, train, error);
}
