/* idx and dataset: reading images from files that may be anything. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime/dataset_reader.h"
#include "runtime/idx.h"

static char folder[] = "/tmp/poa-idx-XXXXXX";

static void make_folder(void) {
  cr_assert(mkdtemp(folder));
}

static void remove_folder(void) {
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  cr_assert_eq(system(command), 0);
}

static const char *path_of(const char *name) {
  static char path[2][128];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

static void write_file(const char *name, const void *bytes, size_t size) {
  FILE *file = fopen(path_of(name), "wb");
  cr_assert(file);
  cr_assert_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void write_gzip(const char *name, const void *bytes, size_t size) {
  gzFile file = gzopen(path_of(name), "wb");
  cr_assert(file);
  cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
  gzclose(file);
}

/* An IDX header of rank 3 and `values` bytes counting up. */
static size_t images_file(unsigned char *file, int count, int height, int width, int values) {
  const unsigned char header[16] = {0, 0, 8, 3,
                                    0, 0, 0, (unsigned char)count,
                                    0, 0, 0, (unsigned char)height,
                                    0, 0, 0, (unsigned char)width};
  memcpy(file, header, 16);
  for (int i = 0; i < values; i++)
    file[16 + i] = (unsigned char)i;
  return 16 + (size_t)values;
}

static size_t labels_file(unsigned char *file, int count) {
  const unsigned char header[8] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)count};
  memcpy(file, header, 8);
  for (int i = 0; i < count; i++)
    file[8 + i] = (unsigned char)(i % 3);
  return 8 + (size_t)count;
}

TestSuite(idx, .init = make_folder, .fini = remove_folder);

/* Guards reading what is right, plain and compressed. */
Test(idx, reads_plain_and_gzip) {
  unsigned char bytes[64];
  size_t size = images_file(bytes, 2, 3, 4, 24);
  write_file("plain", bytes, size);
  write_gzip("packed.gz", bytes, size);
  const char *const names[] = {"plain", "packed.gz"};
  for (int i = 0; i < 2; i++) {
    poa_idx idx;
    poa_error error = {0};
    cr_assert_eq(poa_idx_read(&idx, path_of(names[i]), 3, &error), POA_OK, "%s", error.message);
    cr_assert(idx.dim[0] == 2 && idx.dim[1] == 3 && idx.dim[2] == 4 && idx.bytes == 24);
    cr_assert_eq(idx.data[23], 23);
    poa_idx_free(&idx);
  }
}

/* Guards that every damaged or foreign file is refused with what was expected and found. */
Test(idx, hostile_files) {
  static const struct {
    const char *name, *bytes;
    size_t size;
    int rank;
    const char *message;
  } cases[] = {
      {"empty", "", 0, 3, "found only 0 bytes"},
      {"three", "\0\0\10", 3, 3, "found only 3 bytes"},
      {"png", "\x89PNG....", 8, 3, "begins with bytes 00 00, found 89 50"},
      {"floats", "\0\0\15\3", 4, 3, "type 08 (unsigned bytes), found type 0d"},
      {"labels", "\0\0\10\1\0\0\0\1\7", 9, 3,
       "expected 3 extents (images: count, height, width), "
       "found 1"},
      {"images", "\0\0\10\3\0\0\0\1\0\0\0\1\0\0\0\1\7", 17, 1, "expected 1 extents (labels"},
      {"header", "\0\0\10\3\0\0\0\1", 8, 3, "cut short within the header of 16 bytes"},
      {"none", "\0\0\10\3\0\0\0\0\0\0\0\1\0\0\0\1", 16, 3, "holds no values: its extents are 0 x"},
      {"short", "\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefg", 23, 3,
       "announces 8 values, the file holds 7"},
      {"extra", "\0\0\10\3\0\0\0\1\0\0\0\2\0\0\0\2abcde", 21, 3, "end after the 4 values"},
      {"huge", "\0\0\10\3\377\377\377\377\377\377\377\377\377\377\377\377", 16, 3,
       "announces 4294967295 x 4294967295 x 4294967295 values, more than a file of 16 bytes"},
      {"large", "\0\0\10\1\177\377\377\377a", 9, 1, "more than a file of 9 bytes can hold"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    poa_idx idx;
    poa_error error = {0};
    write_file(cases[i].name, cases[i].bytes, cases[i].size);
    cr_assert_eq(poa_idx_read(&idx, path_of(cases[i].name), cases[i].rank, &error), POA_BAD_INPUT,
                 "%s", cases[i].name);
    cr_assert(strstr(error.message, cases[i].message), "%s: %s", cases[i].name, error.message);
    cr_assert(strstr(error.message, path_of(cases[i].name)), "%s", error.message);
    cr_assert_null(idx.data);
  }
}

/* Guards compressed files: cut anywhere, damaged anywhere, or announcing too much. */
Test(idx, hostile_gzip) {
  static unsigned char bytes[4096], packed[8192];
  size_t size = images_file(bytes, 100, 5, 5, 2500);
  for (size_t i = 16; i < size; i++)
    bytes[i] = (unsigned char)(i * i * 7 >> 3);
  write_gzip("good.gz", bytes, size);
  FILE *file = fopen(path_of("good.gz"), "rb");
  size_t length = fread(packed, 1, sizeof packed, file);
  fclose(file);
  poa_idx idx;
  for (size_t cut = 3; cut < length; cut += 7) {
    poa_error error = {0};
    write_file("cut.gz", packed, cut);
    cr_assert_eq(poa_idx_read(&idx, path_of("cut.gz"), 3, &error), POA_BAD_INPUT, "cut at %zu",
                 cut);
  }
  for (size_t at = 20; at < length; at += 11) { /* past gzip's own header: all is summed */
    poa_error error = {0};
    packed[at] ^= 0x10;
    write_file("damaged.gz", packed, length);
    cr_assert_eq(poa_idx_read(&idx, path_of("damaged.gz"), 3, &error), POA_BAD_INPUT, "at %zu", at);
    packed[at] ^= 0x10;
  }
  poa_error error = {0};
  images_file(bytes, 255, 255, 255, 0);
  write_gzip("bomb.gz", bytes, 16);
  cr_assert_eq(poa_idx_read(&idx, path_of("bomb.gz"), 3, &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "more than a compressed file of"), "%s", error.message);
}

/* Guards the errors that do not come from the contents. */
Test(idx, not_a_file) {
  poa_idx idx;
  poa_error missing = {0}, directory = {0};
  cr_assert_eq(poa_idx_read(&idx, path_of("missing"), 3, &missing), POA_IO);
  cr_assert(strstr(missing.message, "No such file"), "%s", missing.message);
  cr_assert_eq(poa_idx_read(&idx, folder, 3, &directory), POA_BAD_INPUT);
  cr_assert(strstr(directory.message, "found a folder"), "%s", directory.message);
}

/* Guards opening a folder: the split's files, labels, classes, mean and deviation. */
Test(idx, opens_folder) {
  unsigned char bytes[64];
  write_gzip("train-images-idx3-ubyte.gz", bytes, images_file(bytes, 2, 1, 2, 4));
  write_file("train-labels-idx1-ubyte", bytes, labels_file(bytes, 2));
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_open(&data, folder, "train", &error), POA_OK, "%s", error.message);
  cr_assert(data->count == 2 && data->channels == 1 && data->height == 1 && data->width == 2);
  cr_assert(data->classes == 2 && data->labels[1] == 1);
  cr_assert_float_eq(data->mean[0], 1.5 / 255, 1e-7);
  cr_assert_float_eq(data->deviation[0], 1.118034 / 255, 1e-7);
  poa_dataset_free(data);
  cr_assert_eq(poa_dataset_open(&data, folder, "test", &error), POA_BAD_INPUT);
  cr_assert(strstr(error.message, "t10k-images-idx3-ubyte"), "%s", error.message);
  cr_assert_null(data);
}

/* Guards that the counts of images and labels are compared, and half a pair is told. */
Test(idx, labels_must_match) {
  unsigned char bytes[64];
  poa_dataset *data;
  poa_error lacks = {0}, differ = {0};
  write_file("t10k-images-idx3-ubyte", bytes, images_file(bytes, 2, 1, 2, 4));
  cr_assert_eq(poa_dataset_open(&data, folder, "test", &lacks), POA_BAD_INPUT);
  cr_assert(strstr(lacks.message, "lacks t10k-labels-idx1-ubyte"), "%s", lacks.message);
  write_file("t10k-labels-idx1-ubyte", bytes, labels_file(bytes, 3));
  cr_assert_eq(poa_dataset_open(&data, folder, "test", &differ), POA_BAD_INPUT);
  cr_assert(strstr(differ.message, "each of the 2 images"), "%s", differ.message);
  cr_assert(strstr(differ.message, "found 3"), "%s", differ.message);
}

/* Guards the other ways to name data: one file, nothing, a wrong split. */
Test(idx, other_paths) {
  unsigned char bytes[64];
  poa_dataset *data;
  poa_error error = {0}, none = {0}, split = {0};
  write_file("some.idx", bytes, images_file(bytes, 3, 2, 2, 12));
  cr_assert_eq(poa_dataset_open(&data, path_of("some.idx"), "train", &error), POA_OK);
  cr_assert(data->count == 3 && data->labels == NULL && data->classes == 0);
  poa_dataset_free(data);
  cr_assert_eq(poa_dataset_open(&data, NULL, "train", &none), POA_BAD_INPUT);
  cr_assert(strstr(none.message, "--data") && strstr(none.message, "dataset-fashion-mnist"));
  cr_assert_eq(poa_dataset_open(&data, folder, "validation", &split), POA_BAD_INPUT);
  cr_assert(strstr(split.message, "train and test"), "%s", split.message);
}

/* Guards what the evaluator reads: each image alone, resized, normalized, and turned grey
 * or tripled as the number of channels asks. */
Test(idx, reader) {
  uint8_t *images = malloc(2 * 3 * 4 * 6);
  for (int i = 0; i < 2 * 3; i++)
    memset(images + i * 24, 40 * i, 24); /* six flat planes */
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_create(&data, 2, 3, 4, 6, images, NULL, &error), POA_OK);
  poa_normalization one = {{0}, {1, 1, 1}}, own = poa_dataset_normalization(data, 3);
  const struct {
    int channels;
    const poa_normalization *normalization;
  } cases[] = {{3, &one}, {1, &one}, {3, &own}};
  float out[3][2][3 * 5 * 5];
  for (int i = 0; i < 3; i++) {
    poa_dataset_reader reader;
    cr_assert_eq(poa_dataset_reader_open(&reader, data, 2, cases[i].channels, 5,
                                         cases[i].normalization, &error),
                 POA_OK);
    int64_t have;
    for (int image = 0; image < 2; image++) {
      cr_assert_eq(poa_dataset_read(&reader, 1, out[i][image], NULL, &have, &error), POA_OK);
      cr_assert_eq(have, 1);
    }
    cr_assert_eq(poa_dataset_read(&reader, 1, out[i][0], NULL, &have, &error), POA_OK);
    cr_assert_eq(have, 0);
    poa_dataset_reader_close(&reader);
  }
  cr_assert_float_eq(out[0][1][0], 120 / 255.0, 1e-6);
  cr_assert_float_eq(out[0][1][74], 200 / 255.0, 1e-6);
  cr_assert_float_eq(out[1][1][7], (0.299 * 120 + 0.587 * 160 + 0.114 * 200) / 255, 1e-6);
  cr_assert_float_eq(out[2][0][0], -1, 1e-5); /* each channel takes two values, m - d and m + d */
  poa_dataset_free(data);
}
