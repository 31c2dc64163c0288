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

enum { MAX_SIDE = 1 << 20 };

void poa_images_free(poa_loaded_images *images) {
  free(images->pixels);
  free(images->values);
  *images = (poa_loaded_images){0};
}

poa_status poa_images_allocate(poa_loaded_images *images, int64_t count, int channels, int height,
                               int width, poa_error *error) {
  int64_t bytes;
  if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE ||
      __builtin_mul_overflow(count, (int64_t)channels * height * width, &bytes))
    return poa_fail(error, POA_BAD_INPUT, "%d x %d pixels are no image", width, height);
  *images =
      (poa_loaded_images){.count = count, .channels = channels, .height = height, .width = width};
  images->pixels = malloc((size_t)bytes + 1);
  return images->pixels ? POA_OK
                        : poa_fail(error, POA_NO_MEMORY, "no memory for %lld bytes of pixels",
                                   (long long)bytes);
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

static poa_status map_file(const char *path, void **bytes, size_t *size, poa_error *error) {
  struct stat info;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &info) != 0) {
    poa_fail(error, POA_IO, "cannot open: %s", strerror(errno));
  } else if (!S_ISREG(info.st_mode)) {
    poa_fail(error, POA_BAD_INPUT, "is no file");
  } else if (info.st_size == 0) {
    poa_fail(error, POA_BAD_INPUT, "is empty");
  } else {
    *size = (size_t)info.st_size;
    *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
    if (*bytes == MAP_FAILED)
      poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
  }
  if (file >= 0)
    close(file);
  return error->status;
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
