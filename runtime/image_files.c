/* image_files.c: see image_files.h. */
#include "runtime/image_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/idx.h"
#include "runtime/npy.h"
#include "runtime/pnm.h"

enum { MAX_SIDE = 1 << 20, MAX_PIXELS = 1 << 28 };

void poa_images_free(poa_loaded_images *images) {
  free(images->pixels);
  free(images->values);
  *images = (poa_loaded_images){0};
}

poa_status poa_images_check_size(int64_t height, int64_t width, poa_error *error) {
  if (height >= 1 && width >= 1 && height <= MAX_SIDE && width <= MAX_SIDE &&
      height * width <= MAX_PIXELS)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "an image of %lld x %lld: expected 1 to %d pixels, at most %d in a row or column",
                  (long long)width, (long long)height, MAX_PIXELS, MAX_SIDE);
}

poa_status poa_images_allocate(poa_loaded_images *images, poa_loaded_images extents, bool floats,
                               poa_error *error) {
  poa_status status = poa_images_check_size(extents.height, extents.width, error);
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

void poa_images_put_row(poa_loaded_images *images, int64_t at, const uint8_t *row) {
  int64_t plane = (int64_t)images->height * images->width;
  uint8_t *to = images->pixels + at * images->width;
  for (int64_t i = 0; i < images->width; i++)
    for (int c = 0; c < images->channels; c++)
      to[c * plane + i] = row[i * images->channels + c];
}

poa_image_format poa_image_format_of(const uint8_t *bytes, size_t size) {
  if (size > 2 && bytes[0] == 0xff && bytes[1] == 0xd8)
    return POA_IMAGE_JPEG;
  if (size > 3 && memcmp(bytes, "\x89PNG", 4) == 0)
    return POA_IMAGE_PNG;
  if (size > 11 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
    return POA_IMAGE_WEBP;
  return POA_IMAGE_OTHER;
}

/* Smaller by whole factors */

/* The mean of `factor` x `factor` pixels, rounded. */
static uint8_t mean_of(const uint8_t *from, int64_t width, int factor) {
  uint64_t sum = 0, count = (uint64_t)factor * (uint64_t)factor;
  for (int y = 0; y < factor; y++)
    for (int x = 0; x < factor; x++)
      sum += from[y * width + x];
  return (uint8_t)((sum + count / 2) / count);
}

/* In place; what is left over at the right and below is cut off. */
static void shrink(poa_loaded_images *images, int factor) {
  int height = images->height / factor, width = images->width / factor;
  uint8_t *to = images->pixels;
  for (int c = 0; c < images->channels; c++) {
    const uint8_t *plane = images->pixels + (int64_t)c * images->height * images->width;
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        *to++ = mean_of(plane + ((int64_t)y * images->width + x) * factor, images->width, factor);
  }
  images->height = height;
  images->width = width;
  uint8_t *smaller = realloc(images->pixels, (size_t)(to - images->pixels) + 1);
  images->pixels = smaller ? smaller : images->pixels;
}

static void shrink_to(poa_loaded_images *images, int least) {
  int shorter = images->height < images->width ? images->height : images->width;
  if (least > 0 && images->count == 1 && images->pixels && shorter / least > 1)
    shrink(images, shorter / least);
}

/* Files */

static bool is_idx(const uint8_t *bytes, size_t size) {
  bool zipped = size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  return zipped || (size > 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8 && bytes[3] == 3);
}

static poa_status load_idx(const char *path, poa_loaded_images *images, poa_error *error) {
  poa_idx idx;
  poa_status status = poa_idx_read(&idx, path, 3, error);
  if (status)
    return status;
  if (poa_images_check_size(idx.dim[1], idx.dim[2], error)) {
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

static poa_status decode(const uint8_t *bytes, size_t size, int least, poa_loaded_images *images,
                         poa_error *error) {
  if (poa_is_npy(bytes, size))
    return poa_npy_decode(bytes, size, images, error);
  if (poa_is_pnm(bytes, size))
    return poa_pnm_decode(bytes, size, images, error);
  return poa_codec_decode(bytes, size, least, images, error);
}

/* Contents of a file. A file that is cut while it is mapped ends the process by a signal; read, it
 * only ends early. So only arrays that are larger than any photograph are mapped. */
typedef struct contents {
  uint8_t *bytes;
  size_t size;
  bool mapped;
} contents;

enum { READ_AT_MOST = 1 << 28 };

static void free_contents(contents *c) {
  if (c->mapped)
    munmap(c->bytes, c->size);
  else
    free(c->bytes);
}

static poa_status read_contents(int file, contents *c, poa_error *error) {
  size_t have = 0;
  c->bytes = malloc(c->size);
  if (!c->bytes)
    return poa_fail(error, POA_NO_MEMORY, "no memory for its %zu bytes", c->size);
  while (have < c->size) {
    ssize_t got = read(file, c->bytes + have, c->size - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
    if (got == 0)
      break;
    have += (size_t)got;
  }
  c->size = have;
  return POA_OK;
}

static poa_status take_contents(int file, contents *c, poa_error *error) {
  struct stat info;
  if (fstat(file, &info) != 0)
    return poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
  if (!S_ISREG(info.st_mode))
    return poa_fail(error, POA_BAD_INPUT, "is no file");
  if (info.st_size == 0)
    return poa_fail(error, POA_BAD_INPUT, "is empty");
  c->size = (size_t)info.st_size;
  if (info.st_size <= READ_AT_MOST)
    return read_contents(file, c, error);
  void *bytes = mmap(NULL, c->size, PROT_READ, MAP_PRIVATE, file, 0);
  if (bytes == MAP_FAILED)
    return poa_fail(error, POA_IO, "cannot read: %s", strerror(errno));
  c->bytes = bytes;
  c->mapped = true;
  return POA_OK;
}

static poa_status open_contents(const char *path, contents *c, poa_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would keep us waiting */
  if (file < 0)
    return poa_fail(error, POA_IO, "cannot open: %s", strerror(errno));
  poa_status status = take_contents(file, c, error);
  close(file);
  return status;
}

poa_status poa_images_load(const char *path, int least, poa_loaded_images *images,
                           poa_error *error) {
  contents c = {0};
  *images = (poa_loaded_images){0};
  poa_status status = open_contents(path, &c, error);
  bool idx = status == POA_OK && c.bytes && is_idx(c.bytes, c.size);
  if (status == POA_OK && !idx)
    status = decode(c.bytes, c.size, least, images, error);
  free_contents(&c);
  if (idx)
    return load_idx(path, images, error);
  if (status) {
    poa_images_free(images);
    return poa_context(error, "%s", path);
  }
  shrink_to(images, least);
  return POA_OK;
}
