/* image_files.c: see image_files.h. */
#include "program/image_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/npy.h"
#include "program/pnm.h"
#include "runtime/idx.h"

/* A file of a few bytes can announce any extents; no photograph is larger. */
enum { MAX_SIDE = 1 << 20, MAX_PIXELS = 1 << 28 };

void poa_images_free(poa_loaded_images *images) {
  free(images->pixels);
  free(images->values);
  *images = (poa_loaded_images){0};
}

static poa_status check_size(int64_t height, int64_t width, poa_error *error) {
  if (height >= 1 && width >= 1 && height <= MAX_SIDE && width <= MAX_SIDE &&
      height * width <= MAX_PIXELS)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "an image of %lld x %lld: expected 1 to %d pixels, at most %d in a row or column",
                  (long long)width, (long long)height, MAX_PIXELS, MAX_SIDE);
}

poa_status poa_images_allocate(poa_loaded_images *images, poa_loaded_images extents, bool floats,
                               poa_error *error) {
  poa_status status = check_size(extents.height, extents.width, error);
  if (status)
    return status;
  int64_t each = (int64_t)extents.channels * extents.height * extents.width, bytes;
  if (__builtin_mul_overflow(extents.count, floats ? 4 * each : each, &bytes))
    return poa_fail(error, POA_BAD_INPUT, "%lld images are more than memory can hold",
                    (long long)extents.count);
  void *data = malloc((size_t)bytes + 1); /* there may be no images at all */
  if (!data)
    return poa_fail(error, POA_NO_MEMORY, "no memory for %lld bytes of images", (long long)bytes);
  *images = extents;
  images->pixels = floats ? NULL : data;
  images->values = floats ? data : NULL;
  return POA_OK;
}

static bool is_idx(const uint8_t *bytes, size_t size) {
  bool zipped = size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  return zipped || (size > 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8 && bytes[3] == 3);
}

static poa_status load_idx(const char *path, poa_loaded_images *images, poa_error *error) {
  poa_idx idx;
  poa_status status = poa_idx_read(&idx, path, 3, error);
  if (status)
    return status;
  if (check_size(idx.dim[1], idx.dim[2], error)) {
    poa_idx_free(&idx);
    return poa_context(error, "%s", path);
  }
  *images = (poa_loaded_images){.count = idx.dim[0],
                                .channels = 1,
                                .height = (int)idx.dim[1],
                                .width = (int)idx.dim[2],
                                .pixels = idx.data};
  return POA_OK;
}

static poa_status decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                         poa_error *error) {
  if (poa_is_npy(bytes, size))
    return poa_npy_decode(bytes, size, images, error);
  if (poa_is_pnm(bytes, size))
    return poa_pnm_decode(bytes, size, images, error);
  return poa_codec_decode(bytes, size, images, error);
}

static poa_status map_open_file(int file, void **bytes, size_t *size, poa_error *error) {
  struct stat info;
  if (fstat(file, &info) != 0)
    return poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
  if (!S_ISREG(info.st_mode))
    return poa_fail(error, POA_BAD_INPUT, "is no file");
  if (info.st_size == 0)
    return poa_fail(error, POA_BAD_INPUT, "is empty");
  *size = (size_t)info.st_size;
  *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
  return *bytes != MAP_FAILED ? POA_OK
                              : poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
}

static poa_status map_file(const char *path, void **bytes, size_t *size, poa_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would keep us waiting */
  if (file < 0)
    return poa_fail(error, POA_IO, "cannot open: %s", strerror(errno));
  poa_status status = map_open_file(file, bytes, size, error);
  close(file);
  return status;
}

poa_status poa_images_load(const char *path, poa_loaded_images *images, poa_error *error) {
  void *bytes = NULL;
  size_t size = 0;
  *images = (poa_loaded_images){0};
  poa_status status = map_file(path, &bytes, &size, error);
  if (status)
    return poa_context(error, "%s", path);
  bool idx = is_idx(bytes, size);
  if (!idx)
    status = decode(bytes, size, images, error);
  munmap(bytes, size);
  if (idx)
    return load_idx(path, images, error);
  if (status) {
    poa_images_free(images);
    return poa_context(error, "%s", path);
  }
  return POA_OK;
}
