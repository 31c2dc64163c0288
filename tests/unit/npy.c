/* npy: arrays from files that may be anything, and what is written reads back. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "decode_exactly.h"
#include "runtime/npy.h"
#include "temporary_folder.h"

typedef struct made_file {
  uint8_t bytes[8192];
  size_t size;
} made_file;

/* A file of the version with this text as header. */
static void make(made_file *file, int version, const char *header, const void *data, size_t bytes) {
  size_t length = strlen(header), start = version == 1 ? 10 : 12;
  cr_assert(start + length + bytes <= sizeof file->bytes);
  memset(file->bytes, 0, start);
  memcpy(file->bytes, "\x93NUMPY", 6);
  file->bytes[6] = (uint8_t)version;
  file->bytes[8] = (uint8_t)length;
  file->bytes[9] = (uint8_t)(length >> 8);
  memcpy(file->bytes + start, header, length);
  memcpy(file->bytes + start + length, data, bytes);
  file->size = start + length + bytes;
}

static void make_array(made_file *file, const char *type, const char *shape, const void *data,
                       size_t bytes) {
  char header[400];
  snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': %s, }\n", type,
           shape);
  make(file, 1, header, data, bytes);
}

static poa_status decode(const made_file *file, poa_loaded_images *images, poa_error *error) {
  return decode_exactly(poa_npy_decode, file->bytes, file->size, images, error);
}

/* Guards where each element of each form of shape goes. `order` names the axes of the file. */
Test(npy, shapes) {
  static const struct {
    const char *shape, *order;
    int extent[4]; /* n, c, h, w */
  } cases[] = {
      {"(2, 3, 4, 5)", "nchw", {2, 3, 4, 5}}, {"(2, 1, 4, 5)", "nchw", {2, 1, 4, 5}},
      {"(2, 4, 5, 3)", "nhwc", {2, 3, 4, 5}}, {"(2, 4, 5, 1)", "nhwc", {2, 1, 4, 5}},
      {"(3, 4, 5)", "chw", {1, 3, 4, 5}},     {"(4, 5, 3)", "hwc", {1, 3, 4, 5}},
      {"(4, 5, 1)", "hwc", {1, 1, 4, 5}},     {"(1, 4, 5)", "chw", {1, 1, 4, 5}},
      {"(6, 4, 5)", "nhw", {6, 1, 4, 5}},     {"(4, 5)", "hw", {1, 1, 4, 5}},
      {"(0, 4, 5)", "nhw", {0, 1, 4, 5}},     {"(3,4,3)", "chw", {1, 3, 4, 3}},
  };
  uint8_t values[200];
  for (size_t i = 0; i < sizeof values; i++)
    values[i] = (uint8_t)i;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int *extent = cases[i].extent;
    made_file file;
    poa_loaded_images images;
    poa_error error;
    make_array(&file, "'|u1'", cases[i].shape, values,
               (size_t)extent[0] * (size_t)(extent[1] * extent[2] * extent[3]));
    cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s: %s", cases[i].shape, error.message);
    cr_assert(images.count == extent[0] && images.channels == extent[1] &&
                  images.height == extent[2] && images.width == extent[3] && !images.values,
              "%s", cases[i].shape);
    int at[4], to = 0;
    for (at[0] = 0; at[0] < extent[0]; at[0]++)
      for (at[1] = 0; at[1] < extent[1]; at[1]++)
        for (at[2] = 0; at[2] < extent[2]; at[2]++)
          for (at[3] = 0; at[3] < extent[3]; at[3]++) {
            int from = 0;
            for (const char *axis = cases[i].order; *axis; axis++) {
              int a = (int)(strchr("nchw", *axis) - "nchw");
              from = from * extent[a] + at[a];
            }
            cr_assert_eq(images.pixels[to++], values[from], "%s", cases[i].shape);
          }
    poa_images_free(&images);
  }
}

/* Guards floats: bits kept, doubles rounded, and data that is not aligned. */
Test(npy, floats) {
  const float single[] = {0.1f, -3e38f, INFINITY, 1e-45f};
  const double real[] = {0.1, -3e38, -INFINITY, 1.0 / 3};
  made_file file;
  poa_loaded_images images;
  poa_error error;
  make_array(&file, "'<f4'", "(2, 2)", single, sizeof single);
  cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
  cr_assert(!images.pixels);
  cr_assert_arr_eq(images.values, single, sizeof single);
  poa_images_free(&images);
  make_array(&file, "'<f8'", "(2, 2)", real, sizeof real);
  cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
  for (int i = 0; i < 4; i++)
    cr_assert_eq(images.values[i], (float)real[i]);
  poa_images_free(&images);
}

/* Guards all versions of the format, and keys in another order. */
Test(npy, versions) {
  for (int version = 1; version <= 3; version++) {
    made_file file;
    poa_loaded_images images;
    poa_error error;
    make(&file, version, "{'shape': (1, 2), 'fortran_order': False, 'descr': '|u1'}", "ab", 2);
    cr_assert_eq(decode(&file, &images, &error), POA_OK, "%s", error.message);
    cr_assert_arr_eq(images.pixels, "ab", 2);
    poa_images_free(&images);
  }
}

#define ARRAY(descr, order, shape)                                                                 \
  "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

/* Guards that what is no array of images is refused, each with its reason. */
Test(npy, hostile_headers) {
  static const struct {
    const char *header, *message;
  } cases[] = {
      {ARRAY("'|O'", "False", "(1, 2)"), "float64 (little-endian), found '|O'"},
      {ARRAY("[('a', '<f4'), ('b', '|u1')]", "False", "(1, 2)"), "found [('a'"},
      {ARRAY("'>f4'", "False", "(1, 2)"), "found '>f4'"},
      {ARRAY("'<f2'", "False", "(1, 2)"), "found '<f2'"},
      {ARRAY("'|b1'", "False", "(1, 2)"), "found '|b1'"},
      {ARRAY("'<U8'", "False", "(1, 2)"), "found '<U8'"},
      {ARRAY("'|u1'", "True", "(1, 2)"), "rows first (C order)"},
      {"{'descr': '|u1', 'shape': (1, 2), }\n", "rows first"},
      {"{'descr': '|u1', 'fortran_order': False, }\n", "names no shape"},
      {"{'fortran_order': False, 'shape': (1, 2), }\n", "found no type"},
      {ARRAY("'|u1'", "False", "2"), "names no shape"},
      {ARRAY("'|u1'", "False", "(1, 2"), "the shape is none of images"},
      {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, ", "the shape is none of images"},
      {"{'descr': '|u1', 'fortran_order': False, 'shape'", "names no shape"},
      {"", "found no type"},
      {ARRAY("'|u1'", "False", "(-1, 2)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "(1.5, 2)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "()"), "bytes of data"},
      {ARRAY("'|u1'", "False", "(2,)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "(1, 1, 1, 1, 2)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "(1, 1, 2, 4)"), "bytes of data"},
      {ARRAY("'|u1'", "False", "(1, 2, 1, 2)"), "bytes of data"},
      {ARRAY("'|u1'", "False", "(2, 2, 4, 0)"), "bytes of data, the file has 2"},
      {ARRAY("'|u1'", "False", "(1, 3)"), "asks for 3 bytes of data, the file has 2"},
      {ARRAY("'|u1'", "False", "(1, 1)"), "asks for 1 bytes of data, the file has 2"},
      {ARRAY("'<f8'", "False", "(1, 2)"), "asks for 16 bytes of data, the file has 2"},
      {ARRAY("'|u1'", "False", "(2147483648, 2)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "(99999999999999999999, 2)"), "the shape is none of images"},
      {ARRAY("'|u1'", "False", "(2147483647, 2147483647, 2147483647)"), "too large"},
      /* 2^64 + 2 bytes: what is left of the product would fit. */
      {ARRAY("'<f4'", "False", "(2147483647, 2147483647, 3, 2)"), "too large"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_file file;
    poa_loaded_images images;
    poa_error error;
    make(&file, 1, cases[i].header, "ab", 2);
    cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT, "%s", cases[i].header);
    cr_assert(strstr(error.message, cases[i].message), "%s gives %s", cases[i].header,
              error.message);
  }
}

/* Guards extents that no memory may be asked for, with no data to contradict them. */
Test(npy, no_images_of_absurd_extents) {
  static const char *const shapes[] = {
      "(0, 1, 2147483647, 2147483647)",
      "(0, 3, 65536, 65536)",
      "(0, 3, 2000000, 1)",
      "(1, 0)",
      "(5, 0, 5)",
      "(1, 1, 0, 5)",
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    made_file file;
    poa_loaded_images images;
    poa_error error;
    make_array(&file, "'<f4'", shapes[i], "", 0);
    cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT, "%s", shapes[i]);
    cr_assert(strstr(error.message, "an image of"), "%s gives %s", shapes[i], error.message);
  }
}

/* Guards channels that are none: the extents fit the data, and still this is no image. */
Test(npy, wrong_channels) {
  static const struct {
    const char *shape;
    size_t bytes;
  } cases[] = {{"(1, 2, 5, 5)", 50}, {"(1, 4, 5, 5)", 100}, {"(2, 5, 5, 2)", 100}, {"()", 1}};
  uint8_t values[100] = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_file file;
    poa_loaded_images images;
    poa_error error;
    make_array(&file, "'|u1'", cases[i].shape, values, cases[i].bytes);
    cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT, "%s", cases[i].shape);
    cr_assert(strstr(error.message, "with 1 or 3 channels"), "%s", error.message);
  }
}

/* Guards a file cut anywhere, and lengths of headers that lie. */
Test(npy, cut_short) {
  made_file file;
  poa_loaded_images images;
  poa_error error;
  for (int version = 1; version <= 3; version++) {
    make(&file, version, ARRAY("'<f4'", "False", "(1, 1, 2, 2)"), "0123456789abcdef", 16);
    for (size_t size = 7; size < file.size; size++)
      cr_assert_eq(decode_exactly(poa_npy_decode, file.bytes, size, &images, &error), POA_BAD_INPUT,
                   "version %d, %zu bytes", version, size);
  }
  file.bytes[10] = file.bytes[11] = 0xff; /* 4 GiB of header */
  cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "cut short"), "%s", error.message);
  for (int version = 0; version < 256; version += version == 0 ? 4 : 1) {
    file.bytes[6] = (uint8_t)version;
    cr_assert_eq(decode(&file, &images, &error), POA_BAD_INPUT);
    cr_assert(strstr(error.message, "expected version 1, 2 or 3"), "%s", error.message);
  }
}

/* Guards that whatever a damaged byte makes of the header, memory stays within bounds; what is
 * still an array has as many elements as the file holds. */
Test(npy, damaged_anywhere) {
  made_file file;
  make_array(&file, "'|u1'", "(2, 1, 3, 2)", "abcdefghijkl", 12);
  int refused = 0;
  for (size_t at = 6; at < file.size - 12; at++)
    for (int bit = 0; bit < 8; bit++) {
      poa_loaded_images images;
      poa_error error;
      file.bytes[at] ^= (uint8_t)(1 << bit);
      if (decode(&file, &images, &error))
        refused++;
      else
        cr_assert_eq(images.count * images.channels * images.height * images.width, 12);
      poa_images_free(&images);
      file.bytes[at] ^= (uint8_t)(1 << bit);
    }
  cr_assert(refused > 200, "only %d refused", refused);
}

/* Guards what is written: NumPy wants the data on a multiple of 64 bytes, and it reads back. */
Test(npy, writes_what_it_reads) {
  const float values[] = {1, -2.5f, 3e-9f, 4, 5, 6};
  char folder[64], path[128];
  make_folder(folder);
  snprintf(path, sizeof path, "%s/features.npy", folder);
  poa_loaded_images images = {0};
  poa_error error = {0};
  cr_assert_eq(poa_npy_write(path, values, 3, 2, &error), POA_OK, "%s", error.message);
  cr_assert_eq(poa_images_load(path, 0, &images, &error), POA_OK, "%s", error.message);
  cr_assert(images.count == 1 && images.channels == 1 && images.height == 3 && images.width == 2);
  cr_assert_arr_eq(images.values, values, sizeof values);
  poa_images_free(&images);
  cr_assert_eq(count_files(folder), 1);
  remove_folder(folder);
  char header[128];
  size_t length = poa_npy_header(header, INT64_MAX, INT64_MAX);
  cr_assert(length == 128 && header[127] == '\n' && header[8] == 118 && header[9] == 0);
  cr_assert(memmem(header, 128, "(9223372036854775807, 9223372036854775807), }", 45));
}
