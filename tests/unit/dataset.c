/* dataset: which images a path holds, whatever lies there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/dataset_reader.h"
#include "temporary_folder.h"

static char folder[64];

static void start(void) {
  make_folder(folder);
}

static void finish(void) {
  char command[80];
  snprintf(command, sizeof command, "rm -r %s", folder);
  cr_assert_eq(system(command), 0);
}

TestSuite(dataset, .init = start, .fini = finish, .timeout = 60);

/* Several at once may be in use. */
static const char *path_of(const char *name) {
  static char path[4][160];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

/* With the folders that lead to it. */
static void write_file(const char *name, const void *bytes, size_t size) {
  char path[160];
  snprintf(path, sizeof path, "%s", path_of(name));
  for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  FILE *file = fopen(path, "wb");
  cr_assert(file, "%s", path);
  cr_assert_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void write_text(const char *name, const char *text) {
  write_file(name, text, strlen(text));
}

/* A grey image, all of one value. */
static void write_grey(const char *name, int height, int width, int value) {
  char bytes[5000];
  int header = snprintf(bytes, sizeof bytes, "P5 %d %d 255\n", width, height);
  memset(bytes + header, value, (size_t)(height * width));
  write_file(name, bytes, (size_t)(header + height * width));
}

static poa_dataset *open_split(const char *path, const char *split) {
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_eq(poa_dataset_open(&data, path, split, &error), POA_OK, "%s", error.message);
  return data;
}

/* `split` of the path is refused by a message that contains all texts. */
#define REFUSE(path, split, ...) refuse(path, split, (const char *const[]){__VA_ARGS__, NULL})

static void refuse(const char *path, const char *split, const char *const *texts) {
  poa_dataset *data;
  poa_error error = {0};
  cr_assert_neq(poa_dataset_open(&data, path, split, &error), POA_OK);
  cr_assert_null(data);
  for (; *texts; texts++)
    cr_assert(strstr(error.message, *texts), "'%s' not in: %s", *texts, error.message);
}

/* The images' values and labels, "10:0 20:0 30:1", in the order of the set; those that cannot be
 * read are "-". */
static const char *contents(const poa_dataset *data) {
  static char text[2000];
  size_t used = 0;
  *text = '\0';
  for (int64_t i = 0; i < data->count; i++) {
    poa_held_image image;
    bool got = poa_dataset_get(data, i, 0, &image);
    used += got ? (size_t)sprintf(text + used, "%s%d", i ? " " : "", image.pixels.data[0])
                : (size_t)sprintf(text + used, "%s-", i ? " " : "");
    if (data->labels)
      used += (size_t)sprintf(text + used, ":%d", data->labels[i]);
    if (got)
      poa_held_image_release(&image);
  }
  return text;
}

static void expect(const char *path, const char *split, const char *expected) {
  poa_dataset *data = open_split(path, split);
  cr_assert_str_eq(contents(data), expected);
  poa_dataset_free(data);
}

/* Folders */

/* Guards labels: sorted names of sub-folders, of any depth below; files of other kinds, and hidden
 * ones, are passed over. */
Test(dataset, classes) {
  write_grey("owl/deep/deeper/1.PGM", 2, 2, 70);
  write_grey("cat/b.pgm", 3, 2, 20);
  write_grey("cat/a.Pnm", 2, 3, 10);
  write_grey("dog/x.pgm", 4, 4, 40);
  write_grey("dog/.hidden.pgm", 4, 4, 50);
  write_grey(".git/y.pgm", 4, 4, 60);
  write_text("dog/notes.txt", "not an image");
  write_text("readme", "nor this");
  expect(folder, "train", "10:0 20:0 40:1 70:2");
  poa_dataset *data = open_split(folder, "train");
  char text[200];
  poa_dataset_describe(data, text, sizeof text);
  cr_assert_str_eq(text, "a folder of images for each class, 4 images, 3 classes");
  cr_assert(data->channels == 1 && data->classes == 3 && data->height == 0 && !data->images);
  poa_dataset_free(data);
  REFUSE(folder, "test", "is one folder of images, which is trained on", "/test (or val)");
}

/* Guards sets without labels: files in no folder, or all in one. */
Test(dataset, no_classes) {
  write_grey("flat/2.pgm", 2, 2, 20);
  write_grey("flat/1.pgm", 2, 2, 10);
  write_grey("mixed/b/2.pgm", 2, 2, 20);
  write_grey("mixed/a/1.pgm", 2, 2, 10);
  write_grey("mixed/0.pgm", 2, 2, 0);
  write_grey("one/photos/1.pgm", 2, 2, 10);
  expect(path_of("flat"), "train", "10 20");
  expect(path_of("flat/"), "train", "10 20");
  expect(path_of("mixed"), "train", "0 10 20");
  expect(path_of("one"), "train", "10");
}

/* Guards splits: classes are those of the training images; val/ stands in for a test/ without
 * labels. */
Test(dataset, splits) {
  write_grey("train/a/1.pgm", 2, 2, 10);
  write_grey("train/b/1.pgm", 2, 2, 20);
  write_grey("train/c/1.pgm", 2, 2, 30);
  REFUSE(folder, "test", "has no images to evaluate on", "/test (or val)",
         "a folder for each class");
  write_grey("test/1.pgm", 2, 2, 90);
  expect(folder, "train", "10:0 20:1 30:2");
  expect(folder, "test", "90");
  write_grey("val/c/1.pgm", 2, 2, 31);
  expect(folder, "test", "31:2");
  cr_assert_eq(unlink(path_of("test/1.pgm")), 0);
  write_grey("test/b/1.pgm", 2, 2, 21);
  write_grey("test/c/1.pgm", 2, 2, 32);
  expect(folder, "test", "21:1 32:2");
  write_grey("test/d/1.pgm", 2, 2, 40);
  REFUSE(folder, "test", "holds the class 'd', of which there is no folder in", "/train");
}

/* Guards half a layout. */
Test(dataset, splits_without_train) {
  write_grey("val/a/1.pgm", 2, 2, 10);
  write_grey("val/b/1.pgm", 2, 2, 10);
  REFUSE(folder, "train", "/val but no ", "/train to go with it");
  REFUSE(folder, "test", "/val but no ", "/train to go with it");
}

/* Guards links: to files and folders they are followed, in circles they end. */
Test(dataset, links) {
  write_grey("far/a/1.pgm", 2, 2, 10);
  write_grey("near/b/1.pgm", 2, 2, 20);
  cr_assert_eq(symlink("../far/a", path_of("near/a")), 0);
  cr_assert_eq(symlink("../../near", path_of("near/b/around")), 0);
  cr_assert_eq(symlink("nowhere", path_of("near/b/2.pgm")), 0);
  expect(path_of("near"), "train", "10:0 20:1 -:1");
}

/* Guards the message where nothing is found: all kinds, in their order. */
Test(dataset, nothing) {
  write_text("notes.txt", "nothing");
  mkdir(path_of("empty"), 0700);
  REFUSE(folder, "train", "no data of a known kind", "1. IDX", "2. CIFAR-10", "3. CIFAR-100",
         "4. lists", "5. images", "a list.");
  REFUSE(folder, "test", "no data of a known kind");
  mkdir(path_of("train"), 0700);
  REFUSE(folder, "train", "/train: no images in this folder nor below it");
  REFUSE(path_of("missing"), "train", "No such file");
  cr_assert_eq(mkfifo(path_of("pipe"), 0600), 0);
  REFUSE(path_of("pipe"), "train", "neither a folder nor a file");
}

/* Lists */

/* Guards what a line may be. */
Test(dataset, lists) {
  char text[400];
  write_grey("images/one.pgm", 2, 2, 10);
  write_grey("images/with blank.pgm", 2, 2, 20);
  write_grey("images/10", 2, 2, 30);
  snprintf(text, sizeof text, "# two\n\nimages/one.pgm 3\r\n  \nimages/with blank.pgm\t0\n%s 12",
           path_of("images/10"));
  write_text("labelled.txt", text);
  expect(path_of("labelled.txt"), "train", "10:3 20:0 30:12");
  write_text("plain.txt", "images/with blank.pgm\nimages/gone.pgm\nimages/one.pgm\n");
  expect(path_of("plain.txt"), "train", "20 - 10");
  REFUSE(path_of("plain.txt"), "test", "is one list of images", "train.txt and test.txt");
}

/* Guards a folder of lists, which counts before its images. */
Test(dataset, lists_of_both_splits) {
  write_grey("a/1.pgm", 2, 2, 10);
  write_grey("b/2.pgm", 2, 2, 20);
  write_text("train.txt", "b/2.pgm\n");
  expect(folder, "train", "20");
  REFUSE(folder, "test", "has the list train.txt, but no test.txt or val.txt");
  write_text("val.txt", "a/1.pgm 7\n");
  expect(folder, "test", "10:7");
}

/* Guards lists that are none, with the line that is wrong. */
Test(dataset, hostile_lists) {
  static const struct {
    const char *text;
    size_t size;
    const char *message;
  } cases[] = {
      {"a.pgm 1\nb.pgm\n", 14, "list:2: a.pgm has a label and b.pgm has none"},
      {"a.pgm\nb.pgm 1\n", 14, "list:2: b.pgm has a label and a.pgm has none"},
      {"a.pgm\tcat\n", 10, "list:1: expected a label of 0 to 999999, found 'cat'"},
      {"# x\na.pgm -1\n", 13, "list:2: expected a label of 0 to 999999, found '-1'"},
      {"a.pgm 1000000\n", 14, "found '1000000'"},
      {"a.pgm 99999999999999999999\n", 27, "found '99999999999999999999'"},
      {"# nothing\n", 10, "names no images"},
      {"", 0, "no data of a known kind"},
      {"a\0b", 3, "no data of a known kind"},
      {"\x93NUMPY\1\0v\0", 10, "no data of a known kind"},
      {"\xff\xd8\xff\xe0", 4, "is a single image: name its folder"},
      {"a.pgm\n", 6, "none of the 1 images that were tried can be read; the first: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_file("list", cases[i].text, cases[i].size);
    REFUSE(path_of("list"), "train", cases[i].message);
  }
  char late[2000];
  memset(late, '#', sizeof late);
  late[1000] = '\0';
  write_file("list", late, sizeof late);
  REFUSE(path_of("list"), "train", "list:1: a byte of 0; this is no list");
}

/* CIFAR */

enum { PLANE = 1024 };

/* Image i has the labels first + i (after that, if `coarse`, the fine one), and planes of `value` +
 * i, + 1, + 2. */
static void write_cifar(const char *name, int count, bool coarse, int first, int value) {
  static uint8_t bytes[8 * (2 + 3 * PLANE)];
  uint8_t *at = bytes;
  for (int i = 0; i < count; i++) {
    if (coarse)
      *at++ = 19;
    *at++ = (uint8_t)(first + i);
    for (int c = 0; c < 3; c++, at += PLANE)
      memset(at, value + i + c, PLANE);
  }
  write_file(name, bytes, (size_t)(at - bytes));
}

/* Guards both splits, in the folder and below it. */
Test(dataset, cifar10) {
  static const char *const places[] = {"", "cifar-10-batches-bin/"};
  for (int p = 0; p < 2; p++) {
    char name[80];
    for (int i = 1; i <= 5; i++) {
      snprintf(name, sizeof name, "%d/%sdata_batch_%d.bin", p, places[p], i);
      write_cifar(name, 2, false, i, 10 * i);
    }
    snprintf(name, sizeof name, "%d", p);
    expect(path_of(name), "train", "10:1 11:2 20:2 21:3 30:3 31:4 40:4 41:5 50:5 51:6");
    REFUSE(path_of(name), "test", "lacks test_batch.bin");
    snprintf(name, sizeof name, "%d/%stest_batch.bin", p, places[p]);
    write_cifar(name, 3, false, 7, 100);
    snprintf(name, sizeof name, "%d", p);
    expect(path_of(name), "test", "100:7 101:8 102:9");
  }
  poa_dataset *data = open_split(path_of("0"), "test");
  cr_assert(data->channels == 3 && data->height == 32 && data->width == 32);
  cr_assert_eq(data->images[PLANE * 5], 103); /* image 1, blue */
  cr_assert_float_eq(data->mean[1], 102 / 255.0, 1e-6);
  char text[200];
  poa_dataset_describe(data, text, sizeof text);
  cr_assert_str_eq(text, "CIFAR-10, 3 images of 32 x 32, 10 classes");
  poa_dataset_free(data);
}

/* Guards the fine labels. */
Test(dataset, cifar100) {
  write_cifar("cifar-100-binary/train.bin", 2, true, 50, 10);
  write_cifar("cifar-100-binary/test.bin", 1, true, 99, 20);
  expect(folder, "train", "10:50 11:51");
  expect(folder, "test", "20:99");
}

/* Guards files that are cut, of another kind, or lack a part. */
Test(dataset, hostile_cifar) {
  for (int i = 1; i <= 5; i++) {
    char name[80];
    snprintf(name, sizeof name, "data_batch_%d.bin", i);
    write_cifar(name, 2, false, 0, 0);
  }
  write_cifar("data_batch_3.bin", 2, false, 9, 0);
  REFUSE(folder, "train", "data_batch_3.bin: image 1 has the label 10, expected 0 to 9");
  cr_assert_eq(truncate(path_of("data_batch_3.bin"), 3 * PLANE + 7), 0);
  REFUSE(folder, "train", "data_batch_3.bin: expected images of 3073 bytes", "found 3079 bytes");
  write_file("data_batch_3.bin", "", 0);
  REFUSE(folder, "train", "found 0 bytes");
  cr_assert_eq(unlink(path_of("data_batch_3.bin")), 0);
  REFUSE(folder, "train", "lacks data_batch_3.bin");
}

/* Files */

/* Guards mean and deviation: every image counts alike, whatever its size, and grey ones are three
 * times the same among coloured ones. */
Test(dataset, measures_files) {
  write_grey("a.pgm", 2, 2, 51);                /* 0.2 */
  write_text("b.ppm", "P3 1 2 5 5 0 0  5 2 4"); /* red 1 1, green 0 0.4, blue 0 0.8 */
  write_grey("c.pgm", 40, 50, 204);             /* 0.8 */
  poa_dataset *data = open_split(folder, "train");
  const double mean[] = {2.0 / 3, (0.2 + 0.2 + 0.8) / 3, (0.2 + 0.4 + 0.8) / 3};
  const double square[] = {(0.04 + 1 + 0.64) / 3, (0.04 + 0.08 + 0.64) / 3,
                           (0.04 + 0.32 + 0.64) / 3};
  cr_assert_eq(data->channels, 3);
  for (int c = 0; c < 3; c++) {
    cr_assert_float_eq(data->mean[c], mean[c], 1e-6);
    cr_assert_float_eq(data->deviation[c] * data->deviation[c], square[c] - mean[c] * mean[c],
                       1e-6);
  }
  double upper = 0.299, lower = 0.299 + 0.587 * 0.4 + 0.114 * 0.8;
  double grey = (0.2 + (upper + lower) / 2 + 0.8) / 3;
  cr_assert_float_eq(data->grey_mean, grey, 1e-6);
  poa_dataset_free(data);
}

/* Guards files that cannot be read: each is told once, the first five by name, the rest counted;
 * another takes its place, the next in order. */
Test(dataset, unreadable_files) {
  for (int i = 0; i < 9; i++) {
    char name[20];
    snprintf(name, sizeof name, "%d.pgm", i);
    if (i % 4 == 0)
      write_grey(name, 2, 2, 10 + i);
    else
      write_text(name, "P5 9 9 255\nshort");
  }
  poa_dataset *data = open_split(folder, "train");
  cr_assert_str_eq(contents(data), "10 - - - 14 - - - 18");
  cr_assert_str_eq(contents(data), "10 - - - 14 - - - 18");
  cr_assert_eq(poa_dataset_unreadable(data), 6);
  char message[2000];
  for (int i = 0; i < 5; i++) {
    char name[20];
    snprintf(name, sizeof name, "/%d.pgm: ", i + 1 + (i >= 3));
    cr_assert(poa_dataset_complaint(data, message, sizeof message));
    cr_assert(strstr(message, name) && strstr(message, "cut short"), "%s", message);
  }
  cr_assert(!poa_dataset_complaint(data, message, sizeof message));
  poa_held_image image;
  poa_error error = {0};
  for (int i = 0; i < 9; i++) {
    cr_assert_eq(poa_dataset_get_some(data, i, 0, &image, &error), POA_OK);
    cr_assert_eq(image.pixels.data[0], 10 + (i + 3) / 4 * 4, "%d: %d", i, image.pixels.data[0]);
    poa_held_image_release(&image);
  }
  /* All vanish. */
  for (int i = 0; i < 9; i += 4) {
    char name[20];
    snprintf(name, sizeof name, "%d.pgm", i);
    cr_assert_eq(unlink(path_of(name)), 0);
  }
  cr_assert_eq(poa_dataset_get_some(data, 3, 0, &image, &error), POA_IO);
  cr_assert(strstr(error.message, "none of the 9 images can be read any more"), "%s",
            error.message);
  cr_assert_eq(poa_dataset_unreadable(data), 9);
  poa_dataset_free(data);
  REFUSE(folder, "train", "none of the 6 images that were tried can be read", "1.pgm: ");
}

/* Guards that evaluation leaves out what cannot be read, labels with it. */
Test(dataset, reader_leaves_out) {
  write_grey("a/1.pgm", 2, 2, 51);
  write_text("a/2.pgm", "broken");
  write_grey("b/3.pgm", 8, 5, 102);
  write_text("b/4.pgm", "broken");
  poa_dataset *data = open_split(folder, "train");
  poa_normalization one = {{0}, {1, 1, 1}};
  poa_dataset_reader reader;
  poa_error error = {0};
  float out[4 * 9];
  int32_t labels[4];
  int64_t have;
  cr_assert_eq(poa_dataset_reader_open(&reader, data, 4, 1, 3, &one, &error), POA_OK);
  cr_assert_eq(poa_dataset_read(&reader, 4, out, labels, &have, &error), POA_OK);
  cr_assert(have == 2 && labels[0] == 0 && labels[1] == 1);
  cr_assert_float_eq(out[0], 0.2, 1e-6);
  cr_assert_float_eq(out[9], 0.4, 1e-6);
  cr_assert_eq(reader.next, 4);
  poa_dataset_reader_close(&reader);
  poa_dataset_free(data);
}

/* Guards what is kept: pixels that were asked for at the chosen size, so that they outlive their
 * file; at another size, not. */
Test(dataset, keeps_images) {
  write_grey("1.pgm", 30, 40, 10);
  write_grey("2.pgm", 30, 40, 20);
  poa_dataset *data = open_split(folder, "train");
  poa_held_image first, again;
  poa_dataset_keep(data, 10);
  cr_assert(poa_dataset_get(data, 0, 10, &first) && !first.own);
  cr_assert(first.pixels.height == 10 && first.pixels.width == 13);
  cr_assert(poa_dataset_get(data, 1, 0, &again) && again.own);
  cr_assert(again.pixels.height == 30 && again.pixels.width == 40);
  poa_held_image_release(&again);
  cr_assert_eq(unlink(path_of("1.pgm")), 0);
  cr_assert_eq(unlink(path_of("2.pgm")), 0);
  cr_assert(poa_dataset_get(data, 0, 10, &again));
  cr_assert_eq(again.pixels.data, first.pixels.data);
  cr_assert(!poa_dataset_get(data, 1, 10, &again));
  poa_dataset_free(data);
}

/* Guards files of a list that are no image, or several. */
Test(dataset, one_image_a_file) {
  write_file("two", "\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
  write_grey("one.pgm", 2, 2, 10);
  write_text("list.txt", "two\none.pgm\n.\n");
  expect(path_of("list.txt"), "train", "- 10 -");
}

/* JPEG */

#ifdef POA_IMAGES
#include <jpeglib.h>

enum { JPEG_HEIGHT = 200, JPEG_WIDTH = 300 };

static void write_jpeg(const char *name, int value, size_t cut) {
  struct jpeg_compress_struct info;
  struct jpeg_error_mgr manager;
  unsigned char *out = NULL, row[JPEG_WIDTH];
  unsigned long size = 0;
  JSAMPROW rows[] = {row};
  memset(row, value, sizeof row);
  info.err = jpeg_std_error(&manager);
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = JPEG_WIDTH;
  info.image_height = JPEG_HEIGHT;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_start_compress(&info, TRUE);
  for (int i = 0; i < JPEG_HEIGHT; i++)
    jpeg_write_scanlines(&info, rows, 1);
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  write_file(name, out, size - cut);
  free(out);
}

/* Guards JPEGs in a set: decoded no larger than needed, and left out where they are cut short. */
Test(dataset, jpeg) {
  write_jpeg("1.jpg", 100, 0);
  write_jpeg("2.JPEG", 100, 30);
  write_jpeg("3.jpg", 150, 0);
  poa_dataset *data = open_split(folder, "train");
  poa_held_image image;
  char message[2000];
  cr_assert_str_eq(contents(data), "100 - 150");
  cr_assert(poa_dataset_get(data, 2, 60, &image));
  cr_assert(image.pixels.height == 75 && image.pixels.width == 113); /* three eighths */
  poa_held_image_release(&image);
  cr_assert(poa_dataset_complaint(data, message, sizeof message));
  cr_assert(strstr(message, "/2.JPEG: damaged JPEG"), "%s", message);
  poa_dataset_free(data);
}
#endif
