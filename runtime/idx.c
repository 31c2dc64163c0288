/* idx.c: a reader that trusts nothing in the file.
 *
 * The header's extents are checked against the size of the file before memory is
 * asked for: a plain file holds exactly header + values, and deflate cannot expand a
 * byte to more than 1032. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "runtime/idx.h"

enum { TYPE_U8 = 0x08, DEFLATE_MAX_RATIO = 1032, CHUNK = 1 << 24 };

typedef struct reader {
  const char *path;
  gzFile file;
  int64_t file_bytes;
} reader;

static poa_status open_file(reader *r, poa_error *error) {
  struct stat info;
  if (stat(r->path, &info) != 0)
    return poa_fail(error, POA_IO, "%s: cannot open: %s", r->path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return poa_fail(error, POA_BAD_INPUT, "%s: expected an IDX file, found %s", r->path,
                    S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
  r->file_bytes = info.st_size;
  errno = 0;
  r->file = gzopen(r->path, "rb");
  if (!r->file)
    return poa_fail(error, POA_IO, "%s: cannot open: %s", r->path,
                    errno ? strerror(errno) : "out of memory");
  return POA_OK;
}

/* Reads up to `bytes`; *found tells how many there were. Damage is an error, the end
 * of the file is not: the caller knows what is missing. */
static poa_status read_bytes(reader *r, void *into, int64_t bytes, int64_t *found,
                             poa_error *error) {
  *found = 0;
  while (*found < bytes) {
    int64_t left = bytes - *found;
    int got = gzread(r->file, (char *)into + *found, left < CHUNK ? (unsigned)left : CHUNK);
    if (got > 0)
      *found += got;
    if (got <= 0)
      break;
  }
  int code = Z_OK;
  const char *message = gzerror(r->file, &code);
  if (code == Z_ERRNO)
    return poa_fail(error, POA_IO, "%s: cannot read: %s", r->path, strerror(errno));
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
    return poa_fail(error, POA_BAD_INPUT, "%s: the gzip data is damaged (%s); fetch the file again",
                    r->path, message);
  return POA_OK;
}

static poa_status read_header(reader *r, poa_idx *idx, int rank, poa_error *error) {
  unsigned char header[4 + 4 * POA_IDX_MAX_RANK];
  int64_t found, size = 4 + 4 * rank;
  poa_status status = read_bytes(r, header, 4, &found, error);
  if (status != POA_OK)
    return status;
  if (found < 4)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected an IDX file, found only %lld bytes; fetch the file again",
                    r->path, (long long)found);
  if (header[0] != 0 || header[1] != 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected an IDX file, which begins with bytes 00 00, found %02x %02x",
                    r->path, header[0], header[1]);
  if (header[2] != TYPE_U8)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected values of type 08 (unsigned bytes), found type %02x", r->path,
                    header[2]);
  if (header[3] != rank)
    return poa_fail(error, POA_BAD_INPUT, "%s: expected %d extents (%s), found %d", r->path, rank,
                    rank == 3 ? "images: count, height, width" : "labels: count", header[3]);
  status = read_bytes(r, header + 4, size - 4, &found, error);
  if (status != POA_OK)
    return status;
  if (found < size - 4)
    return poa_fail(error, POA_BAD_INPUT, "%s: cut short within the header of %lld bytes", r->path,
                    (long long)size);
  idx->rank = rank;
  for (int axis = 0; axis < rank; axis++) {
    const unsigned char *b = &header[4 + 4 * axis];
    idx->dim[axis] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
  }
  return POA_OK;
}

/* Sets idx->bytes, if the file could hold that much. */
static poa_status check_extents(const reader *r, poa_idx *idx, poa_error *error) {
  char text[64];
  int length = 0;
  for (int axis = 0; axis < idx->rank; axis++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s%lld", axis ? " x " : "",
                       (long long)idx->dim[axis]);
  bool plain = gzdirect(r->file);
  int64_t limit = plain ? r->file_bytes : r->file_bytes * DEFLATE_MAX_RATIO;
  idx->bytes = 1;
  for (int axis = 0; axis < idx->rank; axis++) {
    if (idx->dim[axis] == 0)
      return poa_fail(error, POA_BAD_INPUT, "%s: holds no values: its extents are %s", r->path,
                      text);
    if (idx->bytes > limit / idx->dim[axis])
      return poa_fail(error, POA_BAD_INPUT,
                      "%s: cut short: its header announces %s values, more than a%s file of %lld "
                      "bytes can hold; fetch the file again",
                      r->path, text, plain ? "" : " compressed", (long long)r->file_bytes);
    idx->bytes *= idx->dim[axis];
  }
  return POA_OK;
}

static poa_status read_values(reader *r, poa_idx *idx, poa_error *error) {
  idx->data = malloc((size_t)idx->bytes);
  if (!idx->data)
    return poa_fail(error, POA_NO_MEMORY, "%s: no memory for its %lld bytes", r->path,
                    (long long)idx->bytes);
  int64_t found;
  poa_status status = read_bytes(r, idx->data, idx->bytes, &found, error);
  if (status != POA_OK)
    return status;
  if (found < idx->bytes)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: cut short: its header announces %lld values, the file holds %lld; fetch "
                    "the file again",
                    r->path, (long long)idx->bytes, (long long)found);
  /* Reading on to the end also makes zlib check the sum of a compressed file. */
  char extra;
  status = read_bytes(r, &extra, 1, &found, error);
  if (status != POA_OK)
    return status;
  if (found)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: expected the file to end after the %lld values that its header "
                    "announces, found more",
                    r->path, (long long)idx->bytes);
  int closed = gzclose(r->file);
  r->file = NULL;
  if (closed == Z_BUF_ERROR)
    return poa_fail(error, POA_BAD_INPUT,
                    "%s: cut short: the end of the gzip data is missing; fetch the file again",
                    r->path);
  return POA_OK;
}

poa_status poa_idx_read(poa_idx *idx, const char *path, int rank, poa_error *error) {
  *idx = (poa_idx){0};
  reader r = {.path = path};
  poa_status status = open_file(&r, error);
  if (status == POA_OK)
    status = read_header(&r, idx, rank, error);
  if (status == POA_OK)
    status = check_extents(&r, idx, error);
  if (status == POA_OK)
    status = read_values(&r, idx, error);
  if (r.file)
    gzclose(r.file);
  if (status != POA_OK)
    poa_idx_free(idx);
  return status;
}

void poa_idx_free(poa_idx *idx) {
  free(idx->data);
  *idx = (poa_idx){0};
}
